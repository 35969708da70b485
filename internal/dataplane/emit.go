package dataplane

import (
	"encoding/binary"
	"slices"

	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

const (
	// How many packets are sealed at once: enough for every lane, and few
	// enough to stay in the processor's cache until they are written.
	sealBatch = 128

	// What one takes of the slab at most: MaxMTU, and all that is added to it.
	placeLen = 1536
)

// way is where the packets of one slot go, while its outbound SA is locked.
type way struct {
	slot   *Slot
	view   *live
	socket *Socket // nil: nothing can be sent
}

// template is what stands in front of packets that have the same session,
// length and protocol: PPP, L2TP and inner UDP.
type template struct {
	session  *Session // nil: it is of none
	length   int
	protocol uint16

	head [udpHeaderLen + l2tp.SequencedDataHeaderLen + pppHeaderLen]byte
	n    int // of head
	esp  int // length of the ESP packet
}

// run is consecutive packets of one session.
type run struct {
	way
	session *Session
	n       int
}

// flush sends what is queued. The lock of every SA in it is held from before
// its first sequence number is taken until the write returned: otherwise
// another worker's packets could overtake on the way to the wire, and clients'
// replay windows are small.
func (x *transmitter) flush() {
	if len(x.items) == 0 {
		return
	}
	defer x.release()
	for _, i := range x.sorted() {
		x.put(&x.items[uint32(i)])
	}
	x.seal()
	clear(x.items)
	x.items = x.items[:0]
}

// sorted is the places of the items, in the order of slots, so that no two
// workers wait for each other: each in the low half of a word.
func (x *transmitter) sorted() []uint64 {
	x.order = x.order[:0]
	several := false
	for i := range x.items {
		x.order = append(x.order, uint64(x.items[i].slot.index)<<32|uint64(i))
		several = several || x.items[i].slot != x.items[0].slot
	}
	if several {
		slices.Sort(x.order)
	}
	return x.order
}

// put puts the packets of an item into the slab.
func (x *transmitter) put(it *item) {
	if it.segment == 0 {
		x.one(it, it.b)
		return
	}
	if !x.cutter.Reset(it.b, it.segment) {
		return // route has tried: it can be cut
	}
	for left := it.packets; left > 0; left-- {
		x.next(it)
	}
}

// next puts the next packet of a super-packet into the slab. There is one.
func (x *transmitter) next(it *item) {
	if it.mtu == 0 {
		if at, ok := x.place(it); ok {
			x.wrap(it.session, at, x.cutter.Next(x.slab[at:at+MaxMTU]))
			return
		}
	}
	x.one(it, x.segment[:x.cutter.Next(x.segment)])
}

// one puts a packet into the slab, or has it wait in its slot, or drops it.
func (x *transmitter) one(it *item, b []byte) {
	for !x.whole(it, b) {
		if v := x.way.view; v == nil || !v.holds || x.releases {
			x.tally.drop(DropNoPath, 1)
			return
		}
		switch it.slot.hold(it.session, b) {
		case holdsIt:
			return
		case holdsOthers:
			x.tally.drop(DropDoubted, 1)
			return
		case holdsNone:
			x.seal() // it has a way since: the view that it found is an old one
		}
	}
}

// whole puts a packet into the slab, in fragments if need be, and reports whether it has
// a way.
func (x *transmitter) whole(it *item, b []byte) bool {
	if it.mtu > 0 && len(b) > it.mtu {
		return x.fragment(it, b)
	}
	at, ok := x.place(it)
	if ok {
		x.wrap(it.session, at, copy(x.slab[at:at+MaxMTU], b))
	}
	return ok
}

func (x *transmitter) fragment(it *item, b []byte) bool {
	h, _ := packet.Parse(b) // route has seen that it is a packet
	for from := 0; ; {
		at, ok := x.place(it)
		if !ok {
			return false
		}
		n, next := packet.Fragment(x.slab[at:at+MaxMTU], b, &h, it.mtu, from)
		if n == 0 {
			x.tally.drop(DropTooBig, 1)
			return true
		}
		x.wrap(it.session, at, n)
		if from = next; from == 0 {
			return true
		}
	}
}

// place returns where the next IP packet of an item belongs in the slab. What
// is in a full one is sent first. It fails if the item has no way.
func (x *transmitter) place(it *item) (at int, ok bool) {
	if len(x.outs) == sealBatch {
		x.seal()
	}
	if x.way.slot != it.slot {
		x.enter(it.slot)
	}
	if x.way.socket == nil {
		return 0, false
	}
	return x.used + x.way.view.Out.Suite().HeadRoom() + it.session.headLen(), true
}

// enter locks the outbound SA of a slot.
func (x *transmitter) enter(s *Slot) {
	x.way, x.template.session = way{slot: s, view: s.lock()}, nil
	if v := x.way.view; v != nil {
		x.locked = append(x.locked, v.Out)
		if v.holds && !x.releases {
			return
		}
		x.way.socket = x.plane.socket(x.worker, v.Local, v.kind())
	}
}

// wrap makes the IP packet slab[at:at+n] one that is to be sealed.
func (x *transmitter) wrap(s *Session, at, n int) {
	protocol, length := protocolOf(x.slab[at:]), n
	if c := s.codecs.Load(); c != nil && c.send != nil {
		protocol, length = x.compress(c, at, n, protocol)
	}
	t, end := &x.template, at+length
	if t.session != s || t.length != length || t.protocol != protocol {
		t.session, t.length, t.protocol = s, length, protocol
		t.fill(&x.way)
	}
	off := at - t.n
	if s.encap != nil {
		s.encap.put(x.slab[off:end], x.slab[at]>>4 == 4)
	} else {
		copy(x.slab[off:at], t.head[:t.n])
		if s.Sequencing {
			binary.BigEndian.PutUint16(x.slab[off+udpHeaderLen+l2tp.DataHeaderLen:], uint16(s.ns.Add(1)-1))
		}
		x.way.view.sumUDP(x.slab[off:end])
	}
	x.outs = append(x.outs, ipsec.Out{SA: x.way.view.Out, Buf: x.slab, Off: off, End: end})
	x.lengths = append(x.lengths, n)
	x.used += t.esp
	if last := len(x.runs) - 1; last >= 0 && x.runs[last].session == s && x.runs[last].slot == x.way.slot {
		x.runs[last].n++
		return
	}
	x.runs = append(x.runs, run{x.way, s, 1})
}

// protocolOf is the PPP protocol of an IP packet.
func protocolOf(ip []byte) uint16 {
	if ip[0]>>4 == 4 {
		return pppIPv4
	}
	return pppIPv6
}

// fill makes the template one of its session, length and protocol.
func (t *template) fill(w *way) {
	var sequence *l2tp.Sequence
	if t.session.Sequencing {
		sequence = &l2tp.Sequence{}
	}
	t.n = t.session.headLen()
	inner := t.n + t.length
	t.esp = inner + w.view.Out.Overhead(inner)
	if t.session.encap != nil {
		return
	}
	w.view.putUDP(t.head[:], w.slot.peerPort(w.view.View), inner)
	l2tp.AppendDataHeader(t.head[:udpHeaderLen], w.view.PeerTunnel, t.session.Remote, pppHeaderLen+t.length, sequence)
	copy(t.head[t.n-pppHeaderLen:], []byte{0xff, 0x03, byte(t.protocol >> 8), byte(t.protocol)})
}

// headLen is how long PPP, L2TP and inner UDP in front of a packet are, or what takes their
// place.
func (s *Session) headLen() int {
	if s.encap != nil {
		return s.encap.headLen()
	}
	if s.Sequencing {
		return udpHeaderLen + l2tp.SequencedDataHeaderLen + pppHeaderLen
	}
	return udpHeaderLen + l2tp.DataHeaderLen + pppHeaderLen
}

// seal seals what is in the slab, writes it and lets the SAs go.
func (x *transmitter) seal() {
	x.sealer.Seal(x.outs)
	x.send()
	x.release()
}

// release unlocks the SAs and empties the slab.
func (x *transmitter) release() {
	for _, sa := range x.locked {
		sa.Unlock()
	}
	clear(x.runs)
	x.locked, x.runs, x.outs, x.lengths, x.sends = x.locked[:0], x.runs[:0], x.outs[:0], x.lengths[:0], x.sends[:0]
	x.way, x.used, x.trains = way{}, 0, trains{}
}

// send writes what was sealed, a call for each run of packets that leave
// through one socket.
func (x *transmitter) send() {
	var last *Socket
	at := 0
	for i := range x.runs {
		r := &x.runs[i]
		if r.socket != last {
			x.write(last)
			last = r.socket
		}
		x.sendRun(r, x.outs[at:at+r.n], x.lengths[at:])
		at += r.n
	}
	x.write(last)
}

func (x *transmitter) sendRun(r *run, outs []ipsec.Out, lengths []int) {
	packets, octets := 0, 0
	for i := range outs {
		p := &outs[i]
		if p.Drop != ipsec.DropNone {
			x.tally.drop(DropESP(p.Drop), 1)
			continue
		}
		packets++
		octets += lengths[i]
		x.sends = x.trains.push(x.sends, r.view, x.slab, p.Off, p.End)
	}
	r.session.out.add(packets, octets, x.now)
	x.tally.out.add(packets, octets, x.now)
	r.note()
}

// note tells a connection once that its outbound SA wants a successor.
func (w *way) note() {
	sa := w.view.Out
	if !sa.LimitNoted.Open() || !sa.Exhausted() || len(w.view.In) == 0 {
		return
	}
	if w.slot.inbox.Deliver(Note{Kind: NoteKilobytes, SPI: w.view.In[0].SPI()}) {
		sa.LimitNoted.Close()
	}
}

func (x *transmitter) write(s *Socket) {
	if s == nil || len(x.sends) == 0 {
		return
	}
	n, _ := s.Conn.WriteBatch(x.sends) // a closed socket ends its own worker
	x.tally.drop(DropWriteUDP, len(x.sends)-n)
	x.sends, x.trains = x.sends[:0], trains{}
}
