package ppp

import "time"

// selfState is one run of an authentication protocol in which we authenticate ourselves: as
// client, or as authenticator of a peer that asks for it.
type selfState struct {
	method Method
	passed bool

	// As authenticator: what we show, without a name while we do not know yet, and what the
	// peer gets once we have passed.
	show     Credentials
	network  Network
	network6 Network6

	id       byte      // of the Challenge that we answered, or of our last PAP request
	asked    []byte    // the Challenge that we answered, or that waits
	response []byte    // our answer to it
	proof    string    // the authenticator response that we expect back
	said     []byte    // the last Response of EAP, for a Request that comes again
	refused  string    // by EAP-MSCHAPv2, whose server says Failure next: why
	firstID  byte      // of our first PAP request
	timer    time.Time // when that is repeated
	tries    int
}

// selfMethod is the method by which we authenticate ourselves; 0: by none.
func (l *Link) selfMethod() Method {
	if l.s.self == nil {
		return 0
	}
	return l.s.self.method
}

// shown is what we show, and whether we know it already.
func (l *Link) shown() (Credentials, bool) {
	if c := l.env.Config; c.Client {
		return Credentials{c.User, c.Password}, true
	}
	return l.s.self.show, l.s.self.show.User != ""
}

// show has us, as authenticator, authenticate ourselves, if the peer has asked for it. That
// is not done before the peer is known to be one to whom something is shown: nobody else
// sees an answer, from which a password could be guessed. For a peer to whom nothing is
// shown LCP begins anew, and rejects authentication.
func (l *Link) show(now time.Time, c Credentials) {
	if c.User == "" {
		l.s.mute = true
		l.fire(now, lcp{l}, evDown, stimulus{})
		l.fire(now, lcp{l}, evUp, stimulus{})
		return
	}
	l.s.self.show = c
	l.startSelf(now)
}

// startSelf authenticates us to a peer that has asked for it.
func (l *Link) startSelf(now time.Time) {
	if s := l.s.self; s.method == MethodPAP {
		l.startPAP(now)
	} else if s.asked != nil {
		_ = l.answerChallenge() // what cannot be answered ends by its timer
	}
}

// passedAsPeer ends the exchange after the peer accepted us.
func (l *Link) passedAsPeer(now time.Time) {
	s := l.s.self
	if s.passed {
		return // a repeat, or a later challenge
	}
	s.passed, s.timer = true, time.Time{}
	who, _ := l.shown()
	l.emit(Authenticated{Method: s.method, User: who.User})
	l.admitted(now, s.network, s.network6)
}

// failedAsPeer ends the link after the peer refused us.
func (l *Link) failedAsPeer(now time.Time, message string, why Reason) {
	l.s.self.timer = time.Time{}
	who, _ := l.shown()
	l.emit(AuthFailed{Method: l.s.self.method, User: who.User, Message: message})
	l.Close(now, why)
}

// handleSelfTimer repeats our PAP request.
func (l *Link) handleSelfTimer(now time.Time) {
	s := l.s.self
	switch {
	case s == nil || !due(now, s.timer):
	case s.tries >= maxAuthTries:
		s.timer = time.Time{}
		l.Close(now, ReasonAuthTimeout)
	default:
		s.tries++
		s.timer = now.Add(l.period())
		l.sendPAPRequest()
	}
}

func (l *Link) selfDeadline() time.Time {
	if l.s.self == nil {
		return time.Time{}
	}
	return l.s.self.timer
}
