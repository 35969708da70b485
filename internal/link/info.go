package link

import (
	"time"

	"github.com/adit-vpn/adit/internal/limit"
)

// State is what a link does.
type State uint8

// The states.
const (
	Idle     State = iota + 1 // down, and not to be dialled before somebody wants it
	Waiting                   // down, to be dialled at Info.Next
	Dialling                  // being dialled
	Up                        // up
	Held                      // down by order
	Closed                    // down, outside its hours
)

func (s State) String() string {
	switch s {
	case Idle:
		return "idle"
	case Waiting:
		return "waiting"
	case Dialling:
		return "dialling"
	case Up:
		return "up"
	case Held:
		return "held down"
	case Closed:
		return "outside its hours"
	}
	return "unknown"
}

// Info is a link as an administrator sees it.
type Info struct {
	State   State
	Since   time.Time // when it came up, or went down
	Call    Call      // the one that leads; zero: none
	Dialled bool      // by this end
	Tries   int       // that have failed since the link was up
	Next    time.Time // when it is dialled next, or hours begin; zero: not by time
	Failed  string    // why the last call failed or ended; "": none has
	Fell    time.Time // when that was
}

// Info returns what the link is.
func (l *Link) Info(now time.Time) Info {
	st := &l.st
	i := Info{Since: st.since, Tries: st.tries, Failed: st.failed, Fell: st.fell}
	switch {
	case l.up():
		i.State, i.Call, i.Dialled = Up, st.at.call, !st.at.theirs
	case st.dialling != 0:
		i.State = Dialling
	case st.held:
		i.State = Held
	case l.refusal(now) != "":
		i.State, i.Next = Closed, limit.Change(l.cfg.Hours, now)
	case l.wants(now):
		i.State, i.Next = Waiting, st.next
	default:
		i.State = Idle
	}
	return i
}
