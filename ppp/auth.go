package ppp

import "time"

// Authentication timing: a challenge or a request is repeated every period, and a
// Success until the peer shows that it has arrived.
const (
	maxAuthTries = 10
	maxMessage   = 200 // bytes of a verdict's message
)

// authState is one run of an authentication protocol, in either role. A new
// LCP negotiation starts a new one.
type authState struct {
	method Method
	passed bool
	user   string

	timer time.Time // next retransmission
	tries int
	id    byte // of our challenge, or of the peer's last PAP request

	// As authenticator.
	challenge []byte
	answer    []byte    // the Response that a verdict is awaited on
	asks      int       // verdicts that were asked for, of this challenge
	pending   bool      // a verdict is awaited
	ticket    uint32    // of the last AuthRequest
	verdictBy time.Time // when we stop waiting
	code      byte      // the verdict that was sent, for repeats; 0: none yet
	message   []byte

	// As client.
	asked    []byte // the challenge that we answered
	response []byte // our answer to it
	proof    string // the authenticator response that we expect back
	firstID  byte   // of our first PAP request
}

// authProtocol is the protocol that this link authenticates with; 0: none.
func (l *Link) authProtocol() uint16 {
	switch l.s.auth.method {
	case MethodPAP:
		return ProtocolPAP
	case MethodCHAP, MethodMSCHAPv2:
		return ProtocolCHAP
	}
	return 0
}

// startAuth begins the Authenticate phase.
func (l *Link) startAuth(now time.Time) {
	if l.env.Config.Client {
		l.s.auth = authState{method: l.s.lcp.peerMethod}
		switch l.s.auth.method {
		case 0: // the server asks for nothing
			l.s.setup = time.Time{}
			l.startNetwork(now, Network{}, Network6{On: l.env.Config.IPv6})
		case MethodPAP:
			l.startPAP(now)
		case MethodCHAP, MethodMSCHAPv2: // wait for the challenge
		}
		return
	}
	l.s.auth = authState{method: l.s.lcp.method}
	if l.authProtocol() == ProtocolCHAP {
		l.startChallenge(now)
	}
}

func (l *Link) stopAuth() { l.s.auth = authState{} }

// handleAuthPacket takes a packet of the negotiated authentication protocol,
// in the Authenticate phase or later.
func (l *Link) handleAuthPacket(now time.Time, p packet) error {
	switch {
	case l.s.auth.method == MethodPAP && l.env.Config.Client:
		return l.handlePAPReply(now, p)
	case l.s.auth.method == MethodPAP:
		return l.handlePAPRequest(now, p)
	case l.env.Config.Client:
		return l.handleCHAPAsPeer(now, p)
	}
	return l.handleCHAPResponse(now, p)
}

// request asks the driver for a verdict.
func (l *Link) request(now time.Time, r AuthRequest) {
	a := &l.s.auth
	l.s.tickets++
	a.ticket, a.pending, a.user = l.s.tickets, true, r.User
	a.timer, a.verdictBy = time.Time{}, time.Time{}
	if d := l.env.Config.AuthTimeout; d > 0 {
		a.verdictBy = now.Add(d)
	}
	r.Ticket, r.Method = a.ticket, a.method
	l.emit(r)
}

// HandleAuth takes the driver's verdict. A ticket that is not the pending one
// is ignored.
func (l *Link) HandleAuth(now time.Time, ticket uint32, answer AuthAnswer) {
	a := &l.s.auth
	if !a.pending || ticket != a.ticket {
		return
	}
	a.pending, a.verdictBy = false, time.Time{}
	if len(answer.Message) > maxMessage {
		answer.Message = answer.Message[:maxMessage]
	}
	if answer.OK && a.method == MethodMSCHAPv2 && !isAuthenticatorResponse(answer.Success) {
		l.note(NoteBadAuthenticatorResponse, ProtocolCHAP, 0)
		answer = AuthAnswer{}
	}
	if !answer.OK {
		l.refuse(now, answer, ReasonAuthFailed)
		return
	}
	l.sendVerdict(answer)
	a.passed = true
	if a.method != MethodPAP { // a PAP client repeats its request, and is answered
		a.timer, a.tries = now.Add(l.period()), 1
	}
	l.s.setup = time.Time{}
	l.emit(Authenticated{Method: a.method, User: a.user})
	if answer.Close != 0 {
		l.Close(now, answer.Close)
		return
	}
	if l.s.alone {
		l.finish(0)
		return
	}
	l.startNetwork(now, answer.Network, answer.Network6)
}

// refuse tells the peer that it did not pass, and ends the link.
func (l *Link) refuse(now time.Time, answer AuthAnswer, why Reason) {
	a := &l.s.auth
	a.pending, a.verdictBy = false, time.Time{}
	answer.OK = false
	if answer.Message == "" {
		answer.Message = "Authentication failed"
	}
	l.sendVerdict(answer)
	l.emit(AuthFailed{Method: a.method, User: a.user, Message: answer.Message})
	l.Close(now, why)
}

// sendVerdict composes the method's last packet, keeps it for repeats, and
// sends it.
func (l *Link) sendVerdict(answer AuthAnswer) {
	a := &l.s.auth
	if answer.OK && answer.Message == "" {
		answer.Message = "Access granted"
	}
	switch a.method {
	case MethodPAP:
		a.code = papNak
		if answer.OK {
			a.code = papAck
		}
		a.message = append([]byte{byte(len(answer.Message))}, answer.Message...)
	case MethodCHAP, MethodMSCHAPv2:
		a.code = chapFailure
		if answer.OK {
			a.code = chapSuccess
		}
		a.message = []byte(answer.Message)
		if a.method == MethodMSCHAPv2 {
			a.message = l.mschapMessage(answer)
		}
	}
	l.repeatVerdict()
}

func (l *Link) repeatVerdict() {
	l.send(l.authProtocol(), l.s.auth.code, l.s.auth.id, l.s.auth.message)
}

// confirmSuccess stops repeating the Success: the peer has begun to use the
// network, and so has seen it.
func (l *Link) confirmSuccess() {
	if l.s.auth.passed {
		l.s.auth.timer = time.Time{}
	}
}

func (l *Link) authDeadline() time.Time {
	if l.s.auth.pending {
		return l.s.auth.verdictBy
	}
	return l.s.auth.timer
}

func (l *Link) handleAuthTimer(now time.Time) {
	a := &l.s.auth
	if !due(now, l.authDeadline()) {
		return
	}
	if a.pending {
		l.refuse(now, AuthAnswer{Message: "Authentication timed out"}, ReasonAuthTimeout)
		return
	}
	if a.tries >= maxAuthTries {
		a.timer = time.Time{}
		if !a.passed {
			l.Close(now, ReasonAuthTimeout)
		}
		return
	}
	a.tries++
	a.timer = now.Add(l.period())
	switch {
	case a.method == MethodPAP:
		l.sendPAPRequest()
	case a.passed:
		l.repeatVerdict()
	default:
		l.sendChallenge()
	}
}

// passedAsPeer ends the exchange of a client that was let in.
func (l *Link) passedAsPeer(now time.Time) {
	a := &l.s.auth
	if a.passed {
		return // a repeat, or a later challenge
	}
	a.passed, a.timer = true, time.Time{}
	l.s.setup = time.Time{}
	l.emit(Authenticated{Method: a.method, User: l.env.Config.User})
	l.startNetwork(now, Network{}, Network6{On: l.env.Config.IPv6})
}

// failedAsPeer ends the link of a client that was not let in.
func (l *Link) failedAsPeer(now time.Time, message string, why Reason) {
	l.s.auth.timer = time.Time{}
	l.emit(AuthFailed{Method: l.s.auth.method, User: l.env.Config.User, Message: message})
	l.Close(now, why)
}
