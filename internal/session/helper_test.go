package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ppp"
)

// noise is a random source that yields the same bytes in every run.
type noise struct{ n uint64 }

func (r *noise) Read(b []byte) (int, error) {
	for i := 0; i < len(b); {
		r.n++
		var seed [8]byte
		binary.BigEndian.PutUint64(seed[:], r.n)
		sum := sha256.Sum256(seed[:])
		i += copy(b[i:], sum[:])
	}
	return len(b), nil
}

// book is a Registry that can report what is in it.
type book struct {
	users map[string]int
	held  map[netip.Prefix]string
	other map[netip.Prefix]string // what other users have
}

func (b *book) Enter(user string, limit int) bool {
	if limit > 0 && b.users[user] >= limit {
		return false
	}
	b.users[user]++
	return true
}

func (b *book) Leave(user string) {
	if b.users[user]--; b.users[user] == 0 {
		delete(b.users, user)
	}
}

func (b *book) Hold(user string, networks []netip.Prefix) error {
	for _, p := range networks {
		for q, other := range b.other {
			if q.Overlaps(p) && other != user {
				return &Overlap{User: user, Network: p, Other: other, Theirs: q}
			}
		}
	}
	b.Keep(user, networks)
	return nil
}

func (b *book) Keep(user string, networks []netip.Prefix) {
	for _, p := range networks {
		b.held[p] = user
	}
}

func (b *book) Unhold(_ string, networks []netip.Prefix) {
	for _, p := range networks {
		delete(b.held, p)
	}
}

// carried is a Traffic.
type carried struct{ Counters }

func (c *carried) Carried() Counters { return c.Counters }

// rig is a session with a client's link at its other end, over a wire without delay. Its
// driver acts on events as a connection does.
type rig struct {
	t       testing.TB
	now     time.Time
	policy  *Policy
	traffic carried
	book    *book
	four    *pool.Pool
	links   *pool.Pool
	routers *pool.Pool
	rand    noise
	grant   auth.Grant // what the backend grants
	usages  Usages
	blocked func() // makes room, if that is possible

	s      *Session
	client *ppp.Link
	cfg    *ppp.Config // of the client
	events []Event     // the session's events, except Send
	sent   int         // len(events) when the last Configure-Ack of IPCP or IPV6CP was sent
	heard  []ppp.Event // the events of the client's link, except Send
	ip     [][]byte    // packets that came to the client
	leads  []netip.Prefix
	deaf   bool // nothing reaches the client

	lost  func() bool // whether the next frame is lost; nil: none is
	slow  time.Duration
	later []delayed // what the driver does after slow has passed
}

// delayed is something that happens at a set time.
type delayed struct {
	at time.Time
	do func()
}

// thaw, if it is set, makes every session of the tests continue as its frozen and thawed
// copy each time its events have been drained. It is passed the frozen state.
var thaw func(state []byte)

// next is the session's next event.
func (r *rig) next() (Event, bool) {
	e, ok := r.s.NextEvent()
	if ok || thaw == nil {
		return e, ok
	}
	state := r.s.Append(nil)
	thaw(state)
	thawed, err := Resume(r.s.env, state)
	if err != nil {
		r.t.Fatal(err)
	}
	*r.s = *thawed
	return nil, false
}

// soon schedules do for when slow has passed.
func (r *rig) soon(do func()) {
	if r.slow == 0 {
		do()
		return
	}
	r.later = append(r.later, delayed{r.now.Add(r.slow), do})
}

const user, password = "alice", "wonderland"

var clientNet = netip.MustParsePrefix("10.83.0.0/24")

func addr(s string) netip.Addr        { return netip.MustParseAddr(s) }
func network(s string) netip.Prefix   { return netip.MustParsePrefix(s) }
func only(s string) []netip.Prefix    { return []netip.Prefix{network(s)} }
func mustTime(s string) (t time.Time) { t, _ = time.Parse(time.DateTime, s); return t }

func newRig(t testing.TB, change ...func(*rig)) *rig {
	t.Helper()
	r := &rig{
		t: t, now: mustTime("2026-01-02 03:04:05"),
		policy: &Policy{
			Networks: []pool.Network{{Prefix: clientNet, Server: addr("10.83.0.1")}},
			Settings: auth.Settings{DNS: []netip.Addr{addr("9.9.9.9")}},
			MTU:      1400,
		},
		book:    &book{users: map[string]int{}, held: map[netip.Prefix]string{}, other: map[netip.Prefix]string{}},
		four:    pool.New([]pool.Range{{First: addr("10.83.0.2"), Last: addr("10.83.0.3")}}),
		links:   pool.New(nil),
		routers: pool.New(nil),
		cfg: &ppp.Config{
			Client: true, MRU: 1400, User: user, Password: secret.String(password), Methods: []ppp.Method{ppp.MethodMSCHAPv2},
		},
	}
	for _, f := range change {
		f(r)
	}
	r.s = New(r.env())
	r.client = ppp.New(ppp.Env{Config: r.cfg, Rand: &r.rand})
	return r
}

func (r *rig) plan() *pool.Plan {
	return &pool.Plan{Networks: r.policy.Networks, Foreign: r.policy.Foreign, Pool: r.four.Leases(), Pool6: r.links.Leases(), Delegate6: r.routers.Leases()}
}

func (r *rig) env() Env {
	return Env{
		Shared: &Shared{Pool: r.four, Pool6: r.links, Delegate6: r.routers, Registry: r.book, Rand: &r.rand, Plan: r.plan, Usages: r.usages},
		PPP: &ppp.Config{
			Name: "adit", MRU: 1400, Methods: []ppp.Method{ppp.MethodMSCHAPv2},
			Echo: 30 * time.Second, EchoFailures: 4, SetupTimeout: 90 * time.Second, AuthTimeout: time.Minute,
		},
		Policy: r.policy, Traffic: &r.traffic,
	}
}

// start brings both ends up, and runs until nothing is left to send.
func (r *rig) start() *rig {
	r.t.Helper()
	r.s.Start(r.now)
	r.client.Start(r.now)
	r.settle()
	return r
}

// settle lets both ends talk until neither has anything left to send.
func (r *rig) settle() {
	r.t.Helper()
	for n := 0; r.step(); n++ {
		if n > 10000 {
			r.t.Fatal("they talk for ever")
		}
	}
}

// step passes one event on, and reports whether there was one.
func (r *rig) step() bool {
	r.t.Helper()
	if e, ok := r.next(); ok {
		r.onSession(e)
		return true
	}
	e, ok := r.client.NextEvent()
	if send, is := e.(ppp.Send); is {
		if r.lost != nil && r.lost() {
			return true
		}
		_ = r.s.HandleFrame(r.now, send.Frame) // the client may send before the server is ready
	} else if ok && !is {
		r.heard = append(r.heard, e)
	}
	return ok
}

func (r *rig) onSession(event Event) {
	r.t.Helper()
	if e, ok := event.(Send); ok {
		if r.deaf || r.lost != nil && r.lost() {
			return
		}
		if e.Frame[2] == 0 { // IPv4 or IPv6
			r.ip = append(r.ip, e.Frame[4:])
			return
		}
		if e.Frame[2] == 0x80 && e.Frame[4] == 2 { // Configure-Ack of a network
			r.sent = len(r.events)
		}
		_ = r.client.HandlePacket(r.now, e.Frame)
		return
	}
	r.record(event)
	switch e := event.(type) {
	case Ask:
		answer, err := r.backend().Authenticate(context.Background(), e.Request)
		if answer.Verdict == auth.Accepted {
			answer.Grant = r.grant
		}
		r.soon(func() { r.s.Verdict(r.now, e.Ticket, Bound{}, answer, err) })
	case Blocked:
		if r.blocked != nil {
			r.blocked()
		}
		r.soon(func() { r.s.Retry(r.now, e.Ticket) })
	case Ended:
		r.end()
	}
}

func (r *rig) backend() auth.Backend {
	return auth.NewLocal([]auth.User{{Name: user, Password: secret.String(password)}, {Name: "bob", Password: secret.String("builder")}})
}

// end does what a driver does with a session that has ended.
func (r *rig) end() {
	drain := func() {
		for e, ok := r.next(); ok; e, ok = r.next() {
			r.record(e)
		}
	}
	r.s.End(r.now, auth.LostCarrier, 0)
	drain()
	r.s.Release()
	drain()
}

// record stores an event. It also checks that the networks that lead to the session are
// held by it.
func (r *rig) record(event Event) {
	r.t.Helper()
	r.events = append(r.events, event)
	e, ok := event.(Route)
	if !ok {
		return
	}
	for _, p := range append(r.leads, e.Networks...) {
		if r.book.held[p] == "" {
			r.t.Errorf("%v leads to the session, and anybody can have it", p)
		}
	}
	r.leads = e.Networks
}

// pass lets time pass, and does everything that becomes due meanwhile.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	for end := r.now.Add(d); ; {
		next := machine.Earliest(r.s.Deadline(), r.client.Deadline())
		if len(r.later) > 0 {
			next = machine.Earliest(next, r.later[0].at)
		}
		if next.IsZero() || next.After(end) {
			r.now = end
			return
		}
		r.now = machine.Earliest(next, end)
		r.s.HandleTimer(r.now)
		r.client.HandleTimer(r.now)
		r.settle()
		for len(r.later) > 0 && !r.now.Before(r.later[0].at) {
			do := r.later[0].do
			r.later = r.later[1:]
			do()
			r.settle()
		}
	}
}

// all are the events of a kind.
func all[E Event](r *rig) (list []E) {
	for _, e := range r.events {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

// one is the only event of a kind.
func one[E Event](r *rig) E {
	r.t.Helper()
	list := all[E](r)
	if len(list) != 1 {
		r.t.Fatalf("%d events of %T, want 1:\n%s", len(list), *new(E), r.story())
	}
	return list[0]
}

// noted reports whether there was one Note of a kind.
func (r *rig) noted(kind string) bool {
	n := 0
	for _, e := range all[Note](r) {
		if e.Kind == kind {
			n++
		}
	}
	return n == 1
}

// story lists the kinds of the events, for people.
func (r *rig) story() (text string) {
	for _, e := range r.events {
		text += fmt.Sprintf("%T\n", e)
	}
	return text
}

// isFree fails the test if the session left anything behind.
func (r *rig) isFree() {
	r.t.Helper()
	if n := r.four.InUse() + r.links.InUse() + r.routers.InUse(); n != 0 || len(r.book.users)+len(r.book.held) != 0 {
		r.t.Errorf("left are %d leases, sessions of %v, and %v", n, r.book.users, r.book.held)
	}
}
