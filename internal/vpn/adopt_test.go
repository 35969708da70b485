package vpn

import (
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// refusals counts the messages that reached an ISAKMP SA and meant nothing to it.
type refusals struct{ n int }

func (r *refusals) Observe(e Event) {
	if p, ok := e.(PacketRefused); ok && p.Layer == LayerIKE {
		r.n++
	}
}

// A client's Quick Mode may arrive while its new phase 1 is on its way to the
// connection that it belongs to.
func TestMessageBeforeItsPhaseOneIsAdoptedIsKept(t *testing.T) {
	seen := &refusals{}
	s := New(Config{Policy: &Policy{IKE: &ike.Policy{Suites: ike.DefaultSuites()[:1]}, HalfOpen: 10, HalfOpenPerSource: 10}, Observer: seen})
	now := time.Unix(1e9, 0)
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.9:4500"), Remote: netip.MustParseAddrPort("192.0.2.1:4500")}
	c, fresh := s.newConn(now, path), s.newConn(now, path)
	p := fresh.addPhase1(ike.Cookies{}, func(e ike.Env) *ike.SA {
		e.Rand = rand.Reader
		return ike.Initiate(e, path, now)
	})
	message := func(cookies ike.Cookies) dataplane.Note {
		msg := make([]byte, 60)
		copy(msg, cookies.Initiator[:])
		copy(msg[8:], cookies.Responder[:])
		msg[16], msg[17], msg[18], msg[27] = 8, 0x10, byte(ike.ExchangeQuick), 60
		return dataplane.Note{Kind: dataplane.NoteIKE, Local: path.Local, Remote: path.Remote, Data: msg}
	}

	s.claim(p.cookies, c) // as join does
	for range 2 * maxEarly {
		c.receive(now, message(p.cookies))
	}
	c.receive(now, message(ike.Cookies{Initiator: [8]byte{7}, Responder: [8]byte{7}}))
	if seen.n != 0 || len(c.early) != maxEarly {
		t.Fatalf("%d messages were refused and %d kept, want none and %d", seen.n, len(c.early), maxEarly)
	}
	c.adopt(now, p, ike.Peer{}, path, nil)
	if seen.n != maxEarly || len(c.early) != 0 {
		t.Errorf("%d messages reached the phase 1 and %d are kept, want %d and none", seen.n, len(c.early), maxEarly)
	}
}
