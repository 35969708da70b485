package dataplane

import (
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
)

// Limits are what may pass of a session's IP packets, beside what SetNetwork says. Zero
// values limit nothing.
type Limits struct {
	Rates  limit.Rates
	Filter limit.Filter
}

// limits are Limits as packets meet them. They are part of the published network: a session
// without them pays a comparison with nil.
type limits struct {
	of      Limits
	filter  *limit.Compiled
	in, out *bucket // nil: as fast as it can
}

// SetLimits says what may pass from now on. It must not run at the same time as SetNetwork.
// A direction whose rate stays the same keeps what it has used up.
func (s *Session) SetLimits(l Limits) {
	was := s.limits.Load()
	next := &limits{of: l, filter: l.Filter.Compile()}
	next.in = bucketOf(l.Rates.In, l.Rates.BurstIn, was, func(l *limits) *bucket { return l.in })
	next.out = bucketOf(l.Rates.Out, l.Rates.BurstOut, was, func(l *limits) *bucket { return l.out })
	if next.filter == nil && next.in == nil && next.out == nil {
		next = nil
	}
	s.limits.Store(next)
	if n := s.network.Load(); n != nil {
		changed := *n
		changed.limits = next
		s.network.Store(&changed)
	}
}

// bucketOf is the bucket of a rate: the one that there was, if it is the same.
func bucketOf(r limit.Rate, burst limit.Octets, was *limits, side func(*limits) *bucket) *bucket {
	if r == 0 || r > limit.MaxRate {
		return nil
	}
	b := &bucket{rate: uint64(r), depth: int64(r.Time(max(burst, r.Burst()))), fifo: &fifo{}}
	if was != nil {
		if old := side(was); old != nil && old.rate == b.rate && old.depth == b.depth {
			return old
		}
	}
	return b
}

// bucket polices one direction of a session, by the virtual scheduling algorithm (GCRA, ITU-T
// I.371, annex A). Its only state is the time at which what has passed would have passed at
// the rate: no lock, no timer.
type bucket struct {
	rate  uint64 // bits a second
	depth int64  // nanoseconds of the rate that may pass at once
	fifo  *fifo  // where what comes too early waits

	_    [64]byte // the two directions run on different cores
	when atomic.Int64
	_    [56]byte
}

// skew is more than the clocks of two workers' batches differ by.
const skew = int64(time.Second)

// take admits as many as can pass of n packets, each of so many octets, all of which have
// total octets, now or within a while. The first of them passes as if it came at from.
func (b *bucket) take(now int64, each, total, n int, within time.Duration) (admitted int, from int64) {
	depth := b.depth + int64(within)
	for {
		was := b.when.Load()
		from = max(was, now)
		if from > now+depth+skew { // the clock was put back: no traffic reaches that
			from = now
		}
		cost := b.time(total)
		if admitted = n; from+cost > now+depth {
			one := b.time(each)
			admitted = max(0, min(int((now+depth-from)/one), n-1))
			cost = int64(admitted) * one
		}
		if admitted == 0 || b.when.CompareAndSwap(was, from+cost) {
			return admitted, from
		}
	}
}

// time is how long octets take at the rate, at least a nanosecond.
func (b *bucket) time(octets int) int64 {
	return max(1, int64(limit.Rate(b.rate).Time(limit.Octets(octets))))
}

// denies says why the filter does not let a packet pass one way; 0: it does.
func (l *limits) denies(out bool, b []byte, h *packet.IP) Drop {
	switch l.filter.Judge(out, b, h) {
	case limit.Denied:
		return DropFilter
	case limit.SourceRouted:
		return DropSourceRoute
	case limit.Passes:
	}
	return 0
}

// fromClient says why a packet b of the client, with the header h, does not pass; 0: it does.
// It is for packets to everybody, which do not wait.
func (n *network) fromClient(now int64, b []byte, h *packet.IP) Drop {
	l := n.limits
	if l == nil {
		return 0
	}
	if d := l.denies(false, b, h); d != 0 {
		return d
	}
	if l.in != nil {
		if n, _ := l.in.take(now, h.Len, h.Len, 1, 0); n == 0 {
			return DropOverRate
		}
	}
	return 0
}

// limit says whether a packet b of a client with limits passes now. If it does not, it waits,
// with a Drop of 0, or has to be dropped.
func (r *receiver) limit(o *arrivals, s *Session, net *network, b []byte, h *packet.IP) (d Drop, passes bool) {
	if d := net.limits.denies(false, b, h); d != 0 {
		return d, false
	}
	in := net.limits.in
	if in == nil {
		return 0, true
	}
	admitted, from := in.take(r.now, h.Len, h.Len, 1, maxWait)
	if admitted == 0 {
		return DropOverRate, false
	}
	due := from + in.time(h.Len) - in.depth
	if due <= r.now && in.fifo.waiting.Load() == 0 { // else it would overtake
		return 0, true
	}
	packet.ClampMSS(b, h, o.view.mtuOf(s, net), false)
	if !in.fifo.put(r.now, waitingPacket{slot: o.slot, session: s, to: r.to(net), due: due}, b[:h.Len]) {
		return DropOverRate, false
	}
	r.carried(s, h.Len)
	return 0, false
}

// to is the queue for packets of a network.
func (r *receiver) to(net *network) netdev.Queue {
	if net.port == nil {
		return r.queue
	}
	return net.port.queues[r.worker%len(net.port.queues)]
}

// toClient says how many pass of the packets that b is cut into, each of length octets, with
// segment octets of payload, and why the others do not: of packets to everybody, which do
// not wait.
func (n *network) toClient(now int64, b []byte, h *packet.IP, segment, length, packets int) (int, Drop) {
	l := n.limits
	if l == nil {
		return packets, 0
	}
	if d := l.denies(true, b, h); d != 0 {
		return 0, d
	}
	if l.out == nil {
		return packets, 0
	}
	packets, _ = l.out.take(now, length, totalOf(b, segment, length, packets), packets, 0)
	return packets, DropOverRate
}

// totalOf is the length of all packets that b is cut into: each has a copy of the headers.
func totalOf(b []byte, segment, length, packets int) int {
	return len(b) + (packets-1)*(length-segment)
}

// limit has those packets of an item go that may go now, and others wait. It reports whether
// any go.
func (x *transmitter) limit(l *limits, it *item, h *packet.IP, length int) bool {
	n := max(1, it.packets)
	if d := l.denies(true, it.b, h); d != 0 {
		x.tally.drop(d, n)
		return false
	}
	out := l.out
	if out == nil {
		return true
	}
	admitted, from := out.take(x.now, length, totalOf(it.b, it.segment, length, n), n, maxWait)
	each, first := out.time(length), 0
	if out.fifo.waiting.Load() == 0 { // else they would overtake
		first = min(admitted, max(0, int((x.now+out.depth-from)/each)))
		if admitted == n && from+out.time(totalOf(it.b, it.segment, length, n)) <= x.now+out.depth {
			first = n // the last one is shorter
		}
	}
	waits := 0
	if first < admitted {
		waits = x.wait(it, out.fifo, first, admitted-first, from+int64(first+1)*each-out.depth, each)
	}
	x.tally.drop(DropOverRate, n-first-waits)
	it.packets = first
	return first > 0
}
