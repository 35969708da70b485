package halfopen

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// Each of our cookies consists of a number of so many bytes and a truncated hash in the
// bytes that are left: 40 bits, which nobody guesses by sending. From its highest bit on,
// the number consists of mintedBit, which makes the cookie other than zero; the index of
// a known first message, or 0; and bits that distinguish cookies.
const (
	numberLen  = 3
	mintedBit  = 1 << (8*numberLen - 1)
	serialBits = 8*numberLen - 1 - offerBits
	serialMask = 1<<serialBits - 1
)

// cookieEpoch is how long one hash is used for new cookies. A cookie is also valid during
// the next epoch: longer than a client waits between message 2 and message 3.
const cookieEpoch = 128 * time.Second

// cookie returns a new responder cookie for an initiator at an address: a number, and a
// keyed hash over the number, the initiator cookie and the address. So a third message can
// be told from noise without any state. The number is there because an initiator cookie
// may repeat: two devices with the same random numbers each get a cookie of their own, and
// so does a device that was restarted. RFC 2408, section 2.5.3, suggests date and time for
// this purpose.
func (g *Greeter) cookie(path ike.Path, initiator [8]byte) [8]byte {
	return g.mint(path, initiator, g.minting.Add(1)&serialMask, epochOf(time.Now()))
}

// knownCookie returns the cookie for a known first message. A peer that repeats that
// message gets the same cookie again, as long as no connection has it. Late says that a
// connection has it and is still negotiating: the message is a copy that the network
// delayed.
func (g *Greeter) knownCookie(path ike.Path, initiator [8]byte, index int, now time.Time) (cookie [8]byte, late bool) {
	var block [aes.BlockSize]byte
	copy(block[:], initiator[:])
	binary.BigEndian.PutUint16(block[8:], path.Remote.Port())
	g.numbers.Encrypt(block[:], block[:])
	serial := binary.BigEndian.Uint32(block[:])
	made := func(epoch uint32) (cookie [8]byte, to Route, taken bool) {
		cookie = g.mint(path, initiator, uint32(index)<<serialBits|serial&serialMask, epoch)
		to, taken = g.cfg.Connections.Routed(ike.Cookies{Initiator: initiator, Responder: cookie})
		return cookie, to, taken
	}
	if before := epochOf(now.Add(-lateCopy)); before != epochOf(now) {
		if _, to, taken := made(before); taken && to.young(now) {
			return cookie, true
		}
	}
	for range 16 {
		var to Route
		var taken bool
		if cookie, to, taken = made(epochOf(now)); !taken {
			break
		}
		if to.young(now) {
			return cookie, true
		}
		serial++
	}
	return cookie, false
}

// young reports whether message 3 has just arrived and nothing has resulted from it yet.
func (r Route) young(now time.Time) bool { return now.Sub(r.Began) < lateCopy && r.Negotiates }

func epochOf(now time.Time) uint32 { return uint32(now.UnixNano() / int64(cookieEpoch)) }

// numberOf returns the number in a cookie.
func numberOf(cookie [8]byte) uint32 {
	return uint32(cookie[0])<<16 | uint32(cookie[1])<<8 | uint32(cookie[2])
}

// offerOf returns the index of the known first message that this cookie of ours answered,
// 0 if it answered none.
func offerOf(cookie [8]byte) int { return int(numberOf(cookie)&(mintedBit-1)) >> serialBits }

// mint makes a cookie from its number. The hash is the chain of AES-CMAC (RFC 4493) over
// blocks whose count is in the first block, under a key that nobody knows. It takes a few
// dozen nanoseconds, which strangers can make us spend as often as they like.
func (g *Greeter) mint(path ike.Path, initiator [8]byte, number, epoch uint32) (cookie [8]byte) {
	var words [4 * aes.BlockSize]byte
	binary.BigEndian.PutUint32(words[:], number|mintedBit)
	copy(cookie[:], words[1:1+numberLen])
	binary.BigEndian.PutUint32(words[4:], epoch)
	copy(words[8:], initiator[:])
	remote := path.Remote.Addr().As16()
	copy(words[16:], remote[:])
	n := 32
	if index := offerOf(cookie); index > 0 {
		if known := g.offers.at(index); known != nil {
			copy(words[32:], known.sum[:])
		}
		n += sumLen
	}
	var mac [aes.BlockSize]byte
	for i := 0; i < n; i += aes.BlockSize {
		subtle.XORBytes(mac[:], mac[:], words[i:i+aes.BlockSize])
		g.minter.Encrypt(mac[:], mac[:])
	}
	copy(cookie[numberLen:], mac[:])
	return cookie
}

// minted reports whether we recently gave this responder cookie to this initiator at this
// address.
func (g *Greeter) minted(path ike.Path, c ike.Cookies, now time.Time) bool {
	number := numberOf(c.Responder)
	if number&mintedBit == 0 {
		return false
	}
	epoch := epochOf(now)
	for _, e := range [...]uint32{epoch, epoch - 1} {
		if own := g.mint(path, c.Initiator, number, e); subtle.ConstantTimeCompare(own[:], c.Responder[:]) == 1 {
			return true
		}
	}
	return false
}
