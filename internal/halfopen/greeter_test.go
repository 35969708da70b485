package halfopen

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/gate"
	"github.com/adit-vpn/adit/internal/secret"
)

// world is the environment of a Greeter: connections that only record what they were
// asked, and an observer.
type world struct {
	policy     *ike.Policy
	sent       [][]byte // by Run's goroutine
	answers    int      // including those sent at once
	began      []Handshake
	routes     map[ike.Cookies]Route
	passed     int
	dropped    []error
	refused    []error
	groups     []string
	unanswered int
}

func (w *world) Routed(c ike.Cookies) (Route, bool) { to, ok := w.routes[c]; return to, ok }

func (w *world) Pass(c ike.Cookies, _ ike.Path, _ []byte) bool {
	_, ok := w.routes[c]
	if ok {
		w.passed++
	}
	return ok
}

func (w *world) Begin(now time.Time, h Handshake) {
	w.began = append(w.began, h)
	w.routes[h.Embryo.Cookies] = Route{Began: now, Negotiates: true}
}

func (w *world) Dropped(_ ike.Path, why error)                       { w.dropped = append(w.dropped, why) }
func (w *world) Refused(_ ike.Path, why error)                       { w.refused = append(w.refused, why) }
func (w *world) GroupUnknown(_ ike.Path, _ ike.ClientKind, g string) { w.groups = append(w.groups, g) }
func (w *world) Unanswered(ike.Path, ike.ClientKind)                 { w.unanswered++ }
func (w *world) Panicked(_ ike.Path, v any, stack []byte)            { panic(string(stack)) }

func newWorld(aggressive bool) (*world, *Greeter) {
	w := &world{routes: map[ike.Cookies]Route{}, policy: &ike.Policy{
		Suites: ike.DefaultSuites(), ESP: ike.DefaultESP(), VendorIDs: ike.DefaultVendorIDs(), Aggressive: aggressive,
		PSKs: []ike.PSK{{Name: "main", Key: secret.String("correct horse battery")}},
	}}
	return w, New(Config{
		Policy: func() *ike.Policy { return w.policy }, Rand: rand.Reader, Gate: gate.New(), Connections: w, Observer: w,
		Send:    func(_ ike.Path, msg []byte) { w.sent = append(w.sent, msg) },
		Records: 64, Bytes: 1 << 20,
	})
}

// run runs f with a running Greeter, in a synctest bubble.
func run(t *testing.T, aggressive bool, f func(t *testing.T, w *world, g *Greeter)) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(aggressive)
		go g.Run(t.Context())
		f(t, w, g)
	})
}

var (
	serverPath = ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:500"), Remote: netip.MustParseAddrPort("198.51.100.1:500")}
	clientPath = ike.Path{Local: serverPath.Remote, Remote: serverPath.Local}
)

// client is an initiator and the messages that it has sent.
type client struct {
	sa  *ike.SA
	out [][]byte
}

func newClient(p *ike.Policy) *client {
	c := &client{sa: ike.Initiate(ike.Env{Policy: p, Rand: rand.Reader, NewSPI: func() uint32 { return 1 << 20 }}, clientPath, time.Now())}
	c.drain()
	return c
}

func (c *client) drain() {
	for {
		e, ok := c.sa.NextEvent()
		if !ok {
			return
		}
		if send, ok := e.(ike.Send); ok {
			c.out = append(c.out, bytes.Clone(send.Data))
		}
	}
}

// receive passes a message to the Greeter, and returns what it answers at once and later.
func (w *world) receive(t *testing.T, g *Greeter, msg []byte) (atOnce, later []byte) {
	t.Helper()
	h, err := ike.Peek(msg)
	if err != nil {
		t.Fatal(err)
	}
	n := len(w.sent)
	atOnce = g.Receive(nil, time.Now(), serverPath, h.Cookies, msg)
	synctest.Wait()
	if len(w.sent) > n {
		later = w.sent[n]
	}
	if len(atOnce)+len(later) > 0 {
		w.answers++
	}
	return atOnce, later
}

// shake takes a client as far as message 3, and reports whether message 1 was answered at
// once.
func (w *world) shake(t *testing.T, g *Greeter, c *client) (atOnce bool) {
	t.Helper()
	now, later := w.receive(t, g, c.out[0])
	reply := append(now, later...)
	if len(reply) == 0 {
		t.Fatalf("message 1 is not answered: %v %v", w.dropped, w.refused)
	}
	if err := c.sa.HandlePacket(time.Now(), clientPath, reply); err != nil {
		t.Fatal(err)
	}
	c.drain()
	w.receive(t, g, c.out[1])
	return len(now) > 0
}

// A third message begins a connection with everything from the messages before it, even
// where nothing was kept of the first message.
func TestAHandshakeIsHandedOverWhole(t *testing.T) {
	for name, aggressive := range map[string]bool{"Main Mode": false, "Aggressive Mode": true} {
		t.Run(name, func(t *testing.T) {
			run(t, aggressive, func(t *testing.T, w *world, g *Greeter) {
				// The first messages of a kind that led to a user are answered by Run,
				// which prepares the answer. The next ones are answered at once.
				for i, want := range []bool{false, false, true, true} {
					c := newClient(w.policy)
					if at := w.shake(t, g, c); at != (want && !aggressive) {
						t.Errorf("client %d: answered at once: %v", i, at)
					}
					if len(w.began) != i+1 {
						t.Fatalf("client %d: %d connections begin", i, len(w.began))
					}
					h := w.began[i]
					if !bytes.Equal(h.First, c.out[0]) || !bytes.Equal(h.Third, c.out[1]) || h.Path != serverPath || h.Embryo.Cookies != c.sa.Cookies() {
						t.Errorf("client %d is handed over as %+v", i, h)
					}
					if g.Live() != 0 {
						t.Errorf("client %d: %d embryos are left", i, g.Live())
					}
					g.Learn(h.First)
				}
				if len(w.dropped)+len(w.refused)+w.unanswered+len(w.groups) != 0 {
					t.Errorf("somebody was told of %v, %v, %v, %d", w.dropped, w.refused, w.groups, w.unanswered)
				}
			})
		})
	}
}

// What leads to no connection is reported once, with the reason, whether first messages
// of that kind are known or not.
func TestEveryDropHasItsReason(t *testing.T) {
	again := func(w *world, g *Greeter, t *testing.T, n int) {
		c := newClient(w.policy)
		w.shake(t, g, c)
		w.receive(t, g, c.out[n])
	}
	for name, v := range map[string]struct {
		do               func(w *world, g *Greeter, t *testing.T)
		dropped, refused []error
		passed, answers  int
	}{
		"a cookie that is not ours": {func(w *world, g *Greeter, t *testing.T) {
			msg := newClient(w.policy).out[0]
			msg[8] = 0x80
			w.receive(t, g, msg)
		}, []error{ErrUnknownSA}, nil, 0, 0},
		"message 1 again, at once": {func(w *world, g *Greeter, t *testing.T) { again(w, g, t, 0) }, []error{ErrLate}, nil, 0, 1},
		"message 1 again, before message 3": {func(w *world, g *Greeter, t *testing.T) {
			c := newClient(w.policy)
			w.receive(t, g, c.out[0])
			w.receive(t, g, c.out[0])
		}, nil, nil, 0, 2},
		"message 1 again, where ESP is up": {func(w *world, g *Greeter, t *testing.T) {
			c := newClient(w.policy)
			w.shake(t, g, c)
			w.routes[w.began[0].Embryo.Cookies] = Route{Began: time.Now()}
			w.receive(t, g, c.out[0])
		}, nil, nil, 0, 2},
		"message 1 again, later": {func(w *world, g *Greeter, t *testing.T) {
			c := newClient(w.policy)
			w.shake(t, g, c)
			time.Sleep(lateCopy)
			w.receive(t, g, c.out[0])
		}, nil, nil, 0, 2},
		"message 3 again": {func(w *world, g *Greeter, t *testing.T) { again(w, g, t, 1) }, nil, nil, 1, 1},
		"Aggressive Mode that is not allowed": {func(w *world, g *Greeter, t *testing.T) {
			p := *w.policy
			p.Aggressive = true
			w.receive(t, g, newClient(&p).out[0])
		}, nil, []error{ike.ErrAggressive}, 0, 1},
	} {
		for _, known := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, known: %v", name, known), func(t *testing.T) {
				run(t, false, func(t *testing.T, w *world, g *Greeter) {
					if known {
						msg := newClient(w.policy).out[0]
						g.Learn(msg)
						g.prepare(time.Now(), serverPath, msg)
					}
					v.do(w, g, t)
					same := func(a, b error) bool { return errors.Is(a, b) }
					if !slices.EqualFunc(w.dropped, v.dropped, same) || !slices.EqualFunc(w.refused, v.refused, same) {
						t.Errorf("dropped: %v, refused: %v; want %v, %v", w.dropped, w.refused, v.dropped, v.refused)
					}
					if w.passed != v.passed || w.answers != v.answers {
						t.Errorf("%d are passed on, %d answered; want %d, %d", w.passed, w.answers, v.passed, v.answers)
					}
				})
			})
		}
	}
}

// An embryo is valid for a limited time only, and so is a cookie that contains a known
// first message.
func TestAThirdMessageMayComeTooLate(t *testing.T) {
	for known, most := range map[bool]time.Duration{false: embryoLife, true: 2 * cookieEpoch} {
		for _, after := range []time.Duration{embryoLife / 2, most + time.Second} {
			run(t, false, func(t *testing.T, w *world, g *Greeter) {
				c := newClient(w.policy)
				if known {
					g.Learn(c.out[0])
					g.prepare(time.Now(), serverPath, c.out[0])
				}
				now, later := w.receive(t, g, c.out[0])
				if err := c.sa.HandlePacket(time.Now(), clientPath, append(now, later...)); err != nil {
					t.Fatal(err)
				}
				c.drain()
				time.Sleep(after)
				w.receive(t, g, c.out[1])
				want := 1
				if after > most {
					want = 0
				}
				if len(w.began) != want || len(w.dropped) != 1-want || want == 0 && !errors.Is(w.dropped[0], ErrUnknownSA) {
					t.Errorf("known: %v, after %v: %d begin, dropped: %v", known, after, len(w.began), w.dropped)
				}
			})
		}
	}
}

// The queues are bounded. A client that repeats its message has a place that a flood does
// not have, and so does a peer that returns a cookie.
func TestAFloodLeavesRoomForWhoComesAgain(t *testing.T) {
	w, g := newWorld(false)
	msg := newClient(w.policy).out[0]
	from := func(i int) ike.Path {
		p := serverPath
		p.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 500)
		return p
	}
	receive := func(p ike.Path, responder [8]byte) {
		g.Receive(nil, time.Now(), p, ike.Cookies{Initiator: [8]byte(msg), Responder: responder}, msg)
	}
	for i := range 2 * queueSize {
		receive(from(i), [8]byte{})
	}
	if len(g.first) != queueSize || len(g.second)+len(g.third) != 0 || len(w.dropped) != queueSize {
		t.Fatalf("%d, %d and %d wait, %d are dropped", len(g.first), len(g.second), len(g.third), len(w.dropped))
	}
	receive(from(2*queueSize-1), [8]byte{}) // this message found no room before
	receive(serverPath, g.cookie(serverPath, [8]byte(msg)))
	if len(g.second) != 1 || len(g.third) != 1 || len(w.dropped) != queueSize {
		t.Errorf("%d that come again and %d third messages wait, %d are dropped", len(g.second), len(g.third), len(w.dropped))
	}
	for i := range 2 * queueSize {
		receive(from(i), [8]byte{})
	}
	for _, why := range w.dropped {
		if !errors.Is(why, ErrBusy) {
			t.Errorf("dropped: %v", why)
		}
	}
}

// The answer to a known first message keeps no record. It allocates only the two blocks
// that the ciphers need.
func BenchmarkKnownFirstMessage(b *testing.B) {
	w, g := newWorld(false)
	msg := newClient(w.policy).out[0]
	g.Learn(msg)
	g.prepare(time.Now(), serverPath, msg)
	buf, now := make([]byte, 0, 2048), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if len(g.Receive(buf, now, serverPath, ike.Cookies{Initiator: [8]byte(msg)}, msg)) == 0 {
			b.Fatal("it is not answered")
		}
	}
}
