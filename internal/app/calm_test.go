package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/vpn"
)

// everyEvent has one event of each type, as w causes them: those that are written at
// the default level among them.
func everyEvent(w vpn.Who) []vpn.Event {
	odd := errors.New("noise")
	return []vpn.Event{
		vpn.FirstMessageRefused{Who: w, Why: odd}, vpn.FirstMessageRefused{Who: w, Why: ike.ErrAggressive},
		vpn.GroupUnknown{Who: w}, vpn.AggressiveUnanswered{Who: w}, vpn.PhaseOneUp{Who: w},
		vpn.PhaseOneDown{Who: w}, vpn.PhaseOneDown{Who: w, Authenticated: true}, vpn.PhaseOneDown{Who: w, Why: ike.ReasonWrongKey},
		vpn.ChildUp{Who: w}, vpn.ChildFailed{Who: w}, vpn.ChildDown{Who: w}, vpn.Moved{Who: w},
		vpn.TunnelUp{Who: w}, vpn.TunnelDown{Who: w}, vpn.TunnelDown{Who: w, Secret: true},
		vpn.AuthDone{Who: w, Verdict: auth.Accepted}, vpn.AuthDone{Who: w, Verdict: auth.BadCredentials},
		vpn.AuthDone{Who: w, Err: odd}, vpn.AuthDone{Who: w, Verdict: auth.NoAddress, Warnings: []string{"a", "b", "c"}},
		vpn.NetworksChanged{Who: w, Added: []netip.Prefix{{}}, Removed: []netip.Prefix{{}}},
		vpn.SessionUp{Who: w}, vpn.SessionDown{Who: w},
		vpn.PacketRefused{Who: w, Why: odd}, vpn.PacketRefused{Who: w, Why: vpn.ErrLeaving}, vpn.PacketRefused{Who: w, Why: ike.ErrUndecryptable},
		vpn.Noted{Who: w}, vpn.ConnDown{Who: w, Why: vpn.EndSetup}, vpn.ConnDown{Who: w, Why: vpn.EndCrowded}, vpn.ConnDown{Who: w},
		vpn.Guessed{Who: w}, vpn.Gardened{Who: w, In: true}, vpn.Gardened{Who: w}, vpn.Full{Who: w}, vpn.Full{Who: w, Admitted: true},
		vpn.Panicked{Who: w, Value: "a panic"},
	}
}

// The list above has every type of event that there is, so that a new one is bounded,
// too, or a test fails.
func TestEveryEventIsInTheListOfEvents(t *testing.T) {
	source, err := os.ReadFile("../vpn/event.go")
	if err != nil {
		t.Fatal(err)
	}
	types := regexp.MustCompile(`(?m)^func \((\w+)\) event\(\)`).FindAllStringSubmatch(string(source), -1)
	have := map[string]bool{}
	for _, e := range everyEvent(vpn.Who{}) {
		have[fmt.Sprintf("%T", e)] = true
	}
	if len(types) == 0 || len(types) != len(have) {
		t.Errorf("%d types of events, %d in the list", len(types), len(have))
	}
	for _, name := range types {
		if !have["vpn."+name[1]] {
			t.Errorf("%s is not in the list", name[1])
		}
	}
}

// failing is a host that lets nothing be claimed, so that all of that is logged.
type failing struct{}

func (failing) Claim(netip.Prefix, string) error   { return errors.New("no") }
func (failing) Release(netip.Prefix, string) error { return errors.New("no") }

// Whatever peers with and without a user do, from one source or many, the log has few
// lines a second about it. It says how many it has left out, and of which kind and source
// most of them are.
func TestWhateverPeersDoIsLoggedInFewLines(t *testing.T) {
	sources := map[string]func(i int) netip.Addr{
		"one source":   func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		"many sources": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}) },
		"many of IPv6": func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i)}) },
	}
	for name, source := range sources {
		for _, user := range []string{"", "alice"} {
			for at, kind := range append(everyEvent(vpn.Who{}), nil) { // nil: all of them at once
				synctest.Test(t, func(t *testing.T) {
					var out bytes.Buffer
					o := &events{log: newLogger(&out, conf.Log{Level: "info", Format: "json"}), meter: newMeter(), claims: failing{}}
					const seconds = 21
					for i := range seconds * 100 {
						all := everyEvent(vpn.Who{Remote: netip.AddrPortFrom(source(i), 500), User: user})
						if kind != nil {
							all = all[at : at+1]
						}
						for _, e := range all {
							o.Observe(e)
						}
						time.Sleep(time.Second / 100)
					}
					lines := strings.Count(out.String(), "\n")
					if lines > 20*seconds {
						t.Errorf("%s, user %q, %T: %d lines in %d seconds", name, user, kind, lines, seconds)
					}
					if left := strings.Count(out.String(), `"not_logged"`); lines > seconds && left == 0 {
						t.Errorf("%s, user %q, %T: nothing says that lines were left out", name, user, kind)
					}
				})
			}
		}
	}
}

// A source is what guessing is counted by, as people write it.
func TestSourcesOfLinesAreThoseOfGuessing(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2::3": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48",
	} {
		if got := calmSource(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// A flood of one kind, or from one source, hides neither other kinds nor others.
func TestAFloodHidesNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := &events{log: newLogger(&out, conf.Log{Level: "info", Format: "json"}), meter: newMeter()}
		for i := range 1000 {
			o.Observe(vpn.PhaseOneUp{Who: vpn.Who{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 500)}})
			o.Observe(vpn.SessionUp{Who: vpn.Who{Remote: netip.MustParseAddrPort("192.0.2.8:500"), User: "mallory"}})
		}
		o.Observe(vpn.Panicked{Who: vpn.Who{Remote: netip.MustParseAddrPort("192.0.2.7:500")}})
		o.Observe(vpn.SessionUp{Who: vpn.Who{Remote: netip.MustParseAddrPort("192.0.2.8:500"), User: "alice"}})
		for _, want := range []string{"please report it", `"user":"alice"`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the log has no %s", want)
			}
		}
	})
}

func TestTheSummarySaysWhatAndWhose(t *testing.T) {
	var c calm
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	worst := netip.MustParseAddr("192.0.2.1")
	for range calmPart + 50 {
		c.allow(now, "often", worst, "")
	}
	for i := range 2 * maxCalm {
		c.allow(now, fmt.Sprint("kind ", i%20), netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), "")
	}
	if len(c.parts) > maxCalm+1 || len(c.sources) > maxCalm {
		t.Errorf("%d parts and %d sources are kept", len(c.parts), len(c.sources))
	}
	if _, ok := c.summary(now.Add(calmEvery - 1)); ok {
		t.Error("a summary came early")
	}
	l, ok := c.summary(now.Add(calmEvery))
	if want := 50 + 2*maxCalm - (calmRate - calmPart); !ok || l.lines != want || l.worst != "source 192.0.2.1" {
		t.Errorf("summary %+v, %v; want %d lines, most of 192.0.2.1", l, ok, want)
	}
	if _, ok := c.summary(now.Add(time.Hour)); ok {
		t.Error("it came twice")
	}
}
