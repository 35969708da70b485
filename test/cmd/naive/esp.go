package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// A packet on the wire: ESP with AES-256-CBC and HMAC-SHA1-96 (RFC 4303, 3602,
// 2404) in UDP, and in it UDP, L2TP and PPP.
const (
	espLen  = 8
	ivLen   = aes.BlockSize
	icvLen  = 12
	udpLen  = 8
	l2tpLen = 8
	pppLen  = 4

	headLen = espLen + ivLen + udpLen + l2tpLen + pppLen
	room    = headLen + innerMTU + aes.BlockSize + 2 + sha1.Size

	l2tpPort        = 1701
	tunnel, session = 1, 1
	nextHeaderUDP   = 17
	l2tpFlags       = 0x4002 // a data message with a length, version 2 (RFC 2661, section 3.1)
	pppFlags, ipv4  = 0xff03, 0x0021
	keyLen          = 32
)

// outbound and inbound are the two SAs of an end.
type outbound struct {
	spi, seq uint32
	block    cipher.Block
	mac      hash.Hash
}

type inbound struct {
	spi    uint32
	block  cipher.Block
	mac    hash.Hash
	sum    []byte
	top    uint32 // highest sequence number seen
	window uint64 // bit i: top-i was seen (RFC 4303, section 3.4.3)
}

func newOutbound(spi uint32, key string) (*outbound, error) {
	block, mac, err := keys(key)
	return &outbound{spi: spi, block: block, mac: mac}, err
}

func newInbound(spi uint32, key string) (*inbound, error) {
	block, mac, err := keys(key)
	return &inbound{spi: spi, block: block, mac: mac}, err
}

func keys(s string) (cipher.Block, hash.Hash, error) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) != keyLen+sha1.Size {
		err = fmt.Errorf("a key of %d bytes", len(b))
	}
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(b[:keyLen])
	return block, hmac.New(sha1.New, b[keyLen:]), err
}

// seal makes a datagram of the IP packet of n bytes at b[headLen:].
func (sa *outbound) seal(b []byte, n int) ([]byte, error) {
	sa.seq++
	binary.BigEndian.PutUint32(b, sa.spi)
	binary.BigEndian.PutUint32(b[4:], sa.seq)
	iv := b[espLen : espLen+ivLen]
	if _, err := rand.Read(iv); err != nil {
		return nil, err
	}
	h := b[espLen+ivLen:]
	binary.BigEndian.PutUint16(h, l2tpPort)
	binary.BigEndian.PutUint16(h[2:], l2tpPort)
	binary.BigEndian.PutUint16(h[4:], uint16(udpLen+l2tpLen+pppLen+n))
	binary.BigEndian.PutUint16(h[6:], 0)
	h = h[udpLen:]
	binary.BigEndian.PutUint16(h, l2tpFlags)
	binary.BigEndian.PutUint16(h[2:], uint16(l2tpLen+pppLen+n))
	binary.BigEndian.PutUint16(h[4:], tunnel)
	binary.BigEndian.PutUint16(h[6:], session)
	h = h[l2tpLen:]
	binary.BigEndian.PutUint16(h, pppFlags)
	binary.BigEndian.PutUint16(h[2:], ipv4)

	end := headLen + n
	pad := (aes.BlockSize - (end-espLen-ivLen+2)%aes.BlockSize) % aes.BlockSize
	for i := range pad {
		b[end+i] = byte(i + 1)
	}
	b[end+pad], b[end+pad+1] = byte(pad), nextHeaderUDP
	end += pad + 2

	body := b[espLen+ivLen : end]
	cipher.NewCBCEncrypter(sa.block, iv).CryptBlocks(body, body)
	sa.mac.Reset()
	sa.mac.Write(b[:end])
	sum := sa.mac.Sum(b[:end])
	return sum[:end+icvLen], nil
}

var errPacket = errors.New("not a packet of the peer's")

// open returns the IP packet of a datagram, which it decrypts in place.
func (sa *inbound) open(b []byte) ([]byte, error) {
	n := len(b) - icvLen
	if n < headLen+2 || (n-espLen)%aes.BlockSize != 0 || binary.BigEndian.Uint32(b) != sa.spi {
		return nil, errPacket
	}
	seq := binary.BigEndian.Uint32(b[4:])
	if !sa.fresh(seq) {
		return nil, errPacket
	}
	sa.mac.Reset()
	sa.mac.Write(b[:n])
	sa.sum = sa.mac.Sum(sa.sum[:0])
	if !hmac.Equal(sa.sum[:icvLen], b[n:]) {
		return nil, errPacket
	}
	sa.accept(seq)
	body := b[espLen+ivLen : n]
	cipher.NewCBCDecrypter(sa.block, b[espLen:espLen+ivLen]).CryptBlocks(body, body)

	pad := int(body[len(body)-2])
	if pad+2 > len(body)-udpLen-l2tpLen-pppLen {
		return nil, errPacket
	}
	body = body[:len(body)-pad-2]
	if binary.BigEndian.Uint16(body[2:]) != l2tpPort || binary.BigEndian.Uint16(body[udpLen:]) != l2tpFlags ||
		binary.BigEndian.Uint16(body[udpLen+6:]) != session || binary.BigEndian.Uint16(body[udpLen+l2tpLen+2:]) != ipv4 {
		return nil, errPacket
	}
	return body[udpLen+l2tpLen+pppLen:], nil
}

func (sa *inbound) fresh(seq uint32) bool {
	if seq > sa.top {
		return true
	}
	back := sa.top - seq
	return back < 64 && sa.window&(1<<back) == 0
}

func (sa *inbound) accept(seq uint32) {
	if seq > sa.top {
		sa.window = sa.window<<min(seq-sa.top, 64) | 1
		sa.top = seq
		return
	}
	sa.window |= 1 << (sa.top - seq)
}
