package app

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/pki"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// Both ends dial at the same time, a hundred times over lines that differ: each time there
// is one link, the same at both ends, and it stays.
func TestBothEndsDialAtOnce(t *testing.T) {
	collisions, byRule := 0, 0
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			n, a, b := sites(t, seed, nil, nil)
			n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond, Jitter: time.Duration(seed%5) * 4 * time.Millisecond})
			time.Sleep(20 * time.Second)
			wantOne(t, a, b)
			passes(t, a, b, 100)
			since := [2]time.Time{a.link().Since, b.link().Since}
			time.Sleep(time.Minute)
			wantOne(t, a, b)
			if since != [2]time.Time{a.link().Since, b.link().Since} {
				t.Errorf("seed %d: the link was not the same all the time", seed)
			}
			if b.link().DialledBy == "us" { // branch is less than head
				byRule++
			}
			if strings.Count(a.out.String(), `"link up"`)+strings.Count(b.out.String(), `"link up"`) > 2 {
				collisions++ // for an instant one end had the other call
			}
		})
	}
	if byRule < 90 { // a line may have torn the first call
		t.Errorf("the call of the end with the smaller name stays %d times of 100", byRule)
	}
	t.Logf("in %d of 100 both calls came up, and one was hung up; in %d the call of the smaller name stays", collisions, byRule)
}

// cut has nothing arrive for some time.
func cut(n *udptest.Net, d time.Duration) {
	n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond, Loss: 1})
	time.Sleep(d)
	n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
}

// However long the path was cut, the link is back within 5 seconds of it, whoever dials.
func TestALinkIsBackSoonAfterItsPath(t *testing.T) {
	for name, head := range map[string]settingsOf{"one end dials": {"dial": `"never"`}, "both ends dial": nil} {
		t.Run(name, func(t *testing.T) {
			var longest time.Duration
			for _, seconds := range []float64{1, 3, 3.9, 4, 4.1, 4.5, 5, 6, 7.3, 8, 10, 13.7, 20, 30, 45, 61, 100, 600} {
				synctest.Test(t, func(t *testing.T) {
					n, a, b := sites(t, uint64(seconds*10), head, nil)
					time.Sleep(20 * time.Second)
					wantOne(t, a, b)
					cut(n, time.Duration(seconds*float64(time.Second)))
					took := time.Duration(0)
					for a.link().State != "up" || b.link().State != "up" {
						time.Sleep(50 * time.Millisecond)
						if took += 50 * time.Millisecond; took > 5*time.Second {
							t.Fatalf("after %v s without a path the link is not back:\n%+v\n%+v\n%s", seconds, a.link(), b.link(), b.out.String())
						}
					}
					longest = max(longest, took)
					time.Sleep(5 * time.Second)
					wantOne(t, a, b)
					passes(t, a, b, 200)
				})
			}
			t.Logf("the longest took %v", longest)
		})
	}
}

// The first packet dials, and arrives; the link is hung up when nothing passes.
func TestALinkOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, settingsOf{"dial": `"demand"`, "idle_timeout": `"30s"`})
		time.Sleep(time.Minute)
		if l := b.link(); l.State != "idle" || !b.up["head"] && l.WhenDown != "hold" {
			t.Fatalf("%+v", l)
		}
		for round := range uint32(3) {
			b.devices["adit-head"].Inject(0, numbered(hostOfBranch, hostOfHead, 100+round))
			time.Sleep(3 * time.Second)
			wantOne(t, a, b)
			if got := number(a.devices["adit-branch"].Poll()); got != 100+round {
				t.Errorf("the first packet: %d arrives", got)
			}
			passes(t, a, b, 200+2*round)
			time.Sleep(20 * time.Second)
			passes(t, a, b, 300+2*round)
			time.Sleep(20 * time.Second)
			wantOne(t, a, b)
			time.Sleep(20 * time.Second)
			for _, s := range []*site{a, b} {
				if l := s.link(); l.State != "idle" {
					t.Errorf("it is not hung up: %+v", l)
				}
			}
			if l := b.link(); !strings.Contains(l.Error, "nothing passed for 30s") {
				t.Errorf("%+v", l)
			}
		}
	})
}

// A packet for a link that cannot be dialled is not kept for ever.
func TestAPacketDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, settingsOf{"dial": `"demand"`})
		n.SetPolicy(udptest.Policy{Loss: 1})
		b.devices["adit-head"].Inject(0, numbered(hostOfBranch, hostOfHead, 100))
		time.Sleep(2 * time.Minute)
		if l := b.link(); l.State != "idle" || !strings.Contains(l.Error, "does not answer") {
			t.Fatalf("%+v", l)
		}
		n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
		b.devices["adit-head"].Inject(0, numbered(hostOfBranch, hostOfHead, 101))
		time.Sleep(3 * time.Second)
		if got := number(a.devices["adit-branch"].Poll()); got != 101 {
			t.Errorf("packet %d arrives first", got)
		}
	})
}

// The bubble's time begins on a Saturday, the first of January 2000, at midnight UTC.
func TestALinkKeepsItsHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, settingsOf{"hours": `["Mo-Fr 07:00-19:00", "Sa 00:00-00:10"]`})
		at := func(clock string) {
			to, err := time.ParseInLocation(time.DateTime, "2000-01-0"+clock, time.Local)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(to))
		}
		if time.Now().In(time.Local).Hour() != 0 {
			t.Fatal("the test is for a host on UTC")
		}
		at("1 00:05:00")
		wantOne(t, a, b)
		at("1 00:10:05")
		if l := b.link(); l.State != "outside its hours" || l.Admits || a.link().State != "idle" {
			t.Errorf("%+v", l)
		}
		if err := b.OrderLink(admin.LinkOrder{Name: "head", Up: true}); err == nil || !strings.HasSuffix(err.Error(), "is outside its hours, and nobody dials it: they begin at 2000-01-03 07:00:00") {
			t.Errorf("an order to dial outside of its hours: %v", err)
		}
		at("3 06:59:59")
		if l := b.link(); l.State != "outside its hours" {
			t.Errorf("%+v", l)
		}
		at("3 07:00:05")
		wantOne(t, a, b)
	})
}

// An order holds, against the other end, too.
func TestALinkIsHeldDownByOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, nil, nil)
		time.Sleep(20 * time.Second)
		wantOne(t, a, b)
		if err := a.OrderLink(admin.LinkOrder{Name: "branch"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if l := a.link(); l.State != "held down" || a.sessions() != 0 || b.sessions() != 0 {
			t.Errorf("%+v", l)
		}
		if err := a.OrderLink(admin.LinkOrder{Name: "branch", Up: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 100)
		if err := a.OrderLink(admin.LinkOrder{Name: "none"}); err == nil || !strings.Contains(err.Error(), "no link of this name") {
			t.Errorf("an order for no link: %v", err)
		}
	})
}

// Addresses are those that both ends say, or the one that is given.
func TestALinkHasAddresses(t *testing.T) {
	for name, x := range map[string]struct{ head, branch settingsOf }{
		"said at both ends": {settingsOf{"address": `"10.9.0.1"`, "peer_address": `"10.9.0.2"`}, settingsOf{"address": `"10.9.0.2"`, "peer_address": `"10.9.0.1"`}},
		"given":             {settingsOf{"address": `"10.9.0.1"`, "peer_address": `"10.9.0.2"`}, settingsOf{"address": `"peer"`}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x.head["dial"], x.head["ipv6"], x.branch["ipv6"] = `"never"`, `true`, `true`
				_, a, b := sites(t, 1, x.head, x.branch)
				time.Sleep(20 * time.Second)
				wantOne(t, a, b)
				if l := a.link(); l.Local != "10.9.0.1" || l.Peer != "10.9.0.2" || l.MTU != 1400 {
					t.Errorf("%+v", l)
				}
				if l := b.link(); l.Local != "10.9.0.2" || l.Peer != "10.9.0.1" || l.MTU != 1400 {
					t.Errorf("%+v", l)
				}
				if one, two := a.link(), b.link(); one.Local6 != two.Peer6 || one.Peer6 != two.Local6 || !strings.HasPrefix(one.Local6, "fe80::") {
					t.Errorf("IPv6: %+v and %+v", one, two)
				}
			})
		})
	}
}

// With source_check only what is behind the other end comes from it.
func TestSourcesAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`, "source_check": `true`}, settingsOf{"source_check": `true`})
		time.Sleep(20 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 100)
		forged := netip.MustParseAddr("172.16.0.7")
		b.devices["adit-head"].Inject(0, numbered(forged, hostOfHead, 666))
		a.devices["adit-branch"].Inject(0, numbered(forged, hostOfBranch, 667))
		time.Sleep(time.Second)
		for _, s := range []*site{a, b} {
			for device := range s.devices {
				if got := s.devices[device].Poll(); got != nil {
					t.Errorf("%s: packet %d passes", device, number(got))
				}
			}
		}
	})
}

// An end that was killed is back as soon as it runs again: its call takes the place of the
// one that it has forgotten.
func TestAnEndThatWasKilledIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := sitesWith(t, 1, nil, nil, settingsOf{"limits.sessions_per_user": "1"})
		time.Sleep(20 * time.Second)
		wantOne(t, a, b)
		n.SetPolicy(udptest.Policy{Loss: 1}) // it says no goodbye
		b.stop()
		n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
		b = newSite(t, b.on, settingsOf{
			"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"branch"`, "password": `"two"`, "peer_user": `"head"`, "peer_password": `"one"`, "routes": `["10.1.0.0/16"]`,
		}, nil)
		time.Sleep(5 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 100)
	})
}

// Phase 1 and ESP are renewed by the end that has dialled, for as long as the link is up.
func TestALinkStaysForDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, nil, nil)
		time.Sleep(20 * time.Second)
		since := a.link().Since
		for day := range uint32(3) {
			time.Sleep(24 * time.Hour)
			wantOne(t, a, b)
			passes(t, a, b, 100+2*day)
		}
		if a.link().Since != since {
			t.Errorf("it was not up all the time: %+v\n%s", a.link(), a.out.String())
		}
	})
}

// A link with a key of its own is dialled with that key, and whoever has the key is nothing
// but the link.
func TestALinkHasAKeyOfItsOwn(t *testing.T) {
	const key = `"the key of this link alone"`
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`, "psk": key}, settingsOf{"psk": key})
		time.Sleep(20 * time.Second)
		wantOne(t, a, b)
		if list := a.server.List(); list[0].PSK != "link branch" || list[0].Group != "link branch" {
			t.Errorf("%+v", list)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New(1)
		a := newSite(t, n.Host(headAddr), settingsOf{"name": `"branch"`, "dial": `"never"`, "peer_user": `"branch"`, "peer_password": `"two"`, "psk": key},
			settingsOf{"user": `[{ name = "alice", password = "two" }]`})
		b := newSite(t, n.Host(branchAddr), settingsOf{"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"alice"`, "password": `"two"`, "psk": key}, nil)
		time.Sleep(20 * time.Second)
		if b.link().State == "up" || a.sessions() != 0 || !strings.Contains(a.out.String(), `the pre-shared key is of the group \"link branch\"`) {
			t.Errorf("a user has come in with the key of a link: %+v\n%s", b.link(), a.out.String())
		}
	})
}

// A caller that has the link's password, and the key that all clients have, is not the link
// where that has a key, or certificates, of its own.
func TestACallerProvesMoreThanAPassword(t *testing.T) {
	for name, x := range map[string]struct {
		line settingsOf
		want string
	}{
		"a key":          {settingsOf{"psk": `"the key of this link alone"`}, "but not its pre-shared key"},
		"certificates":   {settingsOf{"certificate": "true", "peer_id": `"branch.example.com"`}, "but no certificate"},
		"nothing beside": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				ca, err := pki.CreateCA(dir, "Test CA", time.Now())
				if err != nil {
					t.Fatal(err)
				}
				n := udptest.New(1)
				link := settingsOf{"name": `"branch"`, "dial": `"never"`, "peer_user": `"branch"`, "peer_password": `"two"`}
				maps.Copy(link, x.line)
				a := newSite(t, n.Host(headAddr), link, certifiedAs(t, ca, dir, "head.example.com"))
				b := newSite(t, n.Host(branchAddr), settingsOf{"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"branch"`, "password": `"two"`}, nil)
				time.Sleep(20 * time.Second)
				if up := b.link().State == "up"; up != (x.want == "") || !strings.Contains(a.out.String(), x.want) {
					t.Errorf("up: %v\n%s", up, a.out.String())
				}
			})
		})
	}
}

// The end that dials may be behind NAT, and ESP goes in UDP then.
func TestALinkThroughNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New(1)
		nat := n.NAT("198.51.100.9")
		a := newSite(t, n.Host(headAddr), settingsOf{"name": `"branch"`, "dial": `"never"`, "peer_user": `"branch"`, "peer_password": `"two"`, "routes": `["10.2.0.0/16"]`}, nil)
		b := newSite(t, nat.Host("192.168.1.7"), settingsOf{"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"branch"`, "password": `"two"`, "routes": `["10.1.0.0/16"]`}, nil)
		time.Sleep(20 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 100)
		nat.Rebind()
		time.Sleep(5 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 200)
	})
}

// Of several remotes each is dialled in turn.
func TestTheSecondRemoteIsDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, settingsOf{"remote": `["192.0.2.77", "` + headAddr + `"]`})
		time.Sleep(10 * time.Second)
		wantOne(t, a, b)
	})
}

// silent is a caller that leaves its connection with a phase 1.
type silent struct{}

func (silent) Heard(time.Time)                                        {}
func (silent) PhaseOneUp(time.Time)                                   {}
func (silent) ChildUp(time.Time)                                      {}
func (silent) TunnelUp(time.Time)                                     {}
func (silent) NetworkUp(time.Time, ppp.NetworkUp, *dataplane.Session) {}
func (silent) NetworkDown(time.Time)                                  {}
func (silent) Network6Up(ppp.Network6Up)                              {}
func (silent) Packet([]byte)                                          {}
func (silent) Failed(time.Time, string)                               {}
func (silent) Ended(vpn.End)                                          {}

// A server that was called may renew phase 1, too. That phase 1 is the call's, unless the
// other end calls with it.
func TestTheOtherEndRenewsPhaseOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, nil)
		time.Sleep(20 * time.Second)
		wantOne(t, a, b)
		since := b.link().Since
		policy := *a.server.Policy()
		a.server.Place(vpn.Calling{PPP: &ppp.Config{Client: true}, Policy: &policy, Path: ike.Path{
			Local: netip.AddrPortFrom(a.on.Addr(), ikePort), Remote: netip.AddrPortFrom(b.on.Addr(), ikePort),
		}}).Begin(silent{})
		time.Sleep(2 * time.Minute)
		if !strings.Contains(b.out.String(), "joined the connection it belongs to") {
			t.Errorf("the phase 1 is nobody's:\n%s", b.out.String())
		}
		time.Sleep(20 * time.Hour)
		wantOne(t, a, b)
		passes(t, a, b, 100)
		if b.link().Since != since {
			t.Errorf("the link was not up all the time: %+v", b.link())
		}
	})
}
