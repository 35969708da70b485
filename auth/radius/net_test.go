package radius

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
)

// The tests' network is in memory, so that it can be in a bubble of testing/synctest, where
// silence takes no time.

var (
	fakes     sync.Map // servers by address
	lastFake  atomic.Uint32
	localFake = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 100), Port: 40000}
)

// fakeServer answers every request with what answer returns for it; nil is
// silence. It may take its time.
type fakeServer struct {
	at     string
	answer func(p *radius.Packet, raw []byte) []byte
	closed atomic.Bool // nothing listens, and the host says so
	away   atomic.Bool // nobody says anything

	ignoresOn bool // Accounting-On and -Off are requests as others

	forgets bool     // every packet is a new request to it
	answers sync.Map // that were given, by request

	mu       sync.Mutex
	requests []*radius.Packet // but for probes
	probes   []*radius.Packet
	dials    int
}

func serve(t *testing.T, answer func(p *radius.Packet, raw []byte) []byte) *fakeServer {
	t.Helper()
	s := &fakeServer{at: fmt.Sprintf("192.0.2.7:%d", 1024+lastFake.Add(1)), answer: answer}
	fakes.Store(s.at, s)
	t.Cleanup(func() { fakes.Delete(s.at) })
	return s
}

func (s *fakeServer) address() string { return s.at }

func (s *fakeServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// identifiers is how many different requests there were: repeats are none.
func (s *fakeServer) identifiers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[[17]byte]bool{}
	for _, p := range s.requests {
		seen[[17]byte(append(p.Authenticator[:], p.Identifier))] = true
	}
	return len(seen)
}

func (s *fakeServer) last() *radius.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[len(s.requests)-1]
}

// probing reports whether a packet is one of the health's.
func probing(p *radius.Packet) bool {
	return p.Code == radius.CodeStatusServer || rfc2865.UserName_GetString(p) == probeUser
}

// announces reports whether a packet is an Accounting-On or -Off. Servers of tests answer it,
// and do not tell.
func announces(p *radius.Packet) bool {
	return rfc2866.AcctStatusType_Get(p) >= rfc2866.AcctStatusType_Value_AccountingOn
}

// handle answers a packet.
func (s *fakeServer) handle(raw []byte, reply func([]byte)) {
	p, err := radius.Parse(raw, []byte(shared))
	if err != nil || s.away.Load() {
		return
	}
	if announces(p) && !s.ignoresOn {
		b, _ := p.Response(radius.CodeAccountingResponse).Encode()
		reply(b)
		return
	}
	s.mu.Lock()
	if probing(p) {
		s.probes = append(s.probes, p)
	} else {
		s.requests = append(s.requests, p)
	}
	s.mu.Unlock()
	// RFC 5080, section 2.2.2: a repeat starts nothing, and has the answer that there is.
	v, again := s.answers.LoadOrStore(string(raw), new(atomic.Pointer[[]byte]))
	was := v.(*atomic.Pointer[[]byte])
	if b := was.Load(); b != nil {
		reply(*b)
	}
	if again && !s.forgets {
		return
	}
	if b := s.answer(p, raw); b != nil && !s.away.Load() {
		was.Store(&b)
		reply(b)
	}
}

// bubble runs a test where silence takes no time. Whatever sleeps when the test is done may
// come to its end.
func bubble(t *testing.T, f func(*testing.T)) {
	if testing.Short() {
		// The race detector crashes where two threads run timers of one bubble.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(3 * time.Hour) })
		f(t)
	})
}

// dialFake is a Config's Dial, for UDP.
func dialFake(_ context.Context, _, address string) (net.Conn, error) {
	v, ok := fakes.Load(address)
	if !ok {
		return nil, syscall.ENETUNREACH
	}
	s := v.(*fakeServer)
	s.mu.Lock()
	s.dials++
	s.mu.Unlock()
	return &fakeConn{server: s, in: make(chan []byte, 1024), shut: make(chan struct{})}, nil
}

// fakeConn is a connected UDP socket.
type fakeConn struct {
	server *fakeServer
	in     chan []byte // nil: an ICMP message
	shut   chan struct{}
	once   sync.Once
}

func (c *fakeConn) Write(b []byte) (int, error) {
	if c.server.closed.Load() {
		c.deliver(nil)
		return len(b), nil
	}
	go c.server.handle(bytes.Clone(b), c.deliver)
	return len(b), nil
}

func (c *fakeConn) deliver(b []byte) {
	select {
	case c.in <- b:
	case <-c.shut:
	}
}

func (c *fakeConn) Read(b []byte) (int, error) {
	select {
	case p := <-c.in:
		if p == nil {
			return 0, &net.OpError{Op: "read", Err: syscall.ECONNREFUSED}
		}
		return copy(b, p), nil
	case <-c.shut:
		return 0, io.EOF
	}
}

func (c *fakeConn) Close() error                     { c.once.Do(func() { close(c.shut) }); return nil }
func (c *fakeConn) LocalAddr() net.Addr              { return localFake }
func (c *fakeConn) RemoteAddr() net.Addr             { return localFake }
func (c *fakeConn) SetDeadline(time.Time) error      { return nil }
func (c *fakeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }

// pipe is a TCP connection: what is written waits to be read.
func pipe() (net.Conn, net.Conn) {
	a, b := make(chan []byte, 4096), make(chan []byte, 4096)
	shut := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	return &pipeEnd{in: a, out: b, own: shut[0], other: shut[1]}, &pipeEnd{in: b, out: a, own: shut[1], other: shut[0]}
}

type pipeEnd struct {
	fakeConn   // for what TLS does not need
	in, out    chan []byte
	own, other chan struct{} // closed by each end
	left       []byte
}

func (c *pipeEnd) Write(b []byte) (int, error) {
	select {
	case <-c.own:
		return 0, net.ErrClosed
	case <-c.other:
		return 0, syscall.EPIPE
	case c.out <- bytes.Clone(b):
		return len(b), nil
	}
}

func (c *pipeEnd) Read(b []byte) (int, error) {
	if len(c.left) == 0 {
		select {
		case c.left = <-c.in:
		default:
			select {
			case c.left = <-c.in:
			case <-c.own:
				return 0, net.ErrClosed
			case <-c.other:
				select {
				case c.left = <-c.in:
				default:
					return 0, io.EOF
				}
			}
		}
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *pipeEnd) Close() error { c.once.Do(func() { close(c.own) }); return nil }
