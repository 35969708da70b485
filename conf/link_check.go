package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// validateLinks checks every link by itself, and then what they make together.
func validateLinks(d *decoder, c *Config) {
	completeLinks(c)
	for i := range c.Links {
		fail := func(field, format string, args ...any) {
			d.fail(fmt.Sprintf("link[%d].%s", i, field), format, args...)
		}
		l := &c.Links[i]
		validateLinkName(c, l, fail)
		validateLinkPeer(c, l, fail)
		validateLinkTimes(l, fail)
		validateLinkRoutes(c, l, fail)
		validateLinkAddresses(c, l, fail)
		for j := range c.Links[:i] {
			validateTwoLinks(&c.Links[j], l, fail)
		}
	}
	validateLinkLoops(d, c)
}

// failing reports what is wrong with a key of one link.
type failing func(field, format string, args ...any)

func validateLinkName(c *Config, l *Link, fail failing) {
	switch {
	case l.Name == "":
		fail("name", "missing")
	case len(l.Name) > maxLinkName:
		fail("name", "%q is longer than %d bytes: the device would be %q, and the host's names of devices have at most 15", l.Name, maxLinkName, l.Device())
	case strings.Trim(l.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "":
		fail("name", "%q has other characters than letters, digits, dots, hyphens and underscores", l.Name)
	case l.Device() == c.Network.Device:
		fail("name", "the link's device would be %s, which is network.device", l.Device())
	case c.OwnDevices() && strings.HasPrefix(l.Device(), c.Network.Device+"-"):
		fail("name", "the link's device would be %s, which may be a user's (interface = true): choose another network.device", l.Device())
	}
}

// validateLinkPeer checks who dials whom, and how both prove who they are.
func validateLinkPeer(c *Config, l *Link, fail failing) {
	dials := l.Dial != DialNever
	switch {
	case dials && len(l.Remote) == 0:
		fail("remote", `missing: name the other end, or set dial = "never" where it calls`)
	case dials && l.User == "":
		fail("user", `missing: the name that the other end knows this one by; or set dial = "never" where it calls`)
	case !dials && l.PeerUser == "":
		fail("peer_user", `missing: with dial = "never" nobody brings the link up but a caller of that name`)
	}
	for i, remote := range l.Remote {
		if slices.Contains(l.Remote[:i], remote) {
			fail(fmt.Sprintf("remote[%d]", i), `"%v" is there twice`, remote)
		}
	}
	for _, x := range []struct {
		field, name, file string
		password          secret.Bytes
	}{{"password", l.User, l.PasswordFile, l.Password}, {"peer_password", l.PeerUser, l.PeerPasswordFile, l.PeerPassword}} {
		whose := strings.TrimSuffix(x.field, "password") + "user"
		switch has := x.password.Len() > 0 || x.file != ""; {
		case len(x.name) > 255:
			fail(whose, "is longer than 255 bytes")
		case x.name != "" && !has:
			fail(x.field, "missing: %s has one", whose)
		case x.name == "" && has:
			fail(x.field, "does nothing without %s", whose)
		}
	}
	if l.User != "" && l.User == l.PeerUser {
		fail("peer_user", "%q is user, too: the ends tell by their names whose call stays when both dial, so give each its own", l.PeerUser)
	}
	if l.PeerUser != "" && slices.ContainsFunc(c.Users, func(u User) bool { return u.Name == l.PeerUser }) {
		fail("peer_user", "%q is a [[user]], too: give the caller of the link a name of its own", l.PeerUser)
	}
	validateLinkProof(c, l, fail)
	validateLinkKey(c, l, fail)
}

// validateLinkProof checks what the two ends show each other. Where both show the same
// password, who has one end prove it by PAP or CHAP can pass for the other. MS-CHAPv2's
// proof has the name in it.
func validateLinkProof(c *Config, l *Link, fail failing) {
	switch {
	case l.PeerAuth == "" || l.PeerAuth == PeerAuthNo:
	case l.PeerUser == "":
		fail("peer_auth", "needs peer_user: the name by which the other end authenticates itself")
	case l.Dial == DialNever:
		fail("peer_auth", `does nothing with dial = "never": the end that calls authenticates itself always`)
	}
	same := l.Password.Len() > 0 && l.Password.Equal(l.PeerPassword)
	if other := slices.IndexFunc(c.Auth.Methods, func(m Method) bool { return m != MSCHAPv2 && m != EAP }); same && other >= 0 {
		fail("peer_password", "is password, too: with %q in auth.methods who has heard one end could pass for the other; give each end its own", c.Auth.Methods[other])
	}
}

func validateLinkKey(c *Config, l *Link, fail failing) {
	own := l.PSK.Len() > 0 || l.PSKFile != ""
	general := len(c.IPsec.PSK) > 0 || c.IPsec.PSKFile != ""
	switch {
	case l.Certificate && c.IPsec.Certificate == "":
		fail("certificate", "needs ipsec.certificate, which is shown to the other end")
	case l.Certificate && own:
		fail("psk", "is not used with certificate = true: keep one")
	case !l.Certificate && l.PeerID != "":
		fail("peer_id", "does nothing without certificate = true: a pre-shared key proves who the other end is")
	case !l.Certificate && !own && !general:
		fail("psk", "missing: set a random pre-shared key of %d characters or more, here or in [ipsec], or certificate = true", MinPSK)
	}
}

func validateLinkTimes(l *Link, fail failing) {
	if l.IdleTimeout != 0 && l.IdleTimeout < 10*time.Second {
		fail("idle_timeout", "must be 10s or more; 0 means the default")
	}
	if l.DeadPeer < 4*time.Second || l.DeadPeer > time.Hour {
		fail("dead_peer_timeout", "must be from 4s to 1h: a silent peer is asked four times within it")
	}
	if l.Dial == DialDemand && l.WhenDown != DownHold {
		fail("when_down", `must be "hold" with dial = "demand": a packet that does not reach the link's device dials nothing`)
	}
	if l.Dial == DialAlways && l.IdleTimeout != 0 {
		fail("idle_timeout", `does nothing with dial = "always": a link that is hung up would be dialled at once`)
	}
}

// maxMetric leaves room for the route that takes packets while the link is down.
const maxMetric = 1 << 30

func validateLinkRoutes(c *Config, l *Link, fail failing) {
	if l.Metric < 0 || l.Metric > maxMetric {
		fail("metric", "must be from 0 to %d", maxMetric)
	}
	if len(l.Routes) == 0 && l.Dial == DialDemand && !l.PeerAddress.IsValid() {
		fail("routes", "missing: without them, or peer_address, no packet goes to the link, and none dials it")
	}
	if l.SourceCheck && len(l.Routes) == 0 {
		fail("source_check", "needs routes: it would refuse all that comes from the networks of the other end")
	}
	for i, p := range l.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		switch {
		case !p.IsValid(): // it cannot be read
			continue
		case p != p.Masked():
			fail(key, `"%v" has bits behind the prefix: write %v`, p, p.Masked())
			continue
		case p.Addr().Is6() && !l.IPv6:
			fail(key, `"%v" is IPv6: set ipv6 = true`, p)
		case slices.Contains(l.Routes[:i], p):
			fail(key, `"%v" is there twice`, p)
		}
		for _, remote := range l.Remote {
			if remote.Addr.IsValid() && p.Contains(remote.Addr.Unmap()) {
				fail(key, `"%v" leads the link's own remote, %v, into the link: name networks without it`, p, remote)
			}
		}
		if own, what := c.ownNetwork(p); own.IsValid() {
			fail(key, `"%v" is in %v, which is %s: packets for clients would go to the link`, p, own, what)
		}
	}
}

// ownNetwork is the network of clients that a network is in, and the key that it stands
// in; the zero Prefix if it is in none. A larger network is none: the longer prefix wins.
func (c *Config) ownNetwork(p netip.Prefix) (netip.Prefix, string) {
	within := func(own netip.Prefix) bool {
		return own.IsValid() && own.Bits() <= p.Bits() && own.Contains(p.Addr())
	}
	for _, r := range c.Network.Pool {
		if within(r.Prefix) {
			return r.Prefix, "network.pool"
		}
	}
	for _, own := range c.Network.Pool6 {
		if within(own) {
			return own, "network.pool6"
		}
	}
	for what, own := range map[string]netip.Prefix{"network.delegate6": c.Network.Delegate6, "network.lan": c.Network.LAN} {
		if within(own) {
			return own, what
		}
	}
	return netip.Prefix{}, ""
}

func validateLinkAddresses(c *Config, l *Link, fail failing) {
	own, peer := l.Address.Addr, l.PeerAddress
	if own.IsValid() && own == peer {
		fail("peer_address", `"%v" is this end's address, too`, peer)
	}
	if peer.IsValid() {
		for _, n := range c.Plan().Networks {
			if n.Server == peer {
				fail("peer_address", `"%v" is this server's own address`, peer)
			}
		}
		for _, u := range c.Users {
			if u.Address == peer {
				fail("peer_address", `"%v" is the address of the user %q`, peer, u.Name)
			}
		}
	}
	for _, remote := range l.Remote {
		if a := remote.Addr.Unmap(); a.IsValid() && a == peer {
			fail("peer_address", `"%v" is the link's remote: the address inside leads the link's own packets into the link`, peer)
		}
	}
}

// validateTwoLinks checks what two links have in common.
func validateTwoLinks(a, b *Link, fail failing) {
	if a.Name != "" && strings.EqualFold(a.Name, b.Name) {
		fail("name", "%q is there twice", b.Name)
	}
	if a.PeerUser != "" && a.PeerUser == b.PeerUser {
		fail("peer_user", "is that of the link %q, too: the name of a caller alone tells which link it is", a.Name)
	}
	for i, remote := range b.Remote {
		if slices.Contains(a.Remote, remote) && b.Dial != DialNever && a.Dial != DialNever {
			fail(fmt.Sprintf("remote[%d]", i), `"%v" is dialled by the link %q, too: two calls between the same two hosts cannot be told apart when their keys are renewed; give the link %[2]q the routes of both`, remote, a.Name)
		}
	}
	for i, p := range b.Routes {
		if p.IsValid() && slices.Contains(a.Routes, p) && a.Metric == b.Metric {
			fail(fmt.Sprintf("routes[%d]", i), `"%v" leads to the link %q, too, with the same metric: give one of them a greater metric`, p, a.Name)
		}
	}
	if b.PeerAddress.IsValid() && b.PeerAddress == a.PeerAddress {
		fail("peer_address", `"%v" is that of the link %q, too`, b.PeerAddress, a.Name)
	}
	if b.PSK.Len() > 0 && a.PSK.Equal(b.PSK) {
		fail("psk", "is that of the link %q, too: the key alone tells who is at the other end, so give each its own", a.Name)
	}
}

// validateLinkLoops refuses links that are reached through each other: each would wait for
// the other.
func validateLinkLoops(d *decoder, c *Config) {
	for i := range c.Links {
		path := []int{i}
		for at := c.reachedBy(i); at >= 0 && len(path) <= len(c.Links); at = c.reachedBy(at) {
			if at == i && len(path) > 1 {
				if slices.Min(path) == i { // each loop once
					d.fail(fmt.Sprintf("link[%d].remote", i), "is reached through %s: none of them can be dialled before another one is up", c.linkNames(path[1:], i))
				}
				break
			}
			if slices.Contains(path, at) {
				break
			}
			path = append(path, at)
		}
	}
}

// reachedBy is the link whose routes lead to the first remote of another, -1 if there is
// none.
func (c *Config) reachedBy(i int) int {
	for _, remote := range c.Links[i].Remote {
		for j := range c.Links {
			for _, p := range c.Links[j].Routes {
				if j != i && remote.Addr.IsValid() && p.IsValid() && p.Contains(remote.Addr.Unmap()) {
					return j
				}
			}
		}
	}
	return -1
}

func (c *Config) linkNames(list []int, last int) string {
	var names []string
	for _, i := range append(slices.Clone(list), last) {
		names = append(names, fmt.Sprintf("the link %q", c.Links[i].Name))
	}
	return strings.Join(names, ", which is reached through ")
}
