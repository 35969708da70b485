package ledger

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// Entry is one record that waits to be sent.
type Entry struct {
	Record auth.Record
	Since  time.Time // when it began to wait
	Tries  int       // is the sender's: how often a server that lives did not take it
	Misses int       // is the sender's: how often it was sent in vain; those with fewer come first

	seq  uint64
	data []byte // as in the file; what the file does not have yet, too

	state state
	aside bool      // the session's later records do not wait for it
	stale bool      // an interim that is being sent, when a newer record has come
	due   time.Time // while it is in state later
	index int       // in the heap of those
}

// state is where an entry stands.
type state uint8

const (
	fresh   state = iota // not on disk yet
	blocked              // an earlier record of the session comes first
	ready                // can be sent
	later                // can be sent when it is due
	busy                 // is being sent
	gone                 // taken, superseded or lost
)

// book is what waits, in the order of each session, and what is live. It is pure: whoever
// has it holds a lock, and writes what it says to the file.
type book struct {
	limits Limits
	seq    uint64
	lanes  map[string][]*Entry // of a session, in order
	live   map[string][]byte   // last record of each session that has begun and not ended
	queue  []*Entry            // ready; some may be gone
	heap   dueHeap             // later
	all    []*Entry            // by age; some may be gone
	spare  map[uint64]*Entry   // interims: they make room
	count  int
	bytes  int
	lost   map[Loss]uint64

	changes []change // for the file
}

// change is one write to the file.
type change struct {
	live bool
	key  string // a session, or a sequence number
	data []byte // nil: delete
}

func newBook(l Limits) *book {
	return &book{limits: l, lanes: map[string][]*Entry{}, live: map[string][]byte{}, spare: map[uint64]*Entry{}, lost: map[Loss]uint64{}}
}

// put takes a new record in, as fresh; data is how the file has it. It returns nil if there
// is no room or no use for it.
func (b *book) put(now time.Time, r auth.Record, data []byte) *Entry {
	id := r.Call.SessionID
	switch r.Status {
	case auth.Stop:
		b.setLive(id, nil)
		b.supersede(id)
	case auth.Interim:
		b.setLive(id, data)
		b.supersede(id)
	case auth.Start:
		b.setLive(id, data)
	}
	if !b.room(r.Status, len(data)) {
		b.lost[Full]++
		return nil
	}
	b.seq++
	e := b.add(now, b.seq, r, data)
	b.changes = append(b.changes, change{key: seqKey(e.seq), data: data})
	return e
}

// add appends an entry that has its number already.
func (b *book) add(since time.Time, seq uint64, r auth.Record, data []byte) *Entry {
	e := &Entry{Record: r, Since: since, seq: seq, data: data}
	b.seq = max(b.seq, seq)
	b.lanes[r.Call.SessionID] = append(b.lanes[r.Call.SessionID], e)
	b.all = append(b.all, e)
	b.count++
	b.bytes += len(data)
	if r.Status == auth.Interim {
		b.spare[seq] = e
	}
	return e
}

// supersede drops the interims of a session that wait: a newer record says more. One that
// is being sent is not sent again, and the file forgets it with the newer one's coming: after a
// crash it would follow a Stop that was taken before.
func (b *book) supersede(id string) {
	for _, e := range append([]*Entry(nil), b.lanes[id]...) {
		switch {
		case e.Record.Status != auth.Interim:
		case e.state == busy:
			e.stale = true
			b.changes = append(b.changes, change{key: seqKey(e.seq)})
		default:
			b.remove(e)
		}
	}
}

// setLive says what the last record of a live session is; nil: it has ended.
func (b *book) setLive(id string, data []byte) {
	if data == nil {
		if _, ok := b.live[id]; !ok {
			return
		}
		delete(b.live, id)
	} else {
		b.live[id] = data
	}
	b.changes = append(b.changes, change{live: true, key: id, data: data})
}

// room makes room for a record, for which interims go. The last eighth is for Stops: a
// session whose Start is lost is known by its Stop, and one whose Stop is lost never ends.
func (b *book) room(s auth.Status, size int) bool {
	records, bytes := b.limits.Records, b.limits.Bytes
	if s != auth.Stop {
		records, bytes = records-records/8, bytes-bytes/8
	}
	for b.count+1 > records || b.bytes+size > bytes {
		if s == auth.Interim || !b.yield() {
			return false
		}
	}
	return true
}

// yield drops one interim, whichever it is.
func (b *book) yield() bool {
	for _, e := range b.spare {
		if e.state != busy {
			b.lost[Full]++
			b.remove(e)
			return true
		}
	}
	return false
}

// settled says that a fresh entry is on disk, or that there is no disk.
func (b *book) settled(e *Entry) {
	if e.state == fresh {
		e.state = blocked
		b.advance(e.Record.Call.SessionID)
	}
}

// advance has the first record of a session that is not put aside sent. Nothing overtakes an
// interim that is on its way: servers take one behind the Stop for another session.
func (b *book) advance(id string) {
	for _, e := range b.lanes[id] {
		if e.aside && (e.state != busy || e.Record.Status != auth.Interim) {
			continue
		}
		if e.state == blocked {
			b.makeReady(e)
		}
		return
	}
}

func (b *book) makeReady(e *Entry) {
	e.state = ready
	b.queue = append(b.queue, e)
}

// next is the next entry to send, nil if there is none now; then at is when there is one, or
// zero.
func (b *book) next(now time.Time) (e *Entry, at time.Time) {
	for len(b.heap) > 0 && !now.Before(b.heap[0].due) {
		b.makeReady(heap.Pop(&b.heap).(*Entry))
	}
	for len(b.queue) > 0 {
		e, b.queue = b.queue[0], b.queue[1:]
		if e.state == ready {
			e.state = busy
			return e, time.Time{}
		}
	}
	if len(b.heap) > 0 {
		at = b.heap[0].due
	}
	return nil, at
}

// back returns an entry that was not taken, to be sent again at due. With aside, the
// session's later records no longer wait for it.
func (b *book) back(e *Entry, due time.Time, aside bool) {
	if e.state != busy {
		return
	}
	id := e.Record.Call.SessionID
	e.state = blocked
	if e.stale {
		b.remove(e)
		return
	}
	e.aside = e.aside || aside
	if due.IsZero() {
		b.makeReady(e)
	} else {
		e.state, e.due = later, due
		heap.Push(&b.heap, e)
	}
	b.advance(id)
}

// hurry makes ready what waits for its time, except what servers that live did not take.
func (b *book) hurry() {
	var rest dueHeap
	slices.SortFunc(b.heap, before)
	for _, e := range b.heap {
		if e.Tries > 0 {
			rest = append(rest, e)
		} else {
			b.makeReady(e)
		}
	}
	b.heap = rest
	for i, e := range b.heap {
		e.index = i
	}
	heap.Init(&b.heap)
}

// remove takes an entry out.
func (b *book) remove(e *Entry) {
	if e.state == gone {
		return
	}
	if e.state == later {
		heap.Remove(&b.heap, e.index)
	}
	e.state = gone
	id := e.Record.Call.SessionID
	var rest []*Entry
	for _, other := range b.lanes[id] {
		if other != e {
			rest = append(rest, other)
		}
	}
	if b.lanes[id] = rest; rest == nil {
		delete(b.lanes, id)
	}
	delete(b.spare, e.seq)
	b.count--
	b.bytes -= len(e.data)
	b.changes = append(b.changes, change{key: seqKey(e.seq)})
	e.data = nil
	b.advance(id)
	b.tidy()
}

// tidy forgets entries that are gone.
func (b *book) tidy() {
	for len(b.all) > 0 && b.all[0].state == gone {
		b.all = b.all[1:]
	}
	if len(b.all) > 2*b.count+1024 { // behind one old record, thousands may have come and gone
		b.all = kept(b.all)
	}
	if len(b.queue) > 2*b.count+1024 {
		b.queue = kept(b.queue)
	}
}

func kept(list []*Entry) (rest []*Entry) {
	for _, e := range list {
		if e.state != gone {
			rest = append(rest, e)
		}
	}
	return rest
}

// oldest is since when the oldest record waits; zero: none waits.
func (b *book) oldest() time.Time {
	b.tidy()
	if len(b.all) == 0 {
		return time.Time{}
	}
	return b.all[0].Since
}

// dueHeap orders entries by when they are due.
type dueHeap []*Entry

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return before(h[i], h[j]) < 0
}

// before orders entries that can be sent at the same time.
func before(x, y *Entry) int {
	return cmp.Or(cmp.Compare(x.Misses, y.Misses), cmp.Compare(x.seq, y.seq))
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	e := x.(*Entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	return e
}
