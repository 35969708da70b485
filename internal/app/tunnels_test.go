package app

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// tunnelled are two whole servers with a tunnel between them, which both call t.
func tunnelled(t *testing.T, seed uint64, both, head, branch settingsOf) (n *udptest.Net, a, b *site) {
	t.Helper()
	n = udptest.New(seed)
	n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
	return n, tunnelSite(t, n.Host(headAddr), branchAddr, both, head), tunnelSite(t, n.Host(branchAddr), headAddr, both, branch)
}

// tunnelSite starts one of them. Settings with a dot are not the tunnel's.
func tunnelSite(t *testing.T, on *udptest.Host, remote string, lists ...settingsOf) *site {
	t.Helper()
	own, other := settingsOf{"name": `"t"`, "mode": `"gre"`, "remote": fmt.Sprintf("%q", remote)}, settingsOf{}
	for _, list := range lists {
		for key, value := range list {
			if strings.Contains(key, ".") {
				other[key] = value
			} else {
				own[key] = value
			}
		}
	}
	var inline []string
	for key, value := range own {
		inline = append(inline, key+" = "+value)
	}
	other["tunnel"] = "[{ " + strings.Join(inline, ", ") + " }]"
	return newSite(t, on, nil, other)
}

// numbered6 is an IPv6 packet of UDP with a number in it.
func numbered6(n uint32) []byte {
	b := make([]byte, 52)
	b[0], b[5], b[6], b[7] = 0x60, 12, 17, 64
	copy(b[8:], netip.MustParseAddr("2001:db8:1::7").AsSlice())
	copy(b[24:], netip.MustParseAddr("2001:db8:2::7").AsSlice())
	binary.BigEndian.PutUint16(b[40:], 9)
	binary.BigEndian.PutUint16(b[42:], 9)
	binary.BigEndian.PutUint16(b[44:], 12)
	binary.BigEndian.PutUint16(b[46:], 0xffff)
	binary.BigEndian.PutUint32(b[48:], n)
	return b
}

// through reports whether a packet gets from one end to the other as it was.
func through(a, b *site, packet []byte) bool {
	for b.devices["t"].Poll() != nil { // what came before
	}
	a.devices["t"].Inject(0, packet)
	time.Sleep(time.Second)
	return string(b.devices["t"].Poll()) == string(packet)
}

// wantTunnel fails the test unless the tunnel is up at both ends and passes, each way, the
// versions of IP that it has.
func wantTunnel(t *testing.T, a, b *site, four, six bool) {
	t.Helper()
	for _, s := range []*site{a, b} {
		if l := s.link(); l.State != "up" {
			t.Fatalf("the tunnel is %+v\n%s", l, s.out.String())
		} else if l.PeerAuth != "" {
			t.Errorf("a tunnel has no user, and the other end has authenticated itself by %s", l.PeerAuth)
		}
	}
	for name, got := range map[string]bool{
		"IPv4 to the branch": through(a, b, numbered(hostOfHead, hostOfBranch, 1)) == four, "IPv4 to the head": through(b, a, numbered(hostOfBranch, hostOfHead, 2)) == four,
		"IPv6 to the branch": through(a, b, numbered6(3)) == six, "IPv6 to the head": through(b, a, numbered6(4)) == six,
	} {
		if !got {
			t.Errorf("%s: wrong", name)
		}
	}
}

func TestATunnelOfTwoSitesComesUp(t *testing.T) {
	never := settingsOf{"dial": `"never"`}
	for name, x := range map[string]struct {
		both      settingsOf
		four, six bool
	}{
		"GRE":                     {nil, true, true},
		"GRE with everything":     {settingsOf{"key": `42`, "checksum": `true`, "sequence": `true`}, true, true},
		"IP in IP":                {settingsOf{"mode": `"ipip"`}, true, false},
		"IPv6 in IP":              {settingsOf{"mode": `"sit"`}, false, true},
		"a key of its own":        {settingsOf{"psk": `"a key that only this tunnel has"`}, true, true},
		"ESP alone":               {settingsOf{"ipsec.nat_traversal": `"auto"`, "key": `"10.0.0.1"`}, true, true},
		"sources that are routed": {settingsOf{"source_check": `true`, "routes": `["10.0.0.0/8", "2001:db8::/32"]`, "network.pool": `["172.30.0.0/24"]`}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b := tunnelled(t, 1, x.both, never, nil)
				time.Sleep(3 * time.Second)
				wantTunnel(t, a, b, x.four, x.six)
				if a.link().DialledBy != "peer" || b.link().DialledBy != "us" {
					t.Errorf("it was begun by %s and by %s", a.link().DialledBy, b.link().DialledBy)
				}
				if len(x.both["routes"]) > 0 && (!a.up["t"] || !b.up["t"]) {
					t.Error("the routes do not lead to the devices")
				}
				st := a.Status()
				if len(st.Sessions) != 1 || st.Sessions[0].User != "t" || st.Sessions[0].InPackets == 0 || st.Sessions[0].OutPackets == 0 {
					t.Errorf("the sessions are %+v", st.Sessions)
				}
			})
		})
	}
}

// What differs between the ends is dropped, and says so.
func TestTunnelsThatDifferPassNothing(t *testing.T) {
	for name, x := range map[string]struct {
		head settingsOf
		drop string
	}{
		"another key":           {settingsOf{"key": `43`}, "gre"},
		"no key":                {nil, "gre"},
		"sources of elsewhere":  {settingsOf{"key": `42`, "source_check": `true`, "routes": `["10.9.0.0/16"]`}, "source"},
		"another version of IP": {settingsOf{"key": `42`, "source_check": `true`, "routes": `["2001:db8::/32"]`}, "source"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b := tunnelled(t, 1, nil, x.head, settingsOf{"key": `42`})
				time.Sleep(10 * time.Second)
				if through(b, a, numbered(hostOfBranch, hostOfHead, 1)) {
					t.Error("it passes")
				}
				if a.drops()[x.drop] == 0 {
					t.Errorf("the drops are %v", a.drops())
				}
			})
		})
	}
}

// Through 20 hours of keys that both ends renew, and two phases 1, nothing is lost, and the
// tunnel stays the same.
func TestATunnelLosesNothingWhileKeysAreRenewed(t *testing.T) {
	for name, head := range map[string]settingsOf{"one end begins": {"dial": `"never"`}, "both do": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b := tunnelled(t, 1, settingsOf{"key": `7`, "log.level": `"info"`}, head, nil)
				time.Sleep(30 * time.Second)
				wantTunnel(t, a, b, true, true)
				since := [2]time.Time{a.link().Since, b.link().Since}
				sent, lost := uint32(0), [2]int{}
				for end := time.Now().Add(20 * time.Hour); time.Now().Before(end); sent++ {
					a.devices["t"].Inject(0, numbered(hostOfHead, hostOfBranch, sent))
					b.devices["t"].Inject(0, numbered(hostOfBranch, hostOfHead, sent))
					time.Sleep(time.Second)
					if number(b.devices["t"].Poll()) != sent {
						lost[0]++
					}
					if number(a.devices["t"].Poll()) != sent {
						lost[1]++
					}
				}
				if lost != [2]int{} {
					t.Errorf("of %d packets %d and %d are lost", sent, lost[0], lost[1])
				}
				if since != [2]time.Time{a.link().Since, b.link().Since} {
					t.Errorf("the tunnel was not the same all the time:\n%s\n%s", a.out.String(), b.out.String())
				}
				if n := a.server.Counts().Connections; n > 2 {
					t.Errorf("%d connections", n)
				}
			})
		})
	}
}

// A tunnel through which nothing passes is the same for days: nothing but its keys shows that
// both ends are there.
func TestAnIdleTunnelStaysUp(t *testing.T) {
	for name, head := range map[string]settingsOf{"one end begins": {"dial": `"never"`}, "both do": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b := tunnelled(t, 1, settingsOf{"log.level": `"info"`}, head, nil)
				time.Sleep(30 * time.Second)
				since := [2]time.Time{a.link().Since, b.link().Since}
				time.Sleep(30 * time.Hour)
				wantTunnel(t, a, b, true, true)
				if since != [2]time.Time{a.link().Since, b.link().Since} {
					t.Errorf("the tunnel was not the same all the time:\n%s\n%s", a.out.String(), b.out.String())
				}
			})
		})
	}
}

// Both ends begin at the same time, over lines that differ: the tunnel is up, and stays.
func TestBothEndsBeginATunnelAtOnce(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			n, a, b := tunnelled(t, seed, nil, settingsOf{"address": `"172.16.0.1"`, "peer_address": `"172.16.0.2"`}, settingsOf{"address": `"172.16.0.2"`, "peer_address": `"172.16.0.1"`})
			n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond, Jitter: time.Duration(seed%5) * 4 * time.Millisecond})
			time.Sleep(20 * time.Second)
			wantTunnel(t, a, b, true, true)
			since := [2]time.Time{a.link().Since, b.link().Since}
			time.Sleep(5 * time.Minute)
			wantTunnel(t, a, b, true, true)
			if since != [2]time.Time{a.link().Since, b.link().Since} {
				t.Errorf("seed %d: the tunnel was not the same all the time", seed)
			}
		})
	}
}

// An end that was restarted without a goodbye, or a path that was cut for long, is back
// within seconds, whoever begins.
func TestATunnelIsBackAfterARestartAndACut(t *testing.T) {
	for name, head := range map[string]settingsOf{"one end begins": {"dial": `"never"`}, "both do": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, a, b := tunnelled(t, 1, nil, head, nil)
				time.Sleep(20 * time.Second)
				wantTunnel(t, a, b, true, true)

				cut(n, 5*time.Minute)
				for _, s := range []*site{a, b} {
					if l := s.link(); l.State == "up" {
						t.Errorf("a tunnel whose path is cut is %+v", l)
					}
				}
				time.Sleep(5 * time.Second)
				wantTunnel(t, a, b, true, true)

				n.SetPolicy(udptest.Policy{Loss: 1}) // the power is cut
				b.stop()
				n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
				b = tunnelSite(t, b.on, headAddr)
				time.Sleep(5 * time.Second)
				wantTunnel(t, a, b, true, true)

				b.stop() // with a goodbye, of which what was before the power was cut is no part
				time.Sleep(40 * time.Second)
				if l := a.link(); l.State == "up" {
					t.Errorf("the other end has gone, and the tunnel is %+v", l)
				}
			})
		})
	}
}

// Who knows a key that is not the tunnel's, or is not where the tunnel leads, is not its
// other end.
func TestATunnelsOtherEndIsWhoProvesIt(t *testing.T) {
	at := netip.MustParseAddr("192.0.2.7")
	remote := conf.Host{Addr: at}
	for name, x := range map[string]struct {
		t    conf.Tunnel
		p    ike.Peer
		from string
		want bool
	}{
		"everybody's key, from there":       {conf.Tunnel{Remote: remote}, ike.Peer{PSK: "psk[0]"}, "192.0.2.7", true},
		"the same by IPv6's form":           {conf.Tunnel{Remote: remote}, ike.Peer{PSK: "psk[0]"}, "::ffff:192.0.2.7", true},
		"everybody's key, from elsewhere":   {conf.Tunnel{Remote: remote}, ike.Peer{PSK: "psk[0]"}, "192.0.2.8", false},
		"a group's key":                     {conf.Tunnel{Remote: remote}, ike.Peer{PSK: "staff.psk[0]", Group: "staff"}, "192.0.2.7", false},
		"a certificate, for a key":          {conf.Tunnel{Remote: remote}, ike.Peer{Cert: "gw"}, "192.0.2.7", false},
		"its own key":                       {conf.Tunnel{Name: "t", Remote: remote, PSK: secret.String("x")}, ike.Peer{PSK: "tunnel t", Group: "tunnel t"}, "192.0.2.7", true},
		"its own key, from elsewhere":       {conf.Tunnel{Name: "t", Remote: remote, PSK: secret.String("x")}, ike.Peer{PSK: "tunnel t", Group: "tunnel t"}, "192.0.2.8", false},
		"its own key, from anywhere":        {conf.Tunnel{Name: "t", PSK: secret.String("x")}, ike.Peer{PSK: "tunnel t", Group: "tunnel t"}, "192.0.2.8", true},
		"everybody's, for its own":          {conf.Tunnel{Name: "t", Remote: remote, PSK: secret.String("x")}, ike.Peer{PSK: "psk[0]"}, "192.0.2.7", false},
		"another tunnel's":                  {conf.Tunnel{Name: "t", Remote: remote, PSK: secret.String("x")}, ike.Peer{PSK: "tunnel u", Group: "tunnel u"}, "192.0.2.7", false},
		"its certificate":                   {conf.Tunnel{Remote: remote, Certificate: true, PeerID: "gw"}, ike.Peer{Cert: "gw"}, "192.0.2.7", true},
		"another certificate":               {conf.Tunnel{Remote: remote, Certificate: true, PeerID: "gw"}, ike.Peer{Cert: "alice"}, "192.0.2.7", false},
		"its certificate, from anywhere":    {conf.Tunnel{Certificate: true, PeerID: "gw"}, ike.Peer{Cert: "gw"}, "192.0.2.8", true},
		"a key, for a certificate":          {conf.Tunnel{Remote: remote, Certificate: true, PeerID: "gw"}, ike.Peer{PSK: "psk[0]"}, "192.0.2.7", false},
		"a certificate of the remote":       {conf.Tunnel{Remote: conf.Host{Name: "gw.example"}, Certificate: true}, ike.Peer{Cert: "gw.example"}, "192.0.2.9", true},
		"no certificate, for one of nobody": {conf.Tunnel{Certificate: true}, ike.Peer{}, "192.0.2.9", false},
	} {
		if got := admits(&x.t, x.p, netip.MustParseAddr(x.from)); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A tunnel's name is no user's: neither a user of that name who is denied another session, nor
// the caller of a link of that name, ends the tunnel.
func TestATunnelIsNoUsersSession(t *testing.T) {
	const key = `psk = "a key that only this tunnel has"`
	for name, more := range map[string]settingsOf{
		"a user": {"user": `[{ name = "t", password = "p" }]`, "limits.sessions_per_user": "1"},
		"a link": {"link": `[{ name = "l", dial = "never", peer_user = "t", peer_password = "p" }]`, "limits.sessions_per_user": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := udptest.New(1)
				more["tunnel"] = `[{ name = "t", mode = "gre", remote = "` + branchAddr + `", dial = "never", ` + key + ` }]`
				a := newSite(t, n.Host(headAddr), nil, more)
				newSite(t, n.Host(branchAddr), nil, settingsOf{"tunnel": `[{ name = "t", mode = "gre", remote = "` + headAddr + `", ` + key + ` }]`})
				time.Sleep(5 * time.Second)
				for _, at := range []string{"203.0.113.1", "203.0.113.2"} {
					newSite(t, n.Host(at), settingsOf{"name": `"u"`, "remote": `["` + headAddr + `"]`, "user": `"t"`, "password": `"p"`, "address": `"peer"`}, nil)
					time.Sleep(10 * time.Second)
				}
				list := a.Links()
				if l := list[len(list)-1]; l.State != "up" || time.Since(l.Since) < 20*time.Second {
					t.Errorf("the tunnel is %+v", l)
				}
			})
		})
	}
}
