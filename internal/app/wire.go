package app

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// build makes the server and its data path.
func (a *instance) build(ctx context.Context, c *conf.Config, sockets *sockets, device netdev.Device, claims claimer, cleanup *closers) error {
	ranges, reserved := addresses(c)
	a.pool = pool.New(ranges, reserved...)
	a.pool6, a.delegate6 = pools6(c)
	a.promise(c)
	a.keepLeases(ctx, c.Server.StateDir, cleanup)
	backend, accountant, err := a.backend(c, cleanup)
	if err != nil {
		return err
	}
	a.server = vpn.New(vpn.Config{
		Policy:     a.policy(ctx, c),
		Backend:    backend,
		Accountant: accountant,
		Pool:       a.pool,
		Pool6:      a.pool6,
		Delegate6:  a.delegate6,
		Observer:   a.observer(claims),
	})
	a.plane, err = dataplane.New(dataplane.Config{
		Workers: sockets.workers,
		Device:  device,
		Control: a.server,
		Pools:   append(prefixes(c), prefixes6(c)...),
		Slots:   c.Limits.Connections,

		ClientToClient: c.Network.ClientToClient,
		Multicast:      c.Network.Multicast,
		Broadcasts:     broadcasts(c),
		Panicked: func(value any, stack []byte) {
			a.log.WithFields(logrus.Fields{"panic": value, "stack": string(stack)}).
				Error("an error in the server lost a batch of packets; please report it")
		},
	})
	if err != nil {
		return err
	}
	a.server.Bind(a.plane)
	return nil
}

// policy turns a configuration into what connections are allowed.
func (a *instance) policy(ctx context.Context, c *conf.Config) *vpn.Policy {
	certs := a.certs.Load()
	suites, esp, pfs := Suites(c)
	p := &vpn.Policy{
		IKE: &ike.Policy{
			Identity: certs.identity, Authority: certs.authority,
			Suites: suites, ESP: esp, PFS: pfs, VendorIDs: vendorIDs(c), Aggressive: c.IPsec.Aggressive,
			PSKs: psks(c), NATT: natt(c), Public: a.public(ctx, c),
			Lifetime: 8 * time.Hour, ChildLifetime: time.Hour, DPDTimeout: c.Server.DeadPeer / 2,
		},
		L2TP:      tunnel(c, c.L2TP.Secret, c.L2TP.RequireSecret),
		GroupL2TP: groupTunnels(c),
		PPP: &ppp.Config{
			Name: "adit", MRU: uint16(c.Network.MTU), Methods: methods(c),
			Echo: c.Server.DeadPeer / (echoFailures + 1), EchoFailures: echoFailures,
			SetupTimeout: 90 * time.Second, AuthTimeout: 60 * time.Second,
		},
		ReplayWindow: 1024,
		Networks:     append(networks(c), networks6(c)...),
		Own:          ownAddresses(),
		IPv6:         server6(c),
		Settings:     settings(c.Network.DNS, c.Network.Routes, c.Network.Domain),
		Groups:       groups(c),
		MTU:          c.Network.MTU,

		Connections: c.Limits.Connections, HalfOpen: c.Limits.HalfOpen,
		HalfOpenPerSource: c.Limits.HalfOpenPerSource, SessionsPerUser: c.Limits.SessionsPerUser,

		SetupTimeout: time.Minute, AuthTimeout: time.Minute, DrainTimeout: 5 * time.Second,
		InterimInterval: c.Radius.Interim, Keepalive: 20 * time.Second,
		DeadPeer: c.Server.DeadPeer, KeyLog: a.keys,
	}
	return p
}

func vendorIDs(c *conf.Config) []ike.VendorID {
	var list []ike.VendorID
	for _, name := range c.IPsec.VendorIDs { // validated by conf
		list = append(list, ike.VendorIDsByName(name)...)
	}
	return list
}

// psks names the keys by their place: the name stands in logs.
func psks(c *conf.Config) []ike.PSK {
	list := make([]ike.PSK, len(c.IPsec.PSK))
	for i, key := range c.IPsec.PSK {
		list[i] = ike.PSK{Name: fmt.Sprintf("psk[%d]", i), Key: key}
	}
	for _, g := range c.Groups {
		for i, key := range g.PSK {
			list = append(list, ike.PSK{Name: fmt.Sprintf("%s.psk[%d]", g.Name, i), Key: key, Group: g.Name})
		}
	}
	return list
}

// What finds out within server.dead_peer_timeout that a silent client is gone:
// so many LCP Echo-Requests, IKE's dead peer detection, and an L2TP HELLO that is
// repeated for 47 seconds, which is as much as RFC 2661, section 5.8, leaves us.
const (
	helloPatience = 50 * time.Second
	echoFailures  = 4
)

// helloAfter is the silence after which a HELLO is sent. Where the timeout is
// shorter than a HELLO's patience, the others find out in time; a tunnel without a
// session, which they do not ask about, lasts half a minute longer.
func helloAfter(timeout time.Duration) time.Duration {
	return max(timeout-helloPatience, timeout/(echoFailures+1))
}

func natt(c *conf.Config) ike.NATTMode {
	if c.IPsec.NATTraversal == "auto" {
		return ike.NATTAuto
	}
	return ike.NATTAlways
}

func methods(c *conf.Config) []ppp.Method {
	var list []ppp.Method
	for _, word := range c.Auth.Methods {
		if m, err := ppp.ParseMethod(word); err == nil { // validated by conf
			list = append(list, m)
		}
	}
	return list
}

// public resolves server.public. A name that does not resolve is only a
// warning: it is tried again.
func (a *instance) public(ctx context.Context, c *conf.Config) []netip.Addr {
	list, err := resolve(ctx, c.Server.Public)
	if err != nil {
		a.log.WithFields(logrus.Fields{"public": c.Server.Public, "error": err}).
			Warn("server.public does not resolve; clients that check the server's identity may refuse it")
		return nil
	}
	for i := range list {
		list[i] = list[i].Unmap()
	}
	return list
}

// parseRanges reads network.pool, which conf has validated.
func parseRanges(c *conf.Config) []conf.AddressRange {
	var list []conf.AddressRange
	for _, s := range c.Network.Pool {
		if r, err := conf.ParseRange(s); err == nil {
			list = append(list, r)
		}
	}
	return list
}

// addresses are what is leased, and what of it is not: the server has each
// pool's first address, and a LAN's gateway its own.
func addresses(c *conf.Config) (ranges []pool.Range, reserved []netip.Addr) {
	for _, r := range parseRanges(c) {
		run := pool.Range{First: r.First, Last: r.Last}
		if r.Prefix.IsValid() {
			run = pool.Prefix(r.Prefix)
		}
		ranges = append(ranges, run)
		reserved = append(reserved, run.First)
	}
	return ranges, append(reserved, parseAddrs([]string{c.Network.Gateway})...)
}

// networks are the pools with the server's address in each.
func networks(c *conf.Config) []vpn.Network {
	var list []vpn.Network
	for _, r := range parseRanges(c) {
		n := vpn.Network{Prefix: r.Prefix, Server: r.First}
		if r.Prefix.IsValid() {
			n.Server = pool.Prefix(r.Prefix).First
		} else if lan, err := netip.ParsePrefix(c.Network.LAN); err == nil {
			n.Prefix = lan.Masked()
		}
		list = append(list, n)
	}
	return list
}

// prefixes are the networks that the data path routes by array.
func prefixes(c *conf.Config) []netip.Prefix {
	var list []netip.Prefix
	for _, n := range networks(c) {
		list = append(list, n.Prefix)
	}
	return list
}

// settings are what clients are told; conf has validated them. Routes that are
// not there are nil, an empty list is not.
func settings(dns, routes []string, domain string) auth.Settings {
	s := auth.Settings{DNS: parseAddrs(dns), Domain: domain}
	if routes != nil {
		s.Split = []netip.Prefix{}
	}
	for _, text := range routes {
		if p, err := netip.ParsePrefix(text); err == nil {
			s.Split = append(s.Split, p)
		}
	}
	return s
}

// groups are the settings of each group.
func groups(c *conf.Config) map[string]auth.Settings {
	all := make(map[string]auth.Settings, len(c.Groups))
	for _, g := range c.Groups {
		all[g.Name] = settings(g.DNS, g.Routes, g.Domain)
	}
	return all
}

// broadcasts are the broadcast addresses of the office network, or of the pools.
func broadcasts(c *conf.Config) []netip.Addr {
	if lan, err := netip.ParsePrefix(c.Network.LAN); err == nil && c.Network.Mode == "tap" {
		return []netip.Addr{pool.Broadcast(lan)}
	}
	var list []netip.Addr
	for _, p := range prefixes(c) {
		list = append(list, pool.Broadcast(p))
	}
	return list
}

func parseAddrs(texts []string) []netip.Addr {
	var list []netip.Addr
	for _, s := range texts {
		if addr, err := netip.ParseAddr(s); err == nil {
			list = append(list, addr)
		}
	}
	return list
}

// promise says which addresses users have of their own: nobody else gets them
// in the meantime.
func (a *instance) promise(c *conf.Config) {
	var four, six, delegated []netip.Addr
	for _, u := range localUsers(c) {
		four = appendValid(four, u.Address)
		six = appendValid(six, u.IPv6.Address, u.IPv6.Prefix.Addr())
		delegated = appendValid(delegated, u.IPv6.Delegated.Addr())
	}
	a.pool.Promise(four)
	a.pool6.Promise(six)
	a.delegate6.Promise(delegated)
}

func appendValid(list []netip.Addr, more ...netip.Addr) []netip.Addr {
	for _, a := range more {
		if a.IsValid() {
			list = append(list, a)
		}
	}
	return list
}

// localUsers turns configured users into the table of auth.Local.
func localUsers(c *conf.Config) []auth.User {
	var list []auth.User
	for _, u := range c.Users {
		user := auth.User{Name: u.Name, Password: u.Password, Group: u.Group, Settings: settings(u.DNS, u.Routes, u.Domain)}
		if hash, err := hex.DecodeString(string(u.NTHash.Reveal())); err == nil && len(hash) > 0 {
			user.NTHash = secret.New(hash)
		}
		if addr, err := netip.ParseAddr(u.Address); err == nil {
			user.Address = addr
		}
		user.IPv6 = userIPv6(u)
		list = append(list, user)
	}
	return list
}
