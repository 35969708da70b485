package persona

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// inform1 sends a DHCPINFORM, and repeats it while there is no answer.
func (c *Client) inform1(d *inform, every time.Duration, times int) {
	c.informing = d
	var send func()
	send = func() {
		if d.answer != nil || times == 0 || c.end != nil || c.leaving {
			return
		}
		times--
		u := wire.UDP{
			Src: netip.AddrPortFrom(c.link.addr, 68), Dst: netip.MustParseAddrPort("255.255.255.255:67"), Payload: d.Marshal(d.size),
		}
		c.logf("> DHCPINFORM")
		c.sendPPP(wire.IPv4, u.IP(d.ttl, d.checksum))
		c.after(every, send)
	}
	send()
}

// inform is a DHCPINFORM and the answer to it.
type inform struct {
	*wire.DHCP
	size     int
	ttl      byte
	checksum bool
	answer   *wire.DHCP
}

// dhcp judges a DHCP answer.
func (c *Client) dhcp(packet []byte) {
	src, dst, _, payload, _ := wire.ParseIP(packet)
	u, honest, err := wire.ParseSegment(src, dst, payload)
	if err != nil || !honest {
		c.refuse("a DHCP answer is malformed, or its checksum is wrong: %v", err)
	}
	d, err := wire.ParseDHCP(u.Payload)
	if err != nil {
		c.refuse("a DHCP answer: %v", err)
	}
	q := c.informing
	switch {
	case q == nil:
		c.refuse("a DHCP answer came to nobody")
	case u.Src.Port() != 67:
		c.refuse("a DHCP answer must come from port 67, not %d", u.Src.Port())
	case d.Op != 2 || d.XID != q.XID || d.Hardware != q.Hardware:
		c.refuse("a DHCP answer must repeat xid and chaddr of the request (RFC 2131 section 4.3.5)")
	case !d.Your.IsUnspecified():
		c.refuse("the answer to a DHCPINFORM must not fill in yiaddr (RFC 2131 section 4.3.5)")
	case len(d.Options) == 0 || d.Options[0].Type != 53 || d.Options[0].Value[0] != 5:
		c.refuse("the first option of a DHCP answer must be 53 with the value 5 (ACK)")
	}
	for _, o := range d.Options {
		if o.Type == 51 {
			c.refuse("the answer to a DHCPINFORM must not have a lease time (RFC 2131 section 4.3.5)")
		}
	}
	q.answer = d
}

// windowsInform is the DHCPINFORM of Windows. Its parameter list has not been seen on a
// wire.
func windowsInform(c *Client) *inform {
	return &inform{DHCP: &wire.DHCP{
		Op: 1, HType: 8, HLen: 6, XID: c.rand.Uint32(), Client: c.link.addr, Hardware: [16]byte{0x52, 0x41, 0x53, 0x20},
		Options: []wire.Option{
			{Type: 53, Value: []byte{8}}, {Type: 61, Value: []byte{8, 0x52, 0x41, 0x53, 0x20, 0, 0}},
			{Type: 60, Value: []byte("MSFT 5.0")}, {Type: 55, Value: []byte{6, 44, 43, 77, 249, 121, 15}},
		},
	}, size: 300, ttl: 128, checksum: true}
}
