package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
)

// attribute is one that we understand in an Access-Accept.
type attribute struct {
	name string
	many bool // all count; of others the first that can be read
	must bool // it bounds what the user may: one that cannot be read lets nobody in
	read func(g *granted, value []byte) error
}

// attributes are those of RFC 2865, 2869, 3162, 4818 and 6911. Others mean
// nothing to us.
//
// Deviation: RFC 2865, section 5 has an Access-Accept with an attribute of a
// wrong length refused or discarded, and users would be kept out by what they
// never miss. Such an attribute is passed over, and the administrator told.
var attributes = map[radius.Type]attribute{
	1:   {name: "User-Name", read: func(g *granted, v []byte) error { g.User = string(v); return nil }},
	8:   {name: "Framed-IP-Address", read: framedAddress},
	11:  {name: "Filter-Id", read: func(g *granted, v []byte) error { g.Group = string(v); return nil }},
	12:  {name: "Framed-MTU", read: number(func(g *granted, n uint32) { g.MTU = int(min(n, 1500)) })},
	22:  {name: "Framed-Route", many: true, read: route},
	25:  {name: "Class", many: true, read: func(g *granted, v []byte) error { g.Class = append(g.Class, v); return nil }},
	27:  {name: "Session-Timeout", must: true, read: number(func(g *granted, n uint32) { g.SessionTimeout = seconds(n) })},
	28:  {name: "Idle-Timeout", read: number(func(g *granted, n uint32) { g.IdleTimeout = seconds(n) })},
	85:  {name: "Acct-Interim-Interval", read: number(func(g *granted, n uint32) { g.InterimInterval = interim(seconds(n)) })},
	96:  {name: "Framed-Interface-Id", read: interfaceID},
	97:  {name: "Framed-IPv6-Prefix", read: prefix(func(g *granted, p netip.Prefix) { g.IPv6.Prefix = p })},
	99:  {name: "Framed-IPv6-Route", many: true, read: route},
	123: {name: "Delegated-IPv6-Prefix", read: prefix(func(g *granted, p netip.Prefix) { g.IPv6.Delegated = p })},
	168: {name: "Framed-IPv6-Address", read: address6(func(g *granted, a netip.Addr) { g.IPv6.Address = a })},
	169: {name: "DNS-Server-IPv6-Address", many: true, read: address6(func(g *granted, a netip.Addr) { g.dns6 = append(g.dns6, a) })},
	// RFC 6911, section 3.3: "announced to the user by the NAS".
	170: {name: "Route-IPv6-Information", many: true, read: prefix(func(g *granted, p netip.Prefix) { g.Split = append(g.Split, p) })},
}

// vendorAttribute is a vendor's number and the number of an attribute of its.
type vendorAttribute struct {
	vendor uint32
	number byte
}

const (
	vendorCisco     = 9
	vendorMicrosoft = 311
)

var vendorAttributes = map[vendorAttribute]attribute{
	// RFC 2548, section 2.7.
	{vendorMicrosoft, 28}: {name: "MS-Primary-DNS-Server", read: address4(func(g *granted, a netip.Addr) { g.dns4[0] = a })},
	{vendorMicrosoft, 29}: {name: "MS-Secondary-DNS-Server", read: address4(func(g *granted, a netip.Addr) { g.dns4[1] = a })},
	{vendorCisco, 1}:      {name: "Cisco-AVPair", many: true, read: avPair},
}

// granted is what is read so far.
type granted struct {
	auth.Grant
	dns4     [2]netip.Addr
	dns6     []netip.Addr
	warnings []string
	refused  string // why the user cannot come in with this
}

// take reads one attribute; key says which, for seen.
func (g *granted) take(seen map[any]bool, key any, a attribute, number string, value []byte) {
	if seen[key] && !a.many {
		return
	}
	err := a.read(g, value)
	if err == nil {
		seen[key] = true
		return
	}
	text := fmt.Sprintf("%s (%s) cannot be read: %v", a.name, number, err)
	if a.must {
		g.refused = text + ": nobody comes in without that limit"
		return
	}
	if len(g.warnings) < maxWarnings {
		g.warnings = append(g.warnings, text)
	}
}

// maxWarnings bounds what one answer makes an administrator read.
const maxWarnings = 8

func number(set func(*granted, uint32)) func(*granted, []byte) error {
	return func(g *granted, v []byte) error {
		if len(v) != 4 {
			return fmt.Errorf("it has %d bytes, a number has 4", len(v))
		}
		set(g, binary.BigEndian.Uint32(v))
		return nil
	}
}

// seconds reads an interval; 0 means none.
func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// address4 reads an IPv4 address; 0.0.0.0 means none.
func address4(set func(*granted, netip.Addr)) func(*granted, []byte) error {
	return func(g *granted, v []byte) error {
		if len(v) != 4 {
			return fmt.Errorf("it has %d bytes, an IPv4 address has 4", len(v))
		}
		if a := netip.AddrFrom4([4]byte(v)); !a.IsUnspecified() {
			set(g, a)
		}
		return nil
	}
}

func address6(set func(*granted, netip.Addr)) func(*granted, []byte) error {
	return func(g *granted, v []byte) error {
		if len(v) != 16 {
			return fmt.Errorf("it has %d bytes, an IPv6 address has 16", len(v))
		}
		if a := netip.AddrFrom16([16]byte(v)); !a.IsUnspecified() {
			set(g, a)
		}
		return nil
	}
}

// prefix reads an IPv6 prefix: a reserved byte, the length, and as many bytes as
// there are (RFC 3162, section 2.3); ::/… means none.
func prefix(set func(*granted, netip.Prefix)) func(*granted, []byte) error {
	return func(g *granted, v []byte) error {
		if len(v) < 2 || len(v) > 18 || v[1] > 128 {
			return errors.New("it is no IPv6 prefix: a zero byte, a length up to 128, and up to 16 bytes")
		}
		var a [16]byte
		copy(a[:], v[2:])
		if p := netip.PrefixFrom(netip.AddrFrom16(a), int(v[1])).Masked(); !p.Addr().IsUnspecified() {
			set(g, p)
		}
		return nil
	}
}

func interfaceID(g *granted, v []byte) error {
	if len(v) != len(g.IPv6.Interface) {
		return fmt.Errorf("it has %d bytes, an interface identifier has 8", len(v))
	}
	copy(g.IPv6.Interface[:], v)
	return nil
}
