package radius

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// fromPool reports whether a Framed-IP-Address means one of the pool: 255.255.255.254 and
// 255.255.255.255 (RFC 2865, section 5.8), 0.0.0.0, and what RouterOS takes for it:
// 127.0.0.0/8 and 224.0.0.0/3.
func fromPool(a netip.Addr) bool {
	first := a.As4()[0]
	return a.IsUnspecified() || first == 127 || first >= 224
}

func framedAddress(g *granted, v []byte) error {
	return address4(func(g *granted, a netip.Addr) {
		if !fromPool(a) {
			g.Address = a
		}
	})(g, v)
}

// route reads networks behind the client, as RFC 2865, section 5.22 and vendors write them:
// "192.0.2.0/24 0.0.0.0 1", "192.0.2.0 255.255.255.0 …", "192.0.2.0" with the mask of its
// class, "ip route …" in front, and several with commas between. The gateway is the client
// whatever is said. What cannot be read costs itself alone.
func route(g *granted, v []byte) error {
	var wrong []string
	some := false
	for _, text := range strings.Split(strings.Trim(string(v), "\x00"), ",") {
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		some = true
		p, err := routeOf(fields)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		g.Routes = append(g.Routes, p)
	}
	switch {
	case !some:
		return errors.New("it is empty")
	case len(wrong) > 0:
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// routeOf reads one network, and ignores the gateway and metrics behind it.
func routeOf(fields []string) (netip.Prefix, error) {
	for len(fields) > 1 && (fields[0] == "ip" || fields[0] == "ipv6" || fields[0] == "route") {
		fields = fields[1:]
	}
	if fields[0] == "vrf" {
		return netip.Prefix{}, errors.New("it is for a VRF, and there are none")
	}
	address, mask, within := strings.Cut(fields[0], "/")
	if !within && len(fields) > 1 {
		mask = fields[1]
	}
	a, err := netip.ParseAddr(address)
	wrong := fmt.Errorf("%.64q is not a network: write it as 192.0.2.0/24, or 2001:db8::/48", strings.Join(fields, " "))
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Prefix{}, wrong
	}
	bits, ok := netmask(mask)
	switch {
	case ok && a.Is4():
	case within:
		if bits, err = strconv.Atoi(mask); err != nil || bits < 0 || bits > a.BitLen() || mask[0] == '+' {
			return netip.Prefix{}, wrong
		}
	case a.Is4():
		bits = classOf(a)
	default:
		bits = a.BitLen()
	}
	return netip.PrefixFrom(a, bits).Masked(), nil
}

// netmask is the length of a mask such as 255.255.255.0. One of nothing but zeros is a
// gateway: "0.0.0.0" says that it is the client.
func netmask(s string) (int, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() {
		return 0, false
	}
	ones, bits := net.IPMask(a.AsSlice()).Size()
	return ones, bits == 32
}

// classOf is the length of a network without one (RFC 2865, section 5.22: "If the length
// specifier is omitted, it defaults to 8 bits for class A prefixes, 16 for class B, and 24 for
// class C"). An address with a host part is one host.
func classOf(a netip.Addr) int {
	b := a.As4()
	switch {
	case b[0] < 128 && b[1] == 0 && b[2] == 0 && b[3] == 0:
		return 8
	case b[0] >= 128 && b[0] < 192 && b[2] == 0 && b[3] == 0:
		return 16
	case b[0] >= 192 && b[0] < 224 && b[3] == 0:
		return 24
	}
	return 32
}
