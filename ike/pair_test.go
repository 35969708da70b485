package ike

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
)

// epoch is the virtual time at which tests begin.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testPolicy() *Policy {
	return &Policy{
		Suites:    DefaultSuites(),
		ESP:       DefaultESP(),
		PSKs:      []PSK{{Name: "main", Key: secret.String("correct horse battery")}},
		VendorIDs: DefaultVendorIDs(),
	}
}

// end is one SA with its environment.
type end struct {
	name   string
	env    Env
	sa     *SA
	spi    uint32
	events []Event // all but Send and Fresh
	fresh  int
}

func newEnd(name string, seed byte) *end {
	e := &end{name: name, spi: uint32(seed) << 24}
	e.env = Env{Policy: testPolicy(), Rand: machinetest.Rand(seed), Decoy: []byte{seed}, NewSPI: func() uint32 { e.spi++; return e.spi }}
	return e
}

// take returns the events of one type since the last call, and forgets them.
func take[E Event](e *end) (list []E) {
	var rest []Event
	for _, event := range e.events {
		if match, ok := event.(E); ok {
			list = append(list, match)
		} else {
			rest = append(rest, event)
		}
	}
	e.events = rest
	return list
}

// one is take for a type of which there must be exactly one event.
func one[E Event](t testing.TB, e *end) E {
	t.Helper()
	list := take[E](e)
	if len(list) != 1 {
		t.Fatalf("%s has %d events %T, want one; others: %+v", e.name, len(list), *new(E), e.events)
	}
	return list[0]
}

// datagram is a message in transit.
type datagram struct {
	fromClient bool
	path       Path // of the sender
	data       []byte
	forged     bool
}

// pair is a client and a server, each behind a NAT if the test wants one.
type pair struct {
	t              testing.TB
	now            time.Time
	client, server *end
	path           Path // of the client's first message

	clientNAT netip.Addr // the client's address as the server sees it
	serverIs  netip.Addr // the server's own address, behind its NAT

	embryo  Embryo
	wire    []datagram
	sent    []datagram // every message that left an SA
	dropped []error
	fooled  int // forged messages that were accepted

	// tamper may change, drop (nil) or duplicate what is sent.
	tamper func(datagram) []datagram
}

func newPair(t testing.TB) *pair {
	return &pair{
		t: t, now: epoch, client: newEnd("client", 0x10), server: newEnd("server", 0x20),
		path: Path{
			Local:  netip.MustParseAddrPort("10.0.0.2:500"),
			Remote: netip.MustParseAddrPort("203.0.113.1:500"),
		},
		clientNAT: netip.MustParseAddr("198.51.100.7"),
		serverIs:  netip.MustParseAddr("203.0.113.1"),
	}
}

// noNAT removes the client's NAT.
func (p *pair) noNAT() *pair {
	p.clientNAT = p.path.Local.Addr()
	return p
}

// arrival is the path as the receiver sees it.
func (p *pair) arrival(d datagram) Path {
	if d.fromClient {
		return Path{
			Local:  netip.AddrPortFrom(p.serverIs, d.path.Remote.Port()),
			Remote: netip.AddrPortFrom(p.clientNAT, d.path.Local.Port()),
			Marker: d.path.Marker,
		}
	}
	return Path{
		Local:  netip.AddrPortFrom(p.path.Local.Addr(), d.path.Remote.Port()),
		Remote: netip.AddrPortFrom(p.path.Remote.Addr(), d.path.Local.Port()),
		Marker: d.path.Marker,
	}
}

// thaw, if it is set, replaces every SA of the tests by its frozen and thawed copy
// whenever it has been drained. It is called with the frozen state.
var thaw func(state []byte)

// drain returns all pending events.
func drain(s *SA) []Event {
	events := machinetest.Drain(s)
	if thaw == nil {
		return events
	}
	state := s.Append(nil)
	thaw(state)
	copied, err := Resume(s.env, state)
	if err != nil {
		panic(err)
	}
	*s = *copied
	return events
}

// drain takes an end's events and puts each where it belongs.
func (p *pair) drain(e *end) {
	if e.sa == nil {
		return
	}
	for _, event := range drain(e.sa) {
		switch ev := event.(type) {
		case Send:
			d := datagram{fromClient: e == p.client, path: ev.Path, data: append([]byte(nil), ev.Data...)}
			p.sent = append(p.sent, d)
			if p.tamper == nil {
				p.wire = append(p.wire, d)
			} else {
				p.wire = append(p.wire, p.tamper(d)...)
			}
		case Fresh:
			e.fresh++
		default:
			e.events = append(e.events, event)
		}
	}
}

// deliver hands a datagram to its receiver as a driver would.
func (p *pair) deliver(d datagram) {
	path := p.arrival(d)
	if !d.fromClient {
		p.check(d, p.client.sa.HandlePacket(p.now, path, d.data))
		p.drain(p.client)
		return
	}
	h, err := Peek(d.data)
	switch {
	case err != nil:
		p.check(d, err)
	case h.FirstMessage():
		reply := p.embryo.Again(d.data)
		if reply == nil {
			var e Embryo
			e, reply, err = Answer(p.server.env, path, d.data, p.now)
			p.check(d, err)
			if err == nil {
				p.embryo = e
			}
		}
		p.server.sa = nil
		if reply != nil {
			back := datagram{path: path, data: append([]byte(nil), reply...)}
			if p.tamper == nil {
				p.wire = append(p.wire, back)
			} else {
				p.wire = append(p.wire, p.tamper(back)...)
			}
		}
	default:
		if p.server.sa == nil {
			p.server.sa = Respond(p.server.env, p.embryo, p.now)
		}
		p.check(d, p.server.sa.HandlePacket(p.now, path, d.data))
		p.drain(p.server)
	}
}

func (p *pair) check(d datagram, err error) {
	if err != nil {
		p.dropped = append(p.dropped, err)
	} else if d.forged {
		p.fooled++
	}
}

// run delivers datagrams until none is in transit.
func (p *pair) run() {
	p.drain(p.client)
	p.drain(p.server)
	for n := 0; len(p.wire) > 0; n++ {
		if n > 10000 {
			p.t.Fatal("the two ends never fall silent")
		}
		d := p.wire[0]
		p.wire = p.wire[1:]
		p.deliver(d)
	}
}

// wait lets time pass, from timer to timer.
func (p *pair) wait(d time.Duration) {
	until := p.now.Add(d)
	for {
		p.run()
		next := until
		for _, e := range []*end{p.client, p.server} {
			if e.sa != nil {
				if dl := e.sa.Deadline(); !dl.IsZero() && dl.Before(next) {
					next = dl
				}
			}
		}
		p.now = next
		for _, e := range []*end{p.client, p.server} {
			if e.sa != nil {
				e.sa.HandleTimer(p.now)
			}
		}
		p.run()
		if !next.Before(until) {
			return
		}
	}
}

// initiate sends the client's first message.
func (p *pair) initiate() {
	p.client.sa = Initiate(p.client.env, p.path, p.now)
	p.run()
}

// establish completes phase 1 or fails the test.
func (p *pair) establish() *pair {
	p.t.Helper()
	p.initiate()
	if !p.client.sa.Established() || p.server.sa == nil || !p.server.sa.Established() {
		p.t.Fatalf("phase 1 did not complete; dropped: %v", p.dropped)
	}
	one[Authenticated](p.t, p.client)
	one[Authenticated](p.t, p.server)
	return p
}

// quick completes a Quick Mode that from began, and returns the child as each end
// has it.
func (p *pair) quick(from *end, r ChildRequest) (client, server Child) {
	p.t.Helper()
	if err := from.sa.Negotiate(p.now, r); err != nil {
		p.t.Fatal(err)
	}
	p.run()
	c, s := one[ChildReceiving](p.t, p.client).Child, one[ChildReceiving](p.t, p.server).Child
	one[ChildSending](p.t, p.client)
	one[ChildSending](p.t, p.server)
	return c, s
}

// works completes a Quick Mode and checks that both ends agree.
func (p *pair) works() {
	p.t.Helper()
	c, s := p.quick(p.client, ChildRequest{})
	sameChild(p.t, c, s)
}

// sameChild fails the test if the two children do not fit together.
func sameChild(t testing.TB, c, s Child) {
	t.Helper()
	switch {
	case c.InSPI != s.OutSPI || c.OutSPI != s.InSPI:
		t.Errorf("SPIs %x/%x do not fit %x/%x", c.InSPI, c.OutSPI, s.InSPI, s.OutSPI)
	case c.Suite != s.Suite:
		t.Errorf("suites %v and %v", c.Suite, s.Suite)
	case !c.In.Enc.Equal(s.Out.Enc) || !c.In.Auth.Equal(s.Out.Auth) || !c.Out.Enc.Equal(s.In.Enc) || !c.Out.Auth.Equal(s.In.Auth):
		t.Error("the keys of the two ends differ")
	case c.In.Enc.Equal(c.Out.Enc):
		t.Error("both directions have one key")
	case c.Lifetime != s.Lifetime || c.Kilobytes != s.Kilobytes || c.Encap != s.Encap:
		t.Errorf("lifetimes or encapsulation differ: %+v, %+v", c, s)
	case c.LocalPort != s.PeerPort || c.PeerPort != s.LocalPort || c.MessageID != s.MessageID || c.Initiator == s.Initiator:
		t.Errorf("ports, message id or roles do not fit: %+v, %+v", c, s)
	}
	enc, auth := c.Suite.keyLens()
	if c.In.Enc.Len() != enc || c.In.Auth.Len() != auth {
		t.Errorf("%v has keys of %d and %d bytes", c.Suite, c.In.Enc.Len(), c.In.Auth.Len())
	}
}
