package link

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
)

// monday is a Monday, at noon.
var monday = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// play is a link and what it has said.
type play struct {
	t    *testing.T
	link *Link
	now  time.Time
	mark int // events that were read
	said []string

	packets uint64 // that have passed
}

func start(t *testing.T, c Config) *play {
	t.Helper()
	if c.Random == nil {
		c.Random = func() float64 { return 0.5 }
	}
	p := &play{t: t, link: New(c), now: monday}
	p.link.Start(p.now)
	p.drain()
	return p
}

func (p *play) drain() {
	for e, ok := p.link.NextEvent(); ok; e, ok = p.link.NextEvent() {
		switch e := e.(type) {
		case Place:
			p.said = append(p.said, fmt.Sprintf("place %d", e.Call))
		case HangUp:
			p.said = append(p.said, fmt.Sprintf("hang up %d", e.Call))
		case Forget:
			p.said = append(p.said, "forget")
		case Lead:
			p.said = append(p.said, fmt.Sprintf("lead %d", e.Call))
		}
	}
}

// do does something at the present time.
func (p *play) do(f func(l *Link, now time.Time)) {
	f(p.link, p.now)
	p.drain()
}

// pass lets time pass, with the timers that are due in it.
func (p *play) pass(d time.Duration) {
	p.t.Helper()
	end := p.now.Add(d)
	for range 10000 {
		next := p.link.Deadline(p.now)
		if next.IsZero() || next.After(end) {
			p.now = end
			return
		}
		if next.After(p.now) {
			p.now = next
		}
		p.link.HandleTimer(p.now, p.packets)
		p.drain()
	}
	p.t.Fatal("the timer goes round and round")
}

// want fails the test unless the link has said this since the last time.
func (p *play) want(what string) {
	p.t.Helper()
	got := strings.Join(p.said[p.mark:], ", ")
	p.mark = len(p.said)
	if got != what {
		p.t.Fatalf("at %v it says %q, want %q", p.now.Sub(monday), got, what)
	}
}

func (p *play) up(c Call) { p.do(func(l *Link, now time.Time) { l.Up(now, c, false, time.Time{}) }) }

// called has the other end's call come up, and returns its number.
func (p *play) called() (c Call) { return p.calledAt(time.Time{}) }

// calledAt is called where it is known when the other end began to call.
func (p *play) calledAt(began time.Time) (c Call) {
	p.do(func(l *Link, now time.Time) {
		c = l.Answered()
		l.Up(now, c, true, began)
	})
	return c
}

func (p *play) down(c Call) { p.do(func(l *Link, now time.Time) { l.Down(now, c, "it fell") }) }

func (p *play) is(s State) {
	p.t.Helper()
	if got := p.link.Info(p.now).State; got != s {
		p.t.Fatalf("at %v it is %v, want %v", p.now.Sub(monday), got, s)
	}
}

func TestALinkThatIsAlwaysThereIsDialledAtOnceAndAgain(t *testing.T) {
	p := start(t, Config{Dial: Always})
	p.want("place 1")
	p.is(Dialling)
	p.pass(time.Second)
	p.up(1)
	p.want("lead 1")
	p.is(Up)
	p.pass(time.Hour)
	p.want("")
	p.down(1)
	p.want("lead 0, place 2")
}

// The first call after a link was up is made at once. Then an end that refuses is left
// alone longer and longer, and one that is silent is asked again and again.
func TestTheNextCallWaits(t *testing.T) {
	for name, x := range map[string]struct {
		heard bool
		waits []time.Duration
	}{
		"refused": {true, []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}},
		"silent":  {false, []time.Duration{1, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, Config{Dial: Always})
			c := Call(1)
			p.want("place 1")
			for _, wait := range x.waits {
				if x.heard {
					p.do(func(l *Link, now time.Time) { l.Stepped(now, c) })
				}
				p.down(c)
				p.is(Waiting)
				p.pass(wait*time.Second - time.Millisecond)
				p.want("")
				p.pass(time.Millisecond)
				c++
				p.want(fmt.Sprintf("place %d", c))
			}
			p.up(c)
			p.pass(stable)
			p.down(c)
			p.want(fmt.Sprintf("lead %d, lead 0, place %d", c, c+1))
		})
	}
}

func TestJitterIsAQuarter(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 750 * time.Millisecond, 1: 1250 * time.Millisecond} {
		p := start(t, Config{Dial: Always, Random: func() float64 { return random }})
		p.down(1)
		if got := p.link.Info(p.now).Next.Sub(p.now); got != want {
			t.Errorf("random %v: it waits %v, want %v", random, got, want)
		}
	}
}

// A call that gets no answer is given up soon, so that a first message leaves at least
// every few seconds; one that is answered slowly gets more time each time.
func TestACallThatDoesNotGoOnIsGivenUp(t *testing.T) {
	p := start(t, Config{Dial: Always})
	p.want("place 1")
	p.pass(patience)
	p.want("hang up 1")
	p.pass(maxSilent)
	p.want("place 2")
	for call, time := Call(2), patience; call < 6; call, time = call+1, min(2*time, maxPatience) {
		p.do(func(l *Link, now instant) { l.Stepped(now, call) })
		p.pass(time - 1)
		p.want("")
		p.pass(1)
		p.want(fmt.Sprintf("hang up %d", call))
		p.do(func(l *Link, now instant) { l.Raise(now) })
		p.want(fmt.Sprintf("place %d", call+1))
	}
}

type instant = time.Time

func TestACallThatGoesOnForeverIsGivenUp(t *testing.T) {
	p := start(t, Config{Dial: Always})
	for range int(maxCall/time.Second) + 1 {
		p.do(func(l *Link, now time.Time) { l.Stepped(now, 1) })
		p.pass(time.Second)
	}
	if p.said[1] != "hang up 1" {
		t.Errorf("%v", p.said)
	}
}

func TestALinkOnDemandIsDialledByAPacket(t *testing.T) {
	p := start(t, Config{Dial: Demand, Idle: time.Minute})
	p.is(Idle)
	p.pass(time.Hour)
	p.want("")
	wanted := func() { p.do(func(l *Link, now time.Time) { l.Wanted(now) }) }
	wanted()
	wanted()
	p.want("place 1")
	p.up(1)
	p.want("lead 1")
	p.pass(30 * time.Second)
	p.packets = 7
	p.pass(59 * time.Second)
	p.want("")
	p.pass(7 * time.Second)
	p.want("lead 0, hang up 1")
	p.is(Idle)
	wanted()
	p.want("place 2")
	p.down(2)
	p.pass(time.Second)
	p.want("place 3") // the packet still waits
	p.down(3)
	p.pass(time.Second)
	p.want("place 4")
	p.pass(wantedFor + patience)
	p.is(Idle)
	if last := p.said[len(p.said)-1]; last != "forget" {
		t.Errorf("at the end it says %q", last)
	}
	p.pass(time.Hour)
	p.is(Idle)
}

func TestALinkThatFellOnDemandWaitsForAPacket(t *testing.T) {
	p := start(t, Config{Dial: Demand, Idle: time.Minute})
	p.do(func(l *Link, now time.Time) { l.Wanted(now) })
	p.up(1)
	p.down(1)
	p.want("place 1, lead 1, lead 0")
	p.is(Idle)
}

func TestALinkThatIsNeverDialledWaitsForTheOtherEnd(t *testing.T) {
	p := start(t, Config{Dial: Never})
	p.do(func(l *Link, now time.Time) { l.Wanted(now) })
	p.pass(time.Hour)
	p.want("")
	c := p.called()
	p.want("lead 1")
	p.down(c)
	p.want("lead 0")
	p.is(Idle)
	p.do(func(l *Link, now time.Time) { l.Raise(now) })
	p.want("place 2")
}

// Whatever comes first, one call stays, and at both ends the same.
func TestOfTwoCallsOneStays(t *testing.T) {
	for name, x := range map[string]struct {
		ours bool
		play func(p *play)
		want string
	}{
		"ours, up before theirs":             {true, func(p *play) { p.up(1); p.called() }, "lead 1, hang up 2"},
		"ours, up after theirs":              {true, func(p *play) { p.called(); p.up(1) }, "lead 2, hang up 2, lead 1"},
		"ours, never up":                     {true, func(p *play) { p.called(); p.down(1) }, "lead 2"},
		"ours, given up":                     {true, func(p *play) { p.called(); p.pass(time.Minute) }, "lead 2, hang up 1"},
		"theirs, up before ours":             {false, func(p *play) { p.called() }, "hang up 1, lead 2"},
		"theirs, and ours comes up too late": {false, func(p *play) { p.called(); p.up(1) }, "hang up 1, lead 2, hang up 1"},
		"theirs, up after ours":              {false, func(p *play) { p.up(1); p.called() }, "lead 1, hang up 1, lead 2"},
		"theirs, begun before ours was up":   {true, func(p *play) { at := p.now; p.up(1); p.pass(together / 2); p.calledAt(at) }, "lead 1, hang up 2"},
		"theirs, begun when ours was up":     {true, func(p *play) { p.up(1); p.pass(together / 2); p.calledAt(p.now) }, "lead 1, hang up 1, lead 2"},
		"ours, long ago":                     {true, func(p *play) { p.up(1); p.pass(together); p.called() }, "lead 1, hang up 1, lead 2"},
		"theirs twice":                       {false, func(p *play) { p.called(); p.called() }, "hang up 1, lead 2, hang up 2, lead 3"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, Config{Dial: Always, Ours: x.ours})
			p.want("place 1")
			x.play(p)
			p.want(x.want)
			p.is(Up)
			c := p.link.Info(p.now).Call
			p.down(c + 100)
			p.is(Up)
		})
	}
}

func TestALinkThatIsHeldDownIsDown(t *testing.T) {
	p := start(t, Config{Dial: Always})
	p.up(1)
	p.do(func(l *Link, now time.Time) { l.Lower(now) })
	p.want("place 1, lead 1, lead 0, hang up 1")
	p.is(Held)
	p.pass(time.Hour)
	if p.link.Admits(p.now) {
		t.Error("it admits a call")
	}
	p.called()
	p.want("hang up 2")
	p.do(func(l *Link, now time.Time) { l.Raise(now) })
	p.want("place 3")
}

func TestALinkIsUpInItsHours(t *testing.T) {
	hours := []limit.Hours{{Days: [7]bool{1: true, 2: true}, From: 7 * time.Hour, To: 19 * time.Hour}}
	p := start(t, Config{Dial: Always, Hours: hours})
	p.up(1)
	p.want("place 1, lead 1")
	p.pass(7*time.Hour - 1)
	p.want("")
	p.pass(1)
	p.want("lead 0, hang up 1")
	p.is(Closed)
	if next := p.link.Info(p.now).Next; !next.Equal(monday.Add(19 * time.Hour)) {
		t.Errorf("it opens next at %v", next)
	}
	if p.link.Admits(p.now) {
		t.Error("it admits a call")
	}
	p.pass(12*time.Hour - 1)
	p.want("")
	p.pass(1)
	p.want("place 2")
}

func TestThePeerThatIsSeenIsDialledSoon(t *testing.T) {
	p := start(t, Config{Dial: Always})
	for c := Call(1); c < 7; c++ {
		p.do(func(l *Link, now time.Time) { l.Stepped(now, c) })
		p.down(c)
		p.now = p.link.Info(p.now).Next
		p.pass(0)
	}
	p.do(func(l *Link, now time.Time) { l.Stepped(now, 7) })
	p.down(7)
	p.mark = len(p.said)
	p.do(func(l *Link, now time.Time) { l.Seen(now) })
	p.want("")
	p.pass(backOff)
	p.want("place 8")
}

// A link that falls again and again, and is up in between, is dialled soon each time.
func TestALinkThatFallsOftenIsDialledSoon(t *testing.T) {
	p := start(t, Config{Dial: Always})
	for c := Call(1); c < 20; c++ {
		p.up(c)
		p.pass(usable)
		p.down(c)
		if wait := p.link.Info(p.now).Next.Sub(p.now); wait > backOff {
			t.Fatalf("after %d times it waits %v", c, wait)
		}
		p.pass(backOff)
	}
}

// A call that comes up and falls at once, again and again, is no reason to dial without
// end.
func TestALinkThatFallsAtOnceWaits(t *testing.T) {
	p := start(t, Config{Dial: Always})
	for c := Call(1); c < 20; c++ {
		if p.link.Info(p.now).State == Waiting {
			p.pass(p.link.Info(p.now).Next.Sub(p.now))
		}
		p.up(c)
		p.down(c)
	}
	if wait := p.link.Info(p.now).Next.Sub(p.now); wait < maxBackOff*3/4 {
		t.Errorf("it waits %v", wait)
	}
}
