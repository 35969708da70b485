package persona

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// two connects two clients of one kind. It fails the test unless both work, including the
// second while the first leaves.
func two(t *testing.T, w *sim.World, p Profile, a, b *udptest.Host) {
	t.Helper()
	one := online(t, p, account, a)
	other := online(t, p, account, b)
	x, _ := one.Address()
	y, _ := other.Address()
	if x == y {
		t.Fatalf("both have the address %v", x)
	}
	passes(t, w, one, 1)
	passes(t, w, other, 11)
	for _, c := range []*Client{one, other} {
		if err := c.Rekey(); err != nil {
			t.Fatal(err)
		}
	}
	passes(t, w, one, 21)
	passes(t, w, other, 31)
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	time.Sleep(10 * time.Second)
	passes(t, w, other, 41)
	leaves(t, w, other)
}

// Both have the same ports, tunnel ids and message ids.
func TestTwoOfEveryClientShareANAT(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		nat := w.Net.NAT("198.51.100.7")
		two(t, w, p, nat.Host("192.168.1.10"), nat.Host("192.168.1.11"))
	})
}

// They also have the same private address, behind a carrier's NAT.
func TestTwoOfEveryClientHaveOnePrivateAddressBehindACarriersNAT(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		carrier := w.Net.NAT("198.51.100.7")
		two(t, w, p, carrier.NAT("100.64.0.2").Host("192.168.1.10"), carrier.NAT("100.64.0.3").Host("192.168.1.10"))
	})
}

func TestEveryClientIsFollowedWhenItsNATForgets(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		nat := w.Net.NAT("198.51.100.7")
		c := online(t, p, account, nat.Host("192.168.1.10"))
		passes(t, w, c, 1)
		nat.Rebind()
		passes(t, w, c, 11)
		for i, renew := range []func() error{c.Rekey, c.Rephase, c.Rekey} {
			if err := renew(); err != nil {
				t.Errorf("renewal %d of its keys: %v", i, err)
			}
			passes(t, w, c, 21)
		}
		nat.Move("198.51.100.8")
		passes(t, w, c, 31)
		if n := len(sim.All[vpn.Moved](w.Events)); n < 2 {
			t.Errorf("%d moves were seen, want two", n)
		}
		if err := c.Rekey(); err != nil {
			t.Error(err)
		}
		passes(t, w, c, 41)
		if n := len(w.Server.List()); n != 1 {
			t.Errorf("it has %d connections, want one", n)
		}
		leaves(t, w, c)
	})
}

// A client whose cable was pulled comes back at once, from the same address.
func TestEveryClientReturnsAtOnceAfterItsPlugWasPulled(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		h := w.Net.NAT("198.51.100.7").Host("192.168.1.10")
		for n := range uint32(3) {
			c := New(p, account, h, uint64(n), func(rule string) { t.Error(rule) })
			err := c.Dial()
			if err == nil {
				time.Sleep(time.Second)
				passes(t, w, c, 10*n+1)
			}
			c.Vanish()
			if err != nil {
				t.Fatalf("return %d: %v\n%s", n, err, c.Log())
			}
		}
		time.Sleep(5 * time.Minute)
		w.WantNothingLeft(t)
	})
}

// The provider gives the NAT another address in the middle of a session. The client does
// not notice, and renews its phase 1 keys from there.
func TestEveryClientRenewsPhase1FromANewAddress(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		nat := w.Net.NAT("198.51.100.7")
		c := online(t, p, account, nat.Host("192.168.1.10"))
		nat.Move("198.51.100.8")
		passes(t, w, c, 1)
		for n := range uint32(2) {
			if err := c.Rephase(); err != nil {
				t.Fatal(err)
			}
			if err := c.Rekey(); err != nil {
				t.Fatal(err)
			}
			passes(t, w, c, 10*n+11)
		}
		if n := len(w.Server.List()); n != 1 {
			t.Errorf("it has %d connections, want one", n)
		}
		leaves(t, w, c)
	})
}

// A MacBook moves from one network to another, with a private address in each: its
// session continues.
func TestAppleGoesOnFromAnotherNetwork(t *testing.T) {
	for _, p := range []Profile{Apple(AppleOptions{}), named("Apple, split tunnel", Apple(AppleOptions{Split: true})), named("iOS 12", Apple(AppleOptions{OldESP: true}))} {
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { changesNetworks(t, p) })
		})
	}
}

func changesNetworks(t *testing.T, p Profile) {
	books := &accounts{}
	w := sim.New(t, sim.Options{Accountant: books})
	h := w.Net.Host("198.51.100.7")
	c := online(t, p, account, h)
	passes(t, w, c, 1)
	before, _ := c.Address()
	for i, addr := range []string{"203.0.113.9", "198.51.100.7"} {
		h.SetAddr(addr)
		if err := c.Reassert(); err != nil {
			t.Fatalf("from %s: %v", addr, err)
		}
		passes(t, w, c, uint32(10*i+11))
	}
	if after, _ := c.Address(); after != before {
		t.Errorf("its address is %v and was %v", after, before)
	}
	if err := c.Rekey(); err != nil {
		t.Error(err)
	}
	passes(t, w, c, 51)
	if n := len(w.Server.List()); n != 1 {
		t.Errorf("it has %d connections, want one", n)
	}
	if n := w.Server.Counts(); n.Guests != 0 {
		t.Errorf("%d sources are counted as peers without a user", n.Guests)
	}
	if n := len(sim.All[vpn.SessionUp](w.Events)); n != 1 || len(sim.All[vpn.SessionDown](w.Events)) != 0 {
		t.Errorf("%d sessions came up, want one that stays", n)
	}
	if n := len(sim.All[vpn.AuthDone](w.Events)); n != 3 {
		t.Errorf("its user was authenticated %d times, want at first and after each move", n)
	}
	leaves(t, w, c)
	if got := books.statuses(); !slices.Equal(got, []auth.Status{auth.Start, auth.Stop}) {
		t.Errorf("accounting: %v", got)
	}
}

// A different user who has the pre-shared key and knows another user's tunnel id gets
// nothing, and the other user's session continues.
func TestAnotherUsersTunnelCannotBeClaimed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{Backend: auth.NewLocal([]auth.User{
			{Name: sim.User, Password: secret.String(sim.Password)}, {Name: "mallory", Password: secret.String("mischief")},
		})})
		alice := online(t, Apple(AppleOptions{}), account, w.Net.Host("198.51.100.7"))
		theirs := account
		theirs.User, theirs.Password = "mallory", "mischief"
		h := w.Net.Host("203.0.113.66")
		mallory := online(t, Apple(AppleOptions{}), theirs, h)
		mallory.Lossless = false // the server ends its connection

		// The packet with the challenge tells an attacker all other numbers.
		_ = mallory.do(func() {
			t := *alice.tun
			mallory.tun.remote, mallory.tun.local, mallory.tun.session, mallory.tun.distant = t.remote, t.local, t.session, t.distant
		})
		h.SetAddr("203.0.113.67")
		if err := mallory.Reassert(); err == nil {
			t.Error("another's tunnel was handed over")
		}
		time.Sleep(10 * time.Second)
		passes(t, w, alice, 1)
		refused := 0
		for _, e := range sim.All[vpn.AuthDone](w.Events) {
			if e.Verdict == auth.NotAllowed {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%d claims were refused, want one", refused)
		}
	})
}

// accounts stores accounting records.
type accounts struct {
	mu      sync.Mutex
	records []auth.Record
}

func (l *accounts) Account(r auth.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
}

func (l *accounts) statuses() (list []auth.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		list = append(list, r.Status)
	}
	return list
}
