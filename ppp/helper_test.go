package ppp

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/secret"
)

// epoch is when every test begins.
var epoch = time.Unix(1_700_000_000, 0)

// testRand is a reader that is the same in every run.
func testRand(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func serverConfig(methods ...Method) *Config {
	return &Config{
		Name: "adit", MRU: 1400, Methods: methods,
		Echo: 20 * time.Second, EchoFailures: 3,
		SetupTimeout: time.Minute, AuthTimeout: 25 * time.Second,
	}
}

func clientConfig(user, password string, methods ...Method) *Config {
	return &Config{
		MRU: 1400, Methods: methods, Client: true, User: user, Password: secret.String(password),
		SetupTimeout: time.Minute,
	}
}

var testNetwork = Network{
	Local: netip.MustParseAddr("10.83.0.1"), Peer: netip.MustParseAddr("10.83.0.10"),
	DNS: []netip.Addr{netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("1.1.1.1")},
}

// judge is the backend of the tests: one password, checked by each method's
// own arithmetic.
func judge(r AuthRequest, password string) AuthAnswer {
	ok := AuthAnswer{OK: true, Network: testNetwork, Network6: Network6{On: strings.Contains(r.User, "6")}}
	switch r.Method {
	case MethodPAP:
		if r.Password.Equal(secret.String(password)) {
			return ok
		}
	case MethodCHAP:
		sum := md5.Sum(append(append([]byte{r.ID}, password...), r.Challenge...))
		if bytes.Equal(sum[:], r.Response) {
			return ok
		}
	case MethodMSCHAPv2:
		user := []byte(r.User[strings.LastIndexByte(r.User, '\\')+1:])
		peer, nt := r.Response[:16], r.Response[24:48]
		want, err := rfc2759.GenerateNTResponse(r.Challenge, peer, user, []byte(password))
		if err == nil && bytes.Equal(want, nt) {
			ok.Success, _ = rfc2759.GenerateAuthenticatorResponse(r.Challenge, peer, nt, user, []byte(password))
			return ok
		}
	}
	return AuthAnswer{}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("bad hex in the test: %v", err)
	}
	return b
}

// drain returns all pending events.
func drain(l *Link) []Event {
	var events []Event
	for {
		e, ok := l.NextEvent()
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

// wire is a simulated line between two links that loses, repeats and reorders.
type wire struct {
	t        testing.TB
	now      time.Time
	ends     [2]*Link
	events   [2][]Event
	flight   []parcel
	seq      int
	rng      *rand.Rand
	loss     float64
	dup      float64
	jitter   time.Duration
	password string
	slow     time.Duration // of the backend
	pad      []byte        // behind every frame
}

type parcel struct {
	at    time.Time
	seq   int
	to    int
	frame []byte
	auth  *AuthRequest
}

const latency = 20 * time.Millisecond

func newWire(t testing.TB, server, client *Config) *wire {
	return &wire{
		t: t, now: epoch, rng: rand.New(testRand(7)), password: "clientPass",
		ends: [2]*Link{
			New(Env{Config: server, Rand: testRand(1)}),
			New(Env{Config: client, Rand: testRand(2)}),
		},
	}
}

// measured tells both ends how long the line is.
func (w *wire) measured() {
	for _, l := range w.ends {
		l.env.RoundTrip = 2 * latency
	}
}

func (w *wire) start() {
	for i, l := range w.ends {
		l.Start(w.now)
		w.collect(i)
	}
}

// collect drains one end, and puts its frames on the line.
func (w *wire) collect(i int) {
	for _, e := range drain(w.ends[i]) {
		w.events[i] = append(w.events[i], e)
		switch e := e.(type) {
		case Send:
			w.post(parcel{to: 1 - i, frame: append(bytes.Clone(e.Frame), w.pad...)})
		case AuthRequest:
			w.flight = append(w.flight, parcel{at: w.now.Add(w.slow), seq: w.seq, to: i, auth: &e})
			w.seq++
		}
	}
}

func (w *wire) post(p parcel) {
	copies := 1
	if w.rng.Float64() < w.dup {
		copies = 2
	}
	for range copies {
		if w.rng.Float64() < w.loss {
			continue
		}
		p.at = w.now.Add(latency)
		if w.jitter > 0 {
			p.at = p.at.Add(time.Duration(w.rng.Int64N(int64(w.jitter))))
		}
		p.seq = w.seq
		w.seq++
		w.flight = append(w.flight, p)
	}
}

// run lets time pass until done says so, or the limit is reached.
func (w *wire) run(limit time.Duration, done func() bool) bool {
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
		for i, l := range w.ends {
			if d := l.Deadline(); !d.IsZero() && d.Before(next) {
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
			if d := w.ends[timer].Deadline(); !d.IsZero() && d.Before(w.now) {
				w.t.Fatalf("deadline %v stays in the past", d)
			}
		case best >= 0 && !w.flight[best].at.After(w.now):
			p := w.flight[best]
			w.flight = append(w.flight[:best], w.flight[best+1:]...)
			w.deliver(p)
		default:
			return false
		}
	}
	return true
}

func (w *wire) deliver(p parcel) {
	l := w.ends[p.to]
	if p.auth != nil {
		l.HandleAuth(w.now, p.auth.Ticket, judge(*p.auth, w.password))
	} else {
		// A frame that is dropped is part of the game here.
		_ = l.HandlePacket(w.now, p.frame)
	}
	w.collect(p.to)
}

// up tells whether both ends have a network.
func (w *wire) up() bool { return w.ends[0].s.ipcp.up && w.ends[1].s.ipcp.up }

// up6 tells whether both ends have both networks.
func (w *wire) up6() bool { return w.up() && w.ends[0].s.ipv6cp.up && w.ends[1].s.ipv6cp.up }

// down tells whether both ends are done.
func (w *wire) down() bool {
	return w.ends[0].s.phase == phaseDone && w.ends[1].s.phase == phaseDone
}

func (w *wire) describe() string {
	var b strings.Builder
	for i, l := range w.ends {
		fmt.Fprintf(&b, "end %d: phase %d lcp %v ipcp %v ipv6cp %v auth %+v\n", i, l.s.phase,
			l.s.lcp.automaton.state, l.s.ipcp.automaton.state, l.s.ipv6cp.automaton.state, l.s.auth)
	}
	return b.String()
}

func newRand(seed byte) *rand.Rand { return rand.New(testRand(seed)) }
