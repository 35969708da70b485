package app

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/persona"
)

// router starts a router that somebody else has made.
func router(t *testing.T, p persona.Profile, a persona.Account, h *udptest.Host) *persona.Client {
	t.Helper()
	p.Router, a.PSK = true, testPSK
	c := persona.New(p, a, h, 1, func(rule string) { t.Error(rule) })
	t.Cleanup(func() {
		if t.Failed() {
			lines := strings.Split(c.Log(), "\n")
			t.Logf("%s:\n%s", p.Name, strings.Join(lines[:min(len(lines), 100)], "\n"))
		}
	})
	c.Lossless = true
	return c
}

// crosses fails the test unless a packet crosses each way between a site's link and a router.
func crosses(t *testing.T, s *site, device string, c *persona.Client, here, there netip.Addr, n uint32) {
	t.Helper()
	c.Send(numbered(there, here, n))
	time.Sleep(time.Second)
	if got := number(s.devices[device].Poll()); got != n {
		t.Errorf("packet %d comes from the router, want %d", got, n)
	}
	s.devices[device].Inject(0, numbered(here, there, n+1))
	time.Sleep(time.Second)
	if got := number(c.Poll()); got != n+1 {
		t.Errorf("packet %d comes to the router, want %d", got, n+1)
	}
}

// Routers of others call as the other end of a link: they are that link, with its device and
// addresses, through all renewals of keys, until they hang up.
func TestRoutersOfOthersCall(t *testing.T) {
	for name, x := range map[string]struct {
		p    persona.Profile
		self bool // it has adit authenticate itself, too
	}{
		"RouterOS 6":                  {persona.RouterOS(persona.RouterOSOptions{}), false},
		"RouterOS 7":                  {persona.RouterOS(persona.RouterOSOptions{Seven: true, Ephemeral: true}), false},
		"RRAS":                        {persona.RRAS(persona.RRASOptions{}), false},
		"RRAS, two-way":               {persona.RRAS(persona.RRASOptions{Mutual: true}), true},
		"RRAS, with an address of it": {persona.RRAS(persona.RRASOptions{Mutual: true, NoDNS: true, Address: netip.MustParseAddr("192.168.77.1")}), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := udptest.New(1)
				n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
				a := newSite(t, n.Host(headAddr), settingsOf{
					"name": `"branch"`, "dial": `"never"`, "user": `"head"`, "password": `"one"`, "peer_user": `"branch"`, "peer_password": `"two"`,
					"address": `"10.9.0.1"`, "peer_address": `"10.9.0.2"`, "routes": `["10.2.0.0/16"]`,
				}, nil)
				account := persona.Account{Server: netip.MustParseAddr(headAddr), User: "branch", Password: "two"}
				if x.self {
					account.PeerUser, account.PeerPassword = "head", "one"
				}
				c := router(t, x.p, account, n.Host(branchAddr))
				defer c.Vanish()
				if err := c.Dial(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				up := a.link()
				if up.State != "up" || up.DialledBy != "peer" || up.Local != "10.9.0.1" || up.Peer != "10.9.0.2" || up.PeerAuth != "MS-CHAPv2" {
					t.Fatalf("%+v\n%s", up, a.out.String())
				}
				crosses(t, a, "adit-branch", c, hostOfHead, hostOfBranch, 100)
				time.Sleep(20 * time.Hour)
				crosses(t, a, "adit-branch", c, hostOfHead, hostOfBranch, 200)
				if l := a.link(); l.Since != up.Since {
					t.Errorf("it was down: %+v", l)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Second)
				if l := a.link(); l.State != "idle" || a.sessions() != 0 {
					t.Errorf("it has hung up, and the link is %+v", l)
				}
			})
		})
	}
}

// Routers of others are dialled: they give the link its address, authenticate themselves if
// they can, and have traffic through all renewals of keys. When one was killed the link is
// dialled again.
func TestRoutersOfOthersAreDialled(t *testing.T) {
	inside := persona.ServerOptions{Address: netip.MustParseAddr("10.9.0.1"), Caller: netip.MustParseAddr("10.9.0.2")}
	self := inside
	self.Self = true
	for name, x := range map[string]struct {
		p    persona.Profile
		auth string // by which it authenticates itself
	}{
		"RouterOS":      {persona.RouterOSServer(inside), "none"},
		"RRAS":          {persona.RRASServer(inside), "none"},
		"RRAS, two-way": {persona.RRASServer(self), "MS-CHAPv2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := udptest.New(1)
				n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
				b := newSite(t, n.Host(branchAddr), settingsOf{
					"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"branch"`, "password": `"two"`, "peer_user": `"head"`, "peer_password": `"one"`,
					"address": `"peer"`, "routes": `["10.1.0.0/16"]`,
				}, nil)
				at := n.Host(headAddr)
				answers := func() *persona.Client {
					c := router(t, x.p, persona.Account{
						Server: netip.MustParseAddr(branchAddr), User: "head", Password: "one", PeerUser: "branch", PeerPassword: "two",
					}, at)
					go func() {
						if err := c.Answer(); err != nil {
							t.Errorf("it does not answer: %v", err)
						}
					}()
					return c
				}
				c := answers()
				defer func() { c.Vanish() }()
				time.Sleep(5 * time.Second)
				up := b.link()
				if up.State != "up" || up.DialledBy != "us" || up.Local != "10.9.0.2" || up.Peer != "10.9.0.1" || up.PeerAuth != x.auth {
					t.Fatalf("%+v\n%s", up, b.out.String())
				}
				crosses(t, b, "adit-head", c, hostOfBranch, hostOfHead, 100)
				time.Sleep(20 * time.Hour)
				crosses(t, b, "adit-head", c, hostOfBranch, hostOfHead, 200)
				if l := b.link(); l.Since != up.Since {
					t.Errorf("it was down: %+v", l)
				}
				c.Vanish()
				time.Sleep(time.Minute)
				c = answers()
				time.Sleep(10 * time.Second)
				if l := b.link(); l.State != "up" {
					t.Errorf("after it was killed: %+v", l)
				}
				crosses(t, b, "adit-head", c, hostOfBranch, hostOfHead, 300)
			})
		})
	}
}

// A server that agrees to authenticate itself, and hangs up when it is challenged, is asked
// once.
func TestAServerThatDoesNotKeepItsWordIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New(1)
		n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
		b := newSite(t, n.Host(branchAddr), settingsOf{
			"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"branch"`, "password": `"two"`, "peer_user": `"head"`, "peer_password": `"one"`, "address": `"peer"`,
		}, nil)
		p := persona.RouterOSServer(persona.ServerOptions{Address: netip.MustParseAddr("10.9.0.1"), Caller: netip.MustParseAddr("10.9.0.2")})
		p.Answers.Shy = true
		at, account := n.Host(headAddr), persona.Account{Server: netip.MustParseAddr(branchAddr), User: "head", Password: "one", PeerUser: "branch", PeerPassword: "two"}
		first := router(t, p, account, at)
		if err := first.Answer(); err == nil {
			t.Error("it was not challenged")
		}
		time.Sleep(time.Second)
		first.Vanish()
		second := router(t, p, account, at)
		defer second.Vanish()
		if err := second.Answer(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if l := b.link(); l.State != "up" || l.PeerAuth != "none" {
			t.Errorf("%+v\n%s", l, b.out.String())
		}
	})
}
