package persona

import (
	"encoding/binary"
	"regexp"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// EAP's codes (RFC 3748 section 4) and types, and the operations of EAP-MSCHAPv2
// (draft-kamath-pppext-eap-mschapv2-02).
const (
	eapRequest  = 1
	eapResponse = 2
	eapSuccess  = 3
	eapFailure  = 4

	eapIdentity     = 1
	eapNotification = 2
	eapNak          = 3
	eapMSCHAPv2     = 26

	opChallenge = 1
	opResponse  = 2
	opSuccess   = 3
	opFailure   = 4
)

// failureOfEAP is what the draft has in a Failure.
var failureOfEAP = regexp.MustCompile(`^E=\d{1,10} R=[01] C=[0-9A-F]{32} V=3( M=.*)?$`)

// eap handles a packet of EAP, as a client that is set to EAP-MSCHAPv2.
func (c *Client) eap(p wire.CP) {
	l := c.link
	if len(l.method) != 2 || l.method[1] != authEAP[1] {
		c.refuse("EAP was not agreed on")
	}
	switch p.Code {
	case eapRequest:
		if len(p.Body) == 0 {
			c.refuse("an EAP Request has no type")
		}
		if l.eapSaid != nil && p.ID == l.eapID { // it was lost
			c.sendCP(wire.EAP, wire.CP{Code: eapResponse, ID: p.ID, Body: l.eapSaid})
			return
		}
		l.eapID, l.eapSaid = p.ID, c.answerEAP(p.Body[0], p.Body[1:])
		c.sendCP(wire.EAP, wire.CP{Code: eapResponse, ID: p.ID, Body: l.eapSaid})
	case eapSuccess, eapFailure:
		if len(p.Body) > 0 || p.ID != l.eapID {
			c.refuse("an EAP Success or Failure has no data, and the identifier of the Response (RFC 3748 section 4.2): id %d, %x", p.ID, p.Body)
		}
		switch {
		case p.Code == eapFailure:
			c.over("the server refused the user: %q", c.stats.ChapFailure)
		case !l.eapProved:
			c.refuse("EAP Success came before the server had proved that it knows the password")
		default:
			l.authed = true
		}
	default:
		c.refuse("EAP code %d is the peer's", p.Code)
	}
}

// answerEAP is a Response's type and data.
func (c *Client) answerEAP(kind byte, data []byte) []byte {
	switch kind {
	case eapIdentity:
		return append([]byte{eapIdentity}, c.User...)
	case eapNotification:
		return []byte{eapNotification}
	case eapMSCHAPv2:
		return append([]byte{eapMSCHAPv2}, c.stepMSCHAP(data)...)
	}
	return []byte{eapNak, eapMSCHAPv2}
}

// stepMSCHAP answers OpCode, MS-CHAPv2-ID, MS-Length and what the operation has.
func (c *Client) stepMSCHAP(data []byte) []byte {
	l := c.link
	if len(data) < 4 || int(binary.BigEndian.Uint16(data[2:])) != len(data) {
		c.refuse("EAP-MSCHAPv2 says another length than its packet has: %x", data)
	}
	switch text := string(data[4:]); data[0] {
	case opChallenge:
		if len(data) < 21 || data[4] != 16 {
			c.refuse("an EAP-MSCHAPv2 challenge has 16 bytes: %x", data)
		}
		peer := c.random(16)
		m := wire.NewMSCHAPv2(c.User, c.Password, [16]byte(data[5:21]), [16]byte(peer))
		l.proof = &m
		b := append([]byte{opResponse, data[1], 0, 0, 49}, peer...)
		b = append(append(append(b, make([]byte, 8)...), m.Response[:]...), 0)
		b = append(b, c.User...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return b
	case opSuccess:
		if l.proof == nil || !l.proof.Proves(text) {
			c.refuse("%q does not prove that the server knows the password", text)
		}
		l.eapProved = true
		return []byte{opSuccess}
	case opFailure:
		if c.stats.ChapFailure = text; !failureOfEAP.MatchString(text) {
			c.refuse("a Failure must read E=eeee R=r C=cc… V=3 M=…: %q", text)
		}
		return []byte{opFailure}
	}
	c.refuse("EAP-MSCHAPv2 operation %d is unknown", data[0])
	return nil
}
