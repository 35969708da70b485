package ipsec

const (
	// DefaultWindow is the replay window where the caller names none.
	DefaultWindow = 1024

	minWindow = 32 // RFC 4303, section 3.4.3
	maxWindow = 1 << 16
	wordBits  = 64
)

// window is an anti-replay window: a ring of bit words that is cleared a word
// at a time as it moves (RFC 6479). The zero value is not usable.
type window struct {
	size  uint32
	top   uint32 // the highest sequence number, 0: none yet
	words []uint64
}

func newWindow(size int) window {
	if size <= 0 {
		size = DefaultWindow
	}
	size = min(max(size, minWindow), maxWindow)
	n := 1
	for n < (size+wordBits-1)/wordBits+1 {
		n *= 2
	}
	return window{size: uint32(size), words: make([]uint64, n)}
}

// fresh reports whether seq may be accepted: not 0, not left of the window,
// not seen before.
func (w *window) fresh(seq uint32) bool {
	switch {
	case seq == 0:
		return false
	case seq > w.top:
		return true
	case w.top-seq >= w.size:
		return false
	}
	return *w.word(seq)&bit(seq) == 0
}

// accept marks seq as seen and reports whether it was fresh, and whether it
// is the highest so far.
func (w *window) accept(seq uint32) (fresh, newest bool) {
	if !w.fresh(seq) {
		return false, false
	}
	newest = seq > w.top
	if newest {
		steps := min(seq/wordBits-w.top/wordBits, uint32(len(w.words)))
		for i := range steps {
			*w.word(seq - i*wordBits) = 0
		}
		w.top = seq
	}
	*w.word(seq) |= bit(seq)
	return true, newest
}

func (w *window) word(seq uint32) *uint64 {
	return &w.words[seq/wordBits&uint32(len(w.words)-1)]
}

func bit(seq uint32) uint64 { return 1 << (seq % wordBits) }
