package vpn

import (
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// A peer that has only proved the key ends no later than two setup times after that,
// whatever it does and however often. A user stops that time, and it begins anew when the
// user has left.
func TestNothingExtendsTheTimeToBringAUser(t *testing.T) {
	for name, again := range map[string]func(c *Conn, now time.Time){
		"StopCCN":                   func(c *Conn, now time.Time) { c.idle(now, EndPeer) },
		"a call that ends":          func(c *Conn, now time.Time) { c.idle(now, EndLost) },
		"new keys, a new tunnel":    func(c *Conn, now time.Time) { c.stay(now) },
		"first traffic":             func(c *Conn, now time.Time) { c.carried = false; c.carry(now) },
		"StopCCN and a new tunnel":  func(c *Conn, now time.Time) { c.idle(now, EndPeer); c.stay(now) },
		"lost keys, and new ones":   func(c *Conn, now time.Time) { c.fade(now); c.stay(now) },
		"coming back to a goodbye":  func(c *Conn, now time.Time) { c.drain, c.why = now.Add(time.Second), EndSetup; c.resume(now) },
		"a user who was never here": func(c *Conn, now time.Time) { c.miss(now); c.hurry(now) },
	} {
		s := New(Config{Policy: &Policy{HalfOpen: 1, HalfOpenPerSource: 1, SetupTimeout: time.Minute}})
		c := stranger(s, "198.51.100.1:4500")
		began := time.Unix(1e9, 0)
		c.miss(began)
		c.hurry(began)
		now := began
		for range 40 {
			now = now.Add(5 * time.Second)
			if due(c.setup, now) || due(c.linger, now) || !c.drain.IsZero() && due(c.last, now) {
				break
			}
			again(c, now)
		}
		if took := now.Sub(began); took > 2*time.Minute+5*time.Second {
			t.Errorf("%s: it lasts %v without a user", name, took)
		}
		c.welcome()
		if !c.setup.IsZero() || !c.last.IsZero() || !c.served {
			t.Errorf("%s: a user is there, and a deadline too", name)
		}
		c.miss(now)
		c.stay(now)
		if c.setup.IsZero() || c.setup.After(now.Add(2*time.Minute)) {
			t.Errorf("%s: the user left, and another has until %v", name, c.setup)
		}
	}
}

// A question to the backend takes nothing of the peer's time, up to the time of one question
// in all: who asks again and again gets no more.
func TestQuestionsTakeNothingOfTheTimeToBringAUser(t *testing.T) {
	for name, tt := range map[string]struct {
		each, limit time.Duration
	}{
		"answered at once":       {0, 2 * time.Minute},
		"answered after a while": {7 * time.Second, 2*time.Minute + 50*time.Second},
		"never answered in time": {50 * time.Second, 2*time.Minute + 50*time.Second},
	} {
		s := New(Config{Policy: &Policy{HalfOpen: 1, HalfOpenPerSource: 1, SetupTimeout: time.Minute, AuthTimeout: 50 * time.Second}})
		c := stranger(s, "198.51.100.1:4500")
		began := time.Unix(1e9, 0)
		c.miss(began)
		c.hurry(began)
		now := began.Add(55 * time.Second)
		if answered := c.lend(now, 50*time.Second); due(c.setup, now.Add(50*time.Second)) {
			t.Errorf("%s: the first question is cut off", name)
		} else {
			answered(now)
		}
		for !due(c.setup, now) && now.Sub(began) < time.Hour {
			answered := c.lend(now, 50*time.Second)
			for end := now.Add(tt.each); now.Before(end) && !due(c.setup, now); {
				now = now.Add(time.Second)
			}
			if due(c.setup, now) {
				break
			}
			answered(now)
			now = now.Add(time.Second)
		}
		if took := now.Sub(began); (took - tt.limit).Abs() > 2*time.Second {
			t.Errorf("%s: it lasts %v without a user, want %v", name, took, tt.limit)
		}
		c.welcome()
		c.lend(now, time.Minute)(now.Add(time.Minute))
		if !c.setup.IsZero() || !c.last.IsZero() {
			t.Errorf("%s: a user is there, and a deadline too", name)
		}
	}
}

// The server learns the address that a client dialled only once the client has a user.
func TestOnlyUsersTeachTheServerItsAddress(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 1, HalfOpenPerSource: 1}})
	c := stranger(s, "198.51.100.1:4500")
	c.kids.sending = &pair{Child: ike.Child{LocalID: c.path.Remote.Addr()}}
	if n := len(s.dialled()); n != 0 {
		t.Errorf("%d addresses are learnt of a peer without a user", n)
	}
	c.welcome()
	if n := len(s.dialled()); n != 1 {
		t.Errorf("%d addresses are learnt of a user's client, want 1", n)
	}
}
