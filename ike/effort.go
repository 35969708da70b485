package ike

import "github.com/adit-vpn/adit/ike/isakmp"

// Dear reports whether an exchange in the group takes many times the processor
// time of the others: both exponentiations together take some 3 ms (P-521), 5 ms
// (MODP 3072) and 10 ms (MODP 4096), while MODP 2048, P-384 and all smaller groups
// stay under 1 ms.
func (g Group) Dear() bool {
	switch g { //nolint:exhaustive // the others are cheap
	case GroupMODP3072, GroupMODP4096, GroupECP521:
		return true
	}
	return false
}

// Effort says whether a message, if it is given to HandlePacket now, makes this
// end compute in a Diffie-Hellman group, or sign, and in which group. Duplicates,
// messages that are malformed or misplaced, and Quick Modes without a key exchange
// do not. A driver that bounds such work calls Effort first, because it costs no
// more than a few hashes. The SA does not change.
func (s *SA) Effort(msg []byte) (g Group, computes bool) {
	st := &s.st
	h, body, err := parseHeader(msg)
	if err != nil || (st.Step != stepWait2 && st.Step != stepWaitA2 && Cookies{h.InitiatorCookie, h.ResponderCookie} != st.Peer.Cookies) {
		return 0, false
	}
	p := packet{h: h, body: body, raw: msg[:h.Length]}
	switch {
	case h.Exchange == isakmp.ExchangeQuick && st.Step == stepUp:
		return s.quickEffort(p)
	case h.Exchange != isakmp.ExchangeMain && h.Exchange != isakmp.ExchangeAggressive, st.Step == stepUp, st.Step == stepWaitA3, st.Reply.is(p.raw):
		return 0, false
	case h.Next == isakmp.PayloadFragment && !p.encrypted():
		return st.Peer.Suite.Group, true // it may be the last fragment
	case st.Step == stepWait3:
		_, _, err := s.keyExchange(p.clear())
		return st.Peer.Suite.Group, err == nil && !p.encrypted()
	case st.Step == stepWait5 && !st.Peer.Auth.signs():
		// g^xy is computed once: further trials cost hashes.
		whole := len(body) > 0 && len(body) <= maxMessage5 && len(body)%st.Peer.Suite.blockLen() == 0
		return st.Peer.Suite.Group, whole && p.encrypted() && st.Shared.Len() == 0
	case st.Step == stepWait5:
		return st.Peer.Suite.Group, p.encrypted() && st.Trials < maxTrials
	}
	return st.Peer.Suite.Group, true // a message to an initiator
}

// quickEffort is Effort for Quick Mode. A message that is not authentic costs only
// its check.
func (s *SA) quickEffort(p packet) (g Group, computes bool) {
	st := &s.st
	if !p.encrypted() || p.h.MessageID == 0 || len(p.body) == 0 || len(p.body)%st.Peer.Suite.blockLen() != 0 {
		return 0, false
	}
	if q := s.findQuick(p.h.MessageID); q != nil {
		return q.DH.Group, q.Step == quickWait2 && q.DH.Group != 0
	}
	if s.refused(p) != nil {
		return 0, false
	}
	c, _, err := s.open(p, st.Peer.Suite.iv2(st.IV, p.h.MessageID), nil)
	if err != nil || st.Seen.has(digest(c.hash)) {
		return 0, false
	}
	g = groupOf(c.ke)
	return g, g != 0
}

// AggressiveGroup is the group of the public value in a first message of
// Aggressive Mode, 0 if there is no public value of a known group.
func AggressiveGroup(msg []byte) Group {
	h, body, err := parseHeader(msg)
	if err != nil {
		return 0
	}
	return groupOf(chain(h.Next, body).ke)
}

// groupOf finds the group of a public value by its length, which differs between
// all groups.
func groupOf(public []byte) Group {
	for _, g := range []Group{GroupMODP1024, GroupMODP1536, GroupMODP2048, GroupMODP3072, GroupMODP4096, GroupECP256, GroupECP384, GroupECP521, GroupCurve25519} {
		if len(public) == g.publicLen() {
			return g
		}
	}
	return 0
}
