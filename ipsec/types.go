package ipsec

import "github.com/adit-vpn/adit/internal/secret"

// Cipher is an ESP encryption transform.
type Cipher uint8

// The encryption transforms (RFC 3602, 2451, 4106).
const (
	AESCBC Cipher = iota + 1
	TripleDESCBC
	AESGCM16
)

// Auth is an ESP integrity transform.
type Auth uint8

// The integrity transforms (RFC 2404, 4868). AuthNone goes with AEAD ciphers.
const (
	AuthNone Auth = iota
	HMACSHA1_96
	HMACSHA256_128
	HMACSHA384_192
	HMACSHA512_256
)

// Suite is what protects one SA.
type Suite struct {
	Cipher  Cipher
	KeyBits int // 128, 192 or 256; ignored for 3DES
	Auth    Auth
}

// Keys are one SA's keys. For AEAD ciphers Enc ends in four bytes of salt.
type Keys struct{ Enc, Auth secret.Bytes }

// Out is one packet to be sealed: Buf[Off:End] is the payload, an inner UDP
// datagram or what else its SA carries. Seal extends it in place, headers into the head room and padding
// and ICV into the tail room, and moves Off and End. Drop says why it was not
// sealed.
type Out struct {
	SA       *Outbound
	Buf      []byte
	Off, End int
	Drop     Drop
}

// In is one ESP packet to be opened: Buf[Off:End] begins with the SPI. Open
// decrypts in place and moves Off and End to the payload. Newest says that it
// advanced the window. Drop says why it was refused.
type In struct {
	SA       *Inbound
	Buf      []byte
	Off, End int
	Newest   bool
	Drop     Drop

	icv int // length of this packet's ICV, while Open works on it
}

// Drop says why a packet was not sealed or not opened. The zero value means
// that it was.
type Drop uint8

// The reasons for a drop.
const (
	DropNone       Drop = iota
	DropShort           // too short, or not a whole number of blocks
	DropSequence        // sequence number 0, which no sender uses
	DropReplay          // seen before, or left of the window
	DropICV             // the integrity check failed
	DropRetired         // the SA is retired
	DropPadding         // padding longer than the packet
	DropNextHeader      // something else inside than the SA carries
	DropDummy           // a dummy packet (RFC 4303, section 2.6)
	DropExhausted       // the SA has no sequence numbers left
	DropRoom            // not enough head or tail room
	DropRandom          // no randomness for the IV
)

var dropNames = [...]string{
	"none", "short", "sequence", "replay", "icv", "retired", "padding",
	"next-header", "dummy", "exhausted", "room", "random",
}

// String names the reason as metrics do.
func (d Drop) String() string {
	if int(d) < len(dropNames) {
		return dropNames[d]
	}
	return "unknown"
}
