package persona

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// child is a pair of ESP SAs.
type child struct {
	in, out *wire.ESP
	nr      []byte
	port    uint16 // of the client's L2TP socket

	ending, spent bool

	top  uint32 // the highest sequence number received
	seen map[uint32]bool
}

// drop forgets pairs.
func (c *Client) drop(which func(*child) bool) {
	c.children = slices.DeleteFunc(c.children, which)
}

// sendUDP sends an L2TP packet to the server over the newest pair.
func (c *Client) sendUDP(l2tp []byte) []byte {
	if len(c.children) == 0 {
		panic(&Ended{"there is no SA to send over"})
	}
	k := c.children[0]
	// The checksum is computed over the private address, so that behind a NAT
	// it is wrong for the server (RFC 3948 section 3.1.2).
	u := wire.UDP{Src: netip.AddrPortFrom(c.own, k.port), Dst: netip.AddrPortFrom(c.Server, 1701), Payload: l2tp}
	inner := append(u.Segment(c.ESP.InnerChecksum), c.ESP.Behind...)
	if c.Mangle != nil {
		inner = c.Mangle(inner)
	}
	c.tap(LayerESP, inner)
	c.tap(LayerL2TP, l2tp)
	b, err := k.out.Seal(inner, 17)
	if err != nil {
		c.refuse("%v", err)
	}
	c.send(portNATT, b)
	c.spent()
	return b
}

// openESP decrypts a packet. It returns nil if there is no SA for it.
func (c *Client) openESP(b []byte) (k *child, seq uint32, payload []byte, next byte, err error) {
	if len(b) < 8 {
		return nil, 0, nil, 0, nil
	}
	for _, k = range c.children {
		if k.in.SPI == binary.BigEndian.Uint32(b) {
			seq, payload, next, err = k.in.Open(b)
			return k, seq, payload, next, err
		}
	}
	return nil, 0, nil, 0, nil
}

// receiveESP handles an ESP packet.
func (c *Client) receiveESP(b []byte) {
	k, seq, payload, next, err := c.openESP(b)
	if k == nil {
		c.stats.UnknownSPI++
		c.logf("< ESP for an SA that is gone")
		return
	}
	if err != nil {
		c.refuse("an ESP packet of SA %08x: %v", k.in.SPI, err)
	}
	k.in.Used += len(payload)
	c.spent()
	if !c.fresh(k, seq) {
		return
	}
	if next == 59 { // RFC 4303 section 2.6
		return
	}
	if next != 17 {
		c.refuse("protocol %d is in an SA that carries UDP", next)
	}
	u, honest, err := wire.ParseSegment(c.Server, c.own, payload)
	switch {
	case err != nil:
		c.refuse("inside ESP: %v", err)
	case !honest:
		c.refuse("the inner UDP checksum must be zero or right for the addresses as the client sees them, or it drops the packet")
	case u.Src.Port() != 1701 || u.Dst.Port() != k.port:
		c.refuse("the SA is for UDP from port 1701 to port %d, and a packet goes from %d to %d", k.port, u.Src.Port(), u.Dst.Port())
	}
	if wire.IsControl(u.Payload) {
		c.receiveControl(u.Payload)
		return
	}
	c.receiveData(u.Payload)
}

// fresh is the replay check (RFC 4303 section 3.4.3).
func (c *Client) fresh(k *child, seq uint32) bool {
	if k.seen == nil {
		k.seen = map[uint32]bool{}
	}
	switch {
	case seq == 0:
		c.refuse("an ESP packet has the sequence number 0")
	case seq > k.top:
		k.top = seq
	case k.seen[seq]:
		c.stats.Repeated++
		if c.Lossless {
			c.refuse("the ESP sequence number %d was used twice", seq)
		}
		return false
	default:
		c.stats.Displaced++
		if c.Lossless {
			c.refuse("ESP packets must reach the wire in the order of their sequence numbers, and %d came after %d", seq, k.top)
		}
		if k.top-seq >= c.ESP.Window {
			c.stats.Late++
			return false
		}
	}
	k.seen[seq] = true
	return true
}
