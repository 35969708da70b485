package conf

import (
	"fmt"
	"net/netip"
	"strings"
)

// AddressRange is one element of network.pool: a network, or a range of
// addresses with both ends included.
type AddressRange struct {
	Prefix      netip.Prefix // valid if it was written as a network
	First, Last netip.Addr   // valid if it was written as a range
}

// ParseRange reads "10.83.0.0/16" or "192.168.1.200-192.168.1.250".
func ParseRange(s string) (AddressRange, error) {
	if first, last, ok := strings.Cut(s, "-"); ok {
		a, err1 := netip.ParseAddr(strings.TrimSpace(first))
		b, err2 := netip.ParseAddr(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || a.BitLen() != b.BitLen() || b.Less(a) {
			return AddressRange{}, fmt.Errorf(`%q is not a range such as "192.168.1.200-192.168.1.250"`, s)
		}
		return AddressRange{First: a, Last: b}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return AddressRange{}, fmt.Errorf(`%q is not a network such as "10.83.0.0/16"`, s)
	}
	return AddressRange{Prefix: p.Masked()}, nil
}

// overlaps reports whether an address is in both.
func (r AddressRange) overlaps(o AddressRange) bool {
	switch {
	case r.Prefix.IsValid() && o.Prefix.IsValid():
		return r.Prefix.Overlaps(o.Prefix)
	case r.Prefix.IsValid():
		return r.Prefix.Contains(o.First) || r.Prefix.Contains(o.Last) || o.within(r.Prefix.Addr())
	case o.Prefix.IsValid():
		return o.overlaps(r)
	}
	return !r.Last.Less(o.First) && !o.Last.Less(r.First)
}

// within reports whether a range, written as such, holds a.
func (r AddressRange) within(a netip.Addr) bool { return !a.Less(r.First) && !r.Last.Less(a) }

func validateNetwork(d *decoder, c *Config) {
	n := &c.Network
	oneOf(d, "network.mode", n.Mode, "tun", "tap")
	if n.Device == "" || len(n.Device) > 15 || strings.ContainsAny(n.Device, "/ ") {
		d.fail("network.device", "%q is not a device name of 1 to 15 characters", n.Device)
	}
	if n.MTU < 576 || n.MTU > 1400 {
		d.fail("network.mtu", "%d is not between 576 and 1400", n.MTU)
	}
	validateSettings(n.DNS, n.Routes, n.Domain, func(field, format string, args ...any) { d.fail("network."+field, format, args...) })
	if len(n.Pool) == 0 {
		d.fail("network.pool", `must name at least one network, as in ["10.83.0.0/16"]`)
	}
	for i, s := range n.Pool {
		r, err := ParseRange(s)
		key := fmt.Sprintf("network.pool[%d]", i)
		switch {
		case err != nil:
			d.fail(key, "%v", err)
		case n.Mode == "tun" && !r.Prefix.IsValid():
			d.fail(key, "a range needs mode = \"tap\": write a network, as in \"10.83.0.0/16\"")
		case r.Prefix.IsValid() && !r.Prefix.Addr().Is4(), r.First.IsValid() && !r.First.Is4():
			d.fail(key, "%q is not IPv4: network.pool6 is for IPv6", s)
		case r.Prefix.IsValid() && r.Prefix.Bits() > 30:
			d.fail(key, "%q has no room for a client", s)
		}
		if err != nil {
			continue
		}
		for _, earlier := range n.Pool[:i] {
			if o, err := ParseRange(earlier); err == nil && r.overlaps(o) {
				d.fail(key, "%q overlaps %q", s, earlier)
			}
		}
	}
	validateNetwork6(d, n)
	if n.Mode == "tap" {
		validateTAP(d, n)
	}
}

func validateTAP(d *decoder, n *Network) {
	lan, err := netip.ParsePrefix(n.LAN)
	if err != nil {
		d.fail("network.lan", `mode "tap" needs the office network, as in "192.168.1.0/24"`)
		return
	}
	if n.Gateway != "" {
		if a, err := netip.ParseAddr(n.Gateway); err != nil || !lan.Contains(a) {
			d.fail("network.gateway", "%q is not an address of %v", n.Gateway, lan)
		}
	}
	for i, s := range n.Pool {
		r, err := ParseRange(s)
		if err != nil {
			continue // said already
		}
		if r.Prefix.IsValid() {
			r.First = r.Prefix.Addr()
			r.Last = r.First
		}
		if !lan.Contains(r.First) || !lan.Contains(r.Last) {
			d.fail(fmt.Sprintf("network.pool[%d]", i), "%q is not inside network.lan, %v", s, lan)
		}
	}
}
