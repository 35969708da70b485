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

// sendChallenge sends the Challenge, or again the same: a Response to either
// copy will do.
func (l *Link) sendChallenge() {
	a := &l.s.auth
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
		// joins the request that is under way
	default:
		// A Response to another copy of the Challenge, of which each draws one:
		// in MS-CHAPv2 the peer expects the proof that belongs to its last.
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

// handleCHAPAsPeer takes what an authenticator sends.
func (l *Link) handleCHAPAsPeer(now time.Time, p packet) error {
	a := &l.s.auth
	switch p.code {
	case chapChallenge:
		return l.answerChallenge(p)
	case chapSuccess, chapFailure:
		if a.response == nil || p.id != a.id {
			return ErrUnexpected
		}
	default:
		return ErrUnexpected
	}
	if p.code == chapFailure {
		l.failedAsPeer(now, peerText(p.data), ReasonAuthFailed)
		return nil
	}
	if a.method == MethodMSCHAPv2 && !verifyAuthenticator(a.proof, p.data) {
		// RFC 2759, section 5: "If the authenticator response is either
		// missing or incorrect, the peer MUST end the session."
		l.note(NoteServerUnverified, ProtocolCHAP, 0)
		l.failedAsPeer(now, ReasonServerUnverified.String(), ReasonServerUnverified)
		return nil
	}
	l.passedAsPeer(now)
	return nil
}

// answerChallenge answers a Challenge, and a repeated one as before, so that
// the authenticator can tell that it is the same answer.
func (l *Link) answerChallenge(p packet) error {
	a := &l.s.auth
	value, _, ok := cutCounted(p.data)
	if !ok || len(value) == 0 || a.method == MethodMSCHAPv2 && len(value) != challengeLen {
		return ErrMalformed
	}
	if a.response == nil || p.id != a.id || !bytes.Equal(value, a.asked) {
		a.id, a.asked = p.id, bytes.Clone(value)
		if a.method == MethodMSCHAPv2 {
			if err := l.composeMSCHAP(); err != nil {
				return err
			}
		} else {
			sum := md5.New()
			sum.Write([]byte{p.id})
			sum.Write(l.env.Config.Password.Reveal())
			sum.Write(value)
			a.response = sum.Sum(nil)
		}
	}
	data := append([]byte{byte(len(a.response))}, a.response...)
	user := l.env.Config.User
	l.send(ProtocolCHAP, chapResponse, a.id, append(data, user[:min(len(user), maxName)]...))
	return nil
}
