package link

import (
	"time"

	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/machine"
)

// Dial is when a link is dialled.
type Dial uint8

// The values of Dial.
const (
	Always Dial = iota + 1
	Demand      // when a packet wants to go there
	Never       // the other end calls
)

// Config is what the owner of a link wants. It is immutable.
type Config struct {
	Dial  Dial
	Idle  time.Duration // how long nothing passes before the link is hung up; 0: for ever
	Hours []limit.Hours // when it may be up; nil: always

	// Before is a number that calls of an earlier Link may have: this one's are greater.
	Before Call

	// Ours says that of two calls, one dialled by each end at the same time, ours is the
	// link. At the other end it must be false.
	Ours bool

	// Random returns a number from 0 to 1, for jitter.
	Random func() float64
}

// Call names one call of a link. Zero is none.
type Call uint64

// Event is what a Link tells its driver.
type Event interface{ event() }

type (
	// Place asks the driver to dial. Stepped, Up and Down say how that goes.
	Place struct{ Call Call }
	// HangUp asks the driver to end a call, of which the link knows nothing any more.
	HangUp struct {
		Call Call
		Why  string
	}
	// Forget says that nobody dials any more for packets that wait.
	Forget struct{}
	// Lead says which call carries the link's packets from now on; zero: none does.
	Lead struct{ Call Call }
)

func (Place) event()  {}
func (HangUp) event() {}
func (Forget) event() {}
func (Lead) event()   {}

// Times of a link.
const (
	patience    = 4 * time.Second  // of a call that is dialled, between two signs of the other end
	maxPatience = 32 * time.Second // where the other end has answered, and was too slow
	maxCall     = 2 * time.Minute  // of a call that is dialled, however many signs there are
	backOff     = time.Second      // after the second failure; then twice as long each time
	maxBackOff  = time.Minute      // where the other end answers, and refuses
	maxSilent   = time.Second      // where it is silent: nothing but a first message is sent to it
	wantedFor   = 30 * time.Second // how long after the last packet that wants to go there it is dialled again
	orderedFor  = time.Minute      // the same after an order to dial
	stable      = 10 * time.Second // a link that was up as long is dialled at once when it falls
	usable      = time.Second      // one that was up as long is dialled after backOff, however often it falls

	// together is how long after a call of ours has come up one of the other end's may
	// have been dialled at the same time. Later, the other end would not dial if it still
	// had ours.
	together = 3 * time.Second

	// overlap is how long after that the first message of such a call may arrive.
	overlap = time.Second
)

// Prefer says what Config.Ours does, where that is known only when the link is dialled.
func (l *Link) Prefer(ours bool) { l.cfg.Ours = ours }

// Link is one link. It belongs to one goroutine.
type Link struct {
	cfg Config
	st  state
	out machine.Queue[Event]
}

// state is a link's whole state: plain data.
type state struct {
	held  bool // by an order: it stays down
	calls Call // the last that was placed

	dialling Call
	begun    time.Time // when that was
	until    time.Time // when it must have gone on
	heard    bool      // the other end has answered it
	patience time.Duration

	at up // the call that is up

	tries  int       // that have failed since the link was up
	next   time.Time // before which it is not dialled again
	wanted time.Time // until when a packet, or an order, has it dialled

	active  time.Time // when packets passed last
	look    time.Time // when it is looked again whether any have
	packets uint64

	fallen Call      // the call that was up last
	since  time.Time // of the present state
	failed string    // why the last call failed or ended; "": none has
	fell   time.Time // when that was
}

// up is a call that is up; the zero value is none.
type up struct {
	call   Call
	theirs bool // the other end has dialled it
	since  time.Time
}

// New returns a link that waits for Start.
func New(c Config) *Link { return &Link{cfg: c, st: state{patience: patience, calls: c.Before}} }

// Start begins.
func (l *Link) Start(now time.Time) {
	l.st.since = now
	l.decide(now)
}

// Wanted says that a packet wants to go where no call leads.
func (l *Link) Wanted(now time.Time) {
	if l.cfg.Dial == Demand {
		l.st.wanted = now.Add(wantedFor)
	}
	l.decide(now)
}

// Seen says that the other end is there: something of it has come. A link that waits to be
// dialled waits no longer.
func (l *Link) Seen(now time.Time) {
	if l.st.next.After(now.Add(backOff)) {
		l.st.next, l.st.tries = now.Add(backOff), 0
	}
	l.decide(now)
}

// Raise has the link dialled, and calls admitted, whatever Lower said before.
func (l *Link) Raise(now time.Time) {
	l.st.held, l.st.tries, l.st.next = false, 0, now
	l.st.wanted = now.Add(orderedFor)
	l.decide(now)
}

// Admit has calls admitted, whatever Lower said before.
func (l *Link) Admit(now time.Time) {
	l.st.held = false
	l.decide(now)
}

// Lower ends the link, and holds it down until Raise.
func (l *Link) Lower(now time.Time) {
	l.st.held = true
	l.decide(now)
}

// Admits reports whether a call of the other end may come up now.
func (l *Link) Admits(now time.Time) bool { return l.refusal(now) == "" }

// refusal says why the link may not be up; "" if it may.
func (l *Link) refusal(now time.Time) string {
	switch {
	case l.st.held:
		return "held down by an administrator"
	case !limit.Open(l.cfg.Hours, now):
		return "outside its hours"
	}
	return ""
}

// Stepped says that the other end has answered a call that is dialled.
func (l *Link) Stepped(now time.Time, c Call) {
	if c == l.st.dialling && c != 0 {
		l.st.heard, l.st.until = true, now.Add(l.st.patience)
	}
}

// Begun says that a call leaves only now: what came before took no time of the other end.
func (l *Link) Begun(now time.Time, c Call) {
	if c == l.st.dialling && c != 0 {
		l.st.begun, l.st.until = now, now.Add(l.st.patience)
	}
}

// HandleTimer does what is due. packets is how many have passed on the call that leads.
func (l *Link) HandleTimer(now time.Time, packets uint64) {
	if l.st.dialling != 0 && !now.Before(l.dialEnd()) {
		l.giveUp(now)
	}
	if l.up() && due(l.st.look, now) {
		l.checkIdle(now, packets)
	}
	if !l.up() && l.st.dialling == 0 && due(l.st.wanted, now) {
		l.st.wanted = time.Time{}
		l.out.Push(Forget{})
	}
	l.decide(now)
}

// Deadline is when HandleTimer is needed next; zero: never.
func (l *Link) Deadline(now time.Time) time.Time {
	var dial, retry, idle time.Time
	switch {
	case l.up():
		idle = l.st.look
	case l.st.dialling == 0 && l.wants(now):
		retry = machine.Earliest(l.st.next, l.st.wanted)
	case l.st.dialling == 0:
		retry = l.st.wanted
	}
	if l.st.dialling != 0 {
		dial = l.dialEnd()
	}
	return machine.Earliest(dial, retry, idle, limit.Change(l.cfg.Hours, now))
}

func due(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// dialEnd is when the call that is dialled is given up.
func (l *Link) dialEnd() time.Time { return machine.Earliest(l.st.until, l.st.begun.Add(maxCall)) }

// NextEvent returns the next event, if there is one.
func (l *Link) NextEvent() (Event, bool) { return l.out.Pop() }

// up reports whether a call is up.
func (l *Link) up() bool { return l.st.at.call != 0 }

// wants reports whether the link should be dialled as long as it is down.
func (l *Link) wants(now time.Time) bool {
	return l.refusal(now) == "" && (l.cfg.Dial == Always || now.Before(l.st.wanted))
}

// decide dials, or ends what may not be.
func (l *Link) decide(now time.Time) {
	if why := l.refusal(now); why != "" {
		l.hangUpAll(now, why)
		return
	}
	if l.up() || l.st.dialling != 0 || !l.wants(now) || now.Before(l.st.next) {
		return
	}
	l.st.calls++
	l.st.dialling, l.st.begun, l.st.until, l.st.heard = l.st.calls, now, now.Add(l.st.patience), false
	l.out.Push(Place{l.st.dialling})
}

// hangUpAll ends every call.
func (l *Link) hangUpAll(now time.Time, why string) {
	st := &l.st
	if !l.up() && st.dialling == 0 {
		return
	}
	if st.dialling != 0 {
		l.out.Push(HangUp{st.dialling, why})
		st.dialling = 0
	}
	if l.up() {
		l.out.Push(Lead{})
		l.out.Push(HangUp{st.at.call, why})
		st.at, st.since = up{}, now
	}
}
