package ike

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// Main Mode with a pre-shared key (RFC 2409, section 5.4):
//
//	Initiator                      Responder
//	1  HDR, SA              -->
//	                        <--    2  HDR, SA
//	3  HDR, KE, Ni          -->
//	                        <--    4  HDR, KE, Nr
//	5  HDR*, IDii, HASH_I   -->
//	                        <--    6  HDR*, IDir, HASH_R
//
// with the NAT-D payloads of RFC 3947 in messages 3 and 4.

// handleMain handles a message of phase 1 by the step that the SA is at.
func (s *SA) handleMain(p packet) error {
	st := &s.st
	if p.h.MessageID != 0 {
		return fmt.Errorf("%w: message id in Main Mode", ErrUnexpected)
	}
	if st.Reply.is(p.raw) {
		return s.repeat(p, &st.Reply)
	}
	switch encrypted := p.encrypted(); {
	case st.Step == stepWait2 && !encrypted:
		return s.handle2(p)
	case st.Step == stepWait3 && !encrypted:
		return s.handle3(p)
	case st.Step == stepWait4 && !encrypted:
		return s.handle4(p)
	case st.Step == stepWait5 && encrypted:
		return s.handle5(p)
	case st.Step == stepWait6 && encrypted:
		return s.handle6(p)
	default:
		return p.misplaced()
	}
}

// repeat answers a duplicate with the answer to the first copy, and sends it to
// where the duplicate came from.
func (s *SA) repeat(p packet, r *reply) error {
	if s.st.Step != stepUp && !s.st.Initiator && s.st.Out+len(r.Data) > s.st.In {
		return ErrBudget
	}
	data := r.take()
	if data == nil {
		return ErrReplay
	}
	if s.st.Step == stepWait5 {
		// Message 4 was lost, and some peers repeat a message only every 10
		// seconds: they get the full time again. The number of answers is bounded.
		s.st.Ends = p.now.Add(halfOpenTime)
	}
	s.note(NoteRepeat, uint16(p.h.Exchange))
	s.send(p.path, data)
	return nil
}

// clear reads the payloads of a message that is not encrypted.
func (p packet) clear() contents { return chain(p.h.Next, p.body) }

// keyExchange checks what messages 3 and 4 have in common, and returns copies of
// the public value and the nonce.
func (s *SA) keyExchange(c contents) (public, nonce []byte, err error) {
	if c.ke == nil || c.nonce == nil || c.ambiguous(isakmp.PayloadKE, isakmp.PayloadNonce) {
		return nil, nil, fmt.Errorf("%w: it needs one key exchange and one nonce of 8 to 256 bytes that can be read", ErrMalformed)
	}
	if err := checkPublic(s.st.Peer.Suite.Group, c.ke); err != nil {
		return nil, nil, err
	}
	return bytes.Clone(c.ke), bytes.Clone(c.nonce), nil
}

// publics are g^xi and g^xr.
func (st *state) publics() (gxi, gxr []byte) {
	if st.Initiator {
		return st.DH.Public, st.PeerPublic
	}
	return st.PeerPublic, st.DH.Public
}

// hashI and hashR are HASH_I and HASH_R. They prove knowledge of the pre-shared
// key, or are signed (RFC 2409, section 5).
func (st *state) hashI(skeyid secret.Bytes, id []byte) []byte {
	gxi, gxr := st.publics()
	c := st.Peer.Cookies
	return st.Peer.Auth.hash(st.Peer.Suite.Hash).prf(skeyid.Reveal(), gxi, gxr, c.Initiator[:], c.Responder[:], st.Offer, id)
}

func (st *state) hashR(skeyid secret.Bytes, id []byte) []byte {
	gxi, gxr := st.publics()
	c := st.Peer.Cookies
	return st.Peer.Auth.hash(st.Peer.Suite.Hash).prf(skeyid.Reveal(), gxr, gxi, c.Responder[:], c.Initiator[:], st.Offer, id)
}

// shared is g^xy, computed only once.
func (s *SA) shared() ([]byte, error) {
	st := &s.st
	if st.Shared.Len() == 0 {
		z, err := st.DH.shared(st.PeerPublic)
		if err != nil {
			return nil, err
		}
		st.Shared = secret.New(z)
		clear(z)
	}
	return st.Shared.Reveal(), nil
}

// derive makes the keys that belong to psk.
func (s *SA) derive(psk PSK) (keys, error) {
	st := &s.st
	z, err := s.shared()
	if err != nil {
		return keys{}, err
	}
	return deriveKeys(st.Peer.Suite, psk.Key.Reveal(), st.NonceI, st.NonceR, z, st.Peer.Cookies), nil
}

// openMain decrypts message 5 or 6 under k and verifies its hash. want computes
// the expected hash of the identification. The SA does not change.
func (s *SA) openMain(p packet, k keys, iv []byte, want func(secret.Bytes, []byte) []byte) (c contents, next []byte, err error) {
	plain, next, err := s.st.Peer.Suite.decrypt(k.Cipher, iv, p.body)
	if err != nil {
		return contents{}, nil, err
	}
	c = chain(p.h.Next, plain)
	if len(c.ids) == 0 || !hmac.Equal(c.hash, want(k.SKEYID, c.ids[0])) {
		return contents{}, nil, ErrHash
	}
	return c, next, nil
}

// proof is what a peer proved to have: a pre-shared key or a certificate.
type proof struct {
	psk, cert, group string
	fingerprint      [32]byte
	chain            [][]byte
}

func (p PSK) proof() proof { return proof{psk: p.Name, group: p.Group} }

// establish completes phase 1. last is the last block of its cipher text.
func (s *SA) establish(p packet, k keys, who proof, c contents, last []byte) {
	st := &s.st
	st.Step = stepUp
	st.Keys = k
	st.IV = last
	st.Peer.PSK, st.Peer.Cert, st.Peer.Group, st.Peer.Fingerprint, st.Peer.Chain = who.psk, who.cert, who.group, who.fingerprint, who.chain
	st.Peer.ID = bytes.Clone(c.ids[0])
	st.Ends = p.now.Add(st.Peer.Lifetime + lifetimeGrace)
	s.events.Push(Authenticated{p.path, st.Peer})
	s.fresh(p.path)
	for _, n := range c.notifies {
		s.handleMainNotify(p.now, n)
	}
	s.noteIgnored(c)
}

// noteIgnored reports which payloads of a message were ignored.
func (s *SA) noteIgnored(c contents) {
	for _, t := range c.ignored {
		s.note(NotePayload, uint16(t))
	}
	for _, t := range c.unread {
		s.note(NoteUnreadable, uint16(t))
	}
}

// handleMainNotify takes a notify that came inside message 5 or 6. The hash of
// those messages does not cover it.
func (s *SA) handleMainNotify(now time.Time, n isakmp.Notify) {
	switch n.Message {
	case isakmp.NotifyInitialContact:
		s.events.Push(InitialContact{})
	case isakmp.NotifyResponderLifetime:
		s.shorten(now, n)
	default:
		s.note(NoteNotify, uint16(n.Message))
	}
}

// shorten obeys the shorter lifetime of phase 1 that a responder announces (RFC
// 2407, section 4.6.3.1).
func (s *SA) shorten(now time.Time, n isakmp.Notify) {
	attributes, err := isakmp.ParseAttributes(n.Data)
	if n.Protocol != isakmp.ProtocolISAKMP || err != nil || !s.st.Initiator {
		s.note(NoteNotify, uint16(n.Message))
		return
	}
	life, _ := lifetimes(attributes, attrESPLifeType, attrESPLife)
	if life < s.st.Peer.Lifetime {
		s.st.Peer.Lifetime = life
		s.st.Ends = now.Add(life + lifetimeGrace)
	}
}
