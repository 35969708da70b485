package ipsec

import "sync/atomic"

const (
	maxSequence = 1<<32 - 1

	// softSequence is where an SA wants a successor although its lifetime has
	// not ended: three quarters of its sequence numbers.
	softSequence = 3 << 30
)

// Latch remembers that something was done once. It is safe for concurrent
// use; the zero value is open.
type Latch struct{ closed atomic.Bool }

// Open reports whether Close has not been called yet.
func (l *Latch) Open() bool { return !l.closed.Load() }

// Close closes the latch.
func (l *Latch) Close() { l.closed.Store(true) }

// Usage counts what an SA carried. All of it may be read at any time.
type Usage struct {
	packets, bytes atomic.Uint64
	limit          atomic.Uint64
	sequence       atomic.Uint32

	// LimitNoted lets the caller report only once that the SA is Exhausted.
	LimitNoted Latch
}

// Packets is how many packets were sealed or opened.
func (u *Usage) Packets() uint64 { return u.packets.Load() }

// Bytes is how many bytes of payload they had, without ESP's own.
func (u *Usage) Bytes() uint64 { return u.bytes.Load() }

// Sequence is the highest sequence number so far.
func (u *Usage) Sequence() uint32 { return u.sequence.Load() }

// SetLimit sets the soft limit in bytes of payload; 0 means none. It stops
// nothing: it only makes the SA Exhausted.
func (u *Usage) SetLimit(bytes uint64) { u.limit.Store(bytes) }

// Exhausted reports whether the SA wants a successor: it passed its soft
// limit, or three quarters of its sequence numbers are used.
func (u *Usage) Exhausted() bool {
	limit := u.limit.Load()
	return limit != 0 && u.bytes.Load() >= limit || u.sequence.Load() >= softSequence
}

// add counts one run of packets. Its callers hold the SA's lock.
func (u *Usage) add(packets, bytes int) {
	if packets == 0 {
		return
	}
	u.packets.Store(u.packets.Load() + uint64(packets))
	u.bytes.Store(u.bytes.Load() + uint64(bytes))
}
