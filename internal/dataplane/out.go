package dataplane

import (
	"cmp"
	"crypto/rand"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

const (
	sealBatch = 64

	// Of a buffer for one IP packet: the room in front and behind, and a size
	// that no session's MTU exceeds.
	headLen = 24 + udpHeaderLen + l2tp.SequencedDataHeaderLen + pppHeaderLen + netdev.HeadRoom
	tailLen = 64
	slotLen = headLen + 2048 + tailLen

	tooBigEvery, tooBigBurst = 10 * time.Millisecond, 50
)

// transmitter is the worker of one device queue. Everything in it is its own.
type transmitter struct {
	plane  *Plane
	worker int
	queue  netdev.Queue
	tally  *tally
	sealer *ipsec.Sealer
	now    int64 // of this batch, Unix nanoseconds

	room    netdev.Room
	packets []netdev.Packet // what was read to it
	spare   []byte          // buffers for fragments and copies
	targets []target        // of copies, by their place in items
	items   []item          // what is to be sent
	outs    []ipsec.Out     // of items, those with a path
	sealed  []item          // the items of outs
	sends   []udp.Packet
	trains  trains
	locked  []*ipsec.Outbound
	answer  [1]netdev.Packet
}

// item is one IP packet on its way to a session: buf[off:end].
type item struct {
	*target
	view     *live
	buf      []byte
	off, end int
	ip       int // length of the IP packet
}

func newTransmitter(p *Plane, worker int, q netdev.Queue, t *tally) *transmitter {
	x := &transmitter{
		plane: p, worker: worker, queue: q, tally: t,
		sealer:  ipsec.NewSealer(rand.Reader),
		packets: make([]netdev.Packet, readBatch),
		spare:   make([]byte, sealBatch*slotLen),
		targets: make([]target, sealBatch),
		items:   make([]item, 0, sealBatch),
		outs:    make([]ipsec.Out, 0, sealBatch),
		sealed:  make([]item, 0, sealBatch),
		sends:   make([]udp.Packet, 0, sealBatch),
		trains:  trains{slab: make([]byte, sealBatch*slotLen)},
		locked:  make([]*ipsec.Outbound, 0, sealBatch),
	}
	x.room = netdev.Room{Head: headLen, Tail: tailLen}
	x.room.Buf = make([]byte, readBatch*slotLen+x.room.Len())
	return x
}

// run reads until the queue is closed, and returns why it ended.
func (x *transmitter) run() error {
	for {
		n, err := x.queue.ReadBatch(x.room, x.packets)
		if err != nil {
			return err
		}
		x.handle(n)
	}
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

// route queues a packet for its session, or says why not.
func (x *transmitter) route(p *netdev.Packet) (Drop, bool) {
	b := p.Buf[p.Off:p.End]
	h, ok := packet.Parse(b)
	if !ok {
		return DropIP, false
	}
	end := h.Dst
	if x.plane.cfg.BySource {
		end = h.Src
	}
	if x.plane.cfg.Multicast && x.plane.isGroup(h.Dst) {
		return x.flood(b[:h.Len], &h)
	}
	t := x.plane.routes.lookup(end)
	if t == nil {
		return DropNoRoute, false
	}
	net, view := t.session.network.Load(), t.slot.view.Load()
	if net == nil || view == nil || view.Out == nil {
		return DropNoPath, false
	}
	mtu := view.mtuOf(t.session, net)
	packet.ClampMSS(b, &h, mtu, false)
	switch {
	case h.Len <= mtu:
		x.push(item{target: t, buf: p.Buf, off: p.Off, end: p.Off + h.Len, ip: h.Len})
		return 0, true
	case h.DF:
		x.tooBig(t, b, &h, mtu)
		return DropTooBig, false
	default:
		return DropTooBig, x.fragment(t, b, &h, mtu)
	}
}

// push queues one packet. What it replaces is sent first.
func (x *transmitter) push(i item) {
	x.items = append(x.items, i)
	if len(x.items) == sealBatch {
		x.flush()
	}
}

// fragment queues a packet as fragments, in spare buffers: the one of its place
// in the queue is free whenever the place is.
func (x *transmitter) fragment(t *target, b []byte, h *packet.IP, mtu int) bool {
	for at := 0; ; {
		i := len(x.items) * slotLen
		buf := x.spare[i : i+slotLen : i+slotLen]
		n, next := packet.Fragment(buf[headLen:slotLen-tailLen], b, h, mtu, at)
		if n == 0 {
			return false
		}
		x.push(item{target: t, buf: buf, off: headLen, end: headLen + n, ip: n})
		if at = next; at == 0 {
			return true
		}
	}
}

// tooBig tells the sender of a packet how long one may be.
func (x *transmitter) tooBig(t *target, b []byte, h *packet.IP, mtu int) {
	if !t.slot.tooBig.allow(x.now, tooBigEvery, tooBigBurst) {
		return
	}
	i := len(x.items) * slotLen
	buf := x.spare[i : i+slotLen : i+slotLen]
	n := packet.TooBig(buf[headLen:], b, h, mtu, x.plane.serverAddr(h.Dst))
	if n == 0 {
		return
	}
	x.answer[0] = netdev.Packet{Buf: buf, Off: headLen, End: headLen + n}
	sent, _ := x.queue.WriteBatch(x.answer[:])
	x.tally.drop(DropWriteDevice, 1-sent)
}

// serverAddr is where errors about a client's packets come from: our address,
// else the first of its pool, else of any pool of its family.
func (p *Plane) serverAddr(client netip.Addr) netip.Addr {
	if a := p.cfg.Address; a.IsValid() && a.Is4() == client.Is4() {
		return a
	}
	var other netip.Addr
	for i, pool := range p.cfg.Pools {
		if pool.Contains(client) {
			return p.server[i]
		}
		if !other.IsValid() && p.server[i].Is4() == client.Is4() {
			other = p.server[i]
		}
	}
	return other
}

// flush seals what is queued and sends it. The lock of every SA in it is held
// from before its first sequence number is taken until the write returned:
// otherwise another worker's packets could overtake on the way to the wire, and
// clients' replay windows are small.
func (x *transmitter) flush() {
	if len(x.items) == 0 {
		return
	}
	defer x.unlock()
	slices.SortStableFunc(x.items, func(a, b item) int { return cmp.Compare(a.slot.index, b.slot.index) })
	var view *live
	for i := range x.items {
		it := &x.items[i]
		if i == 0 || it.slot != x.items[i-1].slot {
			// In the order of slots, so that no two workers wait for each other.
			if view = it.slot.lock(); view != nil {
				x.locked = append(x.locked, view.Out)
			}
		}
		if view == nil {
			x.tally.drop(DropNoPath, 1)
			continue
		}
		it.view = view
		it.encapsulate()
		x.outs = append(x.outs, ipsec.Out{SA: view.Out, Buf: it.buf, Off: it.off, End: it.end})
		x.sealed = append(x.sealed, *it)
	}
	x.sealer.Seal(x.outs)
	x.send()
}

func (x *transmitter) unlock() {
	for _, sa := range x.locked {
		sa.Unlock()
	}
	clear(x.items)
	clear(x.sealed)
	x.items, x.outs, x.sealed = x.items[:0], x.outs[:0], x.sealed[:0]
	x.sends, x.locked = x.sends[:0], x.locked[:0]
}

// encapsulate puts PPP, L2TP and inner UDP in front of an IP packet.
func (it *item) encapsulate() {
	s, n := it.session, it.end-it.off+pppHeaderLen
	protocol := byte(pppIPv4)
	if it.buf[it.off]>>4 == 6 {
		protocol = pppIPv6
	}
	it.off -= pppHeaderLen
	copy(it.buf[it.off:], []byte{0xff, 0x03, 0, protocol})

	if s.Sequencing {
		it.off -= l2tp.SequencedDataHeaderLen
		l2tp.AppendDataHeader(it.buf[it.off:it.off], it.view.PeerTunnel, s.Remote, n, &l2tp.Sequence{Ns: uint16(s.ns.Add(1) - 1)})
	} else {
		it.off -= l2tp.DataHeaderLen
		l2tp.AppendDataHeader(it.buf[it.off:it.off], it.view.PeerTunnel, s.Remote, n, nil)
	}
	it.off -= udpHeaderLen
	it.view.putUDP(it.buf[it.off:it.end], it.slot.peerPort(it.view.View))
}

// send writes what was sealed, a system call for each run of packets that
// leave through one socket.
func (x *transmitter) send() {
	var last *Socket
	for i := range x.outs {
		p, it := &x.outs[i], &x.sealed[i]
		if p.Drop != ipsec.DropNone {
			x.tally.drop(DropESP(p.Drop), 1)
			continue
		}
		socket := x.plane.socket(x.worker, it.view.Local, it.view.kind())
		if socket == nil {
			x.tally.drop(DropNoPath, 1)
			continue
		}
		if socket != last {
			x.write(last)
			last = socket
		}
		it.session.out.add(it.ip, x.now)
		x.tally.out.add(it.ip, x.now)
		x.note(it)
		x.sends = x.trains.push(x.sends, it.view, p.Buf[p.Off:p.End])
	}
	x.write(last)
}

// note tells a connection once that its outbound SA wants a successor.
func (x *transmitter) note(it *item) {
	sa := it.view.Out
	if !sa.LimitNoted.Open() || !sa.Exhausted() || len(it.view.In) == 0 {
		return
	}
	if it.slot.inbox.Deliver(Note{Kind: NoteKilobytes, SPI: it.view.In[0].SPI()}) {
		sa.LimitNoted.Close()
	}
}

func (x *transmitter) write(s *Socket) {
	if s == nil || len(x.sends) == 0 {
		return
	}
	n, _ := s.Conn.WriteBatch(x.sends) // a closed socket ends its own worker
	x.tally.drop(DropWriteUDP, len(x.sends)-n)
	x.sends = x.sends[:0]
	x.trains.reset()
}
