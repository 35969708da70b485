package ipsec

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrSuite says that a suite is not supported, or that keys do not fit it.
var ErrSuite = errors.New("ipsec: suite or keys do not fit")

const (
	headerLen  = 8 // SPI and sequence number (RFC 4303, section 2)
	trailerLen = 2 // pad length and next header
	saltLen    = 4 // RFC 4106, section 4
	gcmICVLen  = 16
	maxICVLen  = 32 // HMAC-SHA2-512-256

	// truncatedICVLen is the ICV of draft-ietf-ipsec-ciph-sha-256, which
	// predates RFC 4868.
	truncatedICVLen = 12
)

// String names the cipher.
func (c Cipher) String() string {
	switch c {
	case AESCBC:
		return "AES-CBC"
	case TripleDESCBC:
		return "3DES-CBC"
	case AESGCM16:
		return "AES-GCM-16"
	default:
		return "Cipher(" + strconv.Itoa(int(c)) + ")"
	}
}

// String names the integrity transform.
func (a Auth) String() string {
	switch a {
	case AuthNone:
		return "none"
	case HMACSHA1_96:
		return "HMAC-SHA1-96"
	case HMACSHA256_128:
		return "HMAC-SHA2-256-128"
	case HMACSHA384_192:
		return "HMAC-SHA2-384-192"
	case HMACSHA512_256:
		return "HMAC-SHA2-512-256"
	default:
		return "Auth(" + strconv.Itoa(int(a)) + ")"
	}
}

// String names the suite.
func (s Suite) String() string {
	name := s.Cipher.String()
	if s.Cipher != TripleDESCBC {
		name += "-" + strconv.Itoa(s.KeyBits)
	}
	if s.Auth == AuthNone {
		return name
	}
	return name + "/" + s.Auth.String()
}

// KeyLen returns the lengths in bytes of the keys that the suite takes: the
// encryption key, with the salt for AEAD ciphers, and the integrity key.
func (s Suite) KeyLen() (enc, auth int) {
	switch s.Cipher {
	case AESCBC:
		enc = s.KeyBits / 8
	case TripleDESCBC:
		enc = 24
	case AESGCM16:
		enc = s.KeyBits/8 + saltLen
	}
	// RFC 2404, section 3 and RFC 4868, section 2.1.1: the key is as long as
	// the hash.
	switch s.Auth {
	case HMACSHA1_96:
		auth = 20
	case HMACSHA256_128:
		auth = 32
	case HMACSHA384_192:
		auth = 48
	case HMACSHA512_256:
		auth = 64
	case AuthNone:
	}
	return enc, auth
}

// check refuses unknown suites and keys of the wrong length.
func (s Suite) check(k Keys) error {
	switch s.Cipher {
	case AESCBC, AESGCM16:
		if s.KeyBits != 128 && s.KeyBits != 192 && s.KeyBits != 256 {
			return fmt.Errorf("%w: %v", ErrSuite, s)
		}
	case TripleDESCBC:
	default:
		return fmt.Errorf("%w: %v", ErrSuite, s)
	}
	if s.Auth > HMACSHA512_256 || (s.Cipher == AESGCM16) != (s.Auth == AuthNone) {
		return fmt.Errorf("%w: %v", ErrSuite, s)
	}
	enc, auth := s.KeyLen()
	if k.Enc.Len() != enc || k.Auth.Len() != auth {
		return fmt.Errorf("%w: %v with keys of %d and %d bytes", ErrSuite, s, k.Enc.Len(), k.Auth.Len())
	}
	return nil
}

// ivLen is the length of the IV on the wire.
func (s Suite) ivLen() int {
	if s.Cipher == AESCBC {
		return 16 // RFC 3602, section 2
	}
	return 8 // RFC 2451, section 3; RFC 4106, section 3.1
}

// blockLen is what payload, padding and trailer fill up to, a power of two.
func (s Suite) blockLen() int {
	switch s.Cipher {
	case AESCBC:
		return 16
	case TripleDESCBC:
		return 8
	default:
		return 4 // RFC 4303, section 2.4: the trailer ends on 4 bytes
	}
}

// icvLen is the length of the ICV as RFC 2404, 4868 and 4106 have it.
func (s Suite) icvLen() int {
	switch s.Auth {
	case HMACSHA1_96:
		return 12
	case HMACSHA256_128:
		return 16
	case HMACSHA384_192:
		return 24
	case HMACSHA512_256:
		return 32
	default:
		return gcmICVLen
	}
}

// HeadRoom is how many bytes Seal needs in front of a payload.
func (s Suite) HeadRoom() int { return headerLen + s.ivLen() }

// TailRoom is how many bytes Seal needs behind a payload, at most.
func (s Suite) TailRoom() int { return s.blockLen() - 1 + trailerLen + s.icvLen() }

// Overhead is how many bytes ESP adds to a payload of that many bytes.
func (s Suite) Overhead(payload int) int {
	return s.HeadRoom() + s.padLen(payload) + trailerLen + s.icvLen()
}

// MaxPayload is the longest payload whose ESP packet, from SPI to ICV, has no
// more than room bytes; 0 if there is none.
func (s Suite) MaxPayload(room int) int {
	body := room - s.HeadRoom() - s.icvLen()
	return max(0, body-body%s.blockLen()-trailerLen)
}

func (s Suite) padLen(payload int) int {
	return -(payload + trailerLen) & (s.blockLen() - 1)
}
