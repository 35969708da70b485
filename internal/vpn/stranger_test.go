package vpn

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/gate"
)

func stranger(s *Server, from string) *Conn {
	return s.newConn(time.Time{}, ike.Path{Remote: netip.MustParseAddrPort(from)})
}

func evicted(c *Conn) bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// A flood of third messages from one source evicts its own connections, not those of
// honest clients.
func TestAFloodFromOneSourceEvictsOnlyItsOwn(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 100, HalfOpenPerSource: 10}})
	honest := stranger(s, "192.0.2.1:4500")
	flood := make([]*Conn, 1000)
	for i := range flood {
		flood[i] = stranger(s, "198.51.100.1:4500")
	}
	if evicted(honest) {
		t.Error("the honest client was evicted")
	}
	for i, c := range flood {
		if evicted(c) != (i < len(flood)-10) {
			t.Fatalf("stranger %d: evicted = %v", i, evicted(c))
		}
	}
	if n := s.Counts().Strangers; n != 11 {
		t.Errorf("%d strangers, want 11", n)
	}
	for _, c := range flood {
		s.forget(c)
	}
	if n := s.Counts().Strangers; n != 1 || len(s.strangers.Origins()) != 2 {
		t.Errorf("%d strangers of %d prefixes remain, want the honest one and its network", n, len(s.strangers.Origins()))
	}
}

// A client that comes alone survives a flood from many sources.
func TestAFloodFromManySourcesEvictsItsOwnFirst(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 100, HalfOpenPerSource: 10}})
	honest := stranger(s, "192.0.2.1:4500")
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 60)})
		stranger(s, netip.AddrPortFrom(a, 4500).String())
	}
	if evicted(honest) {
		t.Error("the honest client was evicted")
	}
	if n := s.Counts().Strangers; n != 100 {
		t.Errorf("%d strangers, want 100", n)
	}
}

// An evicted stranger no longer waits for processor time. Otherwise a flood would gather
// goroutines without bound, and honest clients would queue behind them.
func TestAnEvictedStrangerLeavesTheGate(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 1, HalfOpenPerSource: 1}})
	somebodyElse := netip.MustParseAddr("192.0.2.1")
	for range s.gate.Tokens() {
		if _, err := s.gate.Enter(gate.Cheap, somebodyElse, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	c := stranger(s, "198.51.100.1:4500")
	entered := make(chan bool)
	go func() {
		_, err := s.gate.Enter(gate.Cheap, c.path.Remote.Addr(), false, c.gone)
		entered <- err == nil
	}()
	stranger(s, "198.51.100.2:4500")
	if <-entered {
		t.Error("an evicted stranger got a token")
	}
}

// The messages that wait for strangers are bounded in bytes, too: there can be as many
// strangers as limits.half_open, all waiting at the gate, with messages of 16 KB each.
func TestTheInboxIsBoundedInBytes(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 1, HalfOpenPerSource: 1}})
	c := stranger(s, "198.51.100.1:4500")
	large := dataplane.Note{Kind: dataplane.NoteIKE, Data: make([]byte, maxIKEMessage)}
	held := 0
	for range inboxSize {
		if c.Deliver(large) {
			held += len(large.Data)
		}
	}
	if held == 0 || held > inboxBytes {
		t.Errorf("%d bytes wait, want at most %d", held, inboxBytes)
	}
	if small := (dataplane.Note{Kind: dataplane.NoteFirstUse, SPI: 1}); !c.Deliver(small) {
		t.Error("a note without data was lost")
	}
	// Taking a note out makes room; small notes are dropped only because of their number.
	for _, ok := c.takeNote(); ok; _, ok = c.takeNote() {
	}
	for i := range inboxSize {
		if !c.Deliver(dataplane.Note{Kind: dataplane.NoteControl, Data: make([]byte, 1500)}) {
			t.Fatalf("packet %d was lost", i)
		}
	}
	if c.Deliver(dataplane.Note{Kind: dataplane.NoteControl, Data: make([]byte, 100)}) || c.queued.Load() != inboxSize*1500 {
		t.Errorf("beyond %d notes: %d bytes are counted", inboxSize, c.queued.Load())
	}
}
