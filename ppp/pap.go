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

// handlePAPRequest handles an Authenticate-Request. RFC 1334, section 2.2.1: "the
// authenticator MUST allow repeated Authenticate-Request packets after completing the
// Authentication phase." A repeated request gets the verdict already given, so that
// nobody can try a second password on an open link.
func (l *Link) handlePAPRequest(now time.Time, p packet) error {
	user, password, ok := parsePAP(p.data)
	if !ok {
		return ErrMalformed
	}
	a := &l.s.auth
	a.id = p.id
	switch {
	case a.code != 0:
		l.repeatVerdict()
	case a.pending: // this request joins the one that is pending
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

// cutCounted cuts a one-byte length, and as many bytes as it says, off b.
func cutCounted(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 1 || len(b)-1 < int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

func (l *Link) startPAP(now time.Time) {
	a := l.s.self
	a.firstID, a.id = 1, 0
	a.tries, a.timer = 1, now.Add(l.period())
	l.sendPAPRequest()
}

// sendPAPRequest sends our request, with a new identifier each time: "The Identifier
// field MUST be changed each time an Authenticate-Request packet is issued."
func (l *Link) sendPAPRequest() {
	a := l.s.self
	a.id++
	who, _ := l.shown()
	user, password := who.User, who.Password.Reveal()
	if len(user) > 255 || len(password) > 255 {
		user, password = "", nil // too long for PAP; the server will refuse the empty values
	}
	data := append([]byte{byte(len(user))}, user...)
	data = append(append(data, byte(len(password))), password...)
	l.send(ProtocolPAP, papRequest, a.id, data)
}

// handlePAPReply handles an Ack or a Nak to any of our requests.
func (l *Link) handlePAPReply(now time.Time, p packet) error {
	a := l.s.self
	if p.code != papAck && p.code != papNak || p.id-a.firstID > a.id-a.firstID {
		return ErrUnexpected
	}
	// The message is informational, and some servers even omit its length.
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
