package l2tp

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
)

// unhide deciphers the value of a hidden AVP (RFC 2661, section 4.3), and reports
// whether that was possible: there must be a shared secret, a Random Vector before
// the AVP, and a plausible length inside. Bytes beyond that length are padding.
func unhide(kind attribute, value, secret, vector []byte) ([]byte, bool) {
	if len(secret) == 0 || vector == nil || len(value) < 2 {
		return nil, false
	}
	// b1 = MD5(AV + S + RV), and b(i) = MD5(S + c(i-1)).
	plain := make([]byte, len(value))
	sum := md5.New()
	sum.Write(binary.BigEndian.AppendUint16(nil, uint16(kind)))
	sum.Write(secret)
	sum.Write(vector)
	for at := 0; at < len(value); at += md5.Size {
		block := value[at:min(at+md5.Size, len(value))]
		subtle.XORBytes(plain[at:], block, sum.Sum(nil))
		sum.Reset()
		sum.Write(secret)
		sum.Write(block)
	}
	n := int(binary.BigEndian.Uint16(plain))
	if n > len(plain)-2 {
		return nil, false
	}
	return plain[2 : 2+n], true
}

// challengeResponse computes the response to a Challenge: "MD5 (CHAP ID + secret +
// challenge)", where the ID is the Message Type of the message that carries the
// response (RFC 2661, sections 4.4.3 and 5.1.1).
func challengeResponse(in messageType, secret, challenge []byte) []byte {
	sum := md5.New()
	sum.Write([]byte{byte(in)})
	sum.Write(secret)
	sum.Write(challenge)
	return sum.Sum(nil)
}
