package l2tp

import (
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// Deadline is when HandleTimer has to be called next. The zero time means never.
func (t *Tunnel) Deadline() time.Time {
	if t.s.ending == gone {
		return time.Time{}
	}
	first := machine.Earliest(t.s.leave, t.s.channel.timer)
	if t.s.ending != live {
		return first
	}
	first = machine.Earliest(first, t.s.setup, t.helloDeadline())
	for i := range t.s.sessions {
		first = machine.Earliest(first, t.s.sessions[i].deadline)
	}
	return first
}

// HandleTimer does what is due at now.
func (t *Tunnel) HandleTimer(now time.Time) {
	if t.s.ending == gone {
		return
	}
	if due(now, t.s.leave) {
		t.gone()
		return
	}
	t.handleRetransmit(now)
	if t.s.ending == live {
		t.handleTimeouts(now)
	}
	if t.s.ending == live && due(now, t.helloDeadline()) {
		t.enqueue(0, compose(hello), true)
	}
	t.flush(now)
}

func (t *Tunnel) handleTimeouts(now time.Time) {
	if due(now, t.s.setup) {
		t.fire(now, tunnelClose, end{Result: Result{Code: StopRequest, Message: "not established in time"}})
		return
	}
	for i := 0; i < len(t.s.sessions); {
		s := &t.s.sessions[i]
		if !due(now, s.deadline) {
			i++
			continue
		}
		t.fireSession(now, s, callClose, end{Result: Result{Code: CallTimeout, Message: "not established in time"}})
	}
}

// helloDeadline is when the peer has been silent for so long that a HELLO is due.
// There is none while a message is outstanding, because its acknowledgement will
// show as well that the peer is there.
func (t *Tunnel) helloDeadline() time.Time {
	if d := t.env.Config.Hello; d > 0 && t.s.state == tunnelEstablished && t.s.channel.idle() {
		return t.s.heard.Add(d)
	}
	return time.Time{}
}

// Probe asks the peer at once, by a HELLO, whether it is there (RFC 2661, section
// 6.5). It sends nothing if a message is outstanding, because that asks the same.
// Whatever the peer sends next is the answer.
func (t *Tunnel) Probe(now time.Time) {
	if t.s.ending != live || t.s.state != tunnelEstablished || !t.s.channel.idle() {
		return
	}
	t.enqueue(0, compose(hello), true)
	t.flush(now)
}

// due reports whether deadline is set and has passed.
func due(now, deadline time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }
