package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// validateTunnels checks every tunnel by itself, and then what it has in common with other
// tunnels and with links.
func validateTunnels(d *decoder, c *Config) {
	completeTunnels(c)
	for i := range c.Tunnels {
		fail := func(field, format string, args ...any) {
			d.fail(fmt.Sprintf("tunnel[%d].%s", i, field), format, args...)
		}
		t := &c.Tunnels[i]
		validateTunnelName(c, t, fail)
		validateTunnelMode(t, fail)
		validateTunnelPeer(c, t, fail)
		validateTunnelAddresses(c, t, fail)
		validateTunnelRoutes(c, t, fail)
		for j := range c.Tunnels[:i] {
			validateTwoTunnels(&c.Tunnels[j], t, fail)
		}
		validateNested(c, i, fail)
	}
}

// maxDeviceName is the kernel's.
const maxDeviceName = 15

func validateTunnelName(c *Config, t *Tunnel, fail failing) {
	switch {
	case t.Name == "":
		fail("name", "missing")
	case len(t.Name) > maxDeviceName:
		fail("name", "%q is longer than %d bytes, and the host's names of devices are not", t.Name, maxDeviceName)
	case strings.Trim(t.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || strings.Trim(t.Name, ".") == "":
		fail("name", "%q has other characters than letters, digits, dots, hyphens and underscores", t.Name)
	case t.Name == c.Network.Device:
		fail("name", "%q is network.device: choose another name", t.Name)
	case strings.HasPrefix(t.Name, c.Network.Device+"-"):
		fail("name", "%q begins with %q, as the devices of users do: choose another name", t.Name, c.Network.Device+"-")
	}
	for i := range c.Links {
		if l := &c.Links[i]; l.Device() == t.Name || l.Name == t.Name {
			fail("name", "%q is the link %q, or its device: choose another name", t.Name, l.Name)
		}
	}
}

// inIPv4 are the names of modes in IPv4.
var inIPv4 = map[TunnelMode]TunnelMode{ModeIP6GRE: ModeGRE, ModeIPIP6: ModeIPIP, ModeIP6IP6: ModeSIT}

func validateTunnelMode(t *Tunnel, fail failing) {
	gre := t.Mode.Protocol() == 47
	switch remote := t.Remote.Addr.Unmap(); {
	case t.Mode == "":
		fail("mode", "missing: gre, ipip or sit")
		return
	case t.Mode.inIPv6() && remote.Is4():
		fail("mode", "%s is in IPv6, and remote is %v: write %s", t.Mode, remote, inIPv4[t.Mode])
	}
	for field, set := range map[string]bool{"key": t.Key.On, "checksum": t.Checksum, "sequence": t.Sequence} {
		if set && !gre {
			fail(field, "is GRE's, and mode is %s, which has none: remove it, or write mode = \"gre\"", t.Mode)
		}
	}
	lowest := 576
	if t.Mode.carries(true) && (t.Address6.IsValid() || !t.Mode.carries(false)) {
		lowest = 1280
	}
	if t.MTU != 0 && (t.MTU < lowest || t.MTU > 1400) {
		fail("mtu", "must be from %d to 1400, or 0 for what there is room for", lowest)
	}
}

// validateTunnelPeer checks who may be the other end, and how it proves that.
func validateTunnelPeer(c *Config, t *Tunnel, fail failing) {
	own := t.PSK.Len() > 0 || t.PSKFile != ""
	general := len(c.IPsec.PSK) > 0 || c.IPsec.PSKFile != ""
	switch {
	case t.Dial == DialDemand:
		fail("dial", `"demand" is for links: a tunnel is "always" up, or "never" begun by this end`)
	case t.Dial == DialAlways && t.Remote == Host{}:
		fail("remote", `missing: name the other end, or set dial = "never" where it begins`)
	}
	switch {
	case t.Certificate && c.IPsec.Certificate == "":
		fail("certificate", "needs ipsec.certificate, which is shown to the other end")
	case t.Certificate && own:
		fail("psk", "is not used with certificate = true: keep one")
	case t.Certificate && t.PeerID == "" && t.Remote == Host{}:
		fail("peer_id", "missing: without remote, only the name in its certificate tells who the other end is")
	case !t.Certificate && t.PeerID != "":
		fail("peer_id", "does nothing without certificate = true: a pre-shared key proves who the other end is")
	case !t.Certificate && !own && !general:
		fail("psk", "missing: set a random pre-shared key of %d characters or more, here or in [ipsec], or certificate = true", MinPSK)
	case !t.Certificate && !own && (t.Remote.Name != "" || t.Remote == Host{} && t.Dial == DialNever):
		fail("psk", "missing: remote is no address, and every client has ipsec.psk: the other end needs a key of its own, or certificate = true")
	}
	if t.DeadPeer < 20*time.Second || t.DeadPeer > time.Hour {
		fail("dead_peer_timeout", "must be from 20s to 1h: a silent peer is asked every 5 seconds of its second half")
	}
}

func validateTunnelAddresses(c *Config, t *Tunnel, fail failing) {
	for _, x := range []struct {
		field, peerField string
		own, peer        netip.Addr
	}{{"address", "peer_address", t.Address, t.PeerAddress}, {"address6", "peer_address6", t.Address6, t.PeerAddress6}} {
		six := x.field == "address6"
		switch {
		case !x.own.IsValid() && !x.peer.IsValid():
			continue
		case t.Mode != "" && !t.Mode.carries(six):
			fail(x.field, "cannot be inside: mode %s carries the other version of IP alone; gre carries both", t.Mode)
		case !x.own.IsValid():
			fail(x.field, "missing: %s is there, and each end has one", x.peerField)
		case !x.peer.IsValid():
			fail(x.peerField, "missing: %s is there, and each end has one", x.field)
		case x.own == x.peer:
			fail(x.peerField, `"%v" is this end's address, too`, x.peer)
		case x.peer == t.Remote.Addr.Unmap():
			fail(x.peerField, `"%v" is the tunnel's remote: the address inside leads the tunnel's own packets into the tunnel`, x.peer)
		}
		for field, a := range map[string]netip.Addr{x.field: x.own, x.peerField: x.peer} {
			if !a.IsValid() {
				continue
			}
			if own, what := c.ownNetwork(netip.PrefixFrom(a, a.BitLen())); own.IsValid() {
				fail(field, `"%v" is in %v, which is %s: choose an address that no client can have`, a, own, what)
			}
		}
	}
}

func validateTunnelRoutes(c *Config, t *Tunnel, fail failing) {
	if t.Metric < 0 || t.Metric > maxMetric {
		fail("metric", "must be from 0 to %d", maxMetric)
	}
	if t.SourceCheck && len(t.Routes) == 0 {
		fail("source_check", "needs routes: it would refuse all that comes from the networks of the other end")
	}
	for i, p := range t.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		switch remote := t.Remote.Addr.Unmap(); {
		case !p.IsValid(): // it cannot be read
			continue
		case p != p.Masked():
			fail(key, `"%v" has bits behind the prefix: write %v`, p, p.Masked())
		case t.Mode != "" && !t.Mode.carries(p.Addr().Is6()):
			fail(key, `"%v" cannot be inside: mode %s carries the other version of IP alone; gre carries both`, p, t.Mode)
		case slices.Contains(t.Routes[:i], p):
			fail(key, `"%v" is there twice`, p)
		case remote.IsValid() && p.Contains(remote):
			fail(key, `"%v" leads the tunnel's own remote, %v, into the tunnel: name networks without it`, p, remote)
		}
		if own, what := c.ownNetwork(p); own.IsValid() {
			fail(key, `"%v" is in %v, which is %s: packets for clients would go to the tunnel`, p, own, what)
		}
	}
	for i := range c.Links {
		l := &c.Links[i]
		for j, p := range t.Routes {
			if p.IsValid() && slices.Contains(l.Routes, p) && l.Metric == t.Metric {
				fail(fmt.Sprintf("routes[%d]", j), `"%v" leads to the link %q, too, with the same metric: give one of them a greater metric`, p, l.Name)
			}
		}
	}
}

// validateTwoTunnels checks what two tunnels have in common.
func validateTwoTunnels(a, b *Tunnel, fail failing) {
	if a.Name != "" && strings.EqualFold(a.Name, b.Name) {
		fail("name", "%q is there twice", b.Name)
	}
	own := func(t *Tunnel) bool { return t.PSK.Len() > 0 || t.PSKFile != "" }
	if a.Remote == b.Remote && b.Remote != (Host{}) {
		switch {
		case a.Mode.Protocol() == b.Mode.Protocol() && a.Key == b.Key:
			fail("remote", `"%v" is that of the tunnel %q, too, with the same mode and key: nothing tells their packets apart`, b.Remote, a.Name)
		case !own(a) || !own(b):
			fail("psk", "missing: the tunnel %q leads to %v, too, and IKE tells them apart by their keys alone: give each a psk of its own", a.Name, b.Remote)
		}
	}
	for i, p := range b.Routes {
		if p.IsValid() && slices.Contains(a.Routes, p) && a.Metric == b.Metric {
			fail(fmt.Sprintf("routes[%d]", i), `"%v" leads to the tunnel %q, too, with the same metric: give one of them a greater metric`, p, a.Name)
		}
	}
	if b.PeerAddress.IsValid() && b.PeerAddress == a.PeerAddress {
		fail("peer_address", `"%v" is that of the tunnel %q, too`, b.PeerAddress, a.Name)
	}
	if b.PeerAddress6.IsValid() && b.PeerAddress6 == a.PeerAddress6 && !b.PeerAddress6.IsLinkLocalUnicast() {
		fail("peer_address6", `"%v" is that of the tunnel %q, too`, b.PeerAddress6, a.Name)
	}
}

// validateNested refuses a tunnel whose packets would go through another one, or through a
// link: it would be up only while that is, and its packets would not fit.
func validateNested(c *Config, i int, fail failing) {
	remote := c.Tunnels[i].Remote.Addr.Unmap()
	if !remote.IsValid() {
		return
	}
	through := func(what, name string, routes []netip.Prefix, peers ...netip.Addr) {
		leads := slices.Contains(peers, remote) || slices.ContainsFunc(routes, func(p netip.Prefix) bool { return p.IsValid() && p.Contains(remote) })
		if leads {
			fail("remote", `"%v" is reached through the %s %q: tunnels inside tunnels are not supported; name an address that is reached without it`, remote, what, name)
		}
	}
	for j := range c.Tunnels {
		if t := &c.Tunnels[j]; j != i {
			through("tunnel", t.Name, t.Routes, t.PeerAddress, t.PeerAddress6)
		}
	}
	for j := range c.Links {
		through("link", c.Links[j].Name, c.Links[j].Routes, c.Links[j].PeerAddress)
	}
}
