package dataplane

import (
	"encoding/binary"
	"time"

	"github.com/adit-vpn/adit/internal/compress"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
)

const (
	// How many datagrams or trains are read at once, and how many bytes as far
	// as can be foreseen: more would fall out of the processor's cache before it
	// is written.
	readBatch  = 64
	readLeast  = 16
	readTrains = 4
	readBytes  = readTrains * trainLen

	// The room for one datagram of a path of 1500 bytes, and for all that is
	// longer: mostly trains of datagrams.
	datagramLen = 1536
	trainLen    = 1 << 16

	openBatch = 192

	// What a peer may ask of the control plane by packets of its user.
	packetEvery, packetBurst = 50 * time.Millisecond, 20
	moveEvery, moveBurst     = 100 * time.Millisecond, 2
)

// receiver is the worker of one socket. Everything in it is its own.
type receiver struct {
	plane  *Plane
	worker int
	socket *Socket
	queue  netdev.Queue
	tally  *tally
	opener *ipsec.Opener
	now    int64 // of this batch, Unix nanoseconds

	packets   []udp.Packet
	datagrams []byte // room of packets
	trains    []byte // the same, resident as far as trains came
	want      int    // how many packets are read next

	ins     []ipsec.In
	sources []*udp.Packet // of ins
	runs    []arrivals    // of ins, in order and without gaps
	last    arrivals      // where the last SPI of this batch led
	out     []netdev.Packet
	beside  beside // what goes to devices of sessions

	said    []byte       // replies to ISAKMP messages of this batch
	replies []udp.Packet // made of it

	counted counted

	decoder *compress.Decoder // nil: no session of this worker had compressed packets yet
	plain   []byte            // room for what it opens
	used    int               // places of plain that out has
}

// counted is packets of one session that its counters do not have yet.
type counted struct {
	session         *Session
	packets, octets int
}

// arrivals are consecutive packets of one SA.
type arrivals struct {
	slot *Slot
	view *live
	sa   *ipsec.Inbound
	port uint16 // the peer's inner UDP port; 0: any
	n    int

	doubted bool // the SA may be another peer's than the sessions'
}

func newReceiver(p *Plane, worker int, s *Socket, q netdev.Queue, t *tally) *receiver {
	batch := readBatch
	if s.Kind == SocketIKE {
		batch = readLeast // no user's packets come there
	}
	r := &receiver{
		plane: p, worker: worker, socket: s, queue: q, tally: t,
		opener:    ipsec.NewOpener(),
		packets:   make([]udp.Packet, batch),
		datagrams: make([]byte, batch*datagramLen),
		trains:    make([]byte, batch*trainLen),
		ins:       make([]ipsec.In, 0, openBatch),
		sources:   make([]*udp.Packet, 0, openBatch),
		runs:      make([]arrivals, 0, openBatch),
		out:       make([]netdev.Packet, 0, openBatch),
		replies:   make([]udp.Packet, 0, batch),
	}
	r.renew(batch)
	r.want = readLeast
	return r
}

// renew makes room for as many packets as were read.
func (r *receiver) renew(n int) {
	for i := range r.packets[:n] {
		r.packets[i].Data = r.datagrams[i*datagramLen : (i+1)*datagramLen : (i+1)*datagramLen]
		r.packets[i].Long = r.trains[i*trainLen : (i+1)*trainLen : (i+1)*trainLen]
	}
}

// run reads until the socket is closed, and returns why it ended.
func (r *receiver) run() error {
	return r.socket.Conn.Read(r.packets[:r.want], func(n int) []udp.Packet {
		r.plan(n)
		r.handle(n)
		r.renew(n)
		return r.packets[:r.want]
	})
}

// plan settles how many packets are read next, after n. What is not there
// costs time to ask for, and of trains a few are enough.
func (r *receiver) plan(n int) {
	bytes := 0
	for i := range r.packets[:n] {
		bytes += len(r.packets[i].Data)
	}
	most := len(r.packets)
	if bytes > n*datagramLen {
		most = min(max(readTrains, readBytes/(bytes/n)), most)
	}
	r.want = min(max(2*n, readLeast), most)
}

// handle takes the first n packets all the way to the device.
func (r *receiver) handle(n int) {
	defer r.rescue(n)
	r.now = time.Now().UnixNano()
	for i := range r.packets[:n] {
		p := &r.packets[i]
		segment := p.Segment
		if segment <= 0 {
			segment = len(p.Data)
		}
		rest := p.Data
		for len(rest) > segment {
			r.demux(p, rest[:segment:segment])
			rest = rest[segment:]
		}
		r.demux(p, rest)
	}
	r.open()
	r.reply()
	r.last = arrivals{} // its view may be old when the next batch comes
}

func (r *receiver) rescue(n int) {
	if v := recover(); v != nil {
		r.reset()
		r.said, r.replies = r.said[:0], r.replies[:0]
		r.last, r.counted = arrivals{}, counted{}
		r.plane.panicked(r.tally, v, n)
	}
}

// demux tells ISAKMP, keepalives and ESP apart (RFC 3948, section 2).
func (r *receiver) demux(p *udp.Packet, b []byte) {
	switch {
	case r.socket.Kind == SocketESP:
		if len(b) < 8 {
			r.tally.drop(DropShort, 1)
			return
		}
		r.queueESP(p, b)
	case r.socket.Kind == SocketIKE:
		r.ike(p, nil, b)
	case len(b) == 1 && b[0] == natKeepalive:
		r.tally.keepalives.Add(1)
	case len(b) < 8:
		r.tally.drop(DropShort, 1)
	case binary.BigEndian.Uint32(b) == 0:
		r.ike(p, b[:markerLen], b[markerLen:])
	default:
		r.queueESP(p, b)
	}
}

// ike passes a message to the control plane, and queues what goes back at once,
// behind the marker that it had.
func (r *receiver) ike(p *udp.Packet, marker, msg []byte) {
	r.tally.ike.Add(1)
	at := len(r.said)
	b := r.plane.cfg.Control.IKE(append(r.said, marker...), p.Local, p.Remote, len(marker) > 0, msg)
	if len(b) > at+len(marker) {
		r.said = b
		r.replies = append(r.replies, udp.Packet{Data: b[at:], Local: p.Local, Remote: p.Remote})
	}
}

// reply sends what is queued.
func (r *receiver) reply() {
	if len(r.replies) == 0 {
		return
	}
	// An error is that the socket is closed: its reader hears of it, too.
	if n, _ := r.socket.Conn.WriteBatch(r.replies); n < len(r.replies) {
		r.tally.drop(DropWriteUDP, len(r.replies)-n)
	}
	clear(r.replies)
	r.said, r.replies = r.said[:0], r.replies[:0]
}

func (r *receiver) queueESP(p *udp.Packet, b []byte) {
	if spi := binary.BigEndian.Uint32(b); r.last.sa == nil || r.last.sa.SPI() != spi {
		r.last = r.plane.arrival(spi)
	}
	if r.last.sa == nil {
		r.tally.drop(DropUnknownSPI, 1)
		return
	}
	if len(r.ins) == openBatch {
		r.open()
	}
	r.ins = append(r.ins, ipsec.In{SA: r.last.sa, Buf: b, End: len(b)})
	r.sources = append(r.sources, p)
	if i := len(r.runs) - 1; i >= 0 && r.runs[i].sa == r.last.sa && r.runs[i].view == r.last.view {
		r.runs[i].n++
		return
	}
	r.runs = append(r.runs, r.last)
}

// arrival is where a packet of an SPI belongs, with no SA if nobody receives
// on it.
func (p *Plane) arrival(spi uint32) arrivals {
	a := arrivals{slot: p.slot(spi), n: 1}
	if a.slot == nil {
		return arrivals{}
	}
	if a.view = a.slot.view.Load(); a.view == nil {
		return arrivals{}
	}
	if a.sa = a.view.inbound(spi); a.sa != nil {
		a.port = a.view.portOf(a.sa)
		a.doubted = a.view.doubts(spi)
	}
	return a
}
