package persona

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// receiveIP6 handles an IPv6 packet.
func (c *Client) receiveIP6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		c.refuse("an IPv6 packet is malformed")
	}
	// ICMPv6 from router advertisement to neighbour advertisement.
	if b[6] == 58 && len(b) > 44 && b[40] >= 134 && b[40] <= 136 {
		c.advertised(b)
	}
	if b[6] == 17 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.in = append(c.in, b)
	}
}

// solicit asks for a router, as hosts do when IPV6CP has opened (RFC 4861 section 6.3.7),
// and repeats that until one answers.
func (c *Client) solicit(times int) {
	if times == 0 || c.router.IsValid() || c.end != nil || c.leaving {
		return
	}
	b := wire.IPv6Packet(c.linkLocal(), netip.MustParseAddr("ff02::2"), 58, 255, make([]byte, 8))
	b[40] = 133
	wire.SumICMPv6(b)
	c.logf("> router solicitation")
	c.sendPPP(wire.IPv6, b)
	c.after(4*time.Second, func() { c.solicit(times - 1) })
}

// linkLocal is the address with the agreed interface identifier.
func (c *Client) linkLocal() netip.Addr {
	return netip.AddrFrom16([16]byte(append([]byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0}, c.link.cps[wire.IPV6CP].want[0].Value...)))
}

// routed learns a prefix from a router advertisement (RFC 4861 section 4.2).
func (c *Client) routed(b []byte) {
	rest := b[40:]
	if b[7] != 255 || !wire.HonestICMPv6(b) {
		c.refuse("a router advertisement must have hop limit 255 and a right checksum (RFC 4861 section 6.1.2)")
	}
	c.router = netip.AddrFrom16([16]byte(b[8:24]))
	if !c.router.IsLinkLocalUnicast() {
		c.refuse("a router advertisement must come from a link-local address (RFC 4861 section 6.1.2), not %v", c.router)
	}
	for o := rest[16:]; len(o) >= 8 && o[1] != 0 && len(o) >= 8*int(o[1]); o = o[8*int(o[1]):] {
		if o[0] == 3 && o[1] == 4 {
			if o[2] != 64 && o[3]&0x40 != 0 {
				c.refuse("a prefix for autoconfiguration has 64 bits (RFC 4862 section 5.5.3), not %d", o[2])
			}
			c.prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:32])), int(o[2]))
		}
	}
	c.logf("< router advertisement: %v from %v", c.prefix, c.router)
}

// Address6 is the address that the client made from the advertised prefix, invalid if
// there was none.
func (c *Client) Address6() (a netip.Addr) {
	_ = c.do(func() {
		if c.prefix.IsValid() {
			own := c.linkLocal().As16()
			net := c.prefix.Addr().As16()
			copy(own[:8], net[:8])
			a = netip.AddrFrom16(own)
		}
	})
	return a
}

// advertised judges a router or neighbour message: options 1 and 2 are
// link-layer addresses, which a PPP link does not have.
func (c *Client) advertised(b []byte) {
	rest := b[40:]
	head := 24
	if rest[0] == 134 {
		head = 16
		c.routed(b)
	}
	for head+2 <= len(rest) {
		if rest[head] == 1 || rest[head] == 2 {
			c.refuse("ICMPv6 type %d has a link-layer address option, and it drops such packets on PPP", rest[0])
		}
		if rest[head+1] == 0 {
			c.refuse("ICMPv6 type %d has an option without length", rest[0])
		}
		head += int(rest[head+1]) * 8
	}
}
