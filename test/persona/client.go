package persona

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/persona/wire"
)

// The ports of IKE and of NAT traversal (RFC 3947 section 4).
const (
	portIKE  = 500
	portNATT = 4500
)

// Client is one running client.
type Client struct {
	Profile
	Account

	// Lossless says that the network loses nothing. Then rules apply that a lost packet
	// would break. Set it before Dial.
	Lossless bool

	// Tap, if set, is shown every message that the client makes, before it is
	// encrypted. Set it before Dial.
	Tap func(Layer, []byte)

	// Mangle, if set, changes the UDP datagrams inside ESP.
	Mangle func(inner []byte) []byte

	// Via, if set, chooses the socket from which a datagram is sent, and Heard is passed
	// what is received. Set them before Dial.
	Via   func(port uint16, b []byte) *udptest.Conn
	Heard func(port uint16, src netip.AddrPort, b []byte)

	host *udptest.Host
	own  netip.Addr
	fail func(string)
	rand *rand.Rand

	socks  map[uint16]*udptest.Conn
	inbox  chan datagram
	orders chan order
	outbox chan []byte
	stop   chan struct{}
	done   chan struct{}
	timers []*timer

	phases    []*phase1 // newest first
	children  []*child  // newest first
	tun       *tunnel
	link      *link
	informing *inform
	router    netip.Addr   // the router that advertised itself
	prefix    netip.Prefix // the prefix that it advertised
	end       error        // why there is no connection any more
	leaving   bool
	renewing  bool
	stats     Stats
	pieces    map[string][][]byte // of the last message sent in fragments, by its datagram
	probe     uint32              // number of the last R-U-THERE
	beat      *timer              // sends keepalives
	lcpHeard  []byte              // codes of LCP packets that were not answered

	mu  sync.Mutex
	in  [][]byte // IP packets from the server
	log []string
}

// Stats are what a client has seen.
type Stats struct {
	UnknownSPI int // ESP packets for SAs that the client does not have
	Late       int // packets older than its replay window
	Displaced  int // packets that came after ones with a higher sequence number
	Repeated   int

	Notifies    []uint16 // notify types that the server sent
	Acks        []uint32 // sequence numbers of its R-U-THERE-ACKs
	ChapFailure string   // message of the last CHAP Failure
	PAPMessage  string
	Result      []byte // value of the last Result Code AVP
	Terminated  string // data of the last LCP Terminate-Request
	Deleted     int    // SAs that the server deleted
	Reopened    int    // how often the server took an open IPCP down
}

type datagram struct {
	src  netip.AddrPort
	port uint16 // ours
	data []byte
}

type order struct {
	f    func()
	done chan error
}

type timer struct {
	at time.Time
	f  func()
}

// New starts a client on a host. It passes fail a sentence that says which of the
// client's rules the server broke.
func New(p Profile, a Account, h *udptest.Host, seed uint64, fail func(string)) *Client {
	c := &Client{
		Profile: p, Account: a, host: h, own: h.Addr(), fail: fail, rand: rand.New(rand.NewPCG(seed, 1)),
		socks: map[uint16]*udptest.Conn{}, inbox: make(chan datagram, 4096), orders: make(chan order), outbox: make(chan []byte, 4096),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	for _, port := range []uint16{portIKE, portNATT} {
		s := h.Listen(port)
		c.socks[port] = s
		go c.read(s, port)
	}
	go c.run()
	return c
}

// read passes what a socket receives to the client.
func (c *Client) read(s *udptest.Conn, port uint16) {
	for {
		p := []udp.Packet{{Data: make([]byte, 4096)}}
		if _, err := s.Receive(p); err != nil {
			return
		}
		select {
		case c.inbox <- datagram{p[0].Remote, port, p[0].Data}:
		case <-c.stop:
			return
		}
	}
}

// Vanish ends the client without any message, as if its cable were pulled. Tests also use
// it to release what a client holds.
func (c *Client) Vanish() {
	close(c.stop)
	<-c.done
	for _, s := range c.socks {
		_ = s.Close()
	}
}

// do runs f on the client's goroutine. It returns the reason if f was given up.
func (c *Client) do(f func()) error {
	o := order{f, make(chan error, 1)}
	select {
	case c.orders <- o:
		return <-o.done
	case <-c.done:
		return errStopped
	}
}

func (c *Client) run() {
	defer close(c.done)
	for {
		err := c.guard(func() { c.turn(time.Time{}, c.orders) })
		if errors.Is(err, errStopped) {
			return
		}
		if err != nil && c.end == nil {
			c.end = err
		}
	}
}

// turn handles one packet, one timer or, if orders is not nil, one order. It returns
// false if the deadline came first; a zero deadline means none.
func (c *Client) turn(deadline time.Time, orders <-chan order) bool {
	first := -1
	for i, t := range c.timers {
		if first < 0 || t.at.Before(c.timers[first].at) {
			first = i
		}
	}
	until := deadline
	if first >= 0 && (deadline.IsZero() || c.timers[first].at.Before(deadline)) {
		until = c.timers[first].at
	} else {
		first = -1
	}
	var fire <-chan time.Time
	if !until.IsZero() {
		clock := time.NewTimer(time.Until(until))
		defer clock.Stop()
		fire = clock.C
	}
	select {
	case <-c.stop:
		panic(errStopped)
	case d := <-c.inbox:
		c.receive(d)
	case b := <-c.outbox:
		if c.tun != nil && c.tun.callUp {
			c.sendPPP(map[byte]uint16{4: wire.IPv4, 6: wire.IPv6}[b[0]>>4], b)
		}
	case o := <-orders:
		o.done <- c.guard(o.f)
	case <-fire:
		if first < 0 {
			return false
		}
		t := c.timers[first]
		c.cancel(t)
		t.f()
	}
	return true
}

// wait lets the client work until cond holds or d is over.
func (c *Client) wait(d time.Duration, cond func() bool) bool {
	deadline := time.Now().Add(d)
	for !cond() {
		if c.end != nil && !c.leaving {
			panic(c.end)
		}
		if !c.turn(deadline, nil) {
			return cond()
		}
	}
	return true
}

// pause lets the client work for a while.
func (c *Client) pause(d time.Duration) { c.wait(d, func() bool { return false }) }

func (c *Client) after(d time.Duration, f func()) *timer {
	t := &timer{time.Now().Add(d), f}
	c.timers = append(c.timers, t)
	return t
}

func (c *Client) cancel(t *timer) {
	for i, x := range c.timers {
		if x == t {
			c.timers = append(c.timers[:i:i], c.timers[i+1:]...)
			return
		}
	}
}

// send sends a datagram to the server.
func (c *Client) send(port uint16, b []byte) {
	c.tap(LayerUDP, b)
	socket := c.socks[port]
	if c.Via != nil {
		socket = c.Via(port, b)
	}
	_, _ = socket.WriteBatch([]udp.Packet{{Data: b, Remote: netip.AddrPortFrom(c.Server, port)}})
}

// receive handles a datagram.
func (c *Client) receive(d datagram) {
	if d.src.Addr() != c.Server {
		c.refuse("answers must come from the address that was dialled, and one came from %v", d.src)
	}
	if d.src.Port() != d.port {
		c.refuse("answers must come from port %d, and one came from %v", d.port, d.src)
	}
	b := d.data
	if c.Heard != nil {
		c.Heard(d.port, d.src, b)
	}
	switch {
	case d.port == portIKE:
		c.receiveIKE(b, false)
	case len(b) == 1 && b[0] == 0xff: // a keepalive, RFC 3948 section 2.3
	case len(b) >= 4 && b[0]|b[1]|b[2]|b[3] == 0:
		c.receiveIKE(b[4:], true)
	default:
		c.receiveESP(b)
	}
}

// logf logs an event for a person who reads a failed test.
func (c *Client) logf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// Log returns the events so far, one per line.
func (c *Client) Log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.log, "\n")
}
