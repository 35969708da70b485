package radius

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc3576"

	"github.com/adit-vpn/adit/auth"
)

// invalidValue is Invalid Attribute Value (RFC 5176, section 3.5).
const invalidValue rfc3576.ErrorCause = 407

// match is what a request says of the sessions that it is about: all of it must be so.
type match struct {
	user   string // for people
	of     []func(*auth.Live) bool
	nas    []netip.Addr // whom it takes us for
	nasIDs []string
}

func (m *match) matches(l *auth.Live) bool {
	for _, f := range m.of {
		if !f(l) {
			return false
		}
	}
	return true
}

// value is an attribute that is neither an identification nor the packet's own.
type value struct {
	key
	bytes []byte
}

// identification is an attribute that says which sessions, or which server, are meant (RFC
// 5176, section 3).
type identification struct {
	name string
	read func(cfg *DynamicConfig, m *match, v []byte) bool // false: it cannot be read
}

// sessionIs has sessions match a condition.
func (m *match) sessionIs(f func(*auth.Live) bool) bool {
	m.of = append(m.of, f)
	return true
}

// textual is an identification that is text.
func textual(is func(l *auth.Live, s string) bool) func(*DynamicConfig, *match, []byte) bool {
	return func(_ *DynamicConfig, m *match, v []byte) bool {
		s := strings.TrimRight(string(v), "\x00")
		return s != "" && m.sessionIs(func(l *auth.Live) bool { return is(l, s) })
	}
}

// prefixed is an identification that is an IPv6 prefix.
func prefixed(of func(*auth.Live) netip.Prefix) func(*DynamicConfig, *match, []byte) bool {
	return func(_ *DynamicConfig, m *match, v []byte) bool {
		var g granted
		var p netip.Prefix
		if prefix(func(_ *granted, read netip.Prefix) { p = read })(&g, v) != nil || !p.IsValid() {
			return false
		}
		return m.sessionIs(func(l *auth.Live) bool { return of(l) == p })
	}
}

const nasPortVirtual = 5 // NAS-Port-Type (RFC 2865, section 5.41)

// identifications are those that are understood, by number. A value that stands for none cannot be
// read: sessions that lack what it is about, such as those without IPv6, have it, too.
var identifications = map[radius.Type]identification{
	1: {"User-Name", func(cfg *DynamicConfig, m *match, v []byte) bool {
		m.user = string(v)
		return textual(func(l *auth.Live, s string) bool {
			return l.User == s || l.Name == s || l.User == cfg.Identity.Of(s)
		})(cfg, m, v)
	}},
	4: {"NAS-IP-Address", func(_ *DynamicConfig, m *match, v []byte) bool { return m.takeNAS(v, 4) }},
	5: {"NAS-Port", func(_ *DynamicConfig, m *match, v []byte) bool {
		return len(v) == 4 && binary.BigEndian.Uint32(v) != 0 && m.sessionIs(func(l *auth.Live) bool { return l.Call.Port == binary.BigEndian.Uint32(v) })
	}},
	8: {"Framed-IP-Address", func(_ *DynamicConfig, m *match, v []byte) bool {
		a, ok := netip.AddrFromSlice(v)
		return ok && a.Is4() && !fromPool(a) && m.sessionIs(func(l *auth.Live) bool { return l.Address == a })
	}},
	30: {"Called-Station-Id", textual(func(l *auth.Live, s string) bool { return sameAddress(l.Call.Local.Addr(), s) })},
	31: {"Calling-Station-Id", textual(func(l *auth.Live, s string) bool { return sameAddress(l.Call.Remote.Addr(), s) })},
	32: {"NAS-Identifier", func(_ *DynamicConfig, m *match, v []byte) bool {
		m.nasIDs = append(m.nasIDs, string(v))
		return len(v) > 0
	}},
	44: {"Acct-Session-Id", textual(func(l *auth.Live, s string) bool { return l.Call.SessionID == s })},
	50: {"Acct-Multi-Session-Id", textual(func(l *auth.Live, s string) bool { return l.Call.Multi == s })},
	61: {"NAS-Port-Type", func(_ *DynamicConfig, m *match, v []byte) bool {
		return len(v) == 4 && m.sessionIs(func(*auth.Live) bool { return binary.BigEndian.Uint32(v) == nasPortVirtual })
	}},
	87: {"NAS-Port-Id", textual(func(l *auth.Live, s string) bool { return l.Call.PortID == s })},
	95: {"NAS-IPv6-Address", func(_ *DynamicConfig, m *match, v []byte) bool { return m.takeNAS(v, 16) }},
	96: {"Framed-Interface-Id", func(_ *DynamicConfig, m *match, v []byte) bool {
		return len(v) == 8 && [8]byte(v) != [8]byte{} && m.sessionIs(func(l *auth.Live) bool { return l.IPv6.Interface == [8]byte(v) })
	}},
	97:  {"Framed-IPv6-Prefix", prefixed(func(l *auth.Live) netip.Prefix { return l.IPv6.Prefix })},
	123: {"Delegated-IPv6-Prefix", prefixed(func(l *auth.Live) netip.Prefix { return l.IPv6.Delegated })},
	168: {"Framed-IPv6-Address", func(_ *DynamicConfig, m *match, v []byte) bool {
		a, ok := netip.AddrFromSlice(v)
		return ok && a.Is6() && !a.IsUnspecified() && m.sessionIs(func(l *auth.Live) bool { return l.IPv6.Address == a })
	}},
}

// common are identifications that all sessions of a server may share: they narrow what others say.
var common = map[radius.Type]bool{4: true, 30: true, 32: true, 61: true, 95: true}

// sameAddress reports whether a text is an address, however that is written.
func sameAddress(a netip.Addr, text string) bool {
	b, err := netip.ParseAddr(text)
	return err == nil && a.Unmap() == b.Unmap()
}

func (m *match) takeNAS(v []byte, size int) bool {
	a, ok := netip.AddrFromSlice(v)
	m.nas = append(m.nas, a.Unmap())
	return ok && len(v) == size
}

// ours says why the request is not for this server.
func (m *match) ours(cfg *DynamicConfig, at netip.Addr, s auth.Sessions) *refused {
	for _, id := range m.nasIDs {
		if id != cfg.NASIdentifier {
			return refuse(rfc3576.ErrorCause_Value_NASIdentificationMismatch, "NAS-Identifier is %.64q, this is %.64q", id, cfg.NASIdentifier)
		}
	}
	for _, a := range m.nas {
		if a != cfg.NASIP && a != cfg.NASIP6 && a != at && !reached(s, a) {
			return refuse(rfc3576.ErrorCause_Value_NASIdentificationMismatch, "NAS-IP-Address or NAS-IPv6-Address is %v, which is not an address of this server", a)
		}
	}
	return nil
}

// reached reports whether a client has reached us at an address: accounting has it then, if
// the configuration names none.
func reached(s auth.Sessions, a netip.Addr) bool {
	return len(s.Live(func(l *auth.Live) bool { return l.Call.Local.Addr().Unmap() == a })) > 0
}

// identify reads which sessions a request is about, and returns what else is in it.
func (cfg *DynamicConfig) identify(p *radius.Packet) (m *match, rest []value, no *refused) {
	m = &match{}
	named, said := false, map[string]bool{}
	for _, avp := range p.Attributes {
		t, v := avp.Type, avp.Attribute
		id, ok := identifications[t]
		again := string([]byte{byte(t)}) + string(v)
		switch {
		case ok && said[again]: // thousands of them would have every session asked as often
		case ok && !id.read(cfg, m, v):
			return nil, nil, refuse(invalidValue, "%s (%d) cannot be read", id.name, t)
		case ok:
			said[again] = true
			named = named || !common[t]
		case t == rfc2865.VendorSpecific_Type:
			list, err := vendorValues(v)
			if err != nil {
				return nil, nil, refuse(invalidValue, "%v", err)
			}
			rest = append(rest, list...)
		case packetsOwn[t]:
		default:
			rest = append(rest, value{key{0, byte(t)}, v})
		}
	}
	if !named {
		return nil, nil, refuse(rfc3576.ErrorCause_Value_MissingAttribute, "no attribute says which session or user is meant, such as Acct-Session-Id or User-Name: what all sessions share does not")
	}
	return m, rest, nil
}

// packetsOwn are attributes that are about the packet, and those that checkService looks at.
var packetsOwn = map[radius.Type]bool{
	6:  true, // Service-Type
	18: true, // Reply-Message: nobody is shown it while a session goes on
	24: true, // State: returned
	33: true, // Proxy-State: returned
	55: true, // Event-Timestamp
	80: true, // Message-Authenticator
}

// checkService refuses to have users authorised anew, and services other than that of a VPN
// (RFC 5176, section 3.2).
func checkService(p *radius.Packet) *refused {
	for _, avp := range p.Attributes {
		if avp.Type != rfc2865.ServiceType_Type {
			continue
		}
		v := avp.Attribute
		if len(v) != 4 {
			return refuse(invalidValue, "Service-Type (6) cannot be read")
		}
		if n := binary.BigEndian.Uint32(v); n != uint32(rfc2865.ServiceType_Value_FramedUser) {
			return refuse(rfc3576.ErrorCause_Value_UnsupportedService, "Service-Type is %d: only Framed (2) is served, and Authorize-Only (17) is not: send what is to change", n)
		}
	}
	return nil
}

// vendorValues are the attributes in a Vendor-Specific.
func vendorValues(v []byte) (list []value, err error) {
	if len(v) < 4 {
		return nil, fmt.Errorf("Vendor-Specific (26) is cut off")
	}
	vendor, rest := binary.BigEndian.Uint32(v), v[4:]
	if len(rest) == 0 {
		return nil, fmt.Errorf("Vendor-Specific (26) of vendor %d is empty", vendor)
	}
	for len(rest) > 0 {
		if len(rest) < 2 || rest[1] < 2 || int(rest[1]) > len(rest) {
			return nil, fmt.Errorf("a length in Vendor-Specific (26) of vendor %d is wrong", vendor)
		}
		list = append(list, value{key{vendor, rest[0]}, rest[2:rest[1]]})
		rest = rest[rest[1]:]
	}
	return list, nil
}
