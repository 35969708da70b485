package ike

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// Main Mode with signatures (RFC 2409, section 5.1):
//
//	Initiator                      Responder
//	3  HDR, KE, Ni [, CERT]  -->
//	                        <--    4  HDR, KE, Nr [, CERTREQ]
//	5  HDR*, IDii, [CERT,] SIG_I [, CERTREQ]  -->
//	                        <--    6  HDR*, IDir, CERT, SIG_R
//
// and messages 1 and 2 as with a pre-shared key.

const (
	maxCerts    = 16  // certificates of one peer
	maxRequests = 480 // bytes of our certificate requests, so that message 4 needs no fragments
)

// keepCerts adds the certificates of message 3 or 5 to those that came before.
func (st *state) keepCerts(c contents) error {
	for _, body := range c.certs {
		cert, err := isakmp.ParseCert(body)
		if err != nil {
			continue // another certificate may do, and if none does an error says so
		}
		list, err := cert.Certificates()
		if err != nil {
			continue
		}
		for _, der := range list {
			if len(st.Certs) == maxCerts {
				return fmt.Errorf("%w: more than %d certificates", ErrLimit, maxCerts)
			}
			st.Certs = append(st.Certs, bytes.Clone(der))
		}
	}
	return nil
}

// requests lists the certificate requests that message 4 may have, best first: one
// for every authority, one for any authority, none. Which of them fits depends on
// the size of what the peer sent.
//
// RFC 2408, section 3.10: the authority "SHOULD NOT be included" if any will do.
// Clients that send a certificate only when asked accept such a request, too.
func (s *SA) requests() [][]isakmp.Payload {
	if !s.st.Peer.Auth.signs() {
		return [][]isakmp.Payload{nil}
	}
	var all []isakmp.Payload
	size := 0
	for _, name := range s.env.Policy.Authority.Names() {
		all = append(all, isakmp.CertRequest{Encoding: isakmp.CertX509, Authority: name})
		size += len(name) + 5
	}
	list := [][]isakmp.Payload{{isakmp.CertRequest{Encoding: isakmp.CertX509}}, nil}
	if len(all) > 0 && size <= maxRequests {
		list = append([][]isakmp.Payload{all}, list...)
	}
	return list
}

// deriveSigned makes the keys of a phase 1 with signatures.
func (s *SA) deriveSigned() (keys, error) {
	st := &s.st
	z, err := s.shared()
	if err != nil {
		return keys{}, err
	}
	nonces := append(bytes.Clone(st.NonceI), st.NonceR...)
	return expandKeys(st.Peer.Suite, st.Peer.Suite.Hash.prf(nonces, z), z, st.Peer.Cookies), nil
}

// signed writes ID, CERT, SIG for message 5 or 6.
func (s *SA) signed(k keys, hash func(secret.Bytes, []byte) []byte) ([]isakmp.Payload, error) {
	own := s.env.Policy.Identity
	id := isakmp.ID{Kind: isakmp.IDDERASN1DN, Data: own.Subject}
	sig, err := own.sign(s.env.Rand, hash(k.SKEYID, id.AppendBody(nil)))
	if err != nil {
		return nil, fmt.Errorf("signing with our certificate's key: %w", err)
	}
	payloads := []isakmp.Payload{id}
	for _, der := range own.Chain {
		payloads = append(payloads, isakmp.Cert{Encoding: isakmp.CertX509, Data: der})
	}
	return append(payloads, isakmp.Signature(sig)), nil
}

// openSigned decrypts message 5 or 6. The SA does not change.
func (s *SA) openSigned(p packet, k keys, iv []byte) (c contents, next []byte, err error) {
	if len(p.body) > maxWhole {
		return c, nil, fmt.Errorf("%w: message 5 of %d bytes, more than %d", ErrMalformed, len(p.body), maxWhole)
	}
	plain, next, err := s.st.Peer.Suite.decrypt(k.Cipher, iv, p.body)
	if err != nil {
		return c, nil, err
	}
	c = chain(p.h.Next, plain)
	if len(c.ids) != 1 || c.signature == nil || c.ambiguous(isakmp.PayloadSignature) {
		return c, nil, fmt.Errorf("%w: no identification or no signature", ErrMalformed)
	}
	return c, next, nil
}

// judge decides whether the peer is the one that its certificate names.
func (s *SA) judge(p packet, c contents, k keys, want func(secret.Bytes, []byte) []byte) (proof, error) {
	st := &s.st
	before := st.Certs
	defer func() { st.Certs = before }()
	// The certificates of message 5 come first: if there are any, the peer's own
	// is among them.
	st.Certs = nil
	if err := st.keepCerts(c); err != nil {
		return proof{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	list := append(st.Certs, before...)
	if len(list) == 0 {
		return proof{}, fmt.Errorf("%w: the peer sent none that can be read, in %d certificate payloads", ErrCertificate, len(c.certs))
	}
	cert, err := s.env.Policy.Authority.Verify(p.now, list)
	if err != nil {
		return proof{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	id, err := isakmp.ParseID(c.ids[0])
	if err != nil {
		return proof{}, err
	}
	if !cert.speaksOf(id) {
		return proof{}, fmt.Errorf("%w: it is of %.96s and the peer says that it is %s", ErrIdentity, cert.Name, describeID(id))
	}
	if err := st.Peer.Auth.verify(cert.PublicKey, want(k.SKEYID, c.ids[0]), c.signature); err != nil {
		return proof{}, fmt.Errorf("%w (certificate of %.96s)", err, cert.Name)
	}
	return proof{cert: cert.Name, group: cert.Group, fingerprint: cert.Fingerprint, chain: list}, nil
}

// handle5Signed answers HDR*, IDii, CERT, SIG_I.
func (s *SA) handle5Signed(p packet) error {
	st := &s.st
	if st.Trials == maxTrials {
		return ErrTrials
	}
	k, err := s.deriveSigned()
	if err != nil {
		st.Trials++
		return err
	}
	c, next, err := s.openSigned(p, k, st.Peer.Suite.iv1(st.publics()))
	if err != nil {
		st.Trials++
		k.zero()
		return err
	}
	who, err := s.judge(p, c, k, st.hashI)
	if err != nil {
		st.Trials++
		s.refuse5(p, k, next, err)
		k.zero()
		return err
	}
	payloads, err := s.signed(k, st.hashR)
	if err != nil {
		st.Trials++
		k.zero()
		return err
	}
	msg, last, err := s.seal(k, next, s.header(ExchangeMain, 0), payloads...)
	if err != nil {
		return err
	}
	s.establish(p, k, who, c, bytes.Clone(last))
	st.forget()
	st.Reply = newReply(p.raw, msg)
	s.send(p.path, msg)
	return nil
}

// refuse5 tells a peer what was wrong with its message 5, under the keys that it
// agreed on with us. The peer may be anybody, so the answer is sent only if it is
// no larger than what the peer sent. The SA does not change: the genuine message
// may still come.
func (s *SA) refuse5(p packet, k keys, last []byte, why error) {
	st := &s.st
	n := isakmp.Notify{Protocol: isakmp.ProtocolISAKMP, Message: isakmp.NotifyAuthenticationFailed}
	switch {
	case errors.Is(why, ErrCertificate):
		n.Message = isakmp.NotifyInvalidCertificate
	case errors.Is(why, ErrIdentity):
		n.Message = isakmp.NotifyInvalidIDInformation
	case errors.Is(why, ErrSignature):
		n.Message = isakmp.NotifyInvalidSignature
	}
	id, err := s.newMessageID()
	if err != nil {
		return
	}
	own := st.Keys
	st.Keys = k
	msg, _, err := s.sealHashed(st.Peer.Suite.iv2(last, id), s.header(ExchangeInformational, id), nil, n)
	st.Keys = own
	if err == nil && st.Out+len(msg) <= st.In {
		s.send(p.path, msg)
	}
}
