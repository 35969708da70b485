package eap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/auth"
)

const (
	// handshakeTime is how long one may take.
	handshakeTime = 30 * time.Second
	// leastRoom is what a fragment has on a link that says nothing of its MTU (RFC 3748,
	// section 3.1: at least 1020 bytes).
	leastRoom = 1020
)

// tlsMethod is EAP-TLS (RFC 5216; of TLS 1.3, RFC 9190). There are no tickets, and no keys are
// exported: PPP inside of ESP needs none.
type tlsMethod struct {
	cfg *Config
	fragments
	wire *wire
	over bool  // the handshake has ended: what comes is the peer's acknowledgement
	err  error // why it failed
}

// begin takes no place among the handshakes: the peer may want another method.
func (m *tlsMethod) begin(r *auth.Request) ([]byte, error) {
	m.room = leastRoom
	if r.MTU > 0 {
		m.room = r.MTU
	}
	m.room -= 5 // the header of a Request, with its type
	return []byte{flagStart}, nil
}

func (m *tlsMethod) leave() {
	if m.wire != nil {
		m.wire.leave()
	}
}

// step takes a place among the handshakes at the peer's first fragment: what is kept of fragments
// is theirs alone.
func (m *tlsMethod) step(ctx context.Context, r *auth.Request, data []byte) ([]byte, auth.Response, error) {
	if m.wire == nil {
		var err error
		if m.wire, err = m.cfg.handshakes.begin(r.Call.Remote.Addr(), m.cfg.TLS()); err != nil {
			return nil, auth.Response{}, err
		}
	}
	if !m.over && m.wire.left() {
		m.in = nil
		return nil, refused(errLeft), nil
	}
	next, flight, err := m.take(data)
	switch {
	case err != nil:
		m.leave()
		return nil, auth.Response{Verdict: auth.BadCredentials, Detail: "EAP-TLS: " + err.Error()}, nil
	case next != nil:
		return next, auth.Response{}, nil
	case m.over:
		return m.verdict(ctx, r)
	}
	var answer []byte
	answer, m.over, m.err = m.wire.feed(flight)
	if errors.Is(m.err, errPanic) {
		return nil, auth.Response{}, m.err
	}
	if len(answer) > 0 {
		verdict := auth.Response{}
		if m.err != nil {
			verdict = refused(m.err)
		}
		return m.send(answer), verdict, nil
	}
	if m.over {
		return m.verdict(ctx, r)
	}
	m.leave()
	return nil, auth.Response{Verdict: auth.BadCredentials, Detail: "EAP-TLS: the client sends half a message"}, nil
}

// verdict is on who the certificate says that the peer is.
func (m *tlsMethod) verdict(ctx context.Context, r *auth.Request) ([]byte, auth.Response, error) {
	if m.err != nil {
		return nil, refused(m.err), nil
	}
	answer, err := m.cfg.Certified(ctx, r, m.wire.conn.ConnectionState().PeerCertificates[0])
	return nil, answer, err
}

// refused is the verdict on a handshake that failed.
func refused(err error) auth.Response {
	return auth.Response{Verdict: auth.BadCredentials, Detail: "EAP-TLS: " + explain(err)}
}

// explain says what an error of TLS means here.
func explain(err error) string {
	var alert tls.AlertError
	switch {
	case errors.As(err, &alert):
		return fmt.Sprintf("the client ends the handshake: %v: it may not trust the server's certificate, or want another name in it", alert)
	}
	return err.Error()
}
