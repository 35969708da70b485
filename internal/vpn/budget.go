package vpn

import (
	"net/netip"
	"sync"

	"github.com/adit-vpn/adit/internal/crowd"
)

// budget bounds the memory that all connections of strangers hold together. It is half of
// the memory allowed for strangers; the other half is for records of first messages, so
// that neither uses up the other's. Each connection needs a few KiB, and beyond that each
// origin has a share.
type budget struct {
	mu    sync.Mutex
	limit int // bytes
	used  int
	extra crowd.Census // bytes in excess of the basic need, by origin
}

const (
	// defaultMemory is the memory for strangers, in bytes, if a Policy does not set it.
	defaultMemory = 64 << 20
	// strangerCost is what a connection costs before message 5, in bytes: a goroutine's
	// stack, the connection, its queue, an ISAKMP SA with the keys of message 4, and
	// allowance.
	strangerCost = 16 << 10
	// allowance is how many bytes of a stranger's messages may wait as part of that cost:
	// messages 3 and 5 with a pre-shared key use a third of it.
	allowance = 4 << 10
	// budgetShare is how many origins can use up all that is extra; for IPv6, an origin
	// is a site.
	budgetShare = 8
)

// halfOf is half of the memory for strangers, in bytes.
func halfOf(memory int) int {
	if memory <= 0 {
		memory = defaultMemory
	}
	return memory / 2
}

// take takes bytes from the budget, if enough are left. A quarter is reserved for what is
// extra.
func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.limit/4*3 {
		return false
	}
	b.used += n
	return true
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}

// takeExtra takes bytes from an origin's share.
func (b *budget) takeExtra(o crowd.Origin, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.limit || b.extra.Of(o)[0]+n > b.limit/budgetShare {
		return false
	}
	b.used += n
	b.extra.Add(o, n)
	return true
}

func (b *budget) giveExtra(o crowd.Origin, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.extra.Add(o, -n)
}

// holding is what a stranger has taken from the budget. It is used by data path workers
// and by the connection's goroutine.
type holding struct {
	mu     sync.Mutex
	budget *budget // nil: the peer is not a stranger, and nothing is counted
	from   netip.Addr
	extra  int // bytes taken beyond the allowance
}

// open begins the counting.
func (h *holding) open(b *budget, from netip.Addr) { h.budget, h.from = b, from }

// hold reports whether this many bytes of messages may be held, and takes what is missing
// from the budget.
func (h *holding) hold(bytes int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	missing := bytes - allowance - h.extra
	if h.budget == nil || missing <= 0 {
		return true
	}
	if !h.budget.takeExtra(crowd.OriginOf(h.from), missing) {
		return false
	}
	h.extra += missing
	return true
}

// close returns everything to the budget: the peer has proved a key, or is gone.
func (h *holding) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.budget == nil {
		return
	}
	h.budget.give(strangerCost)
	h.budget.giveExtra(crowd.OriginOf(h.from), h.extra)
	h.budget, h.extra = nil, 0
}
