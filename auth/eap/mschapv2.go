package eap

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/adit-vpn/adit/auth"
)

// Operations of EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2-02, section 2).
const (
	opChallenge = 1
	opResponse  = 2
	opSuccess   = 3
	opFailure   = 4
)

const (
	challengeLen = 16
	responseLen  = 49 // RFC 2759, section 4
)

// mschapv2 is EAP-MSCHAPv2: MS-CHAPv2 in EAP, on which the backend of the users decides.
type mschapv2 struct {
	cfg       *Config
	id        byte // MS-CHAPv2-ID
	challenge [challengeLen]byte
	verdict   *auth.Response // which the peer has been told, and has to acknowledge
}

func (m *mschapv2) begin(*auth.Request) ([]byte, error) {
	var random [1 + challengeLen]byte
	if _, err := io.ReadFull(m.cfg.Rand, random[:]); err != nil {
		return nil, fmt.Errorf("no random bytes for a challenge: %w", err)
	}
	m.id = random[0]
	copy(m.challenge[:], random[1:])
	return m.packet(opChallenge, append(append([]byte{challengeLen}, m.challenge[:]...), m.cfg.Name...)), nil
}

// packet is OpCode, MS-CHAPv2-ID, MS-Length and what an operation has.
func (m *mschapv2) packet(op byte, data []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{op, m.id}, uint16(4+len(data)))
	return append(b, data...)
}

func (m *mschapv2) leave() {}

func (m *mschapv2) step(ctx context.Context, r *auth.Request, data []byte) ([]byte, auth.Response, error) {
	if m.verdict != nil {
		return m.acknowledged(data)
	}
	// OpCode, MS-CHAPv2-ID, MS-Length, Value-Size, Response, Name.
	if len(data) < 5+responseLen || data[0] != opResponse || data[1] != m.id || data[4] != responseLen {
		return nil, malformed(MSCHAPv2), nil
	}
	name := string(data[5+responseLen:])
	if !auth.SameUser(name, r.User) {
		return nil, auth.Response{Verdict: auth.BadCredentials, Detail: fmt.Sprintf("the name inside, %.64q, is another one", name)}, nil
	}
	verdict, err := m.cfg.Users.Authenticate(ctx, &auth.Request{
		Method: auth.MSCHAPv2, User: name, ID: m.id, Challenge: m.challenge[:], Response: bytes.Clone(data[5 : 5+responseLen]), Call: r.Call,
	})
	if err != nil {
		return nil, auth.Response{}, err
	}
	m.verdict = &verdict
	if verdict.Verdict == auth.Accepted {
		return m.packet(opSuccess, []byte(verdict.Success+" M="+verdict.Message)), auth.Response{}, nil
	}
	code := verdict.Code
	if code == 0 {
		code = 691 // RFC 2759, section 6: ERROR_AUTHENTICATION_FAILURE
	}
	return m.packet(opFailure, fmt.Appendf(nil, "E=%d R=0 C=%X V=3 M=%s", code, m.challenge, verdict.Message)), auth.Response{Detail: verdict.Detail}, nil
}

// acknowledged takes the peer's answer to the verdict. A success counts only once the peer
// has found our proof right (section 2.3 of the draft): otherwise the server may be a false
// one to it.
func (m *mschapv2) acknowledged(data []byte) ([]byte, auth.Response, error) {
	switch accepted := m.verdict.Verdict == auth.Accepted; {
	case !accepted, len(data) > 0 && data[0] == opSuccess:
		verdict := *m.verdict
		verdict.Success = "" // it has been told
		return nil, verdict, nil
	case len(data) > 0 && data[0] == opFailure:
		return nil, auth.Response{Verdict: auth.BadCredentials, Detail: "the client does not accept the server's proof that it knows the password"}, nil
	}
	return nil, malformed(MSCHAPv2), nil
}
