package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// build makes the server and its data path.
func (a *instance) build(ctx context.Context, c *conf.Config, sockets *sockets, device netdev.Device, claims claimer, cleanup *closers) error {
	plan := c.Plan()
	a.pool, a.pool6, a.delegate6 = pools(c, plan)
	a.promise(c)
	a.reserve(c)
	a.keepLeases(ctx, c.Server.StateDir, cleanup)
	usages := a.keepUsages(ctx, c.Server.StateDir, cleanup)
	a.links = a.newLinks(c)
	backend, accountant, err := a.backend(c, cleanup)
	if err != nil {
		return err
	}
	own := a.newPorts(device)
	own.links = a.links
	a.server = vpn.New(vpn.Config{
		Ports:      own,
		Policy:     a.policy(ctx, c),
		Backend:    backend,
		Accountant: accountant,
		Pool:       a.pool,
		Pool6:      a.pool6,
		Delegate6:  a.delegate6,
		Usages:     usages,
		Observer:   a.observer(claims),
	})
	a.plane, err = dataplane.New(dataplane.Config{
		Workers: sockets.workers,
		Device:  device,
		Control: a.server,
		Pools:   prefixes(plan),
		Slots:   c.Limits.Connections,

		ClientToClient: c.Network.ClientToClient,
		Multicast:      c.Network.Multicast,
		Broadcasts:     broadcasts(c, plan),
		Panicked: func(value any, stack []byte) {
			a.log.WithFields(logrus.Fields{"panic": value, "stack": string(stack)}).
				Error("an error in the server lost a batch of packets; please report it")
		},
	})
	if err != nil {
		return err
	}
	own.plane = a.plane
	a.server.Bind(a.plane)
	a.keepBooks(ctx, cleanup)
	if err := a.openCoA(ctx, c, cleanup); err != nil {
		return err
	}
	if err := checkDevices(c); err != nil {
		return err
	}
	cleanup.add(func() error { return unlessClosed(a.links.Close()) })
	return a.links.Open(a.server, a.plane)
}

// policy turns a configuration into what connections are allowed.
func (a *instance) policy(ctx context.Context, c *conf.Config) *vpn.Policy {
	certs := a.certs.Load()
	suites, esp, pfs := Suites(c)
	plan, patience := c.Plan(), patience(c)
	p := &vpn.Policy{
		IKE: &ike.Policy{
			Identity: certs.identity, Authority: certs.authority,
			Suites: suites, ESP: esp, PFS: pfs, VendorIDs: vendorIDs(c), Aggressive: c.IPsec.Aggressive,
			PSKs: psks(c), NATT: natt(c), Public: a.public(ctx, c),
			Lifetime: 8 * time.Hour, ChildLifetime: time.Hour, DPDTimeout: c.Server.DeadPeer / 2,
		},
		L2TP:      tunnel(c, c.L2TP.Secret, c.L2TP.RequireSecret),
		GroupL2TP: groupTunnels(c),
		Bare:      bareTunnels(c),
		PPP: &ppp.Config{
			Name: "adit", MRU: uint16(c.Network.MTU), Methods: methods(c), Compression: compression(c), Shows: shows(c),
			Echo: c.Server.DeadPeer / (echoFailures + 1), EchoFailures: echoFailures,
			SetupTimeout: patience + 30*time.Second, AuthTimeout: patience + 5*time.Second,
		},
		Policy: session.Policy{
			Networks: plan.Networks,
			Foreign:  append(plan.Foreign, foreign(ctx, c)...),
			IPv6:     server6(plan),
			Settings: settings(c.Network.DNS, c.Network.Routes, c.Network.Domain, false),
			Groups:   groups(c),
			Filters:  filters(c),
			MTU:      c.Network.MTU,
			Preempt:  c.Network.OnConflict == conf.ConflictEnd,

			Identity:        identity(c),
			SessionsPerUser: c.Limits.SessionsPerUser, Replace: c.Limits.OnExcess == conf.ExcessReplace,
			InterimInterval: c.Radius.Interim,
		},
		ReplayWindow: 1024,

		Connections: c.Limits.Connections, HalfOpen: c.Limits.HalfOpen,
		HalfOpenPerSource: c.Limits.HalfOpenPerSource, StrangerMemory: c.Limits.StrangerMemory << 20,

		SetupTimeout: time.Minute, AuthTimeout: patience, DrainTimeout: 5 * time.Second,
		Keepalive: 20 * time.Second,
		DeadPeer:  c.Server.DeadPeer, KeyLog: a.keys,
	}
	if a.opts.Tune != nil {
		a.opts.Tune(p)
	}
	return p
}

// patience is how long a verdict on a user is waited for. The link waits a little longer, so
// that the backend says why there is none.
func patience(c *conf.Config) time.Duration {
	if c.Auth.Backend == conf.BackendRadius {
		return c.Radius.Patience
	}
	return time.Minute
}

func vendorIDs(c *conf.Config) []ike.VendorID {
	var list []ike.VendorID
	for _, v := range c.IPsec.VendorIDs {
		list = append(list, ike.VendorIDsByName(string(v))...)
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
	for i := range c.Links {
		if l := &c.Links[i]; l.PSK.Len() > 0 {
			list = append(list, ike.PSK{Name: linkGroup(l), Key: l.PSK, Group: linkGroup(l)})
		}
	}
	return append(list, tunnelPSKs(c)...)
}

// Three things detect within server.dead_peer_timeout that a silent client is gone:
// echoFailures LCP Echo-Requests, IKE's dead peer detection, and an L2TP HELLO that is
// repeated for 47 seconds, as RFC 2661, section 5.8 has it.
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
	if c.IPsec.NATTraversal == conf.NATAuto {
		return ike.NATTAuto
	}
	return ike.NATTAlways
}

func methods(c *conf.Config) []ppp.Method {
	var list []ppp.Method
	for _, m := range c.Auth.Methods {
		switch m {
		case conf.MSCHAPv2:
			list = append(list, ppp.MethodMSCHAPv2)
		case conf.CHAP:
			list = append(list, ppp.MethodCHAP)
		case conf.PAP:
			list = append(list, ppp.MethodPAP)
		case conf.EAP:
			list = append(list, ppp.MethodEAP)
		}
	}
	return list
}

func compression(c *conf.Config) []ppp.Compressor {
	var list []ppp.Compressor
	for _, m := range c.PPP.Compression {
		switch m {
		case conf.MPPC:
			list = append(list, ppp.CompressMPPC)
		case conf.Deflate:
			list = append(list, ppp.CompressDeflate)
		}
	}
	return list
}

// compressed says what a session compresses, by direction; "": nothing.
func compressed(c ppp.Compression) string {
	if !c.Open || c.Send == (ppp.Codec{}) && c.Receive == (ppp.Codec{}) {
		return ""
	}
	name := func(k ppp.Codec) string {
		switch k.Compressor {
		case ppp.CompressMPPC:
			return "mppc"
		case ppp.CompressDeflate:
			return "deflate"
		}
		return "none"
	}
	in, out := name(c.Receive), name(c.Send)
	if in == out {
		return in
	}
	return "in " + in + ", out " + out
}

// public resolves server.public. A name that does not resolve causes only a warning, and
// is tried again.
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

// identity says which spellings of a name are one user's.
func identity(c *conf.Config) auth.Identity {
	return auth.Identity{
		FoldCase: c.Auth.FoldCase, StripDomain: slices.Contains(c.Auth.Strip, conf.NameDomain), StripRealm: slices.Contains(c.Auth.Strip, conf.NameRealm),
	}
}

// settings are what clients are told. nil routes say nothing; an empty list says that
// everything goes through. They also say whether a session has a device of its own.
func settings(dns []netip.Addr, routes []netip.Prefix, domain string, device bool) auth.Settings {
	return auth.Settings{DNS: dns, Split: routes, Domain: domain, OwnDevice: device}
}

// groups are the settings of each group.
func groups(c *conf.Config) map[string]auth.Profile {
	all := make(map[string]auth.Profile, len(c.Groups))
	for _, g := range c.Groups {
		all[g.Name] = profile(c, &g.Allowance, settings(g.DNS, g.Routes, g.Domain, g.Interface))
	}
	return all
}

// localUsers turns configured users into the table of auth.Local.
func localUsers(c *conf.Config) []auth.User {
	var list []auth.User
	for _, u := range c.Users {
		list = append(list, auth.User{
			Name: u.Name, Password: u.Password, NTHash: u.NTHash.Bytes, TOTP: u.TOTP, MustChange: u.MustChange, Certificate: u.Certificate, Group: u.Group,
			Address: u.Address, IPv6: auth.IPv6{Address: u.Address6, Prefix: u.Prefix6.Masked(), Delegated: u.Delegated6.Masked()},
			Profile: profile(c, &u.Allowance, settings(u.DNS, u.Routes, u.Domain, u.Interface)),
		})
	}
	return list
}
