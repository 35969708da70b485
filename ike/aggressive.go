package ike

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// Aggressive Mode with a pre-shared key (RFC 2409, section 5.4):
//
//	Initiator                      Responder
//	1  HDR, SA, KE, Ni, IDii -->
//	                         <--   2  HDR, SA, KE, Nr, IDir, HASH_R
//	3  HDR, HASH_I           -->
//
// with the NAT-D payloads of RFC 3947 in messages 2 and 3. "The final message MAY
// NOT be sent under protection of the ISAKMP SA": clients send it encrypted or in
// clear, and both are accepted.
//
// The identification names the group of users, and so selects the key. The
// responder sends HASH_R to anybody who asks, and a weak key can be found from it
// offline: the mode is for clients that offer nothing else.

// aggressive is the state from which the responder makes its SA when message 3
// comes. All of it is known at message 1, so neither the offer nor the
// Diffie-Hellman secret has to be kept.
type aggressive struct {
	Keys  keys
	IV    []byte
	HashI []byte // what message 3 has to contain
	ID    []byte // body of IDii
	PSK   string
	Group string
	Decoy bool // no PSK belongs to the identification: no message 3 can have HashI
}

const (
	maxGroupName    = 128  // bytes of an identification
	maxAggressive2  = 1400 // bytes of message 2, which is kept
	leastNonce      = 16   // bytes of our nonce, unless the answer has no room for so many
	shortestNonce   = 8    // RFC 2409, section 5
	aggressiveNonce = 32
)

// selectPSK finds the key of a group by its name. For an identification that is
// only an address it takes the first key that is bound to no group.
//
// A peer that asks for a group that does not exist gets an answer like that for
// any other group, under a key that nobody has, so nobody can find out whether a
// group exists.
func (env Env) selectPSK(id isakmp.ID) (psk PSK, decoy bool) {
	mac := hmac.New(sha256.New, env.Decoy)
	mac.Write(id.AppendBody(nil))
	psk = PSK{Key: secret.New(mac.Sum(nil))}
	name := ""
	switch id.Kind {
	case isakmp.IDKeyID, isakmp.IDFQDN, isakmp.IDUserFQDN:
		if name = string(id.Data); name == "" {
			return psk, true
		}
	case isakmp.IDIPv4Addr, isakmp.IDIPv6Addr:
	default:
		return psk, true
	}
	for _, k := range env.Policy.PSKs {
		if k.Group == name {
			return k, false
		}
	}
	return psk, true
}

// ownAddress is the address by which we identify ourselves before the client has
// told which address it dialled. If the local address is private and the client is
// outside, the client cannot have dialled it, and the public address is used.
func (p *Policy) ownAddress(path Path) netip.Addr {
	local, remote := path.Local.Addr().Unmap(), path.Remote.Addr().Unmap()
	if !local.IsPrivate() || remote.IsPrivate() {
		return local
	}
	for _, a := range p.Public {
		if a = a.Unmap(); a.Is4() == local.Is4() {
			return a
		}
	}
	return local
}

// aggressiveMethods are the authentication methods that Aggressive Mode has here.
// A peer that has a certificate does not need Aggressive Mode.
func (p *Policy) aggressiveMethods() []AuthMethod {
	if len(p.PSKs) == 0 {
		return nil
	}
	return []AuthMethod{AuthPSK}
}

// handleAggressive handles a message of phase 1 by the step that the SA is at.
func (s *SA) handleAggressive(p packet) error {
	st := &s.st
	switch {
	case p.h.MessageID != 0:
		return fmt.Errorf("%w: message id in Aggressive Mode", ErrUnexpected)
	case st.Step == stepWaitA3:
		return s.handleA3(p)
	case st.Step == stepWaitA2 && !p.encrypted():
		return s.handleA2(p)
	case st.Reply.is(p.raw):
		return s.repeat(p, &st.Reply)
	default:
		return p.misplaced()
	}
}
