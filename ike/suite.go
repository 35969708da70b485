package ike

import (
	"fmt"
	"strings"
)

// Cipher is a phase-1 cipher, always in CBC mode.
type Cipher uint8

// Phase-1 ciphers.
const (
	CipherAES Cipher = iota + 1
	Cipher3DES
)

// String names the cipher.
func (c Cipher) String() string {
	switch c {
	case CipherAES:
		return "AES"
	case Cipher3DES:
		return "3DES"
	default:
		return fmt.Sprintf("Cipher(%d)", uint8(c))
	}
}

// Hash is a phase-1 hash. Its HMAC is the phase-1 PRF.
type Hash uint8

// Hashes.
const (
	HashMD5 Hash = iota + 1
	HashSHA1
	HashSHA256
	HashSHA384
	HashSHA512
)

// String names the hash.
func (h Hash) String() string {
	switch h {
	case HashMD5:
		return "MD5"
	case HashSHA1:
		return "SHA1"
	case HashSHA256:
		return "SHA256"
	case HashSHA384:
		return "SHA384"
	case HashSHA512:
		return "SHA512"
	default:
		return fmt.Sprintf("Hash(%d)", uint8(h))
	}
}

// Group is a Diffie-Hellman group by its IANA number; 0 is none.
type Group uint16

// Groups (RFC 2409, RFC 3526, RFC 5903, RFC 8031).
const (
	GroupMODP1024   Group = 2
	GroupMODP1536   Group = 5
	GroupMODP2048   Group = 14
	GroupMODP3072   Group = 15
	GroupMODP4096   Group = 16
	GroupECP256     Group = 19
	GroupECP384     Group = 20
	GroupECP521     Group = 21
	GroupCurve25519 Group = 31
)

// String names the group.
func (g Group) String() string {
	switch g {
	case 0:
		return "none"
	case GroupMODP1024:
		return "MODP1024"
	case GroupMODP1536:
		return "MODP1536"
	case GroupMODP2048:
		return "MODP2048"
	case GroupMODP3072:
		return "MODP3072"
	case GroupMODP4096:
		return "MODP4096"
	case GroupECP256:
		return "ECP256"
	case GroupECP384:
		return "ECP384"
	case GroupECP521:
		return "ECP521"
	case GroupCurve25519:
		return "CURVE25519"
	default:
		return fmt.Sprintf("Group(%d)", uint16(g))
	}
}

// String writes the suite as AES256-SHA1-MODP2048.
func (s Suite) String() string {
	name := s.Cipher.String()
	if s.KeyBits > 0 {
		name += fmt.Sprint(s.KeyBits)
	}
	return name + "-" + s.Hash.String() + "-" + s.Group.String()
}

// DefaultSuites returns the phase-1 suites of a server that wants all clients to
// connect: AES before 3DES, SHA-2 before SHA-1, no MD5, and at the end group 2,
// which only old clients still need.
func DefaultSuites() []Suite {
	groups := []Group{
		GroupMODP2048, GroupECP256, GroupECP384, GroupECP521,
		GroupMODP3072, GroupMODP4096, GroupMODP1536, GroupCurve25519,
	}
	return append(suitesOf(groups), suitesOf([]Group{GroupMODP1024})...)
}

func suitesOf(groups []Group) []Suite {
	hashes := []Hash{HashSHA256, HashSHA384, HashSHA512, HashSHA1}
	var aes, des []Suite
	for _, g := range groups {
		for _, bits := range []int{256, 128, 192} {
			for _, h := range hashes {
				aes = append(aes, Suite{CipherAES, bits, h, g})
			}
		}
		for _, h := range hashes {
			des = append(des, Suite{Cipher3DES, 0, h, g})
		}
	}
	return append(aes, des...)
}

// ESPCipher is a phase-2 cipher.
type ESPCipher uint8

// Phase-2 ciphers.
const (
	ESPAESCBC ESPCipher = iota + 1
	ESP3DES
	ESPAESGCM16
)

// String names the cipher.
func (c ESPCipher) String() string {
	switch c {
	case ESPAESCBC:
		return "AES-CBC"
	case ESP3DES:
		return "3DES"
	case ESPAESGCM16:
		return "AES-GCM16"
	default:
		return fmt.Sprintf("ESPCipher(%d)", uint8(c))
	}
}

// ESPAuth is a phase-2 integrity algorithm. Its name has the length of its ICV in
// bits.
type ESPAuth uint8

// Phase-2 integrity algorithms.
const (
	ESPAuthNone ESPAuth = iota
	ESPAuthSHA1_96
	ESPAuthSHA256_128
	ESPAuthSHA384_192
	ESPAuthSHA512_256
)

// String names the algorithm.
func (a ESPAuth) String() string {
	switch a {
	case ESPAuthNone:
		return "none"
	case ESPAuthSHA1_96:
		return "SHA1-96"
	case ESPAuthSHA256_128:
		return "SHA256-128"
	case ESPAuthSHA384_192:
		return "SHA384-192"
	case ESPAuthSHA512_256:
		return "SHA512-256"
	default:
		return fmt.Sprintf("ESPAuth(%d)", uint8(a))
	}
}

// String writes the suite as AES-CBC-256/SHA1-96/MODP2048.
func (s ESPSuite) String() string {
	parts := []string{s.Cipher.String()}
	if s.KeyBits > 0 {
		parts[0] += fmt.Sprintf("-%d", s.KeyBits)
	}
	if s.Auth != ESPAuthNone {
		parts = append(parts, s.Auth.String())
	}
	if s.Group != 0 {
		parts = append(parts, s.Group.String())
	}
	return strings.Join(parts, "/")
}

// keyLens returns how many bytes of keying material a suite takes for the cipher
// (with the salt of AEAD ciphers) and for the integrity algorithm.
func (s ESPSuite) keyLens() (enc, auth int) {
	switch s.Cipher {
	case ESPAESCBC:
		enc = s.KeyBits / 8
	case ESP3DES:
		enc = 24
	case ESPAESGCM16:
		// RFC 4106, section 8.1: "The size of the KEYMAT for the
		// AES-GCM-ESP MUST be four octets longer than is needed for the
		// associated AES key."
		enc = s.KeyBits/8 + 4
	}
	switch s.Auth {
	case ESPAuthNone:
	case ESPAuthSHA1_96:
		auth = 20
	case ESPAuthSHA256_128:
		auth = 32
	case ESPAuthSHA384_192:
		auth = 48
	case ESPAuthSHA512_256:
		auth = 64
	}
	return enc, auth
}

// DefaultESP returns the phase-2 suites that go with DefaultSuites.
func DefaultESP() []ESPSuite {
	auths := []ESPAuth{ESPAuthSHA256_128, ESPAuthSHA384_192, ESPAuthSHA512_256, ESPAuthSHA1_96}
	sizes := []int{256, 128, 192}
	var list []ESPSuite
	for _, bits := range sizes {
		list = append(list, ESPSuite{Cipher: ESPAESGCM16, KeyBits: bits})
	}
	for _, bits := range sizes {
		for _, a := range auths {
			list = append(list, ESPSuite{Cipher: ESPAESCBC, KeyBits: bits, Auth: a})
		}
	}
	for _, a := range auths {
		list = append(list, ESPSuite{Cipher: ESP3DES, Auth: a})
	}
	return list
}
