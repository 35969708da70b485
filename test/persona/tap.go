package persona

import "github.com/adit-vpn/adit/test/persona/wire"

// Layer says at which layer of a client a message was tapped.
type Layer string

// The layers, from the outermost to the innermost.
const (
	LayerUDP  Layer = "udp"  // what leaves the host: IKE, with or without the marker, and ESP
	LayerIKE  Layer = "ike"  // an ISAKMP message in clear
	LayerESP  Layer = "esp"  // the content of ESP: a UDP datagram with its header
	LayerL2TP Layer = "l2tp" // control and data messages
	LayerPPP  Layer = "ppp"  // frames
	LayerIP   Layer = "ip"   // packets of the user, and of the client itself
)

func (c *Client) tap(l Layer, b []byte) {
	if c.Tap != nil {
		c.Tap(l, append([]byte(nil), b...))
	}
}

// tapFrame shows a PPP frame and the packet in it.
func (c *Client) tapFrame(protocol uint16, frame, body []byte) {
	c.tap(LayerPPP, frame)
	if protocol == wire.IPv4 || protocol == wire.IPv6 {
		c.tap(LayerIP, body)
	}
}

// tapIKE shows m as it is before its payloads are encrypted.
func (p *phase1) tapIKE(m *wire.Message, plain []byte) {
	clear := *m
	clear.Flags, clear.Body = 0, plain
	p.tap(LayerIKE, clear.Marshal())
}
