package ppp

import "time"

// Authentication timing: the authenticator repeats its Challenge, and the peer its
// request, once per period. Success is repeated until the peer shows that it has received
// it.
const (
	maxAuthTries = 10
	maxMessage   = 200 // bytes of the message in a Success or a Failure
)

// authState is one run of an authentication protocol in which the peer authenticates
// itself. Each LCP negotiation starts a new run.
type authState struct {
	method Method
	again  bool // the peer has passed before: see Reauthenticate
	passed bool
	id     byte // of our Challenge, or of the peer's last PAP request
	user   string

	timer time.Time // next retransmission
	tries int

	pending   bool // a verdict is awaited
	changing  bool // the peer has been asked to change its password
	code      byte // code of the verdict sent, kept for repeats; 0: none yet
	challenge []byte
	answer    []byte    // the Response that awaits a verdict
	asks      int       // verdicts requested for this Challenge
	verdictBy time.Time // when we stop waiting for the last one
	message   []byte
	ticket    uint32 // of the last AuthRequest
}

// protocol is the protocol of a method; 0: there is none.
func (m Method) protocol() uint16 {
	switch m {
	case MethodPAP:
		return ProtocolPAP
	case MethodCHAP, MethodMSCHAPv2:
		return ProtocolCHAP
	case MethodEAP:
		return ProtocolEAP
	}
	return 0
}

// startAuth begins the Authenticate phase: in each direction by what was agreed for it. With
// none, a router at the other end of a link has proved nothing.
func (l *Link) startAuth(now time.Time) {
	l.s.auth, l.s.self = authState{method: l.s.lcp.method}, nil
	l.askPeer(now)
	if m := l.s.lcp.peerMethod; m != 0 {
		l.s.self = &selfState{method: m}
		if l.env.Config.Client {
			l.startSelf(now)
		}
	}
	switch {
	case l.s.auth.method != 0:
	case l.s.self == nil && l.env.Config.Router:
		l.s.detail = "it neither asks us for a password nor authenticates itself, as whoever has the key alone would"
		l.Close(now, ReasonServerUnverified)
	default:
		l.admitted(now, Network{}, Network6{})
	}
}

// askPeer begins the exchange, if it is ours to begin.
func (l *Link) askPeer(now time.Time) {
	switch l.s.auth.method.protocol() {
	case ProtocolCHAP:
		l.startChallenge(now)
	case ProtocolEAP:
		l.startEAP(now)
	}
}

func (l *Link) stopAuth() { l.s.auth, l.s.self = authState{}, nil }

// admitted goes on to the Network phase, once both directions are done. As authenticator,
// four and six are what the peer gets, and no peer gets there without having passed.
func (l *Link) admitted(now time.Time, four Network, six Network6) {
	a, self := &l.s.auth, l.s.self
	if unproved := !l.env.Config.Client || a.method != 0; l.s.phase != phaseAuthenticate || unproved && !a.passed || self != nil && !self.passed {
		return
	}
	l.s.setup = time.Time{}
	if l.env.Config.Client {
		four, six = Network{Peer: l.env.Config.Address}, Network6{On: l.env.Config.IPv6}
	}
	l.startNetwork(now, four, six)
}

// authenticatedBy tells whether a protocol authenticates one end or the other.
func (l *Link) authenticatedBy(protocol uint16) bool {
	return protocol != 0 && (protocol == l.s.auth.method.protocol() || protocol == l.selfMethod().protocol())
}

// handleAuthPacket takes a packet of a negotiated authentication protocol, in the
// Authenticate phase or later. Its code says which direction it is of.
func (l *Link) handleAuthPacket(now time.Time, protocol uint16, p packet) error {
	theirs, ours := protocol == l.s.auth.method.protocol(), protocol == l.selfMethod().protocol()
	switch {
	case protocol == ProtocolPAP && p.code == papRequest && theirs:
		return l.handlePAPRequest(now, p)
	case protocol == ProtocolPAP && p.code != papRequest && ours:
		return l.handlePAPReply(now, p)
	case protocol == ProtocolCHAP && ofAuthenticator(p.code) && ours:
		return l.handleCHAPAsPeer(now, p)
	case protocol == ProtocolCHAP && !ofAuthenticator(p.code) && theirs:
		return l.handleCHAPResponse(now, p)
	case protocol == ProtocolEAP && ours:
		return l.handleEAPAsPeer(now, p)
	case protocol == ProtocolEAP && theirs:
		return l.handleEAPResponse(now, p)
	}
	return ErrUnexpected
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
	r.Ticket, r.Method, r.Again = a.ticket, a.method, a.again
	r.ClientName, r.ClientVersion = l.s.named.name, l.s.named.version
	l.emit(r)
}

// HandleAuth takes the driver's verdict, or what it asks next. A ticket that is not the pending one
// is ignored.
func (l *Link) HandleAuth(now time.Time, ticket uint32, answer AuthAnswer) {
	a := &l.s.auth
	if !a.pending || ticket != a.ticket {
		return
	}
	if a.method == MethodEAP && answer.EAP != nil {
		if !l.continueEAP(now, answer.EAP) {
			l.refuse(now, AuthAnswer{}, ReasonAuthFailed)
		}
		return
	}
	a.pending, a.verdictBy, a.answer = false, time.Time{}, nil
	if len(answer.Message) > maxMessage {
		answer.Message = answer.Message[:maxMessage]
	}
	if answer.OK && a.method == MethodMSCHAPv2 && !isAuthenticatorResponse(answer.Success) {
		l.note(NoteBadAuthenticatorResponse, ProtocolCHAP, 0)
		answer = AuthAnswer{}
	}
	if !answer.OK && answer.Change && l.mayChange() {
		l.askChange(now, answer)
		return
	}
	if !answer.OK {
		l.refuse(now, answer, ReasonAuthFailed)
		return
	}
	l.sendVerdict(answer)
	a.passed = true
	if a.method != MethodPAP && !a.again { // a PAP client repeats its request, and gets the verdict again
		a.timer, a.tries = now.Add(l.period()), 1
	}
	l.emit(Authenticated{Method: a.method, User: a.user})
	if answer.Close != 0 {
		l.Close(now, answer.Close)
		return
	}
	if l.s.alone {
		l.finish(0)
		return
	}
	if a.again {
		return // its network is up
	}
	if s := l.s.self; s != nil && !l.env.Config.Client {
		s.network, s.network6 = answer.Network, answer.Network6
		l.show(now, answer.Show)
		return
	}
	l.admitted(now, answer.Network, answer.Network6)
}

// refuse tells the peer that authentication failed, and ends the link.
func (l *Link) refuse(now time.Time, answer AuthAnswer, why Reason) {
	a := &l.s.auth
	a.pending, a.verdictBy = false, time.Time{}
	if a.again {
		why = ReasonSessionTimeout
	}
	answer.OK, answer.Change = false, false
	if answer.Message == "" {
		answer.Message = "Authentication failed"
	}
	l.sendVerdict(answer)
	l.emit(AuthFailed{Method: a.method, User: a.user, Message: answer.Message})
	l.Close(now, why)
}

// sendVerdict composes the last packet of the method, keeps it for repeats, and sends it.
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
	case MethodEAP:
		a.code, a.message = eapFailure, nil // RFC 3748, section 4.2: there is no data
		if answer.OK {
			a.code = eapSuccess
		}
	}
	l.repeatVerdict()
}

func (l *Link) repeatVerdict() {
	l.send(l.s.auth.method.protocol(), l.s.auth.code, l.s.auth.id, l.s.auth.message)
}

// confirmSuccess stops repeating the Success: the peer has begun to use the network, so
// it has received the Success.
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
	if a.changing && !a.passed {
		l.refuse(now, AuthAnswer{Error: errorPasswordExpired, Message: "The password was not changed in time"}, ReasonAuthTimeout)
		return
	}
	if a.tries >= maxAuthTries {
		a.timer = time.Time{}
		switch {
		case a.again && !a.passed:
			l.Close(now, ReasonSessionTimeout)
		case !a.passed:
			l.Close(now, l.unproven(ReasonAuthTimeout))
		}
		return
	}
	a.tries++
	a.timer = now.Add(l.period())
	if a.passed {
		l.repeatVerdict()
		return
	}
	l.sendChallenge()
}

// unproven is why a link ends: as client, if the server agreed to authenticate itself and
// answers no challenge, that; otherwise another reason.
func (l *Link) unproven(why Reason) Reason {
	a := &l.s.auth
	if l.env.Config.Client && l.s.phase == phaseAuthenticate && a.method != 0 && a.asks == 0 && !a.passed && !a.pending {
		return ReasonUnproven
	}
	return why
}
