package radius

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RFC 2866, section 3 is MD5
	"encoding/binary"
	"net/netip"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"
)

// dynamicFrame is the packet in a datagram: its length and its code are right.
func dynamicFrame(b []byte) ([]byte, dynamicDrop) {
	if len(b) < 20 {
		return nil, dynamicMalformed
	}
	n := int(binary.BigEndian.Uint16(b[2:4]))
	if n < 20 || n > len(b) || n > radius.MaxPacketLength {
		return nil, dynamicMalformed
	}
	if c := radius.Code(b[0]); c != radius.CodeDisconnectRequest && c != radius.CodeCoARequest {
		return nil, dynamicCode
	}
	return b[:n], 0 // RFC 2865, section 3: octets outside are padding
}

// isDynamic reports whether a packet is a request to end or change sessions.
func isDynamic(b []byte) bool {
	_, why := dynamicFrame(b)
	return why == 0
}

// authority is the one at an address whose secret a request has.
func (cfg *DynamicConfig) authority(from netip.Addr, b []byte) (Authority, dynamicDrop) {
	why := dynamicSource
	for _, a := range cfg.Authorities {
		if !a.Network.Contains(from) {
			continue
		}
		why = dynamicForged
		if authenticRequest(b, a.Secret.Reveal()) {
			return a, 0
		}
	}
	return Authority{}, why
}

// authenticRequest verifies a Request Authenticator (RFC 5176, section 2.3, as RFC 2866,
// section 3).
func authenticRequest(b, secret []byte) bool {
	if len(secret) == 0 {
		return false
	}
	h := md5.New() //nolint:gosec // as above
	var zero [16]byte
	h.Write(b[:4])
	h.Write(zero[:])
	h.Write(b[20:])
	h.Write(secret)
	return hmac.Equal(h.Sum(nil), b[4:20])
}

// checkSignedRequest verifies the Message-Authenticator of a request. RFC 5176, section 3.4:
// "the Request Authenticator field and Message-Authenticator Attribute MUST each be considered
// to be sixteen octets of zero".
func checkSignedRequest(b, secret []byte, unsigned bool) dynamicDrop {
	at, found := messageAuthenticator(b)
	switch {
	case found == 0 && unsigned:
		return 0
	case found == 0:
		return dynamicUnsigned
	case found > 1 || at == 0:
		return dynamicForged
	}
	signed := append([]byte(nil), b...)
	clear(signed[4:20])
	clear(signed[at : at+16])
	if !hmac.Equal(hmacMD5(signed, secret), b[at:at+16]) {
		return dynamicForged
	}
	return 0
}

// answerRoom is what an answer has at least: the header, the Message-Authenticator, and an
// Error-Cause or an Acct-Terminate-Cause.
const answerRoom = 20 + 18 + 6

// returned reports whether an attribute of a request is in its answer, too.
func returned(p *radius.Packet, t radius.Type) bool {
	return t == rfc2865.ProxyState_Type || t == rfc2865.State_Type && p.Code == radius.CodeCoARequest
}

// room is how many bytes are left of the answer to a request.
func room(p *radius.Packet) int {
	n := radius.MaxPacketLength - answerRoom
	for _, avp := range p.Attributes {
		if returned(p, avp.Type) {
			n -= 2 + len(avp.Attribute)
		}
	}
	return n
}

// answerable reports whether what is returned of a request fits into an answer. If not, nothing is
// done: its sender would never hear of it.
func answerable(p *radius.Packet) bool { return room(p) >= 0 }

// encodeDynamic writes the answer to a request. Both kinds are signed: RFC 5176, section 3.4
// has the Message-Authenticator computed with the Request Authenticator in place.
func encodeDynamic(p *radius.Packet, no *refused) ([]byte, error) {
	code := p.Code + 1
	if no != nil {
		code++
	}
	reply := p.Response(code)
	reply.Add(rfc2869.MessageAuthenticator_Type, make([]byte, 16))
	if no != nil {
		_ = rfc3576.ErrorCause_Add(reply, no.cause)
		text := no.text[:min(len(no.text), maxText)]
		if s, err := radius.NewString(text); err == nil && p.Code == radius.CodeCoARequest && room(p) >= 2+len(s) {
			reply.Add(rfc2865.ReplyMessage_Type, s)
		}
	} else if code == radius.CodeDisconnectACK {
		_ = rfc2866.AcctTerminateCause_Add(reply, rfc2866.AcctTerminateCause_Value_AdminReset)
	}
	for _, avp := range p.Attributes { // RFC 5176, sections 3.1 and 3.3: unmodified, in the same order
		if returned(p, avp.Type) {
			reply.Add(avp.Type, avp.Attribute)
		}
	}
	b, err := reply.MarshalBinary() // with the Request Authenticator
	if err != nil {
		return nil, err
	}
	at, _ := messageAuthenticator(b)
	mac := hmacMD5(b, p.Secret)
	copy(b[at:at+16], mac)
	h := md5.New() //nolint:gosec // as above
	h.Write(b)
	h.Write(p.Secret)
	copy(b[4:20], h.Sum(nil))
	return b, nil
}
