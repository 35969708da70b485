package persona

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// splits are what a NAT with several public addresses does with a client's port 500: its
// packets leave from the first of these addresses when the client connects, and from the
// next ones at its renewals. Packets from port 4500 always leave from 198.51.100.8,
// because that mapping is never idle.
var splits = []struct {
	name      string
	addresses []string
	on500     bool // renewals begin on port 500
}{
	{"two addresses", []string{"198.51.100.7"}, false},
	{"two addresses, from port 500", []string{"198.51.100.7"}, true},
	{"two at first, one after, from port 500", []string{"198.51.100.7", "198.51.100.8"}, true},
	{"another at each renewal", []string{"198.51.100.7", "198.51.100.9", "198.51.100.10", "198.51.100.11"}, false},
	{"another at each renewal, from port 500", []string{"198.51.100.7", "198.51.100.9", "198.51.100.10", "198.51.100.11"}, true},
	{"one at first, two after, from port 500", []string{"198.51.100.8", "198.51.100.9"}, true},
	{"one at first, two after", []string{"198.51.100.8", "198.51.100.9"}, false},
}

// Packets from a client's ports 500 and 4500 leave from different public addresses. The
// client's keys are renewed in every order, under 50 packets a second in each direction.
// Nothing is lost, and there is one connection and one session all the time.
func TestPortsThatLeaveFromDifferentAddresses(t *testing.T) {
	orders := map[string][]func(*Client) error{
		"phase 1 first": {(*Client).Rephase, (*Client).Rekey, (*Client).Rephase, (*Client).Rephase, (*Client).Rekey, (*Client).Rekey},
		"phase 2 first": {(*Client).Rekey, (*Client).Rephase, (*Client).Rekey},
		"phase 1 alone": {(*Client).Rephase, (*Client).Rephase, (*Client).Rephase, (*Client).Rephase},
	}
	for _, split := range splits {
		for order, renewals := range orders {
			t.Run(fmt.Sprintf("%s, %s", split.name, order), func(t *testing.T) {
				each(t, func(t *testing.T, p Profile) {
					p.IKE.RekeyOnNATT = p.IKE.RekeyOnNATT && !split.on500
					renewSplit(t, p, split.addresses, renewals)
				})
			})
		}
	}
}

func renewSplit(t *testing.T, p Profile, addresses []string, renewals []func(*Client) error) {
	w := sim.New(t, sim.Options{Seed: 1})
	nat := w.Net.NAT("198.51.100.8")
	nat.Split(500, addresses[0])
	c := online(t, p, account, nat.Host("192.168.1.10"))
	w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
	s := &stream{w: w, c: c}
	probe := func(d time.Duration) {
		for range d / (20 * time.Millisecond) {
			s.step(20 * time.Millisecond)
		}
	}
	one := func(when string) {
		t.Helper()
		if list := w.Server.List(); len(list) != 1 || len(list[0].Sessions) != 1 {
			t.Errorf("%s there are %d connections", when, len(list))
		}
	}
	for i, renew := range renewals {
		nat.Split(500, addresses[min(i+1, len(addresses)-1)])
		done := make(chan error, 1)
		go func() { done <- renew(c) }()
		probe(time.Second)
		if err := <-done; err != nil {
			t.Fatalf("renewal %d: %v", i, err)
		}
		one(fmt.Sprintf("after renewal %d", i))
		for range 7 { // longer than the time that a new peer has to bring a user
			s.step(10 * time.Second)
		}
		one(fmt.Sprintf("70 s after renewal %d", i))
	}
	s.want(t, c.Stats().UnknownSPI)
	if n := len(sim.All[vpn.SessionUp](w.Events)); n != 1 {
		t.Errorf("it had %d sessions, want one", n)
	}
	time.Sleep(time.Minute) // some clients keep old SAs for that long
	w.Net.SetPolicy(udptest.Policy{})
	leaves(t, w, c)
}

// The NAT of such a client gives it another port or another address between a new phase 1
// and the next Quick Mode, whichever side begins that. The server recognises the client
// there.
func TestAPhase1ThatWaitsFollowsItsClient(t *testing.T) {
	for name, move := range map[string]func(*udptest.NAT){
		"another port": (*udptest.NAT).Rebind, "another address": func(n *udptest.NAT) { n.Move("198.51.100.20") },
	} {
		for _, ours := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, renewed by the server %v", name, ours), func(t *testing.T) {
				bubble(t, func(t *testing.T) { moveWaiting(t, move, ours) })
			})
		}
	}
}

func moveWaiting(t *testing.T, move func(*udptest.NAT), ours bool) {
	p := NetworkManager(NetworkManagerOptions{})
	p.ESP.SA, p.ESP.Life, p.ESP.Kilobytes = charonESP(600, espSuite{espAES, 256, espSHA1}), 0, 0
	p.IKE.RekeyOnNATT, p.Odd.Responds = false, true
	w := sim.New(t, sim.Options{})
	nat := w.Net.NAT("198.51.100.8")
	nat.Split(500, "198.51.100.7")
	c := online(t, p, account, nat.Host("192.168.1.10"))
	time.Sleep(10 * time.Second)
	nat.Split(500, "198.51.100.9")
	if err := c.Rephase(); err != nil {
		t.Fatal(err)
	}
	passes(t, w, c, 1)
	move(nat)
	passes(t, w, c, 11)
	if ours {
		time.Sleep(10 * time.Minute)
	} else if err := c.Rekey(); err != nil {
		t.Fatal(err)
	}
	passes(t, w, c, 21)
	if list := w.Server.List(); len(list) != 1 || len(list[0].Sessions) != 1 {
		t.Errorf("there are %d connections", len(list))
	}
	if n := len(sim.All[vpn.ChildUp](w.Events)); n != 2 {
		t.Errorf("%d pairs came up, want two", n)
	}
}

// As a last resort, the server renews the keys of a client whose ports leave from
// different addresses and which has renewed its phase 1. The server needs the parked
// phase 1 for this. Message 3 is slow, or lost. Somebody else who knows the pre-shared
// key may have a phase 1 parked there, too, and gains nothing from it.
func TestTheServerRenewsKeysUnderAPhase1ThatWaits(t *testing.T) {
	for _, lost := range []int{0, 1, 2} {
		for _, addresses := range [][]string{{"198.51.100.7"}, {"198.51.100.7", "198.51.100.9"}} {
			for _, forged := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d lost, %d addresses, forged %v", lost, len(addresses)+1, forged), func(t *testing.T) {
					bubble(t, func(t *testing.T) { renewWaiting(t, lost, addresses, forged) })
				})
			}
		}
	}
}

func renewWaiting(t *testing.T, lost int, addresses []string, forged bool) {
	p := NetworkManager(NetworkManagerOptions{})
	p.ESP.SA, p.ESP.Life, p.ESP.Kilobytes = charonESP(600, espSuite{espAES, 256, espSHA1}), 0, 0
	p.IKE.RekeyOnNATT = false
	p.Odd.Responds, p.Odd.Late, p.Odd.Lost = true, 300*time.Millisecond, lost
	w := sim.New(t, sim.Options{})
	nat := w.Net.NAT("198.51.100.8")
	nat.Split(500, addresses[0])
	c := online(t, p, account, nat.Host("192.168.1.10"))
	w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
	time.Sleep(100 * time.Second)
	nat.Split(500, addresses[len(addresses)-1])
	if err := c.Rephase(); err != nil {
		t.Fatal(err)
	}
	up := 2
	if forged {
		up++
		evil := New(p, account, w.Net.Host("198.51.100.66"), 1, func(string) {})
		defer evil.Vanish()
		waitForged(t, evil, c)
	}
	time.Sleep(400 * time.Second)
	s := &stream{w: w, c: c}
	for range 11000 {
		s.step(10 * time.Millisecond)
	}
	s.want(t, 0)
	if n := len(sim.All[vpn.ChildUp](w.Events)); n != 2 {
		t.Errorf("%d pairs came up, want two", n)
	}
	if n := len(sim.All[vpn.PhaseOneUp](w.Events)); n < up {
		t.Errorf("%d phases 1 came up, want %d at least", n, up)
	}
	if list := w.Server.List(); len(list) != 1 {
		t.Errorf("there are %d connections", len(list))
	}
}

// waitForged makes a phase 1 wait for a victim's connection to which it does not belong.
func waitForged(t *testing.T, evil, victim *Client) {
	t.Helper()
	const mainMode = 2
	main := func(b []byte) bool { return len(b) > 32 && b[0]|b[1]|b[2]|b[3] == 0 && b[4+18] == mainMode }
	evil.own = victim.own
	evil.Via = func(port uint16, b []byte) *udptest.Conn {
		if port == portNATT && main(b) {
			return victim.socks[port]
		}
		return evil.socks[port]
	}
	_ = victim.do(func() {
		victim.Heard = func(port uint16, src netip.AddrPort, b []byte) {
			if main(b) {
				evil.inbox <- datagram{src, port, bytes.Clone(b)}
			}
		}
	})
	if err := evil.do(func() { evil.mainMode(false) }); err != nil {
		t.Fatal(err)
	}
}
