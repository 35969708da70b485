package ppp

import (
	"encoding/binary"
	"time"
)

// rejectProtocol sends a Protocol-Reject (RFC 1661, section 5.7). "Upon reception of a
// packet with an unknown Protocol ... MUST be reported back", but only in the LCP Opened
// state, which the caller ensures.
func (l *Link) rejectProtocol(protocol uint16, info []byte) {
	l.note(NoteProtocolRejected, protocol, 0)
	data := binary.BigEndian.AppendUint16(nil, protocol)
	data = append(data, l.cut(info, 6)...)
	a := &l.s.lcp.automaton
	a.id++
	l.send(ProtocolLCP, codeProtocolReject, a.id, data)
}

// handleProtocolReject follows RFC 1661, section 5.7: "The implementation MUST stop
// sending packets of the indicated Protocol-Field"; "Protocol-Reject packets received in
// any state other than the LCP Opened state SHOULD be silently discarded."
func (l *Link) handleProtocolReject(now time.Time, p packet) error {
	if len(p.data) < 2 {
		return ErrMalformed
	}
	if l.s.lcp.automaton.state != opened {
		return ErrUnexpected
	}
	protocol := binary.BigEndian.Uint16(p.data)
	l.note(NotePeerRejected, protocol, 0)
	switch protocol {
	case ProtocolLCP:
		l.fail(ReasonRejected)
		l.fire(now, lcp{l}, evRejectBad, stimulus{packet: p})
		return nil
	case ProtocolIPCP, ProtocolIPV6CP:
		for _, y := range l.ncps() {
			if y.protocol() == protocol && y.common().on && l.s.phase == phaseNetwork {
				l.fire(now, y, evRejectBad, stimulus{packet: p})
			}
		}
	case ProtocolCCP, ProtocolCompressed:
		if l.s.ccp != nil && l.s.phase == phaseNetwork {
			ccp{l}.abandon()
		}
	case ProtocolPAP, ProtocolCHAP:
		if l.s.phase == phaseAuthenticate && l.authenticatedBy(protocol) {
			l.Close(now, ReasonAuthRefused)
		}
	}
	l.fire(now, lcp{l}, evRejectGood, stimulus{packet: p})
	return nil
}
