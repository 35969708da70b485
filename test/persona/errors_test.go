package persona

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// fails connects a client that must be refused, and returns the reason. Five minutes
// later the server must hold nothing of it.
func fails(t *testing.T, w *sim.World, p Profile, a Account) (Stats, error) {
	t.Helper()
	c := start(t, p, a, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
	c.Lossless = true
	err := c.Dial()
	if err == nil {
		t.Fatal("it got in")
	}
	s := c.Stats()
	time.Sleep(5 * time.Minute)
	if n := w.Server.Counts(); n != (vpn.Counts{}) {
		t.Errorf("the server still holds %+v", n)
	}
	return s, err
}

// tells fails the test unless the server's events say what happened, at most once for
// each message of the client.
func tells(t *testing.T, w *sim.World, text string) {
	t.Helper()
	var found []string
	for _, e := range w.Events.Everything() {
		if s := fmt.Sprintf("%T %+v", e, e); strings.Contains(s, text) {
			found = append(found, s)
		}
	}
	if len(found) == 0 || len(found) > 10 {
		t.Errorf("%d events say %q:\n%s", len(found), text, strings.Join(found, "\n"))
	}
}

// With a wrong key, message 5 cannot be read, and nobody may be told which keys are
// valid. So the client gets no answer, and tells its user that the server does not answer
// (Windows: error 789 or 809).
func TestEveryClientWithAWrongPresharedKeyHearsNothing(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		a := account
		a.PSK = "another pre-shared key"
		s, err := fails(t, w, p, a)
		var g *GaveUp
		if !errors.As(err, &g) || !strings.Contains(g.What, "message 5") || len(s.Notifies) > 0 {
			t.Errorf("it ended with %v, and heard %v", err, s.Notifies)
		}
		tells(t, w, "no pre-shared key fits")
	})
}

// A router of 2010 offers only 3DES and MD5. It is told at once.
func TestEveryClientIsToldThatItsSuitesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		p.IKE.SA = phase1SA(phase1Attributes(28800, ike3DES, 0, 1, ikeMD5, 2))
		s, err := fails(t, w, p, account)
		if !slices.Equal(s.Notifies, []uint16{wire.NoProposalChosen}) {
			t.Errorf("it ended with %v, and heard %v, want NO-PROPOSAL-CHOSEN", err, s.Notifies)
		}
		tells(t, w, "no acceptable proposal among [3DES-MD5-MODP1024]")
	})
}

func TestEveryClientIsToldThatItsCiphersOfESPAreRefused(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		p.ESP.SA = kameESP(3600, []espCipher{{3, 0}}, []uint16{espMD5})
		s, err := fails(t, w, p, account)
		if !slices.Equal(s.Notifies, []uint16{wire.NoProposalChosen}) {
			t.Errorf("it ended with %v, and heard %v, want NO-PROPOSAL-CHOSEN", err, s.Notifies)
		}
		tells(t, w, "Why:no acceptable proposal Notify:14 Offered:[3DES/MD5-96]")
	})
}

// The refusal is lost once, and the client asks again. It is told all the same.
func TestEveryClientIsToldAgainThatItsCiphersOfESPAreRefused(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		var lost atomic.Bool
		w.Net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
			const exchange = 4 + 18 // after the non-ESP marker
			refusal := d.Src.Addr() == account.Server && len(d.Data) > exchange && d.Data[exchange] == wire.Informational
			return refusal && lost.CompareAndSwap(false, true)
		}})
		p.ESP.SA = kameESP(3600, []espCipher{{3, 0}}, []uint16{espMD5})
		s, err := fails(t, w, p, account)
		if !slices.Equal(s.Notifies, []uint16{wire.NoProposalChosen}) || !lost.Load() {
			t.Errorf("it ended with %v, and heard %v, want NO-PROPOSAL-CHOSEN", err, s.Notifies)
		}
		if n := len(sim.All[vpn.ChildFailed](w.Events)); n != 1 {
			t.Errorf("%d lines say so, want one", n)
		}
	})
}

// Windows shows the code in CHAP's Failure: 691, "the user name or password is wrong".
func TestEveryClientIsToldThatItsPasswordIsWrong(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		a := account
		a.Password = "wrong"
		s, err := fails(t, w, p, a)
		if !strings.HasPrefix(s.ChapFailure, "E=691 R=0 ") {
			t.Errorf("it ended with %v, and heard %q", err, s.ChapFailure)
		}
		tells(t, w, "Name:alice Verdict:wrong user name or password Detail:wrong password")
	})
}

// Most clients treat every CHAP Failure as a wrong password, and ask for it again. So a
// user for whom no address is left passes authentication, and is then told why the link
// ends.
func TestEveryClientIsToldThatNoAddressIsLeft(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{Addresses: "10.83.0.0/30"}) // the server's own and one more
		first := online(t, p, account, w.Net.Host("198.51.100.9"))
		c := start(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		err := c.Dial()
		if s := c.Stats(); s.ChapFailure != "" || err == nil || !strings.Contains(err.Error(), `terminated LCP: "no address is left for another client"`) {
			t.Errorf("it ended with %v, and heard %q", err, s.ChapFailure)
		}
		tells(t, w, "Name:alice Verdict:no address left Detail:no address left in the pool")
		passes(t, w, first, 1)
	})
}
