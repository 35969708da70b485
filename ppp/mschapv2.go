package ppp

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"

	"layeh.com/radius/rfc2759"
)

// RFC 2759, section 4: Peer-Challenge, 8 reserved bytes, NT-Response, flags.
const (
	mschapResponseLen = 16 + 8 + 24 + 1

	authenticatorResponseLen = 2 + 40 // "S=" and SHA-1 in hex
)

// RFC 2759, section 6.
const (
	errorPasswordExpired       = 648
	errorAuthenticationFailure = 691
	errorChangingPassword      = 709
)

// isAuthenticatorResponse tells whether s is "S=<40 hex digits>".
func isAuthenticatorResponse(s string) bool {
	if len(s) != authenticatorResponseLen || !strings.HasPrefix(s, "S=") {
		return false
	}
	_, err := hex.DecodeString(s[2:])
	return err == nil
}

// mschapMessage is the text of a Success ("S=<40 hex> M=<message>", RFC 2759,
// section 5) or of a Failure ("E=eeeeeeeeee R=r C=cccc... V=vvvvvvvvvv
// M=<msg>", section 6). There is no retry within a link: the client asks its
// user and connects again.
//
// An expired password can be changed instead: the client is asked by a Failure, too, and
// answers its challenge.
func (l *Link) mschapMessage(answer AuthAnswer) []byte {
	if answer.OK {
		// "<auth_string> ... upper-case": clients compare the string as text.
		return []byte(strings.ToUpper(answer.Success) + " M=" + answer.Message)
	}
	code := answer.Error
	if code <= 0 {
		code = errorAuthenticationFailure
	}
	challenge := make([]byte, challengeLen)
	if l.random(challenge) != nil {
		return nil
	}
	if answer.Change {
		l.s.auth.challenge = challenge
	}
	return fmt.Appendf(nil, "E=%d R=0 C=%X V=3 M=%s", code, challenge, answer.Message)
}

// composeMSCHAP computes the Response to the challenge in a.asked, and the proof that the
// server has to return.
func (l *Link) composeMSCHAP() error {
	a := l.s.self
	peer := make([]byte, challengeLen)
	if err := l.random(peer); err != nil {
		return err
	}
	who, _ := l.shown()
	user, password := []byte(withoutDomain(who.User)), who.Password.Reveal()
	nt, err := rfc2759.GenerateNTResponse(a.asked, peer, user, password)
	if err != nil {
		return fmt.Errorf("password is not valid text: %w", ErrMalformed)
	}
	proof, err := rfc2759.GenerateAuthenticatorResponse(a.asked, peer, nt, user, password)
	if err != nil {
		return fmt.Errorf("password is not valid text: %w", ErrMalformed)
	}
	response := append(peer, make([]byte, 8)...)
	response = append(response, nt...)
	a.response, a.proof = append(response, 0), proof
	return nil
}

// withoutDomain is the part of the user name that is hashed: RFC 2759, section
// 4, "The Windows NT domain name prefix ... is not included".
func withoutDomain(user string) string {
	return user[strings.LastIndexByte(user, '\\')+1:]
}

// verifyAuthenticator tells whether a Success message begins with the proof.
func verifyAuthenticator(proof string, message []byte) bool {
	if len(message) < authenticatorResponseLen || len(proof) != authenticatorResponseLen {
		return false
	}
	got := bytes.ToUpper(message[:authenticatorResponseLen])
	return subtle.ConstantTimeCompare(got, []byte(proof)) == 1
}
