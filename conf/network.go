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

// UnmarshalText reads "10.83.0.0/16" or "192.168.1.200-192.168.1.250".
func (r *AddressRange) UnmarshalText(text []byte) error {
	if first, last, ok := strings.Cut(string(text), "-"); ok {
		a, err1 := netip.ParseAddr(strings.TrimSpace(first))
		b, err2 := netip.ParseAddr(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || a.BitLen() != b.BitLen() || b.Less(a) {
			return fmt.Errorf(`%q is not a range such as "192.168.1.200-192.168.1.250"`, text)
		}
		*r = AddressRange{First: a, Last: b}
		return nil
	}
	p, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf(`%q is not a network such as "10.83.0.0/16"`, text)
	}
	*r = AddressRange{Prefix: p.Masked()}
	return nil
}

// String is the text that the range is read from.
func (r AddressRange) String() string {
	switch {
	case r.Prefix.IsValid():
		return r.Prefix.String()
	case r.First.IsValid():
		return r.First.String() + "-" + r.Last.String()
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (r AddressRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// IsValid reports whether there is anything.
func (r AddressRange) IsValid() bool { return r.Prefix.IsValid() || r.First.IsValid() }

// overlaps reports whether an address is in both.
func (r AddressRange) overlaps(o AddressRange) bool {
	switch {
	case !r.IsValid() || !o.IsValid():
		return false
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
	for i, r := range n.Pool {
		validateRange(d, n, i, r)
	}
	validateNetwork6(d, n)
	validatePools(d, c)
	validateReserve(d, n)
	validateAccess(d, n)
	if n.Mode == TAP {
		validateTAP(d, n)
	}
}

// validateRange checks an element of network.pool. One that cannot be read has its error
// already.
func validateRange(d *decoder, n *Network, i int, r AddressRange) {
	key := fmt.Sprintf("network.pool[%d]", i)
	validateRangeOf4(d, n, key, r)
	for _, earlier := range n.Pool[:i] {
		if r.overlaps(earlier) {
			d.fail(key, "%q overlaps %q", r, earlier)
		}
	}
}

// validateRangeOf4 checks what a pool of IPv4 has.
func validateRangeOf4(d *decoder, n *Network, key string, r AddressRange) {
	switch {
	case n.Mode == TUN && r.First.IsValid():
		d.fail(key, "a range needs mode = \"tap\": write a network, as in \"10.83.0.0/16\"; network.reserve keeps a part of it")
	case r.Prefix.IsValid() && !r.Prefix.Addr().Is4(), r.First.IsValid() && !r.First.Is4():
		d.fail(key, "%q is not IPv4: network.pool6 is for IPv6", r)
	case r.Prefix.IsValid() && r.Prefix.Bits() > 30:
		d.fail(key, "%q has no room for a client", r)
	}
}

func validateTAP(d *decoder, n *Network) {
	if !n.LAN.IsValid() {
		d.fail("network.lan", `mode "tap" needs the office network, as in "192.168.1.0/24"`)
		return
	}
	if n.Gateway.IsValid() && !n.LAN.Contains(n.Gateway) {
		d.fail("network.gateway", `"%v" is not an address of %v`, n.Gateway, n.LAN)
	}
	for i, r := range n.Pool {
		validateInLAN(d, n, fmt.Sprintf("network.pool[%d]", i), r)
	}
}

func validateInLAN(d *decoder, n *Network, key string, r AddressRange) {
	first, last := r.First, r.Last
	if r.Prefix.IsValid() {
		first, last = r.Prefix.Addr(), r.Prefix.Addr()
	}
	if r.IsValid() && (!n.LAN.Contains(first) || !n.LAN.Contains(last)) {
		d.fail(key, "%q is not inside network.lan, %v", r, n.LAN)
	}
}
