package l2tp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// epoch is when every test begins.
var epoch = time.Unix(1_700_000_000, 0)

// testRand is a reader that is the same in every run.
func testRand(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func testConfig() *Config {
	return &Config{
		HostName: "adit", Window: 4, Sessions: 1, Hello: time.Minute,
		SetupTimeout: 30 * time.Second, CallTimeout: 30 * time.Second,
	}
}

func withSecret(c *Config, s string) *Config {
	c.Secret, c.Challenge = secret.String(s), true
	return c
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("bad hex in the test: %v", err)
	}
	return b
}

func drain(t *Tunnel) []Event {
	var events []Event
	for {
		e, ok := t.NextEvent()
		if !ok {
			return events
		}
		events = append(events, e)
	}
}

// find returns the first event of type E.
func find[E Event](events []Event) (E, bool) {
	for _, e := range events {
		if e, ok := e.(E); ok {
			return e, true
		}
	}
	var none E
	return none, false
}

func count[E Event](events []Event) int {
	n := 0
	for _, e := range events {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}

// wire is a simulated line between a LAC (0) and an LNS (1) that loses,
// repeats and reorders.
type wire struct {
	t      testing.TB
	now    time.Time
	ends   [2]*Tunnel
	events [2][]Event
	sent   [2][][]byte
	flight []parcel
	seq    int
	rng    *rand.Rand
	loss   float64
	dup    float64
	jitter time.Duration
}

type parcel struct {
	at   time.Time
	seq  int
	to   int
	data []byte
}

func newWire(t testing.TB, lac, lns *Config) *wire {
	w := &wire{t: t, now: epoch, rng: rand.New(testRand(7))}
	w.ends[1] = NewLNS(Env{Config: lns, Rand: testRand(1)}, epoch)
	w.ends[0] = NewLAC(Env{Config: lac, Rand: testRand(2)}, epoch)
	return w
}

func (w *wire) collect(i int) {
	for _, e := range drain(w.ends[i]) {
		w.events[i] = append(w.events[i], e)
		if s, ok := e.(Send); ok {
			w.sent[i] = append(w.sent[i], bytes.Clone(s.Data))
			w.post(1-i, s.Data)
		}
	}
}

func (w *wire) post(to int, data []byte) {
	copies := 1
	if w.rng.Float64() < w.dup {
		copies = 2
	}
	for range copies {
		if w.rng.Float64() < w.loss {
			continue
		}
		at := w.now.Add(20 * time.Millisecond)
		if w.jitter > 0 {
			at = at.Add(time.Duration(w.rng.Int64N(int64(w.jitter))))
		}
		w.flight = append(w.flight, parcel{at: at, seq: w.seq, to: to, data: bytes.Clone(data)})
		w.seq++
	}
}

// run lets time pass until done says so, or the limit is reached.
func (w *wire) run(limit time.Duration, done func() bool) bool {
	w.t.Helper()
	w.collect(0)
	w.collect(1)
	end := w.now.Add(limit)
	for !done() {
		best := -1
		for i, p := range w.flight {
			if best < 0 || p.at.Before(w.flight[best].at) || p.at.Equal(w.flight[best].at) && p.seq < w.flight[best].seq {
				best = i
			}
		}
		next := end
		if best >= 0 && w.flight[best].at.Before(next) {
			next = w.flight[best].at
		}
		timer := -1
		for i, t := range w.ends {
			if d := t.Deadline(); !d.IsZero() && d.Before(next) {
				next, timer = d, i
			}
		}
		if next.After(w.now) {
			w.now = next
		}
		switch {
		case timer >= 0:
			w.ends[timer].HandleTimer(w.now)
			w.collect(timer)
			if d := w.ends[timer].Deadline(); !d.IsZero() && !d.After(w.now) {
				w.t.Fatalf("deadline %v is not after %v", d, w.now)
			}
		case best >= 0 && !w.flight[best].at.After(w.now):
			p := w.flight[best]
			w.flight = append(w.flight[:best], w.flight[best+1:]...)
			_ = w.ends[p.to].HandlePacket(w.now, p.data) // a drop is part of the game
			w.collect(p.to)
		default:
			return false
		}
	}
	return true
}

func (w *wire) sessionsUp() bool {
	return count[SessionUp](w.events[0]) > 0 && count[SessionUp](w.events[1]) > 0
}

func (w *wire) closed() bool {
	return w.ends[0].s.ending == gone && w.ends[1].s.ending == gone
}

func (w *wire) describe() string {
	var b strings.Builder
	for i, t := range w.ends {
		fmt.Fprintf(&b, "end %d: %v ending %d sessions %+v channel %+v\n", i, t.s.state, t.s.ending, t.s.sessions, t.s.channel)
	}
	return b.String()
}
