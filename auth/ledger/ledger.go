package ledger

import (
	"sync"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// Limits bound what waits.
type Limits struct {
	Records int
	Bytes   int
}

// Config is what a Ledger works with.
type Config struct {
	Path    string            // the file; "": memory alone
	Limits  Limits            // zero: those of defaults
	Problem func(text string) // is told what an administrator should know; may be nil
	News    func(text string) // is told what is well again; may be nil
}

// Defaults: three records of 400 bytes for every session of a day on which 50,000 come and go.
const (
	defaultRecords = 200_000
	defaultBytes   = 96 << 20
)

// The writer's pace.
const (
	batchTime = 50 * time.Millisecond
	batchSize = 256         // records or marks of a transaction, about
	inboxSize = 1 << 16     // records that come while the disk is slow
	retryDisk = time.Minute // until a file that could not be written is tried again
	fullPause = time.Minute // between two lines that say that records are lost
)

// Loss is why a record was lost.
type Loss uint8

// The losses.
const (
	Full      Loss = iota + 1 // there was no room
	Refused                   // a server that lives has not taken it for a long time
	Unwritten                 // it makes no packet
)

func (l Loss) String() string {
	switch l {
	case Full:
		return "queue full"
	case Refused:
		return "refused by the server"
	case Unwritten:
		return "not encodable"
	}
	return "unknown"
}

// Losses are all of them.
func Losses() []Loss { return []Loss{Full, Refused, Unwritten} }

// Ledger keeps records until they are taken.
type Ledger struct {
	cfg   Config
	disk  *disk // the writer's; nil: memory alone
	wake  chan struct{}
	ready chan struct{}
	stop  chan struct{}
	done  chan struct{}

	mu     sync.Mutex
	book   *book
	onDisk bool

	door door
}

// door is where records come in. It has a lock of its own, which nobody holds for long.
type door struct {
	sync.Mutex
	inbox    []auth.Record
	marks    []Carried
	syncs    []chan struct{}
	lost     uint64
	closed   bool
	toldFull time.Time
}

// Open opens a ledger. It always succeeds: what it cannot read or write is told to Problem.
// Sessions that were live end now, with the figures that are known of them.
func Open(cfg Config) *Ledger {
	if cfg.Problem == nil {
		cfg.Problem = func(string) {}
	}
	if cfg.News == nil {
		cfg.News = func(string) {}
	}
	if cfg.Limits == (Limits{}) {
		cfg.Limits = Limits{defaultRecords, defaultBytes}
	}
	l := &Ledger{
		cfg: cfg, book: newBook(cfg.Limits),
		wake: make(chan struct{}, 1), ready: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.restore(time.Now())
	go l.write()
	return l
}

// Account implements auth.Accountant.
func (l *Ledger) Account(r auth.Record) {
	l.door.Lock()
	room := inboxSize
	if r.Status == auth.Interim {
		room /= 2 // the disk stands still
	}
	full := l.door.closed || len(l.door.inbox) >= room
	if full {
		l.door.lost++
	} else {
		l.door.inbox = append(l.door.inbox, r)
	}
	n, closed := len(l.door.inbox), l.door.closed
	l.door.Unlock()
	switch {
	case closed:
		l.tellLost("a record that came after the end is lost: accounting has stopped, as the server does")
		return
	case full:
		l.tellLost(textFull)
		return
	}
	if n == 1 || n == batchSize {
		signal(l.wake)
	}
}

// Carried is what a live session has carried so far.
type Carried struct {
	Session                                                string
	Time                                                   time.Time
	Duration                                               time.Duration
	InputOctets, OutputOctets, InputPackets, OutputPackets uint64
}

// Mark keeps what live sessions have carried, for the case that they are cut off.
func (l *Ledger) Mark(list []Carried) {
	l.door.Lock()
	l.door.marks = list
	l.door.Unlock()
	signal(l.wake)
}

// Next is a record to send now, nil if there is none; then at is when there will be one, if
// none comes before (see Ready), or zero. The caller says by Done, Back, Aside or Lose what became
// of it.
func (l *Ledger) Next(now time.Time) (e *Entry, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.next(now)
}

// Ready receives when Next may have more than it had.
func (l *Ledger) Ready() <-chan struct{} { return l.ready }

// Done says that a server has taken the record.
func (l *Ledger) Done(e *Entry) { l.change(func() { l.book.remove(e) }) }

// Back says that it was not taken, and may be sent again at due. The session's later
// records wait for it.
func (l *Ledger) Back(e *Entry, due time.Time) { l.change(func() { l.book.back(e, due, false) }) }

// Aside is Back, but the session's later records do not wait.
func (l *Ledger) Aside(e *Entry, due time.Time) { l.change(func() { l.book.back(e, due, true) }) }

// Hurry has Next give at once what was put Back for later, except what was tried: a server
// lives again.
func (l *Ledger) Hurry() { l.change(l.book.hurry) }

// Lose gives the record up.
func (l *Ledger) Lose(e *Entry, why Loss) {
	l.change(func() {
		l.book.lost[why]++
		l.book.remove(e)
	})
}

func (l *Ledger) change(f func()) {
	l.mu.Lock()
	f()
	n := len(l.book.changes)
	l.mu.Unlock()
	signal(l.ready)
	if n > 0 {
		signal(l.wake)
	}
}

// Sync waits until what Account and Mark were given is on disk, if there is one.
func (l *Ledger) Sync() {
	done := make(chan struct{})
	l.door.Lock()
	if l.door.closed {
		l.door.Unlock()
		return
	}
	l.door.syncs = append(l.door.syncs, done)
	l.door.Unlock()
	signal(l.wake)
	<-done
}

// Close writes what there is and closes the file. Records that wait stay there.
func (l *Ledger) Close() {
	l.door.Lock()
	was := l.door.closed
	l.door.closed = true
	l.door.Unlock()
	if !was {
		close(l.stop)
	}
	<-l.done
}

// Stats is how a ledger stands.
type Stats struct {
	Waiting int       // records that no server has taken
	Aside   int       // of these, what servers that live have not taken
	Live    int       // sessions
	Oldest  time.Time // since when the oldest record waits; zero: none does
	Lost    map[Loss]uint64
	OnDisk  bool
}

// Stats returns it.
func (l *Ledger) Stats() Stats {
	l.door.Lock()
	waiting, lost := len(l.door.inbox), l.door.lost
	l.door.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Waiting: l.book.count + waiting, Live: len(l.book.live), Oldest: l.book.oldest(), Lost: map[Loss]uint64{}, OnDisk: l.onDisk}
	for _, e := range l.book.heap {
		if e.aside {
			s.Aside++
		}
	}
	for why, n := range l.book.lost {
		s.Lost[why] = n
	}
	s.Lost[Full] += lost
	return s
}

// Each calls f for the last record of each session that waits to end or to be told of.
func (l *Ledger) Each(f func(r *auth.Record)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lane := range l.book.lanes {
		f(&lane[len(lane)-1].Record)
	}
}

const textFull = "the queue is full: records are lost; see why no accounting server takes them"

// tellLost says why records are lost, at most once a minute.
func (l *Ledger) tellLost(text string) {
	l.door.Lock()
	now := time.Now()
	tell := now.Sub(l.door.toldFull) >= fullPause
	if tell {
		l.door.toldFull = now
	}
	l.door.Unlock()
	if tell {
		l.cfg.Problem(text)
	}
}

// signal wakes who waits on a channel of one place.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
