package ppp

import (
	"bytes"
	"crypto/md5"
	"time"
)

// CHAP codes (RFC 1994, section 4; RFC 2759, section 7).
const (
	chapChallenge      = 1
	chapResponse       = 2
	chapSuccess        = 3
	chapFailure        = 4
	chapChangePassword = 7
)

const challengeLen = 16

// startChallenge sends the first Challenge of this run.
func (l *Link) startChallenge(now time.Time) {
	a := &l.s.auth
	a.challenge = make([]byte, challengeLen)
	if l.random(a.challenge) != nil {
		return
	}
	l.s.challenges++
	a.id = l.s.challenges
	a.tries, a.timer = 1, now.Add(l.period())
	l.sendChallenge()
}

// sendChallenge sends the Challenge, or the Request of EAP, or repeats it unchanged, so that a Response to
// either copy is valid.
func (l *Link) sendChallenge() {
	a := &l.s.auth
	if a.method == MethodEAP {
		l.send(ProtocolEAP, eapRequest, a.id, a.challenge)
		return
	}
	data := append([]byte{byte(len(a.challenge))}, a.challenge...)
	name := l.env.Config.Name
	data = append(data, name[:min(len(name), maxName)]...)
	l.send(ProtocolCHAP, chapChallenge, a.id, data)
}

// handleCHAPResponse takes a Response as authenticator. RFC 1994, section 4.1:
// "the authenticator MUST allow repeated Response packets during the
// Network-Layer Protocol phase after completing the Authentication phase. To
// prevent discovery of alternative Names and Secrets, any Response packets
// received having the current Challenge Identifier MUST return the same reply
// Code previously returned for that specific Challenge."
func (l *Link) handleCHAPResponse(now time.Time, p packet) error {
	a := &l.s.auth
	if p.code == chapChangePassword && a.changing {
		return l.handleChange(now, p)
	}
	if p.code == chapChangePassword && a.method == MethodMSCHAPv2 && a.code == 0 && !a.pending {
		l.note(NoteChangePassword, ProtocolCHAP, 0)
		a.id = p.id
		l.refuse(now, AuthAnswer{
			Error:   errorChangingPassword,
			Message: "This server cannot change passwords",
		}, ReasonAuthFailed)
		return nil
	}
	if p.code != chapResponse || p.id != a.id {
		return ErrUnexpected
	}
	value, name, ok := cutCounted(p.data)
	want := md5.Size
	if a.method == MethodMSCHAPv2 {
		want = mschapResponseLen
	}
	if !ok || len(value) != want || len(name) > maxName {
		return ErrMalformed
	}
	switch {
	case a.code != 0:
		l.repeatVerdict()
	case a.pending && (bytes.Equal(a.answer, value) || a.asks >= a.tries):
		// this Response joins the request that is pending
	default:
		// A Response to a repeated Challenge: each copy of the Challenge gets its own
		// Response. In MS-CHAPv2 the peer expects the proof that belongs to its last
		// Response.
		a.answer = bytes.Clone(value)
		a.asks++
		l.request(now, AuthRequest{
			User:      string(name),
			ID:        p.id,
			Challenge: bytes.Clone(a.challenge),
			Response:  bytes.Clone(value),
		})
	}
	return nil
}

// ofAuthenticator tells whether an authenticator sends packets of this code.
func ofAuthenticator(code byte) bool {
	return code == chapChallenge || code == chapSuccess || code == chapFailure
}

// handleCHAPAsPeer handles the packets of an authenticator to whom we authenticate
// ourselves.
func (l *Link) handleCHAPAsPeer(now time.Time, p packet) error {
	s := l.s.self
	if p.code == chapChallenge {
		return l.takeChallenge(p)
	}
	if s.response == nil || p.id != s.id {
		return ErrUnexpected
	}
	if p.code == chapFailure {
		l.failedAsPeer(now, peerText(p.data), ReasonAuthFailed)
		return nil
	}
	if s.method == MethodMSCHAPv2 && !verifyAuthenticator(s.proof, p.data) {
		// RFC 2759, section 5: "If the authenticator response is either
		// missing or incorrect, the peer MUST end the session."
		l.note(NoteServerUnverified, ProtocolCHAP, 0)
		l.failedAsPeer(now, ReasonServerUnverified.String(), ReasonServerUnverified)
		return nil
	}
	l.passedAsPeer(now)
	return nil
}

// takeChallenge answers a Challenge, or keeps it until we know what we show to this peer.
// One that equals our own is not answered: who reflects it would pass by our answer.
func (l *Link) takeChallenge(p packet) error {
	s := l.s.self
	value, _, ok := cutCounted(p.data)
	if !ok || len(value) == 0 || s.method == MethodMSCHAPv2 && len(value) != challengeLen {
		return ErrMalformed
	}
	if bytes.Equal(value, l.s.auth.challenge) {
		return ErrUnexpected
	}
	if p.id != s.id || !bytes.Equal(value, s.asked) {
		s.id, s.asked, s.response = p.id, bytes.Clone(value), nil
	}
	if _, known := l.shown(); !known {
		return nil
	}
	return l.answerChallenge()
}

// answerChallenge answers the last Challenge. A repeated Challenge gets the same Response
// again, so that the authenticator can tell that it is the same.
func (l *Link) answerChallenge() error {
	s := l.s.self
	who, _ := l.shown()
	switch {
	case s.response != nil:
	case s.method == MethodMSCHAPv2:
		if err := l.composeMSCHAP(); err != nil {
			return err
		}
	default:
		sum := md5.New()
		sum.Write([]byte{s.id})
		sum.Write(who.Password.Reveal())
		sum.Write(s.asked)
		s.response = sum.Sum(nil)
	}
	data := append([]byte{byte(len(s.response))}, s.response...)
	user := who.User
	l.send(ProtocolCHAP, chapResponse, s.id, append(data, user[:min(len(user), maxName)]...))
	return nil
}
