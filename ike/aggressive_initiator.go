package ike

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// initiateAggressive sends HDR, SA, KE, Ni, IDii. The identification is the name
// of the group of Policy.PSKs[0], or our address. The offer has only the suites
// whose Diffie-Hellman group is that of the first suite.
func (s *SA) initiateAggressive(now time.Time) error {
	st := &s.st
	policy := s.env.Policy
	if len(policy.Suites) == 0 || len(policy.PSKs) == 0 {
		return ErrNoProposal
	}
	var suites []Suite
	for _, suite := range policy.Suites {
		if suite.Group == policy.Suites[0].Group {
			suites = append(suites, suite)
		}
	}
	dh, err := newDHKey(s.env.Rand, policy.Suites[0].Group)
	if err != nil {
		return err
	}
	ni, err := s.random(aggressiveNonce)
	if err != nil {
		return err
	}
	id := isakmp.AddrID(st.Path.Local.Addr(), 0, 0)
	if group := policy.PSKs[0].Group; group != "" {
		id = isakmp.ID{Kind: isakmp.IDKeyID, Data: []byte(group)}
	}
	sa := offerPhase1(suites, policy.aggressiveMethods(), st.Peer.Lifetime)
	st.Step, st.DH, st.NonceI = stepWaitA2, dh, ni
	st.Offer, st.Early.ID = sa.AppendBody(nil), id.AppendBody(nil)
	payloads := append([]isakmp.Payload{sa, isakmp.KE(dh.Public), isakmp.Nonce(ni), id}, policy.vendorIDs()...)
	s.request(now, isakmp.AppendMessage(nil, s.header(ExchangeAggressive, 0), payloads...))
	return nil
}

// handleA2 takes HDR, SA, KE, Nr, IDir, HASH_R [, NAT-D, NAT-D] and sends HDR*,
// HASH_I, NAT-D, NAT-D, on the NAT-T port if there is a NAT. A message that does
// not verify changes nothing.
func (s *SA) handleA2(p packet) error {
	before := s.st
	if err := s.answerA2(p); err != nil {
		s.st = before
		return err
	}
	return nil
}

func (s *SA) answerA2(p packet) error {
	st := &s.st
	c := p.clear()
	if c.sa == nil || len(c.ids) != 1 || p.h.ResponderCookie == [8]byte{} {
		return fmt.Errorf("%w: no SA, no identification or no cookie", ErrMalformed)
	}
	offer, err := accepted(s.env.Policy.Suites, s.env.Policy.aggressiveMethods(), c.sa)
	if err != nil {
		return err
	}
	if offer.suite.Group != st.DH.Group {
		return ErrNoProposal
	}
	st.Peer.Cookies.Responder = p.h.ResponderCookie
	st.Peer.Suite, st.Peer.Auth = offer.suite, offer.auth
	st.Peer.Lifetime = min(st.Peer.Lifetime, offer.lifetime)
	st.Peer.Kind = classify(c.vendor)
	agreed := agree(s.env.Policy.VendorIDs, c.vendor)
	st.Peer.NATT, st.Peer.DPD, st.Peer.Fragments = agreed.natt, agreed.dpd, agreed.fragments
	if st.PeerPublic, st.NonceR, err = s.keyExchange(c); err != nil {
		return err
	}
	psk := s.env.Policy.PSKs[0]
	k, err := s.derive(psk)
	if err != nil {
		return err
	}
	if !hmac.Equal(c.hash, st.hashR(k.SKEYID, c.ids[0])) {
		return ErrHash
	}
	return s.sendA3(p, c, k, psk)
}

func (s *SA) sendA3(p packet, c contents, k keys, psk PSK) error {
	st := &s.st
	s.judgeNAT(p.path, c.natd)
	natd, err := s.ownNATD(p.path, nil)
	if err != nil {
		return err
	}
	payloads := append([]isakmp.Payload{isakmp.Hash(st.hashI(k.SKEYID, st.Early.ID))}, natd...)
	msg, last, err := s.seal(k, st.Peer.Suite.iv1(st.publics()), s.header(ExchangeAggressive, 0), payloads...)
	if err != nil {
		return err
	}
	if st.Peer.Encap && !p.path.Marker {
		p.path = s.nattPath(st.Path)
	}
	st.Reply = newReply(p.raw, msg)
	s.send(p.path, msg)
	s.establish(p, k, psk.proof(), c, bytes.Clone(last))
	st.forget()
	return nil
}
