package ppp

import (
	"bytes"
	"time"
)

// handleReply handles the answer to our Configure-Request. Only the first answer to the
// last request counts: a duplicate would take an open layer down.
func (l *Link) handleReply(now time.Time, y layer, p packet) error {
	a := y.auto()
	if !a.state.timed() && a.state != opened {
		l.fire(now, y, evAck, stimulus{packet: p}) // the table has "-" here, or a Terminate-Ack
		return nil
	}
	if p.id != a.id || a.answered || a.request == nil {
		return ErrUnexpected
	}
	opts, err := parseOptions(p.data)
	if err != nil {
		return err
	}
	switch p.code {
	case codeConfigureAck:
		if !bytes.Equal(p.data, a.request) {
			return ErrMalformed
		}
		a.answered = true
		l.fire(now, y, evAck, stimulus{packet: p})
		l.release(now, y)
		return nil
	case codeConfigureReject:
		if !subset(opts, a.request) {
			return ErrMalformed
		}
		a.answered = true
		y.rejected(now, opts)
	default:
		a.answered = true
		y.naked(now, opts)
	}
	if a.refusals++; a.refusals >= maxRefusals && l.s.why == 0 {
		what := "every request of ours"
		if len(opts) > 0 {
			what = optionName(y.protocol(), opts[0].kind)
		}
		l.diverge(now, y, "the peer refuses "+what)
	}
	if l.s.why != 0 || y.auto().state == closing {
		return nil
	}
	l.fire(now, y, evNak, stimulus{packet: p})
	return nil
}

// diverge ends a layer whose negotiation does not converge: one network protocol, or LCP
// and with it the whole link.
func (l *Link) diverge(now time.Time, y layer, why string) {
	if y.protocol() == ProtocolLCP {
		l.s.detail = why
		l.Close(now, ReasonNegotiation)
		return
	}
	y.auto().why = ProtocolName(y.protocol()) + " did not converge: " + why
	y.finished(now, evGiveUp)
}

// unheeded counts the Configure-Naks that one of our options gets. RFC 1661, section 4.6,
// has no bound for them: two peers that both insist would go on for ever.
type unheeded struct{ naks, vain int32 }

// spent tells whether to leave an option out: after Max-Failure Naks, or after two Naks
// with a value that we cannot take.
func (u *unheeded) spent(taken bool) bool {
	if u.naks++; !taken {
		u.vain++
	}
	return u.naks >= maxFailure || u.vain >= 2
}

// handleCodeReject follows RFC 1661, section 5.6. The automaton consists of the codes 1
// to 7: a peer that rejects one of them speaks another protocol.
func (l *Link) handleCodeReject(now time.Time, y layer, p packet) error {
	if len(p.data) < 4 {
		return ErrMalformed
	}
	switch code := p.data[0]; {
	case y.protocol() == ProtocolCCP: // without Reset-Requests, too, it is of no use
		l.fire(now, y, evRejectBad, stimulus{packet: p})
	case code >= codeConfigureRequest && code <= codeCodeReject:
		l.fail(ReasonRejected)
		l.fire(now, y, evRejectBad, stimulus{packet: p})
	default:
		if code == codeEchoRequest && y.protocol() == ProtocolLCP {
			l.s.echo.off = true
		}
		l.fire(now, y, evRejectGood, stimulus{packet: p})
	}
	return nil
}
