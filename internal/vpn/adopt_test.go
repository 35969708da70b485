package vpn

import (
	"crypto/rand"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// refusals counts the messages that reached an ISAKMP SA and were refused.
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
	if seen.n != maxEarly+1 || len(c.early) != maxEarly {
		t.Fatalf("%d messages were refused and %d kept, want %d and %d", seen.n, len(c.early), maxEarly+1, maxEarly)
	}
	seen.n = 0
	c.adopt(now, p, ike.Peer{}, path, nil)
	if seen.n != maxEarly || len(c.early) != 0 {
		t.Errorf("%d messages reached the phase 1 and %d are kept, want %d and none", seen.n, len(c.early), maxEarly)
	}
}

// Whatever the timing of a message and the hand-over of its phase 1, the message reaches
// one connection or the other.
func TestNoMessageIsLostWhileAPhaseOneIsHandedOver(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 10, HalfOpenPerSource: 10}})
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.9:4500"), Remote: netip.MustParseAddrPort("192.0.2.1:4500")}
	before, after := s.newConn(time.Time{}, path), s.newConn(time.Time{}, path)
	cookies := ike.Cookies{Initiator: [8]byte{1}, Responder: [8]byte{2}}
	msg := make([]byte, 60)
	msg[0], msg[8], msg[16], msg[17], msg[18], msg[27] = 1, 2, 8, 0x10, byte(ike.ExchangeInformational), 60
	drain := func(c *Conn) (n int) {
		for _, ok := c.takeNote(); ok; _, ok = c.takeNote() {
			n++
		}
		return n
	}
	// A hand-over exactly between finding a connection and delivering to it is rare, so
	// both sides begin together, many times.
	for i := range 20000 {
		s.claim(cookies, before)
		arrived := make(chan struct{})
		go func() {
			defer close(arrived)
			s.IKE(nil, path.Local, path.Remote, true, msg)
		}()
		if i%2 == 0 {
			runtime.Gosched()
		}
		s.claim(cookies, after)
		n := drain(before)
		<-arrived
		if n += drain(after); n != 1 {
			t.Fatalf("hand-over %d: the message came %d times", i, n)
		}
	}
}

// A connection may end while a phase 1 is on its way to it. The messages that waited for
// that phase 1 are dropped with a reason.
func TestMessagesForAConnectionThatEndedMeanwhileAreDroppedByReason(t *testing.T) {
	seen := &refusals{}
	s := New(Config{Policy: &Policy{IKE: &ike.Policy{Suites: ike.DefaultSuites()[:1]}, HalfOpen: 10, HalfOpenPerSource: 10}, Observer: seen})
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.9:4500"), Remote: netip.MustParseAddrPort("192.0.2.1:4500")}
	note := dataplane.Note{Kind: dataplane.NoteIKE, Local: path.Local, Remote: path.Remote, Data: make([]byte, 60)}
	now := time.Unix(1e9, 0)
	for name, end := range map[string]func(c *Conn, p *phase1){
		"before it was handed over": func(c *Conn, p *phase1) {
			c.finish(now, EndPeer)
			s.dismiss(now, p, c, []dataplane.Note{note, note})
		},
		"when it is handed over": func(c *Conn, p *phase1) {
			c.early = []dataplane.Note{note}
			c.ended = true
			c.adopt(now, p, ike.Peer{}, path, []dataplane.Note{note})
		},
		"with messages that came early": func(c *Conn, p *phase1) {
			c.early = []dataplane.Note{note, note}
			c.finish(now, EndPeer)
			s.dismiss(now, p, c, nil)
		},
	} {
		c, fresh := s.newConn(now, path), s.newConn(now, path)
		p := fresh.addPhase1(ike.Cookies{}, func(e ike.Env) *ike.SA {
			e.Rand = rand.Reader
			return ike.Initiate(e, path, now)
		})
		seen.n = 0
		end(c, p)
		if seen.n != 3 { // two messages and the phase 1
			t.Errorf("%s: %d refusals, want 3", name, seen.n)
		}
	}
}
