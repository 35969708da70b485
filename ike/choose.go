package ike

import (
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// phase1Offer is what a transform of phase 1 says.
type phase1Offer struct {
	suite    Suite
	lifetime time.Duration
	auth     AuthMethod
}

// readPhase1 reads a transform of phase 1. ok is false if what it offers is not
// known here. Unknown attributes are ignored, but a PRF attribute, or parameters
// of a group that the peer defines itself, make the transform unusable.
func readPhase1(t isakmp.Transform) (o phase1Offer, ok bool) {
	if t.ID != isakmp.TransformKeyIKE {
		return o, false
	}
	values := make(map[uint16]uint64, len(t.Attributes))
	for _, a := range t.Attributes {
		v, fits := a.Uint()
		switch a.Type {
		case attrCipher, attrHash, attrAuthMethod, attrGroup, attrKeyBits:
			if _, twice := values[a.Type]; twice || !fits {
				return o, false
			}
			values[a.Type] = v
		case attrGroupPrime, attrPRF:
			return o, false
		}
	}
	o.lifetime, _ = lifetimes(t.Attributes, attrLifeType, attrLife)
	o.auth = AuthMethod(min(values[attrAuthMethod], 1<<16-1))
	o.suite.Group = Group(values[attrGroup])
	if values[attrGroup] > 1<<16-1 || o.suite.Group.publicLen() == 0 {
		return o, false
	}
	for h := HashMD5; h <= HashSHA512; h++ {
		if values[attrHash] == uint64(hashNumber(h)) {
			o.suite.Hash = h
		}
	}
	switch values[attrCipher] {
	case uint64(cipherNumber(CipherAES)):
		o.suite.Cipher = CipherAES
		bits, given := values[attrKeyBits]
		if !given {
			bits = 128 // implementations take 128 as the default, though RFC 3602 requires the attribute
		}
		if bits != 128 && bits != 192 && bits != 256 {
			return o, false
		}
		o.suite.KeyBits = int(bits)
	case uint64(cipherNumber(Cipher3DES)):
		o.suite.Cipher = Cipher3DES
	default:
		return o, false
	}
	return o, o.suite.Hash != 0
}

// choosePhase1 picks the transform of a first message that policy wants most,
// among those that use one of these methods. The chosen SA echoes it byte for
// byte.
func choosePhase1(policy []Suite, methods []AuthMethod, sa isakmp.SA) (chosen isakmp.SA, offer phase1Offer, err error) {
	type candidate struct {
		p isakmp.Proposal
		t isakmp.Transform
		o phase1Offer
	}
	var list []candidate
	for _, p := range sa.Proposals {
		// RFC 2408, section 3.5: an ISAKMP proposal's SPI "MUST be ignored".
		if p.Protocol != isakmp.ProtocolISAKMP {
			continue
		}
		for _, t := range p.Transforms {
			if o, ok := readPhase1(t); ok && slices.Contains(methods, o.auth) {
				list = append(list, candidate{p, t, o})
			}
		}
	}
	for _, want := range policy {
		for _, c := range list {
			if c.o.suite == want {
				c.p.Transforms = []isakmp.Transform{c.t}
				return isakmp.SA{Proposals: []isakmp.Proposal{c.p}}, c.o, nil
			}
		}
	}
	return isakmp.SA{}, phase1Offer{}, refusedOffer(policy, methods, sa)
}

// refusedOffer says why no transform of an offer was chosen.
func refusedOffer(policy []Suite, methods []AuthMethod, sa isakmp.SA) *NoProposal {
	no := &NoProposal{ByAuth: true}
	for _, p := range sa.Proposals {
		for _, t := range p.Transforms {
			no.Offered = append(no.Offered, describePhase1(p, t))
			auth := AuthMethod(min(phase1Value(t, attrAuthMethod), 1<<16-1))
			if slices.Contains(methods, auth) {
				no.ByAuth = false
			} else if len(no.Auth) < 8 && !slices.Contains(no.Auth, auth) && p.Protocol == isakmp.ProtocolISAKMP {
				no.Auth = append(no.Auth, auth)
			}
		}
	}
	no.Offered = distinct(no.Offered)
	for _, p := range sa.Proposals {
		for _, t := range p.Transforms {
			if o, ok := readPhase1(t); ok && slices.Contains(policy, o.suite) {
				no.ByAuth = true
			}
		}
	}
	no.ByAuth = no.ByAuth && len(no.Auth) > 0
	return no
}

// onlyXAUTH reports whether every transform of a peer asks for its user name
// within IKE.
func onlyXAUTH(sa isakmp.SA) bool {
	n := 0
	for _, p := range sa.Proposals {
		for _, t := range p.Transforms {
			if !AuthMethod(min(phase1Value(t, attrAuthMethod), 1<<16-1)).XAUTH() {
				return false
			}
			n++
		}
	}
	return n > 0
}

// offerPhase1 writes our proposal as initiator: as many suites as fit, each with
// each of the methods.
func offerPhase1(policy []Suite, methods []AuthMethod, lifetime time.Duration) isakmp.SA {
	p := isakmp.Proposal{Number: 1, Protocol: isakmp.ProtocolISAKMP}
	for i := range policy[:min(len(policy), maxOffer/max(1, len(methods)))] {
		p.Transforms = appendTransforms(p.Transforms, policy[i], methods, lifetime)
	}
	return isakmp.SA{Proposals: []isakmp.Proposal{p}}
}

func appendTransforms(list []isakmp.Transform, s Suite, methods []AuthMethod, lifetime time.Duration) []isakmp.Transform {
	for _, m := range methods {
		a := []isakmp.Attribute{isakmp.ShortAttribute(attrCipher, cipherNumber(s.Cipher))}
		if s.KeyBits > 0 {
			a = append(a, isakmp.ShortAttribute(attrKeyBits, uint16(s.KeyBits)))
		}
		a = append(a,
			isakmp.ShortAttribute(attrHash, hashNumber(s.Hash)),
			isakmp.ShortAttribute(attrGroup, uint16(s.Group)),
			isakmp.ShortAttribute(attrAuthMethod, uint16(m)))
		a = lifeAttributes(a, attrLifeType, attrLife, lifeSeconds, uint64(lifetime/time.Second))
		list = append(list, isakmp.Transform{Number: uint8(len(list) + 1), ID: isakmp.TransformKeyIKE, Attributes: a})
	}
	return list
}

// maxOffer bounds the suites of a first message, so that it needs no
// fragments on any path.
const maxOffer = 28

// accepted reads the one transform that a responder chose from our offer.
func accepted(policy []Suite, methods []AuthMethod, body []byte) (phase1Offer, error) {
	sa, err := isakmp.ParseSA(body)
	if err != nil {
		return phase1Offer{}, err
	}
	if len(sa.Proposals) != 1 || len(sa.Proposals[0].Transforms) != 1 {
		return phase1Offer{}, ErrNoProposal
	}
	_, o, err := choosePhase1(policy[:min(len(policy), maxOffer)], methods, sa)
	return o, err
}
