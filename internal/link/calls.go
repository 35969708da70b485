package link

import (
	"fmt"
	"math"
	"time"
)

// Answered makes a number for a call of the other end, which is about to come up.
func (l *Link) Answered() Call {
	l.st.calls++
	return l.st.calls
}

// Up says that a call is up. theirs says that the other end has dialled it, which began at
// began; the zero time: nobody knows. Lead says afterwards which call is the link: there is
// never more than one.
//
// Both ends may dial at the same time, and both calls may come up. Then that one stays
// which Config.Ours names, at both ends. The end whose call does not stay gives it up
// already where the other's is up; the end whose call stays does not. Who begins to call only
// when our call has been up for some time has lost it, and did not call at the same time.
func (l *Link) Up(now time.Time, c Call, theirs bool, began time.Time) {
	st := &l.st
	if why := l.refusal(now); why != "" {
		l.out.Push(HangUp{c, why})
		if c == st.dialling {
			st.dialling = 0
		}
		return
	}
	switch {
	case theirs:
		l.upTheirs(now, c, began)
	case c != st.dialling:
		l.out.Push(HangUp{c, "given up before it came up"})
	default:
		l.upOurs(now, c)
	}
}

func (l *Link) upTheirs(now time.Time, c Call, began time.Time) {
	st := &l.st
	switch old := st.at; {
	case old.call == 0:
	case old.theirs: // the other end would not call again if it still had that one
		l.out.Push(HangUp{old.call, "the other end has called again"})
	case l.cfg.Ours && now.Sub(old.since) < together && began.Before(old.since.Add(overlap)):
		l.out.Push(HangUp{c, "both ends dialled at once, and the other call stays"})
		return
	default:
		l.out.Push(HangUp{old.call, "the other end's call takes its place"})
	}
	if st.dialling != 0 && !l.cfg.Ours {
		l.out.Push(HangUp{st.dialling, "the other end's call came first"})
		st.dialling = 0
	}
	l.lead(now, up{c, true, now})
}

func (l *Link) upOurs(now time.Time, c Call) {
	l.st.dialling = 0
	if old := l.st.at; old.call != 0 {
		l.out.Push(HangUp{old.call, "both ends dialled at once, and the other call stays"})
	}
	l.lead(now, up{c, false, now})
}

func (l *Link) lead(now time.Time, u up) {
	st := &l.st
	st.at, st.since, st.patience = u, now, patience
	st.active, st.packets, st.look = now, 0, time.Time{}
	if l.cfg.Idle > 0 {
		st.look = now.Add(l.lookEvery())
	}
	l.out.Push(Lead{u.call})
}

// Down says that a call has ended, or could not be made, and why. A call that the link has
// hung up itself is no news.
func (l *Link) Down(now time.Time, c Call, why string) {
	st := &l.st
	switch c {
	case 0:
		return
	case st.dialling:
		st.dialling = 0
		if !l.up() { // otherwise the other end's call stays
			l.fail(now, why)
		}
	case st.at.call:
		l.fall(now, why)
	default:
		return
	}
	l.decide(now)
}

// fall ends a call that was up. A link that was up for some time is dialled again at once.
func (l *Link) fall(now time.Time, why string) {
	st := &l.st
	lasted := now.Sub(st.at.since)
	st.fallen, st.at = st.at.call, up{}
	st.failed, st.fell, st.since = why, now, now
	l.out.Push(Lead{})
	if l.cfg.Dial != Always {
		st.wanted = time.Time{}
	}
	if lasted >= stable {
		st.tries, st.next = 0, now
		return
	}
	if lasted >= usable {
		st.tries = 0
	}
	st.heard = true // it came up, and was ended
	l.fail(now, why)
}

// giveUp ends the call that is dialled, because nothing more has come of the other end.
func (l *Link) giveUp(now time.Time) {
	st := &l.st
	why := "the other end does not answer"
	if st.heard {
		why = "the other end answered, and then nothing more came in time" // however long that is: the reason is the same
		st.patience = min(2*st.patience, maxPatience)
	}
	l.out.Push(HangUp{st.dialling, why})
	st.dialling = 0
	if !l.up() {
		l.fail(now, why)
	}
}

// fail records that a call was not made, and when the next one is due: the first is made
// at once, the second after a second, and then twice as long each time, with jitter. An
// end that is silent is asked again soon, since that costs nobody anything, so that the
// link is back soon after the path.
func (l *Link) fail(now time.Time, why string) {
	st := &l.st
	st.failed, st.fell = why, now
	most := maxBackOff
	if !st.heard {
		most = maxSilent
	}
	wait := min(time.Duration(float64(backOff)*math.Exp2(float64(min(st.tries, 30)))), most)
	st.tries++
	wait = time.Duration(float64(wait) * (0.75 + l.cfg.Random()/2))
	st.next = now.Add(wait)
}

// lookEvery is how often it is looked whether anything has passed.
func (l *Link) lookEvery() time.Duration { return max(time.Second, l.cfg.Idle/10) }

// checkIdle hangs up if nothing has passed for the idle time.
func (l *Link) checkIdle(now time.Time, packets uint64) {
	st := &l.st
	if packets != st.packets {
		st.packets, st.active = packets, now
	}
	if st.look = now.Add(l.lookEvery()); now.Sub(st.active) < l.cfg.Idle {
		return
	}
	st.wanted = time.Time{}
	st.failed, st.fell = fmt.Sprintf("nothing passed for %v", l.cfg.Idle), now
	l.hangUpAll(now, st.failed)
}

// Refused says that a call was refused that had come up, and why.
func (l *Link) Refused(now time.Time, why string) { l.st.failed, l.st.fell = why, now }

// Because says more of why the call ended that was up last.
func (l *Link) Because(c Call, why string) {
	if c == l.st.fallen && l.st.at.call == 0 {
		l.st.failed = why
	}
}
