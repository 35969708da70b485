package ppp

import (
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// PAP codes (RFC 1334, section 2.2).
const (
	papRequest = 1
	papAck     = 2
	papNak     = 3
)

// handlePAPRequest takes an Authenticate-Request. RFC 1334, section 2.2.1:
// "the authenticator MUST allow repeated Authenticate-Request packets after
// completing the Authentication phase." They get the verdict that stands, so
// that a second password cannot be tried on an open link.
func (l *Link) handlePAPRequest(now time.Time, p packet) error {
	if p.code != papRequest {
		return ErrUnexpected
	}
	user, password, ok := parsePAP(p.data)
	if !ok {
		return ErrMalformed
	}
	a := &l.s.auth
	a.id = p.id
	switch {
	case a.code != 0:
		l.repeatVerdict()
	case a.pending: // joins the request that is under way
	default:
		l.request(now, AuthRequest{User: string(user), Password: secret.New(password)})
	}
	return nil
}

// parsePAP splits "Peer-ID Length, Peer-ID, Passwd-Length, Password".
func parsePAP(b []byte) (user, password []byte, ok bool) {
	if user, b, ok = cutCounted(b); !ok || len(user) > maxName {
		return nil, nil, false
	}
	password, _, ok = cutCounted(b)
	return user, password, ok
}

// cutCounted takes a one-byte length and that many bytes off b.
func cutCounted(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 1 || len(b)-1 < int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

func (l *Link) startPAP(now time.Time) {
	a := &l.s.auth
	a.firstID, a.id = 1, 0
	a.tries, a.timer = 1, now.Add(l.period())
	l.sendPAPRequest()
}

// sendPAPRequest: "The Identifier field MUST be changed each time an
// Authenticate-Request packet is issued."
func (l *Link) sendPAPRequest() {
	a := &l.s.auth
	a.id++
	user, password := l.env.Config.User, l.env.Config.Password.Reveal()
	if len(user) > 255 || len(password) > 255 {
		user, password = "", nil // cannot be said in PAP, and will be refused
	}
	data := append([]byte{byte(len(user))}, user...)
	data = append(append(data, byte(len(password))), password...)
	l.send(ProtocolPAP, papRequest, a.id, data)
}

// handlePAPReply takes an Ack or a Nak for any of our requests.
func (l *Link) handlePAPReply(now time.Time, p packet) error {
	a := &l.s.auth
	if p.code != papAck && p.code != papNak || p.id-a.firstID > a.id-a.firstID {
		return ErrUnexpected
	}
	// The message is decoration, and some servers leave even its length out.
	message, _, _ := cutCounted(p.data)
	if p.code == papAck {
		l.passedAsPeer(now)
		return nil
	}
	if a.passed {
		return ErrUnexpected
	}
	l.failedAsPeer(now, peerText(message), ReasonAuthFailed)
	return nil
}
