package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// holder is an attacker that has the pre-shared key: an initiator that computes as
// little as possible. It verifies nothing that the server sends.
type holder struct {
	s      *sockets
	local  netip.Addr
	ci, cr [8]byte
	keys   *wire.Keys
	last   []byte // last block of phase 1
	ike    chan []byte

	esp     chan []byte
	in, out *wire.ESP
	link
}

// suite is the suite that holders agree on. It is cheap, and the exchange is
// always the same.
var (
	cheap    = wire.Suite{Encryption: 7, KeyLength: 256, Hash: 4, Auth: 1, Group: 19}
	exchange = func() *wire.Exchange {
		e, err := wire.NewExchange(19)
		if err != nil {
			panic(err)
		}
		return e
	}()
)

var errSilent = errors.New("no answer")

// patience lists the waits before each repetition of a message.
var patience = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

func (s *sockets) holder(local netip.Addr) *holder {
	h := &holder{s: s, local: local, ci: cookie(), ike: make(chan []byte, 16), esp: make(chan []byte, 256)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ike[h.ci] = h.ike
	return h
}

// forget frees the holder's entries.
func (h *holder) forget() {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	delete(h.s.ike, h.ci)
	if h.in != nil {
		delete(h.s.esp, h.in.SPI)
	}
}

// ask sends a message until a message of the exchange comes back.
func (h *holder) ask(port uint16, b []byte, exchange byte, id uint32, not []byte) (*wire.Message, error) {
	if port == 4500 {
		b = append(make([]byte, 4), b...)
	}
	for _, d := range patience {
		h.s.send(h.local, port, b)
		for over := time.After(d); ; {
			select {
			case got := <-h.ike:
				m, err := wire.ParseMessage(got)
				if err == nil && m.Exchange == exchange && m.ID == id && !bytes.Equal(m.Body, not) {
					return m, nil
				}
				continue
			case <-over:
			}
			break
		}
	}
	return nil, errSilent
}

// payload is the body of the first payload of a type.
func payload(first byte, body []byte, t byte) []byte {
	list, err := wire.Payloads(first, body)
	if err != nil {
		return nil
	}
	for _, p := range list {
		if p.Type == t {
			return p.Body
		}
	}
	return nil
}

// phase1 does Main Mode (RFC 2409 section 5.4).
func (h *holder) phase1() error {
	m5, m4, err := h.prove(psk)
	if err != nil {
		return err
	}
	m6, err := h.ask(4500, m5, wire.MainMode, 0, m4)
	if err != nil {
		return err
	}
	h.last = bytes.Clone(m6.Body[len(m6.Body)-h.keys.BlockSize():])
	return nil
}

// prove runs phase 1 as far as message 5, which it returns with the body of
// message 4.
func (h *holder) prove(key string) (five, four []byte, err error) {
	sa := offer(cheap.Group)
	m2, err := h.ask(500, message1(h.ci, cheap.Group), wire.MainMode, 0, nil)
	if err != nil {
		return nil, nil, err
	}
	h.cr = m2.Responder
	ni := make([]byte, 16)
	random(ni)
	m4, err := h.ask(500, message3(h.ci, h.cr, exchange.Public, ni), wire.MainMode, 0, m2.Body)
	if err != nil {
		return nil, nil, err
	}
	gxr, nr := payload(m4.First, m4.Body, wire.PayloadKE), payload(m4.First, m4.Body, wire.PayloadNonce)
	shared, err := exchange.Shared(gxr)
	if err != nil {
		return nil, nil, err
	}
	if h.keys, err = wire.DeriveKeys(cheap, cheap.PRF([]byte(key), ni, nr), shared, h.ci[:], h.cr[:]); err != nil {
		return nil, nil, err
	}
	id := append([]byte{1, 17, 500 >> 8, 500 & 0xff}, h.local.AsSlice()...)
	hash := h.keys.PRF(h.keys.Root, exchange.Public, gxr, h.ci[:], h.cr[:], sa, id)
	m5 := &wire.Message{Initiator: h.ci, Responder: h.cr, Exchange: wire.MainMode, Flags: wire.Encrypted}
	var plain []byte
	m5.First, plain = wire.Chain(wire.Payload{Type: wire.PayloadID, Body: id}, wire.Payload{Type: wire.PayloadHash, Body: hash})
	m5.Body, _ = h.keys.Encrypt(h.keys.FirstIV(exchange.Public, gxr), plain)
	return m5.Marshal(), m4.Body, nil
}

// seal encrypts the first message of an exchange, with its hash in front.
func (h *holder) seal(exchange byte, id uint32, list ...wire.Payload) (b, iv []byte) {
	_, rest := wire.Chain(list...)
	hash := h.keys.PRF(h.keys.A, wire.U32(id), rest)
	m := &wire.Message{Initiator: h.ci, Responder: h.cr, Exchange: exchange, Flags: wire.Encrypted, ID: id}
	var plain []byte
	m.First, plain = wire.Chain(append([]wire.Payload{{Type: wire.PayloadHash, Body: hash}}, list...)...)
	m.Body, iv = h.keys.Encrypt(h.keys.Sum(h.last, wire.U32(id))[:h.keys.BlockSize()], plain)
	return m.Marshal(), iv
}

// quick1 is the first message of a Quick Mode, with perfect forward secrecy if
// group is not 0.
func (h *holder) quick1(id, spi uint32, transform byte, group int, ke, ni []byte) (b, iv []byte) {
	a := bytes.Join([][]byte{wire.TV(6, 256), wire.TV(5, 2), wire.TV(4, 4), wire.TV(1, 1), wire.TV(2, 3600)}, nil)
	if group != 0 {
		a = append(a, wire.TV(3, uint16(group))...)
	}
	sa := wire.SABody(wire.Proposal{Number: 1, Protocol: 3, SPI: wire.U32(spi), Transforms: []wire.Transform{{Number: 1, ID: transform, Attributes: a}}})
	list := []wire.Payload{{Type: wire.PayloadSA, Body: sa}, {Type: wire.PayloadNonce, Body: ni}}
	if group != 0 {
		list = append(list, wire.Payload{Type: wire.PayloadKE, Body: ke})
	}
	list = append(list,
		wire.Payload{Type: wire.PayloadID, Body: append([]byte{1, 17, 1701 >> 8, 1701 & 0xff}, h.local.AsSlice()...)},
		wire.Payload{Type: wire.PayloadID, Body: append([]byte{1, 17, 1701 >> 8, 1701 & 0xff}, h.s.a.server.AsSlice()...)})
	return h.seal(wire.QuickMode, id, list...)
}

// unwanted begins a Quick Mode that offers only DES, and does not wait for the
// answer.
func (h *holder) unwanted() {
	b, _ := h.quick1(rand.Uint32()|1, rand.Uint32()|1<<31, 2, 0, nil, make([]byte, 16))
	h.s.send(h.local, 4500, append(make([]byte, 4), b...))
}

// secure brings up IPsec: phase 1 and a pair of ESP SAs, without PFS.
func (h *holder) secure() error {
	if err := h.phase1(); err != nil {
		return err
	}
	return h.quick(0, nil)
}

// quick does a Quick Mode (RFC 2409 section 5.5), with perfect forward secrecy if
// group is not 0. With it the keys are wrong, because only the server computes
// g^xy.
func (h *holder) quick(group int, ke []byte) error {
	id, spi, ni := rand.Uint32()|1, rand.Uint32()|1<<31, make([]byte, 16)
	random(ni)
	b, iv := h.quick1(id, spi, 12, group, ke, ni)
	m2, err := h.ask(4500, b, wire.QuickMode, id, nil)
	if err != nil {
		return err
	}
	plain, iv, err := h.keys.Decrypt(iv, m2.Body)
	if err != nil {
		return err
	}
	sa, err := wire.ParseSA(payload(m2.First, plain, wire.PayloadSA))
	if err != nil {
		return err
	}
	nr := payload(m2.First, plain, wire.PayloadNonce)
	m3 := &wire.Message{Initiator: h.ci, Responder: h.cr, Exchange: wire.QuickMode, Flags: wire.Encrypted, ID: id}
	var body []byte
	m3.First, body = wire.Chain(wire.Payload{Type: wire.PayloadHash, Body: h.keys.PRF(h.keys.A, []byte{0}, wire.U32(id), ni, nr)})
	m3.Body, _ = h.keys.Encrypt(iv, body)
	suite := wire.ESPSuite{Transform: 12, KeyLength: 256, Auth: 2}
	enc, auth := suite.KeySizes()
	old := h.in
	h.out = wire.NewESP(binary.BigEndian.Uint32(sa[0].SPI), suite, h.keys.Keymat(enc+auth, nil, sa[0].SPI, ni, nr))
	h.in = wire.NewESP(spi, suite, h.keys.Keymat(enc+auth, nil, wire.U32(spi), ni, nr))
	h.s.mu.Lock()
	if old != nil {
		delete(h.s.esp, old.SPI)
	}
	h.s.esp[spi] = h.esp
	h.s.mu.Unlock()
	h.s.send(h.local, 4500, append(make([]byte, 4), m3.Marshal()...))
	return nil
}

// goodbye deletes the phase 1.
func (h *holder) goodbye() {
	body := append([]byte{0, 0, 0, 1, 1, 16, 0, 1}, h.ci[:]...)
	b, _ := h.seal(wire.Informational, rand.Uint32()|1, wire.Payload{Type: wire.PayloadDelete, Body: append(body, h.cr[:]...)})
	h.s.send(h.local, 4500, append(make([]byte, 4), b...))
}
