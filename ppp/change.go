package ppp

import (
	"bytes"
	"time"
)

// ChangeTime is how long a user has for thinking of a new password.
const ChangeTime = 2 * time.Minute

// changeLen is the length of a Change-Password packet's data (RFC 2759, section 7):
// Encrypted-Password, Encrypted-Hash, Peer-Challenge, reserved, NT-Response, Flags.
const changeLen = 516 + 16 + 16 + 8 + 24 + 2

// mayChange tells whether the peer may be asked to change its password: once.
func (l *Link) mayChange() bool {
	a := &l.s.auth
	return a.method == MethodMSCHAPv2 && !a.changing && !l.s.alone
}

// askChange asks the peer to change its password, by a Failure with another challenge.
func (l *Link) askChange(now time.Time, answer AuthAnswer) {
	a := &l.s.auth
	a.changing = true
	if answer.Error = errorPasswordExpired; answer.Message == "" {
		answer.Message = "The password has expired"
	}
	l.sendVerdict(answer)
	a.timer = now.Add(ChangeTime)
}

// handleChange takes a Change-Password packet, whose identifier is the Failure's plus one. One
// that comes again joins the one that is pending, or gets the verdict again.
func (l *Link) handleChange(now time.Time, p packet) error {
	a := &l.s.auth
	switch {
	case len(p.data) != changeLen:
		return ErrMalformed
	case a.code != chapFailure || a.passed:
		if p.id != a.id {
			return ErrUnexpected
		}
		if a.code != 0 {
			l.repeatVerdict()
		}
		return nil
	case p.id != a.id+1 && p.id != a.id: // some count from the Challenge
		return ErrUnexpected
	}
	r := AuthRequest{User: a.user, ID: p.id, Challenge: bytes.Clone(a.challenge), Change: &Change{}}
	copy(r.Change.Password[:], p.data)
	copy(r.Change.Hash[:], p.data[516:])
	r.Response = append(bytes.Clone(p.data[532:580]), 0) // Peer-Challenge, reserved, NT-Response
	a.id, a.code = p.id, 0
	l.request(now, r)
	return nil
}
