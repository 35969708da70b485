package dataplane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
)

// PortConfig is what a Port works with. Wanted, Failed and Looped are called on a worker
// and must not block.
type PortConfig struct {
	Device netdev.Device // the port closes it

	// Router says that what is behind the session is a router, or a network of its own:
	// multicast, link-local packets and DHCP are between the host and that network. Of a
	// user's device the control plane answers them, as it does for other users.
	Router bool

	AnySource bool // packets from the session pass whatever their source is, if any may

	Hold   int         // packets that wait while there is no session; 0: they are dropped
	Wanted func()      // a packet waits, or would; nil: nobody wants to know
	Failed func(error) // the device is gone; nil: nobody wants to know

	// Looped is told once a session that the host's routes lead the session's own ESP for
	// an address into the device; nil: nobody wants to know.
	Looped func(netip.Addr)
}

// Port is a device that leads to one session at a time: a link's, or a user's. What comes
// from it needs no route. It outlives sessions. Its methods may be called from any
// goroutine.
type Port struct {
	plane  *Plane
	cfg    PortConfig
	queues []netdev.Queue
	tally  *tally
	target atomic.Pointer[target] // nil: there is no session
	looped atomic.Bool            // Looped has been told of this session

	_       [64]byte
	numbers atomic.Uint32 // of the next packet of a tunnel that numbers them
	_       [64]byte

	mu   sync.Mutex // guards held, its order with target, and heir
	held [][]byte
	heir *Session // that may be led to; nil: any may

	failed sync.Once
	run    sync.WaitGroup
}

// NewPort starts a worker a queue of the device. Close ends them.
func (p *Plane) NewPort(c PortConfig) (*Port, error) {
	if c.Device == nil {
		return nil, errors.New("dataplane: a port without a device")
	}
	t := &Port{plane: p, cfg: c, queues: c.Device.Queues(), tally: new(tally)}
	t.numbers.Store(firstNumber(time.Now()))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, net.ErrClosed
	}
	p.ports = append(p.ports, t)
	for i, queue := range t.queues {
		x := newTransmitter(p, i%len(p.cfg.Workers), queue, t.tally)
		x.port = t
		t.run.Go(func() {
			if err := x.run(); !errors.Is(err, net.ErrClosed) && c.Failed != nil {
				t.failed.Do(func() { c.Failed(err) })
			}
		})
	}
	return t, nil
}

// Close closes the device, and returns when no worker is left. What the port has counted
// stays in the plane's statistics. It must not be called by Wanted or Failed.
func (t *Port) Close() error {
	t.target.Store(nil)
	err := t.cfg.Device.Close()
	t.run.Wait()
	p := t.plane
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.ports {
		if other == t {
			p.ports = append(p.ports[:i:i], p.ports[i+1:]...)
			p.control.take(t.tally)
			break
		}
	}
	return err
}

// Name is the device's.
func (t *Port) Name() string { return t.cfg.Device.Name() }

// Attach makes the packets of a session go to the port's device, from the next SetNetwork
// on; nil: to the common one.
func (s *Session) Attach(t *Port) {
	if s.encap != nil && t != nil {
		s.encap.ns = &t.numbers
	}
	s.port.Store(t)
}

// Admit says which session alone the device may lead to from now on. Where two calls come up
// at the same time, the one that is to end would otherwise take the device from the other,
// if its Lead comes later.
func (t *Port) Admit(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heir = s
}

// Lead makes what comes from the device go to a session, after what was held, unless another
// one has been admitted.
func (t *Port) Lead(slot *Slot, s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.heir != nil && t.heir != s {
		return
	}
	for _, b := range t.held {
		slot.SendPacket(s, b)
	}
	t.held = nil
	t.looped.Store(false)
	t.target.Store(&target{slot, s})
}

// Unlead ends that, if it is that session which the device leads to.
func (t *Port) Unlead(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if to := t.target.Load(); to != nil && to.session == s {
		t.target.Store(nil)
	}
}

// Forget drops what is held: nobody will dial for it.
func (t *Port) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plane.control.drop(DropNoPath, len(t.held))
	t.held = nil
}

// hold keeps a packet until there is a session, and reports whether it is kept. The oldest
// makes room: whoever sent it has repeated it since.
func (t *Port) hold(b []byte) bool {
	if t.cfg.Wanted != nil {
		t.cfg.Wanted()
	}
	if t.cfg.Hold <= 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if to := t.target.Load(); to != nil { // since this moment
		to.slot.SendPacket(to.session, b)
		return true
	}
	if len(t.held) >= t.cfg.Hold {
		t.plane.control.drop(DropNoPath, 1)
		t.held = t.held[1:]
	}
	t.held = append(t.held, bytes.Clone(b))
	return true
}

// to is where a packet from the device goes, or why it goes nowhere.
func (t *Port) to(p *netdev.Packet, b []byte, h *packet.IP) (*target, Drop, bool) {
	if to := t.target.Load(); to != nil {
		if t.cfg.Router && to.slot.sealed(b, h) {
			t.loops(h.Dst)
			return nil, DropLoop, false
		}
		return to, 0, true
	}
	if p.CsumStart > 0 && p.Segment == 0 && !complete(p, b, h) {
		return nil, DropIP, false
	}
	// A super-packet is dropped: no TCP begins with one. What hosts and routers say to
	// whoever is on the device wants to go nowhere: it would keep a link up that nobody uses.
	return nil, DropNoPath, p.Segment == 0 && !local(h.Dst) && t.hold(b)
}

// loops tells of the first packet of a session's own that comes from the device.
func (t *Port) loops(remote netip.Addr) {
	if t.cfg.Looped != nil && !t.looped.Load() && t.looped.CompareAndSwap(false, true) {
		t.cfg.Looped(remote)
	}
}

// local reports whether an address is of no network beyond the device.
func local(a netip.Addr) bool {
	return a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// sealed reports whether a packet from a link's device is ESP that the slot itself has sent:
// a route leads the other end into the link, such as one that the other end has announced.
// It would go round until it is too long.
func (s *Slot) sealed(b []byte, h *packet.IP) bool {
	v := s.view.Load()
	if v == nil || h.Dst != v.Remote.Addr().Unmap() || h.Src != v.Local.Addr().Unmap() || h.Offset != 0 {
		return false
	}
	if v.Remote.Port() == 0 {
		return h.Protocol == packet.ESP
	}
	return h.Protocol == packet.UDP && len(b) >= h.HeaderLen+udpHeaderLen &&
		binary.BigEndian.Uint16(b[h.HeaderLen:]) == v.Local.Port() && binary.BigEndian.Uint16(b[h.HeaderLen+2:]) == v.Remote.Port()
}

// take adds what another tally has counted.
func (t *tally) take(from *tally) {
	for i := range t.drops {
		t.drops[i].Add(from.drops[i].Load())
	}
	t.in.packets.Add(from.in.packets.Load())
	t.in.octets.Add(from.in.octets.Load())
	t.out.packets.Add(from.out.packets.Load())
	t.out.octets.Add(from.out.octets.Load())
}

// beside is packets for devices other than a receiver's own.
type beside struct {
	packets []netdev.Packet
	queues  []netdev.Queue // of packets
}

func (b *beside) push(to netdev.Queue, p netdev.Packet) {
	b.packets, b.queues = append(b.packets, p), append(b.queues, to)
}

// write writes them, a call for those that follow each other to one queue, and returns how
// many were lost.
func (b *beside) write() (lost int) {
	for from := 0; from < len(b.packets); {
		to := from + 1
		for to < len(b.packets) && b.queues[to] == b.queues[from] {
			to++
		}
		n, _ := b.queues[from].WriteBatch(b.packets[from:to]) // a closed device ends its own worker
		lost += to - from - n
		from = to
	}
	b.reset()
	return lost
}

func (b *beside) reset() {
	clear(b.queues)
	b.packets, b.queues = b.packets[:0], b.queues[:0]
}
