package vpn

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/crowd"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/gate"
	"github.com/adit-vpn/adit/internal/halfopen"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/session"
)

// Config is what a Server uses. Everything in it outlives the server.
type Config struct {
	Policy     *Policy
	Backend    auth.Backend
	Accountant auth.Accountant // nil: no accounting
	Pool       *pool.Pool
	Pool6      *pool.Pool // of addresses, or of one /64 per session; nil: empty
	Delegate6  *pool.Pool // of prefixes for networks behind clients; nil: empty
	Usages     session.Usages
	Observer   Observer
	Ports      Ports     // nil: no session has a device of its own
	Rand       io.Reader // nil: crypto/rand

	// NATTPorts maps a path to the path of its NAT-T ports, for connections that we dial.
	NATTPorts func(ike.Path) ike.Path
}

// Server is all connections of one process. Its methods are safe for concurrent use.
type Server struct {
	cfg    Config
	policy atomic.Pointer[Policy]
	plane  *dataplane.Plane

	greeter  *halfopen.Greeter // answers first messages: newcomers.go
	gate     *gate.Gate
	budget   budget         // of the memory that strangers make us hold
	registry registry       // of what users have: registry.go
	people   people         // the connections of each user: people.go
	shared   session.Shared // by all sessions
	seen     addresses

	ids  atomic.Uint64
	run  sync.WaitGroup  // connections and their calls
	ctx  context.Context // of calls and of the plane; outlives Serve's
	kill context.CancelFunc

	mu       sync.Mutex
	table    // the connections: table.go
	crowding // the peers without a user: guest.go
	stopping bool
}

// New returns a server, which must be bound to a data path before it is served.
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
		cfg:    cfg,
		gate:   gate.New(),
		table:  newTable(),
		budget: budget{limit: halfOf(cfg.Policy.StrangerMemory), extra: crowd.Census{}},
	}
	s.greeter = s.newGreeter()
	s.policy.Store(cfg.Policy)
	s.shared = session.Shared{
		Pool: cfg.Pool, Pool6: cfg.Pool6, Delegate6: cfg.Delegate6, Registry: &s.registry, Rand: cfg.Rand,
		Plan: s.plan, Usages: cfg.Usages,
	}
	s.ctx, s.kill = context.WithCancel(context.Background())
	return s
}

// plan is the addressing plan in force.
func (s *Server) plan() *pool.Plan {
	p := s.policy.Load()
	return &pool.Plan{
		Networks: p.Networks, Foreign: p.Foreign,
		Pool: s.cfg.Pool.Leases(), Pool6: s.cfg.Pool6.Leases(), Delegate6: s.cfg.Delegate6.Leases(),
	}
}

// SetPolicy replaces the policy; existing connections keep theirs.
func (s *Server) SetPolicy(p *Policy) { s.policy.Store(p) }

// Policy is the policy in force.
func (s *Server) Policy() *Policy { return s.policy.Load() }

// Bind gives the server its data path, for which it is the Control. Call it before
// anything else.
func (s *Server) Bind(plane *dataplane.Plane) { s.plane, s.limit = plane, plane.Slots() }

// Serve runs the plane and the connections until ctx ends, then says goodbye
// to every peer, within the policy's drain time, and stops the plane. It may
// be called once.
func (s *Server) Serve(ctx context.Context) error {
	defer s.kill()
	var greeter sync.WaitGroup
	greeter.Go(func() { s.greeter.Run(s.ctx) })
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
