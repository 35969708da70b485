package ppp

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Types of EAP that a client answers (RFC 3748, section 5), and the operations of EAP-MSCHAPv2
// (draft-kamath-pppext-eap-mschapv2-02, section 2).
const (
	eapNotification = 2
	eapNak          = 3
	eapMSCHAPv2     = 26

	eapmsChallenge = 1
	eapmsResponse  = 2
	eapmsSuccess   = 3
	eapmsFailure   = 4
)

// handleEAPAsPeer handles the packets of an authenticator to whom we authenticate ourselves, by
// EAP-MSCHAPv2 alone. A Request that comes again gets the same Response (RFC 3748, section
// 4.1). Success counts once the server has proved that it knows the password.
func (l *Link) handleEAPAsPeer(now time.Time, p packet) error {
	s := l.s.self
	switch {
	case p.code == eapSuccess && s.response != nil && s.proof == "":
		l.passedAsPeer(now)
	case p.code == eapFailure && !s.passed:
		l.failedAsPeer(now, s.refused, ReasonAuthFailed)
	case p.code != eapRequest:
		return ErrUnexpected
	case len(p.data) == 0:
		return ErrMalformed
	case s.said != nil && p.id == s.id:
		l.send(ProtocolEAP, eapResponse, s.id, s.said)
	default:
		return l.answerEAP(now, p)
	}
	return nil
}

// answerEAP answers a new Request.
func (l *Link) answerEAP(now time.Time, p packet) error {
	s := l.s.self
	who, _ := l.shown()
	kind, data := p.data[0], p.data[1:]
	var said []byte
	switch kind {
	case eapIdentity:
		said = append([]byte{eapIdentity}, who.User...)
	case eapNotification:
		said = []byte{eapNotification}
	case eapMSCHAPv2:
		var err error
		if said, err = l.stepMSCHAP(now, data); err != nil {
			return err
		}
	default:
		said = []byte{eapNak, eapMSCHAPv2}
	}
	if said == nil {
		return nil // the link ends
	}
	s.id, s.said = p.id, said
	l.send(ProtocolEAP, eapResponse, s.id, s.said)
	return nil
}

// stepMSCHAP makes the Response to a Request of EAP-MSCHAPv2: OpCode, MS-CHAPv2-ID, MS-Length,
// and what the operation has.
func (l *Link) stepMSCHAP(now time.Time, data []byte) ([]byte, error) {
	s := l.s.self
	if len(data) < 4 {
		return nil, ErrMalformed
	}
	switch op, id, rest := data[0], data[1], data[4:]; op {
	case eapmsChallenge:
		value, _, ok := cutCounted(rest)
		if !ok || len(value) != challengeLen {
			return nil, ErrMalformed
		}
		s.asked = bytes.Clone(value)
		if err := l.composeMSCHAP(); err != nil {
			return nil, err
		}
		who, _ := l.shown()
		said := append([]byte{eapMSCHAPv2, eapmsResponse, id, 0, 0, byte(len(s.response))}, s.response...)
		said = append(said, who.User[:min(len(who.User), maxName)]...)
		binary.BigEndian.PutUint16(said[3:], uint16(len(said)-1))
		return said, nil
	case eapmsSuccess:
		if s.response == nil {
			return nil, ErrUnexpected
		}
		if s.proof != "" && !verifyAuthenticator(s.proof, rest) {
			l.note(NoteServerUnverified, ProtocolEAP, 0)
			l.failedAsPeer(now, ReasonServerUnverified.String(), ReasonServerUnverified)
			return nil, nil
		}
		s.proof = ""
		return []byte{eapMSCHAPv2, eapmsSuccess}, nil
	case eapmsFailure:
		s.refused = peerText(rest)
		return []byte{eapMSCHAPv2, eapmsFailure}, nil
	}
	return nil, ErrMalformed
}
