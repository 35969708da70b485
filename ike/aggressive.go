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
// with the NAT-D payloads of RFC 3947 in messages 2 and 3. "The final message
// MAY NOT be sent under protection of the ISAKMP SA": it comes either way.
//
// The identification names the group of users, and so the key. HASH_R answers
// whoever asks, and a weak key can be found from it offline: the mode is for
// clients that offer nothing else.

// aggressive is what the responder's SA is made of once message 3 came. All of
// it is known at message 1, so that neither the offer nor the Diffie-Hellman
// secret has to be kept.
type aggressive struct {
	Keys  keys
	IV    []byte
	HashI []byte // what message 3 has to say
	ID    []byte // body of IDii
	PSK   string
	Group string
	Decoy bool // no PSK belongs to the identification: HashI never comes
}

const (
	maxGroupName    = 128  // bytes of an identification
	maxAggressive2  = 1400 // bytes of message 2, which is kept
	leastNonce      = 16   // bytes of a nonce of ours, unless that is too many for the answer
	shortestNonce   = 8    // RFC 2409, section 5
	aggressiveNonce = 32
)

// selectPSK finds the key of a group by its name, or, for who says only an
// address, the first that is bound to none.
//
// Who asks for a group that does not exist gets an answer like everybody else's,
// under a key that nobody has: whether a group exists cannot be asked.
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

// ownAddress is what we call ourselves before the client has said what it
// dialled: an address that it cannot have dialled from outside gives way to the
// public one.
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

// aggressiveMethods are those that Aggressive Mode has here. Who has a
// certificate has no need of it.
func (p *Policy) aggressiveMethods() []AuthMethod {
	if len(p.PSKs) == 0 {
		return nil
	}
	return []AuthMethod{AuthPSK}
}

// handleAggressive takes a message of phase 1 to its rung.
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
