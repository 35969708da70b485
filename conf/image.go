package conf

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/internal/secret"
)

// image is what the variables of the widely used ipsec-vpn-server image say.
type image struct {
	d    *decoder
	c    *Config
	env  map[string]string
	from map[string]string // the variables that set keys, by key

	net      netip.Prefix // what the image gives to L2TP
	wrongNet error        // of what it says there
}

// applyImage takes the variables of the image for what they mean here. What file
// and ADIT_ variables set stays. A variable without effect becomes a note, and one that
// asks for a server without L2TP an error: none is ignored silently.
func applyImage(d *decoder, c *Config, env, from map[string]string) {
	i := &image{d: d, c: c, env: env, from: from}
	i.net, i.wrongNet = i.l2tpNet()
	if psk := i.get("VPN_IPSEC_PSK"); psk != "" && len(c.IPsec.PSK) == 0 {
		c.IPsec.PSK = []secret.Bytes{secret.String(psk)}
		from["ipsec.psk"] = "VPN_IPSEC_PSK"
	}
	i.users()
	i.dns()
	i.network()
	i.public()
	i.modes()
}

// get returns a variable's value as the image reads it: without surrounding blanks, and
// without the quotation marks that a shell removes and docker run keeps.
func (i *image) get(name string) string {
	s := strings.TrimSpace(i.env[name])
	for _, mark := range []string{`"`, `'`} {
		if len(s) >= 2 && strings.HasPrefix(s, mark) && strings.HasSuffix(s, mark) {
			s = s[1 : len(s)-1]
		}
	}
	return s
}

// words are a variable's words, each of which may have marks of its own.
func (i *image) words(name string) []string {
	s := strings.Join(strings.Fields(i.get(name)), " ")
	s = strings.NewReplacer(`" "`, " ", `' '`, " ").Replace(s)
	return strings.Fields(s)
}

// yes and no report what a switch is set to; neither, if it is unset.
func (i *image) yes(name string) bool { return strings.EqualFold(i.get(name), "yes") }
func (i *image) no(name string) bool  { return strings.EqualFold(i.get(name), "no") }

func (i *image) users() {
	name, password := i.get("VPN_USER"), i.get("VPN_PASSWORD")
	switch {
	case name == "" && password == "":
	case name == "" || password == "":
		i.d.fail("VPN_USER", "VPN_USER and VPN_PASSWORD go together")
	default:
		i.c.Users = append(i.c.Users, User{Name: name, Password: secret.String(password)})
	}
	names, passwords := i.words("VPN_ADDL_USERS"), i.words("VPN_ADDL_PASSWORDS")
	if len(names) != len(passwords) {
		i.d.fail("VPN_ADDL_USERS", "%d names but %d passwords in VPN_ADDL_PASSWORDS", len(names), len(passwords))
		return
	}
	addresses := i.words("VPN_ADDL_IP_ADDRS")
	if len(addresses) > len(names) {
		i.d.fail("VPN_ADDL_IP_ADDRS", "%d addresses for %d names in VPN_ADDL_USERS", len(addresses), len(names))
		return
	}
	var own netip.Prefix // whatever network.pool says, if that is set
	if !i.poolSet() {
		own = i.net
	}
	for n, name := range names {
		u := User{Name: name, Password: secret.String(passwords[n])}
		if n < len(addresses) && addresses[n] != "*" {
			u.Address = i.address(name, addresses[n], own)
		}
		i.c.Users = append(i.c.Users, u)
	}
}

// address is a user's own address, if it is of the network of L2TP.
func (i *image) address(name, text string, own netip.Prefix) netip.Addr {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil || !a.Is4():
		i.d.fail("VPN_ADDL_IP_ADDRS", "%q is neither an IPv4 address nor *", text)
	case own.IsValid() && !own.Contains(a):
		i.note("VPN_ADDL_IP_ADDRS", "%v is not of %v, the network of L2TP, but of XAuth's, which is not here: the user %q gets any address", a, own, name)
	default:
		return a
	}
	return netip.Addr{}
}

func (i *image) dns() {
	const variables = "VPN_DNS_SRV1, VPN_DNS_SRV2"
	var dns []netip.Addr
	for _, name := range []string{"VPN_DNS_SRV1", "VPN_DNS_SRV2"} {
		s := i.get(name)
		if s == "" {
			continue
		}
		var a netip.Addr
		if err := readAddr(&a, "", s); err != nil && i.from["network.dns"] == "" {
			i.d.fail(variables, "%v", err)
		}
		dns = append(dns, a)
	}
	if dns != nil && i.from["network.dns"] == "" {
		i.c.Network.DNS = dns
		i.from["network.dns"] = variables
	}
}

// l2tpNet is the network that the image gives to L2TP.
func (i *image) l2tpNet() (netip.Prefix, error) {
	text := cmp.Or(i.get("VPN_L2TP_NET"), "192.168.42.0/24")
	own, err := netip.ParsePrefix(text)
	if err != nil || !own.Addr().Is4() || own.Bits() > 30 {
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as \"192.168.42.0/24\"", text)
	}
	return own.Masked(), nil
}

// poolSet reports whether something else says which addresses clients get.
func (i *image) poolSet() bool {
	return !slices.Equal(i.c.Network.Pool, Default().Network.Pool)
}

// network gives clients addresses of the network that they had before, if a variable
// names it or an address in it.
func (i *image) network() {
	set := func(name string) bool { return i.get(name) != "" }
	about := slices.ContainsFunc([]string{"VPN_L2TP_NET", "VPN_L2TP_LOCAL", "VPN_L2TP_POOL"}, set)
	switch {
	case i.poolSet() && about:
		i.note("VPN_L2TP_NET", "network.pool is set: what it says holds, in place of VPN_L2TP_NET, VPN_L2TP_LOCAL and VPN_L2TP_POOL")
		return
	case i.poolSet(), !about && !set("VPN_ADDL_IP_ADDRS"):
		return
	}
	own := i.net
	if i.wrongNet != nil {
		i.d.fail("VPN_L2TP_NET", "%v", i.wrongNet)
		return
	}
	i.c.Network.Pool = []AddressRange{{Prefix: own}}
	i.from["network.pool"] = "VPN_L2TP_NET"
	first := own.Addr().Next()
	if s := i.get("VPN_L2TP_LOCAL"); s != "" && s != first.String() {
		i.d.fail("VPN_L2TP_LOCAL", "%q cannot be the server's address: it has the first of %v, %v; leave the variable out", s, own, first)
	}
	s := i.get("VPN_L2TP_POOL")
	if s == "" {
		return
	}
	var r AddressRange
	err := r.UnmarshalText([]byte(s))
	switch {
	case err != nil:
		i.d.fail("VPN_L2TP_POOL", "%v", err)
	case r.Prefix.IsValid() && !own.Contains(r.Prefix.Addr()), r.First.IsValid() && (!own.Contains(r.First) || !own.Contains(r.Last)):
		i.d.fail("VPN_L2TP_POOL", "%s is not of %v: set VPN_L2TP_NET to the network that it is of", s, own)
	default:
		i.note("VPN_L2TP_POOL", "clients get addresses of all of %v, not of %s alone", own, s)
	}
}

// public is what clients dial: a name comes first, as in the image.
func (i *image) public() {
	for _, name := range []string{"VPN_DNS_NAME", "VPN_PUBLIC_IP"} {
		s := i.get(name)
		if s == "" || i.c.Server.Public.IsValid() || i.d.unread["server.public"] {
			continue
		}
		if err := i.c.Server.Public.UnmarshalText([]byte(s)); err != nil {
			i.d.fail(name, "%v", err)
			i.d.markUnread("server.public")
		}
	}
}

// switches are the variables that are yes or no. Two of them ask for what is done anyway:
// the server detects which clients truncate SHA-2 to 96 bits, and clamps the segment
// size, which Android needs, for all.
var switches = []string{
	"VPN_IKEV2_ONLY", "VPN_DISABLE_IPSEC_L2TP", "VPN_DISABLE_IPSEC_XAUTH", "VPN_ENABLE_MODP1024", "VPN_ENABLE_MODP1536",
	"VPN_PROTECT_CONFIG", "VPN_SHA2_TRUNCBUG", "VPN_ANDROID_MTU_FIX",
}

// modes are what the image can do beside L2TP, and how.
func (i *image) modes() {
	for _, name := range switches {
		if s := i.get(name); s != "" && !i.yes(name) && !i.no(name) {
			i.note(name, "%q is neither yes nor no, and is taken for no", s)
		}
	}
	for _, name := range []string{"VPN_IKEV2_ONLY", "VPN_DISABLE_IPSEC_L2TP"} {
		if i.yes(name) {
			i.d.fail(name, "asks for a server without L2TP, and this is one of L2TP alone: clients of IKEv2 and of XAuth need another; leave the variable out to serve those of L2TP")
		}
	}
	// Both groups are accepted unless something says otherwise. The image does not accept
	// them by default, so that only an explicit "no" shows that this was wanted.
	for _, x := range []struct{ name, group string }{{"VPN_ENABLE_MODP1024", "modp1024"}, {"VPN_ENABLE_MODP1536", "modp1536"}} {
		away := IKEElement{{Without: true, Groups: []string{x.group}}}
		there := func(e IKEElement) bool { return reflect.DeepEqual(e, away) }
		if i.no(x.name) && !slices.ContainsFunc(i.c.IPsec.IKE, there) {
			i.c.IPsec.IKE = append(slices.Clone(i.c.IPsec.IKE), away)
			i.from["ipsec.ike"] = x.name
		}
	}
	for _, x := range []struct{ name, about string }{
		{"VPN_XAUTH_NET", "XAuth"}, {"VPN_XAUTH_POOL", "XAuth"},
		{"VPN_CLIENT_NAME", "IKEv2"}, {"VPN_CLIENT_VALIDITY", "IKEv2"}, {"VPN_PROTECT_CONFIG", "IKEv2"}, {"VPN_SPLIT_IKEV2", "IKEv2"},
	} {
		if i.get(x.name) != "" && !i.no(x.name) {
			i.note(x.name, "is about %s, which is not here", x.about)
		}
	}
	if i.no("VPN_DISABLE_IPSEC_XAUTH") {
		i.note("VPN_DISABLE_IPSEC_XAUTH", "is about XAuth, which is not here: choose L2TP in the clients")
	}
}

func (i *image) note(name, format string, args ...any) {
	i.c.Notes = append(i.c.Notes, name+": "+fmt.Sprintf(format, args...))
}
