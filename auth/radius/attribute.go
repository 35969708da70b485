package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// attribute is one that a RADIUS server may send in an Access-Accept, and what becomes of it.
type attribute struct {
	vendor uint32 // 0: none
	number byte
	name   string
	fate   string // for people: what it does, or why nothing

	many bool // all of them count; if false, the first that can be read
	must bool // it limits the user, or is an address: if it cannot be read, the user is refused

	ignored bool // it has no effect, of which the administrator is told

	// read applies it; nil: nothing is to be done.
	read func(g *granted, value []byte) error
}

// key identifies an attribute.
type key struct {
	vendor uint32
	number byte
}

// number is how people find an attribute in a dictionary.
func (k key) String() string {
	if k.vendor == 0 {
		return strconv.Itoa(int(k.number))
	}
	return fmt.Sprintf("%d of vendor %d", k.number, k.vendor)
}

// known are the attributes of the table by their keys.
var known = func() map[key]*attribute {
	all := make(map[key]*attribute, len(attributes))
	for i := range attributes {
		a := &attributes[i]
		all[key{a.vendor, a.number}] = a
	}
	return all
}()

// granted is what has been read of an Access-Accept so far.
type granted struct {
	auth.Grant
	dns4     [2]netip.Addr
	dns6     []netip.Addr
	nbns     [2]netip.Addr
	volumes  [3]volume // Mikrotik's limits: from the client, to it, both
	rules    []byte    // of NAS-Filter-Rule
	warnings []string
	ignored  []Ignored
	refused  string // why the user cannot come in with this

	again bool   // Termination-Action is RADIUS-Request
	state []byte // State
}

// Ignored is an attribute of an Access-Accept that has no effect, in all or in part.
type Ignored struct {
	Name string // of the attribute, as our table or its number has it
	Why  string
}

// ignore says that an attribute, or a part of it, is not honoured. All of them are said: each is
// once in a server's life (ignoredLog), and what one answer leaves out the next would, too.
func (g *granted) ignore(name, format string, args ...any) {
	if !slices.ContainsFunc(g.ignored, func(i Ignored) bool { return i.Name == name }) {
		g.ignored = append(g.ignored, Ignored{name, fmt.Sprintf(format, args...)})
	}
}

// takeAny reads an attribute, whether we know it or not.
func (g *granted) takeAny(seen map[any]bool, k key, value []byte) {
	a, ok := known[k]
	switch {
	case !ok:
		g.ignore("attribute "+k.String(), "adit does not know it")
	case a.ignored:
		g.ignore(a.name, "%s", strings.TrimPrefix(strings.ReplaceAll(a.fate, "`", ""), "not honoured: "))
	case a.read != nil:
		g.take(seen, k, *a, k.String(), value)
	}
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
		g.refused = text + ": nobody comes in without it"
		return
	}
	if len(g.warnings) < maxWarnings {
		g.warnings = append(g.warnings, text)
	}
}

// maxWarnings bounds what of one answer that cannot be read an administrator has to read.
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
			return errors.New("it is not an IPv6 prefix: a zero byte, a length up to 128, and up to 16 bytes")
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

// maxText bounds what a name or a text is.
const maxText = 253

func text(set func(*granted, string)) func(*granted, []byte) error {
	return func(g *granted, v []byte) error {
		s := strings.TrimRight(string(v), "\x00") // some servers end strings as C does
		if s == "" || len(s) > maxText || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
			return errors.New("it is not a name")
		}
		set(g, s)
		return nil
	}
}

// only takes an attribute that has one value which means what is so anyway.
func only(name string, value uint32, why string) func(*granted, []byte) error {
	return number(func(g *granted, n uint32) {
		if n != value {
			g.ignore(name, "%s", why)
		}
	})
}

// serviceType refuses every service but Framed (RFC 2865, section 5.6: "a NAS is not required
// to implement all of these service types, and MUST treat unknown or unsupported Service-Types
// as though an Access-Reject had been received instead").
func serviceType(g *granted, v []byte) error {
	const framed = 2
	return number(func(g *granted, n uint32) {
		if n != framed {
			g.refused = fmt.Sprintf("the RADIUS server grants Service-Type %d, which is not Framed (2), the service of a VPN: have it send none, or Framed-User", n)
		}
	})(g, v)
}
