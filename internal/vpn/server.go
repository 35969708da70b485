package vpn

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/pool"
)

// Config is what a Server works with. All of it outlives the server.
type Config struct {
	Policy     *Policy
	Backend    auth.Backend
	Accountant auth.Accountant // nil: no accounting
	Pool       *pool.Pool
	Pool6      *pool.Pool // of addresses, or of a /64 for each session; nil: empty
	Delegate6  *pool.Pool // of prefixes for networks behind clients; nil: empty
	Observer   Observer
	Rand       io.Reader // nil: crypto/rand

	// NATTPorts maps a path to its NAT-T port's, for connections that we dial.
	NATTPorts func(ike.Path) ike.Path
}

// Server is all connections of one process. Its methods are safe for
// concurrent use.
type Server struct {
	cfg       Config
	policy    atomic.Pointer[Policy]
	plane     *dataplane.Plane
	gate      *gate
	first     chan firstMessage // to the greeter
	halves    atomic.Int64      // embryos, for the gauges
	ids       atomic.Uint64
	cookieKey [32]byte
	minting   atomic.Uint32   // numbers our cookies
	decoy     [32]byte        // makes the keys of groups that do not exist
	run       sync.WaitGroup  // connections and their calls
	ctx       context.Context // of calls and of the plane; outlives Serve's
	kill      context.CancelFunc

	mu        sync.Mutex
	cookies   map[ike.Cookies]*Conn
	conns     map[uint64]*Conn
	endpoints map[netip.AddrPort]*Conn // authenticated, by the peer's endpoint
	strangers strangers
	guests    map[netip.Prefix]int // peers without a user, by source
	users     map[string]int       // sessions a user
	stopping  bool

	seen addresses
}

// firstMessage is an ISAKMP message that no connection claims.
type firstMessage struct {
	path ike.Path
	data []byte
}

const (
	greeterQueue = 512
	// maxIKEMessage bounds what is copied for a connection: certificate
	// chains fit, without fragmentation nothing larger is meant.
	maxIKEMessage = 16 << 10
)

// New returns a server, to be bound to a data path and served.
func New(cfg Config) *Server {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Pool6 == nil {
		cfg.Pool6 = pool.New(nil)
	}
	if cfg.Delegate6 == nil {
		cfg.Delegate6 = pool.New(nil)
	}
	s := &Server{
		cfg:       cfg,
		gate:      newGate(),
		first:     make(chan firstMessage, greeterQueue),
		cookies:   map[ike.Cookies]*Conn{},
		conns:     map[uint64]*Conn{},
		endpoints: map[netip.AddrPort]*Conn{},
		strangers: strangers{sources: map[netip.Prefix]int{}},
		guests:    map[netip.Prefix]int{},
		users:     map[string]int{},
	}
	first := make([]byte, 4) // of our cookies' numbers
	for _, key := range [][]byte{s.cookieKey[:], s.decoy[:], first} {
		if _, err := io.ReadFull(cfg.Rand, key); err != nil {
			panic(err) // without randomness nothing here is safe
		}
	}
	s.minting.Store(binary.BigEndian.Uint32(first))
	s.policy.Store(cfg.Policy)
	s.ctx, s.kill = context.WithCancel(context.Background())
	return s
}

// SetPolicy exchanges the policy; connections that are up keep theirs.
func (s *Server) SetPolicy(p *Policy) { s.policy.Store(p) }

// Bind gives the server its data path, whose Control it is. It comes before
// everything else.
func (s *Server) Bind(plane *dataplane.Plane) { s.plane = plane }

// Serve runs the plane and the connections until ctx ends, then says goodbye
// to every peer, within the policy's drain time, and stops the plane. It may
// be called once.
func (s *Server) Serve(ctx context.Context) error {
	defer s.kill()
	var greeter sync.WaitGroup
	greeter.Go(func() { s.greet(s.ctx) })
	done := make(chan error, 1)
	go func() { done <- s.plane.Run(s.ctx) }()

	var err error
	select {
	case <-ctx.Done():
		s.shutdown()
	case err = <-done:
		done <- nil
		s.shutdown()
	}
	s.kill()
	if planeErr := <-done; err == nil {
		err = planeErr
	}
	greeter.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// shutdown ends every connection gracefully and waits for all of them.
func (s *Server) shutdown() {
	s.mu.Lock()
	s.stopping = true
	all := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.do(func(now time.Time) { c.shut(now, EndServerStop) })
	}
	s.run.Wait()
}

// IKE implements dataplane.Control: it passes a message on to the connection
// whose cookies it carries, else to the greeter. It never blocks.
func (s *Server) IKE(local, remote netip.AddrPort, marker bool, msg []byte) {
	path := ike.Path{Local: local, Remote: remote, Marker: marker}
	h, err := ike.Peek(msg)
	switch {
	case err != nil:
		s.drop(path, err)
		return
	case h.Length > maxIKEMessage:
		s.drop(path, ErrTooLarge)
		return
	}
	msg = msg[:h.Length]
	if s.pass(h.Cookies, dataplane.Note{Kind: dataplane.NoteIKE, Marker: marker, Local: local, Remote: remote, Data: msg}) {
		return
	}
	if h.Cookies.Responder != ([8]byte{}) && !s.minted(path, h.Cookies) {
		s.drop(path, ErrUnknownSA)
		return // silence to unknown cookies: not even a place in the queue
	}
	select {
	case s.first <- firstMessage{path, append([]byte(nil), msg...)}:
	default:
		s.drop(path, ErrBusy) // the greeter is behind: a peer repeats itself
	}
}

// greet answers first messages and turns third ones into connections.
func (s *Server) greet(ctx context.Context) {
	p := s.policy.Load()
	half := newHalfOpen(p.HalfOpen, p.HalfOpenPerSource)
	slow := newComputing()
	defer slow.run.Wait()
	expiry := time.NewTicker(embryoLife / 2)
	defer expiry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			half.expire(time.Now(), s.unanswered)
		case r := <-slow.results:
			s.finish(time.Now(), half, slow, r)
		case m := <-s.first:
			s.meet(ctx, time.Now(), half, slow, m)
		}
		s.halves.Store(int64(half.live()))
	}
}

// meet handles one first or third message. One that it panics on is lost.
func (s *Server) meet(ctx context.Context, now time.Time, half *halfOpen, slow *computing, m firstMessage) {
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Observer.Observe(Panicked{Who{Remote: m.path.Remote, Local: m.path.Local}, v, debug.Stack()})
		}
	}()
	h, err := ike.Peek(m.data)
	if err != nil {
		s.drop(m.path, err)
		return
	}
	if h.Cookies.Responder == ([8]byte{}) {
		s.answer(ctx, now, half, slow, m, h.Exchange)
		return
	}
	note := dataplane.Note{Kind: dataplane.NoteIKE, Marker: m.path.Marker, Local: m.path.Local, Remote: m.path.Remote, Data: m.data}
	e, ok := half.take(h.Cookies, m.path, now)
	if !ok {
		// A connection took the embryo while this waited here, with the first
		// fragment of a message that this is the second of; else silence to
		// unknown cookies.
		if !s.pass(h.Cookies, note) {
			s.drop(m.path, ErrUnknownSA)
		}
		return
	}
	c := s.newConn(now, m.path)
	if c == nil {
		s.drop(m.path, ErrStopping)
		return
	}
	c.Deliver(note) // before its cookies lead there, or what follows it may overtake it
	sa := c.addPhase1(e.Cookies, func(env ike.Env) *ike.SA { return ike.Respond(env, e, now) })
	sa.half = true
	c.start()
}

func (s *Server) answer(ctx context.Context, now time.Time, half *halfOpen, slow *computing, m firstMessage, exchange ike.Exchange) {
	if reply, ok := half.repeated(m.path, m.data, now); ok {
		s.sendIKE(m.path, reply)
		return
	}
	if cookies, ok := half.late(m.path, m.data, now); ok && s.negotiates(cookies) {
		s.drop(m.path, ErrLate)
		return
	}
	if exchange == ike.ExchangeAggressive && s.policy.Load().IKE.Aggressive {
		s.compute(ctx, slow, now, m)
		return
	}
	e, reply, err := ike.Answer(s.answerEnv(), m.path, m.data, now)
	s.conclude(now, half, keyOf(m), e, reply, err)
}

func (s *Server) answerEnv() ike.Env {
	return ike.Env{Policy: s.policy.Load().IKE, Rand: s.cfg.Rand, Cookie: s.cookie, Decoy: s.decoy[:]}
}

// conclude keeps an embryo and sends its answer, or refuses.
func (s *Server) conclude(now time.Time, half *halfOpen, key firstKey, e ike.Embryo, reply []byte, err error) {
	path := key.path
	if err != nil {
		s.cfg.Observer.Observe(FirstMessageRefused{Who{Remote: path.Remote, Local: path.Local}, err})
		if len(reply) > 0 && half.mayRefuse(now) { // a notify that explains, never larger than the request
			s.sendIKE(path, reply)
		}
		return
	}
	half.add(key, e)
	s.sendIKE(path, reply)
}

func (s *Server) sendIKE(p ike.Path, msg []byte) {
	// What cannot be sent is lost like any datagram: the peer repeats itself.
	_ = s.plane.SendIKE(p.Local, p.Remote, p.Marker, msg)
}

// newConn makes a connection, or nil if the server stops. It evicts an old
// stranger when there are too many.
func (s *Server) newConn(now time.Time, path ike.Path) *Conn {
	c := &Conn{
		id:     s.ids.Add(1),
		srv:    s,
		policy: s.policy.Load(),
		born:   now,
		path:   path,
		source: sourceOf(path.Remote.Addr()),
		gone:   make(chan struct{}),
		inbox:  make(chan dataplane.Note, inboxSize),
		orders: make(chan func(time.Time), 4),
		done:   make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	s.conns[c.id] = c
	s.strangers.add(c, c.policy.HalfOpen, c.policy.HalfOpenPerSource)
	return c
}

// known moves c out of the strangers and makes it findable by its endpoint.
func (s *Server) known(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strangers.remove(c)
	s.claimEndpoint(c)
}

// moved records a connection's new endpoint.
func (s *Server) moved(c *Conn, from netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endpoints[from] == c {
		delete(s.endpoints, from)
	}
	s.claimEndpoint(c)
}

// claimEndpoint makes c findable by its endpoint. A connection that only says
// that it is there, which a forged source address does, displaces none that
// has shown it.
func (s *Server) claimEndpoint(c *Conn) {
	at := c.path.Remote
	if old := s.endpoints[at]; old != nil && old != c && old.reached(at.Addr()) && !c.reached(at.Addr()) {
		return
	}
	s.endpoints[at] = c
}

// at returns the connection whose authenticated endpoint is remote.
func (s *Server) at(remote netip.AddrPort) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endpoints[remote]
}

// forget removes every trace of c.
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
	if s.endpoints[c.path.Remote] == c {
		delete(s.endpoints, c.path.Remote)
	}
	s.strangers.remove(c)
	s.settled(c)
}

// enter counts a session of user, if the limit admits it.
func (s *Server) enter(user string, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit > 0 && s.users[user] >= limit {
		return false
	}
	s.users[user]++
	return true
}

// leave undoes enter.
func (s *Server) leave(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[user]--; s.users[user] <= 0 {
		delete(s.users, user)
	}
}
