package ppp

import "time"

// Codes of CCP (RFC 1962, section 3).
const (
	codeResetRequest = 14
	codeResetAck     = 15
)

// A peer whose history is lost so often within lossPeriod sends better uncompressed: each
// time, what it sends in a round trip is lost.
const (
	maxLosses  = 4
	lossPeriod = time.Minute

	maxResends = 10
)

// Damaged says that a compressed packet could not be opened, so that nothing can be before
// the peer's history is empty. RFC 1962, section 3.1: "Once a Reset-Request has been sent,
// any Compressed packets received are discarded, and another Reset-Request is sent with the
// same Identifier, until the expected Reset-Ack is received." Copies are a round trip apart:
// many packets are on their way when the first is sent, and where few are, none of them has
// to be lost for a copy. MPPC has no Reset-Ack (RFC 2118, section 4.3).
func (l *Link) Damaged(now time.Time) {
	s := l.s.ccp
	if s == nil || s.automaton.state != opened || s.asked.Compressor == 0 || s.reset || now.Sub(s.resetAt) < l.lost() {
		return
	}
	if now.Sub(s.lossesAt) > lossPeriod {
		s.losses, s.lossesAt = 0, now
	}
	if s.losses++; s.losses > maxLosses {
		s.deaf = true
		l.note(NoteUncompressed, ProtocolCCP, 0)
		l.fire(now, ccp{l}, evDown, stimulus{})
		l.fire(now, ccp{l}, evUp, stimulus{})
		return
	}
	s.automaton.id++
	s.resetID, s.resends = s.automaton.id, 0
	s.reset = s.asked.Compressor != CompressMPPC
	l.sendReset(now)
}

func (l *Link) sendReset(now time.Time) {
	s := l.s.ccp
	s.resetAt, s.timer = now, time.Time{}
	if s.reset && s.resends < maxResends {
		s.timer = now.Add(max(nudgeAfter, l.lost()) << min(s.resends, 4))
	}
	l.send(ProtocolCCP, codeResetRequest, s.resetID, nil)
}

// handleResetTimer repeats a Reset-Request that is unanswered, some times; then the next
// damaged packet makes another.
func (l *Link) handleResetTimer(now time.Time) {
	s := l.s.ccp
	if s == nil || !due(now, s.timer) {
		return
	}
	s.resends++
	l.sendReset(now)
	s.reset = !s.timer.IsZero()
}

// Compression is what is agreed now.
func (l *Link) Compression() Compression {
	if l.s.ccp == nil {
		return Compression{}
	}
	return l.s.ccp.told
}

// handleReset handles Reset-Request and Reset-Ack. Our Reset-Ack is what tells the peer
// that Deflate's numbers begin anew behind it; the data path sees it pass. A compressor of
// MPPC "will re-initialize the history buffer and set the FLUSHED bit in the next frame it
// sends" instead (RFC 2118, section 4.3), and ours does so in every frame.
func (l *Link) handleReset(p packet) error {
	s := l.s.ccp
	switch {
	case s.automaton.state != opened:
		return ErrUnexpected
	case p.code == codeResetRequest:
		if s.agreed.Compressor == CompressDeflate {
			l.send(ProtocolCCP, codeResetAck, p.id, l.cut(p.data, 4))
		}
	case !s.reset || p.id != s.resetID:
		return ErrUnexpected
	default:
		s.reset, s.timer = false, time.Time{}
	}
	return nil
}
