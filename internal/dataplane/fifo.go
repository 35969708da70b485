package dataplane

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
)

// A rate that only drops keeps TCP far below itself, wherever the round trip is longer than
// what may come at once. So packets that come too early wait, in order and for maxWait at
// most, and leave when it is their time.

const (
	maxWait      = 100 * time.Millisecond
	maxWaitBytes = 4 << 20          // of one session, however fast it may be
	leaveEarly   = time.Millisecond // packets due within that leave together
	keepBuffers  = 64               // of a queue that is empty, for the next one
)

// fifo is what waits for one session, one way.
type fifo struct {
	waiting atomic.Int32 // packets that have not left: those that come later wait behind them

	mu    sync.Mutex // between a worker and the timer
	room  *room      // nil: nothing waits
	bytes int
	armed bool // the timer runs, or its function does
	timer *time.Timer
}

// room is what a fifo has while anything waits there. Then it is any other's of the Plane: few of
// many sessions are at their rate at a time.
type room struct {
	packets []waitingPacket
	leaving []waitingPacket // taken of packets by the timer
	beside  beside          // of leaving, from the client: what goes to each queue
	free    [][]byte
}

// waitingPacket is an IP packet of a session, and when it leaves.
type waitingPacket struct {
	slot    *Slot
	session *Session
	to      netdev.Queue // of a packet from the client; nil: the packet is to it
	b       []byte       // behind netdev.HeadRoom, if it is from the client
	due     int64
}

// put has a copy of the packet b wait, and reports whether there was room. The others of a
// fifo go the same way as w.
func (f *fifo) put(now int64, w waitingPacket, b []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes+len(b) > maxWaitBytes {
		return false
	}
	if f.room == nil {
		f.room, _ = w.slot.plane.rooms.Get().(*room)
	}
	r := f.room
	if n := len(r.free); n > 0 {
		w.b, r.free = r.free[n-1], r.free[:n-1]
	}
	w.b = w.b[:0]
	if w.to != nil {
		var room [netdev.HeadRoom]byte
		w.b = append(w.b, room[:]...)
	}
	w.b = append(w.b, b...)
	f.bytes += len(w.b)
	f.waiting.Add(1)
	r.packets = append(r.packets, w)
	if !f.armed {
		f.armed = true
		f.arm(w.slot.plane, w.due-now)
	}
	return true
}

// arm has the timer fire; a clock that was put back delays it by no more than a packet waits.
func (f *fifo) arm(p *Plane, after int64) {
	wait := min(max(time.Duration(after), leaveEarly), maxWait) // the batch of a packet is sent before those behind it
	if f.timer == nil {
		f.timer = time.AfterFunc(wait, func() { f.leave(p) })
		return
	}
	f.timer.Reset(wait)
}

// leave sends the packets whose time has come. The timer runs it, one at a time.
func (f *fifo) leave(p *Plane) {
	now := time.Now()
	f.mu.Lock()
	r := f.room
	r.take(now.Add(leaveEarly).UnixNano())
	f.mu.Unlock()

	if len(r.leaving) > 0 && r.leaving[0].to != nil {
		r.deliver(p)
	} else {
		x, _ := p.shapers.Get().(*transmitter)
		x.shape(now.UnixNano(), r.leaving)
		p.shapers.Put(x)
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range r.leaving {
		b := r.leaving[i].b
		f.bytes -= len(b)
		if len(r.packets) > 0 || len(r.free) < keepBuffers {
			r.free = append(r.free, b)
		}
	}
	f.waiting.Add(int32(-len(r.leaving)))
	clear(r.leaving)
	if f.armed = len(r.packets) > 0; f.armed {
		f.arm(p, r.packets[0].due-now.UnixNano())
		return
	}
	if len(r.free) > keepBuffers {
		clear(r.free[keepBuffers:])
		r.free = r.free[:keepBuffers]
	}
	f.room = nil
	p.rooms.Put(r)
}

// take has the packets leave that are due until then.
func (r *room) take(until int64) {
	n := 0
	for n < len(r.packets) && (r.packets[n].due <= until || r.packets[n].due > until+int64(maxWait)+skew) {
		n++
	}
	r.leaving = append(r.leaving[:0], r.packets[:n]...)
	rest := copy(r.packets, r.packets[n:])
	clear(r.packets[rest:])
	r.packets = r.packets[:rest]
}

// deliver passes packets of a client that waited for their time to their devices.
func (r *room) deliver(p *Plane) {
	defer func() {
		if v := recover(); v != nil {
			r.beside.reset()
			p.panicked(p.control, v, len(r.leaving))
		}
	}()
	for i := range r.leaving {
		w := &r.leaving[i]
		if w.session.network.Load() == nil {
			p.control.drop(DropNoPath, 1)
			continue
		}
		r.beside.push(w.to, netdev.Packet{Buf: w.b, Off: netdev.HeadRoom, End: len(w.b)})
	}
	p.control.drop(DropWriteDevice, r.beside.write())
}

// shape sends packets that waited for their time.
func (x *transmitter) shape(now int64, packets []waitingPacket) {
	defer x.rescue(len(packets))
	x.now = now
	for i := range packets {
		w := &packets[i]
		net, view := w.session.network.Load(), w.slot.view.Load()
		if net == nil || view == nil || view.Out == nil {
			x.tally.drop(DropNoPath, 1)
			continue
		}
		it := item{slot: w.slot, session: w.session, b: w.b}
		if mtu := view.mtuOf(w.session, net); len(w.b) > mtu {
			it.mtu = mtu
		}
		x.push(it)
	}
	x.flush()
}

// wait has the last n packets wait that b is cut into, with the header of one of each octets,
// the first of which leaves at due and each further one a while later. It returns how many do.
func (x *transmitter) wait(it *item, f *fifo, skip, n int, due, each int64) int {
	if it.segment == 0 {
		if f.put(x.now, waitingPacket{slot: it.slot, session: it.session, due: due}, it.b) {
			return 1
		}
		return 0
	}
	if !x.cutter.Reset(it.b, it.segment) {
		return 0
	}
	for range skip {
		x.cutter.Next(x.segment)
	}
	for i := range n {
		w := waitingPacket{slot: it.slot, session: it.session, due: due + int64(i)*each}
		if !f.put(x.now, w, x.segment[:x.cutter.Next(x.segment)]) {
			return i
		}
	}
	return n
}
