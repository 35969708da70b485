package dataplane

import (
	"crypto/rand"
	"time"

	"github.com/adit-vpn/adit/internal/compress"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
)

const (
	// What is read at once: two super-packets, or so many packets. More would
	// fall out of the processor's cache before it is sent.
	roomLen   = 2*netdev.MaxPacket + 4096
	roomPlace = 128

	// The most packets that a super-packet is cut into. Linux's TCP sends no less
	// than 48 bytes in one, if there are more, and a Coalescer joins fewer; a guest
	// of this host could make one of tens of thousands, for which all others wait.
	maxCut = 2048

	tooBigEvery, tooBigBurst = 10 * time.Millisecond, 50
)

// transmitter is the worker of one device queue. Everything in it is its own.
type transmitter struct {
	plane  *Plane
	worker int
	queue  netdev.Queue
	port   *Port // that the queue is of; nil: of the common device
	tally  *tally
	now    int64 // of this batch, Unix nanoseconds

	room    netdev.Room
	packets []netdev.Packet // what was read to it
	items   []item          // what is to be sent of that
	answer  [1]netdev.Packet

	way      way
	template template
	cutter   packet.Cutter
	segment  []byte // one that is too long, until it lies in the slab as fragments
	order    []uint64
	slab     []byte // where packets become datagrams, one behind another
	used     int    // of slab
	outs     []ipsec.Out
	lengths  []int // of the IP packets in outs
	runs     []run // of outs, in order and without gaps
	sealer   *ipsec.Sealer
	trains   trains
	sends    []udp.Packet
	locked   []*ipsec.Outbound
	encoder  *compress.Encoder // nil: no session had packets to compress yet
	releases bool              // it sends what was held
}

// item is an IP packet, or a super-packet, on its way to a session.
type item struct {
	slot    *Slot
	session *Session
	b       []byte
	segment int // of a super-packet: payload bytes of each of its packets
	packets int // of a super-packet: how many of them go
	mtu     int // of fragments; 0: it goes whole
}

func newTransmitter(p *Plane, worker int, q netdev.Queue, t *tally) *transmitter {
	x := &transmitter{
		plane: p, worker: worker, queue: q, tally: t,
		room:    netdev.Room{Buf: make([]byte, roomLen), Head: netdev.HeadRoom},
		packets: make([]netdev.Packet, roomPlace),
		items:   make([]item, 0, roomPlace),
		order:   make([]uint64, 0, roomPlace),
		segment: make([]byte, netdev.MaxPacket),
		slab:    make([]byte, sealBatch*placeLen),
		outs:    make([]ipsec.Out, 0, sealBatch),
		lengths: make([]int, 0, sealBatch),
		runs:    make([]run, 0, sealBatch),
		sealer:  ipsec.NewSealer(rand.Reader),
		sends:   make([]udp.Packet, 0, sealBatch),
		locked:  make([]*ipsec.Outbound, 0, roomPlace),
	}
	x.answer[0].Buf = make([]byte, netdev.HeadRoom+packet.MaxTooBig)
	return x
}

// run reads until the queue is closed, and returns why it ended.
func (x *transmitter) run() error {
	return x.queue.Read(x.room, x.packets, func(n int) bool {
		x.handle(n)
		return true
	})
}

// handle takes the first n packets all the way to the sockets.
func (x *transmitter) handle(n int) {
	defer x.rescue(n)
	x.now = time.Now().UnixNano()
	for i := range x.packets[:n] {
		if d, ok := x.route(&x.packets[i]); !ok {
			x.tally.drop(d, 1)
		}
	}
	x.flush()
}

func (x *transmitter) rescue(n int) {
	if v := recover(); v != nil {
		x.items = x.items[:0]
		x.plane.panicked(x.tally, v, n)
	}
}

// route queues a packet, or a super-packet, for its session, or says why not.
func (x *transmitter) route(p *netdev.Packet) (Drop, bool) {
	b := p.Buf[p.Off:p.End]
	h, ok := packet.Parse(b)
	if !ok {
		return DropIP, false
	}
	b = b[:h.Len]
	// The host sends redirects to clients that talk to each other, since their packets come
	// from our device and leave by it. No sysctl of the device alone keeps it from that.
	if packet.Redirect(b, &h) {
		return DropRedirect, false
	}
	partial := p.CsumStart > 0 && p.Segment == 0
	t, d, ok := x.target(p, b, &h)
	if t == nil {
		return d, ok
	}
	net, view := t.session.network.Load(), t.slot.view.Load()
	if net == nil || view == nil || view.Out == nil {
		return DropNoPath, false
	}
	mtu := view.mtuOf(t.session, net)
	packet.ClampMSS(b, &h, mtu, partial)
	if partial && !complete(p, b, &h) {
		return DropIP, false
	}
	length, n := x.cut(b, p.Segment)
	it := item{slot: t.slot, session: t.session, b: b, segment: p.Segment, packets: n}
	switch {
	case length == 0:
		return DropIP, false
	case length <= mtu:
	case h.DF:
		x.tooBig(t, b, &h, mtu)
		x.tally.drop(DropTooBig, n)
		return 0, true
	default:
		it.mtu = mtu
	}
	if net.limits != nil {
		if !x.limit(net.limits, &it, &h, length) {
			return 0, true
		}
	}
	x.push(it)
	return 0, true
}

// target finds the session of the packet p, which is b with the header h. If it returns
// none, the packet goes to no single session, and the rest says what has become of it.
func (x *transmitter) target(p *netdev.Packet, b []byte, h *packet.IP) (*target, Drop, bool) {
	if (x.port == nil || !x.port.cfg.Router) && x.plane.apart(h.Src) {
		return nil, DropClient, false
	}
	if x.port != nil {
		return x.port.to(p, b, h)
	}
	if x.plane.cfg.Multicast && x.plane.isGroup(h.Dst) {
		if p.CsumStart > 0 && p.Segment == 0 && !complete(p, b, h) {
			return nil, DropIP, false
		}
		d, ok := x.flood(b, p.Segment, h)
		return nil, d, ok
	}
	end := h.Dst
	if x.plane.cfg.BySource {
		end = h.Src
	}
	if t := x.plane.routes.lookup(end); t != nil {
		return t, 0, true
	}
	return nil, DropNoRoute, false
}

// complete computes the partial checksum of p, whose packet is b with the header h. If
// the sender is a guest of this host, it says where the checksum belongs: a place in the
// IP header, which was judged already, is refused.
func complete(p *netdev.Packet, b []byte, h *packet.IP) bool {
	return p.CsumStart >= h.HeaderLen && packet.CompleteChecksum(b, p.CsumStart, p.CsumOffset)
}

// cut returns how long a packet is, or the longest that a super-packet is cut
// into, and how many they are; 0 if it cannot be cut, or into too many.
func (x *transmitter) cut(b []byte, segment int) (length, n int) {
	if segment == 0 {
		return len(b), 1
	}
	if !x.cutter.Reset(b, segment) || x.cutter.Segments() > maxCut {
		return 0, 0
	}
	return x.cutter.Len(), x.cutter.Segments()
}

// push queues one packet. If the queue is full, it is sent.
func (x *transmitter) push(i item) {
	x.items = append(x.items, i)
	if len(x.items) == cap(x.items) {
		x.flush()
	}
}

// tooBig tells the sender of a packet how long one may be. What comes from the
// device with an address of this host as its source is dropped by the kernel, so
// that the message is from the packet's own destination: every sender believes
// that, and firewalls that track connections pass it on.
func (x *transmitter) tooBig(t *target, b []byte, h *packet.IP, mtu int) {
	if !t.slot.tooBig.allow(x.now, tooBigEvery, tooBigBurst) {
		return
	}
	buf := x.answer[0].Buf
	n := packet.TooBig(buf[netdev.HeadRoom:], b, h, mtu, h.Dst)
	if n == 0 {
		return
	}
	x.answer[0] = netdev.Packet{Buf: buf, Off: netdev.HeadRoom, End: netdev.HeadRoom + n}
	sent, _ := x.queue.WriteBatch(x.answer[:])
	x.tally.drop(DropWriteDevice, 1-sent)
}
