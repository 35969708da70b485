package ndp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/packet"
)

// Options (RFC 4861, section 4.6; RFC 4191, section 2.3; RFC 8106, section 5).
const (
	optPrefix = 3
	optMTU    = 5
	optRoute  = 24
	optRDNSS  = 25
	optDNSSL  = 31
)

// Router is what a router says of itself and of the link.
type Router struct {
	LinkLocal netip.Addr // whom everything comes from
	Global    netip.Addr // that it answers for, too; the zero Addr: none

	Lifetime time.Duration // as default router; 0: it is none
	Managed  bool          // addresses come by DHCPv6
	Other    bool          // name servers come by DHCPv6, too
	MTU      int           // of the link, bytes; 0: not said

	Prefix           netip.Prefix  // for SLAAC; the zero Prefix: none
	Preferred, Valid time.Duration // of Prefix

	Routes []netip.Prefix // IPv6 ones are said: networks behind the router
	DNS    []netip.Addr   // IPv6 ones are said
	Domain string
	Told   time.Duration // for how long Routes, DNS and Domain hold
}

// Advertise builds a Router Advertisement (RFC 4861, section 4.2).
func (r *Router) Advertise(to netip.Addr) []byte {
	var flags byte
	if r.Managed {
		flags |= 0x80
	}
	if r.Other {
		flags |= 0x40
	}
	b := []byte{routerAdvertisement, 0, 0, 0, 64, flags}
	b = binary.BigEndian.AppendUint16(b, uint16(r.Lifetime/time.Second))
	b = append(b, make([]byte, 8)...) // reachable time, retransmission timer: unspecified
	if r.MTU > 0 {
		b = binary.BigEndian.AppendUint32(append(b, optMTU, 1, 0, 0), uint32(r.MTU))
	}
	if r.Prefix.IsValid() {
		// Autonomous, and not on-link: nobody else is on this link.
		addr := r.Prefix.Masked().Addr().As16()
		b = append(b, optPrefix, 4, byte(r.Prefix.Bits()), 0x40)
		b = appendSeconds(b, seconds(r.Valid))
		b = appendSeconds(b, seconds(r.Preferred))
		b = append(append(b, 0, 0, 0, 0), addr[:]...)
	}
	for _, p := range r.Routes {
		if p.Addr().Is6() {
			addr := p.Masked().Addr().As16()
			b = append(b, optRoute, 3, byte(p.Bits()), 0)
			b = append(appendSeconds(b, seconds(r.Told)), addr[:]...)
		}
	}
	b = r.appendDNS(b)
	return message(r.LinkLocal, to, b)
}

// appendDNS appends name servers and the search list.
func (r *Router) appendDNS(b []byte) []byte {
	var dns []byte
	for _, a := range r.DNS {
		if a.Is6() {
			dns = append(dns, a.AsSlice()...)
		}
	}
	if dns != nil {
		b = append(b, optRDNSS, byte(1+len(dns)/8), 0, 0)
		b = append(appendSeconds(b, seconds(r.Told)), dns...)
	}
	if name := packet.Labels(r.Domain); name != nil {
		for len(name)%8 != 0 {
			name = append(name, 0)
		}
		b = append(b, optDNSSL, byte(1+len(name)/8), 0, 0)
		b = append(appendSeconds(b, seconds(r.Told)), name...)
	}
	return b
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }
