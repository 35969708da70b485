package vpn

import (
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/ipsec"
)

// esp is a connection's share of the data path.
type esp struct {
	slot    *dataplane.Slot
	kids    children
	changed bool // the data path's view is outdated
	carried bool // a pair of ESP SAs has carried traffic
	told    bool // the reason why the last Quick Mode was refused has been reported
}

// children are a connection's pairs of ESP SAs, oldest first.
type children struct {
	pairs   []*pair
	sending *pair
	suite   ipsec.Suite // of the pair that sent last

	// trip is the round-trip time, measured by the answer to our last message 2. The true
	// value is at most this, and less if a copy was lost; 0: unknown.
	trip time.Duration
}

// of returns the pair with this inbound SPI, nil if there is none.
func (k *children) of(inSPI uint32) *pair {
	for _, p := range k.pairs {
		if p.InSPI == inSPI {
			return p
		}
	}
	return nil
}

// pair is one child: an inbound and an outbound ESP SA.
type pair struct {
	ike.Child
	in        *ipsec.Inbound
	out       *ipsec.Outbound
	phase     *phase1   // the phase 1 under which it was agreed
	born      time.Time // when message 2 was received or sent
	heard     shownAt   // the address to which our Quick Mode answers went
	confirmed bool      // message 3 or an ESP packet has come
	deleted   bool      // the peer has deleted it
	logged    bool      // its keys have been written to the key log, if there is one
	renewed   bool      // we have asked for a successor
	renew     time.Time // when we ask for one, as a last resort
	settles   time.Time // when our message 3 must have arrived; zero: we do not wait for that
	ends      time.Time // when the peer considers it expired
	expires   time.Time // when we consider it expired
}

const (
	// expiryGrace is how long an inbound SA still receives after the agreed lifetime:
	// clocks and retransmissions differ.
	expiryGrace = 20 * time.Second
	// deletedGrace is how long an SA still receives after its peer deleted it, so that
	// packets on their way still arrive.
	deletedGrace = 3 * time.Second
	// maxPairs bounds a connection's pairs, including unconfirmed ones.
	maxPairs = 8
	// renewAhead is how long before the end we re-key if the client has not done so.
	renewAhead = 30 * time.Second
)

// addChild installs an agreed pair: its inbound SA receives from now on.
func (c *Conn) addChild(now time.Time, phase *phase1, child ike.Child) {
	if !c.takes(child.Protocol) {
		c.refused(LayerESP, ErrNotCarried)
		return
	}
	suite := espSuite(child.Suite)
	in, err := ipsec.NewInbound(child.InSPI, suite, ipsec.Keys(child.In), c.policy.ReplayWindow)
	if err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerESP, Why: err})
		return
	}
	out, err := ipsec.NewOutbound(child.OutSPI, suite, ipsec.Keys(child.Out))
	if err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerESP, Why: err})
		return
	}
	if child.Protocol != 0 {
		in.Carry(child.Protocol)
		out.Carry(child.Protocol)
	}
	p := &pair{Child: child, phase: phase, born: now, in: in, out: out}
	if child.Lifetime > 0 {
		p.ends = now.Add(child.Lifetime)
		p.expires = p.ends.Add(expiryGrace)
		p.renew = now.Add(child.Lifetime - min(renewAhead, child.Lifetime/10))
	}
	if child.Kilobytes > 0 {
		// The client renews by its own count. Implementations disagree on the unit and on
		// what counts, so our limit, the last resort, is a quarter higher.
		limit := child.Kilobytes * 1024 / 4 * 5
		if c.caller != nil {
			limit = child.Kilobytes * 1024 / 8 * 7
		}
		in.SetLimit(limit)
		out.SetLimit(limit)
	}
	c.kids.pairs = append(c.kids.pairs, p)
	c.crowdOut(now)
	c.changed = true
	if child.Initiator && phase.unproven() && c.answeredHere(phase) {
		c.own(now, phase, phase.Peer())
	}
	if !child.Initiator && !phase.unproven() {
		if !c.resume(now) {
			c.refuseReturn(now, LayerIKE)
			return
		}
		c.stay(now)
	}
	switch {
	case c.policy.KeyLog == nil:
		p.forgetKeys()
	case child.Suite.Auth != ike.ESPAuthSHA256_128:
		c.logPair(p)
	}
}

// used says that the first authentic packet arrived on a pair. If the pair is doubted by
// now, the packet came before there was a tunnel, and does not show whose pair it is.
func (c *Conn) used(now time.Time, inSPI uint32) {
	p := c.kids.of(inSPI)
	if p != nil && c.doubts(p) {
		return
	}
	for _, sa := range c.phases {
		sa.Confirm(inSPI)
	}
	c.confirm(now, inSPI)
	if p == nil {
		return
	}
	if p.in.Truncated() {
		// The data path may have opened the first packet with a view in which this pair
		// did not send yet.
		p.out.SetTruncated(true)
	}
	c.logPair(p)
}

// crowdOut bounds the number of pairs. A pair that may be another peer's goes first, then
// one that never carried traffic: Windows causes a burst of unanswered Quick Modes when
// L2TP gets no answer. Among equal pairs the oldest goes. The sending pair and the newest
// one never go.
func (c *Conn) crowdOut(now time.Time) {
	if len(c.kids.pairs) <= maxPairs {
		return
	}
	rank := func(p *pair) int {
		switch {
		case c.doubts(p):
			return 0
		case !p.confirmed:
			return 1
		}
		return 2
	}
	var victim *pair
	for _, p := range c.kids.pairs[:len(c.kids.pairs)-1] {
		if p != c.kids.sending && (victim == nil || rank(p) < rank(victim)) {
			victim = p
		}
	}
	if victim != nil {
		c.retire(now, victim, ChildReplaced)
	}
}

// dropChild retires a pair whose Quick Mode failed after its message 2.
func (c *Conn) dropChild(now time.Time, inSPI uint32) {
	if p := c.kids.of(inSPI); p != nil && !p.confirmed {
		c.retire(now, p, ChildReplaced)
	}
}

func (c *Conn) send(p *pair) {
	if old := c.kids.sending; p.in.Truncated() || old != nil && old.out.Truncated() {
		// The packet that showed this may have come before there was an SA to send on, or
		// on the predecessor.
		p.out.SetTruncated(true)
	}
	c.kids.sending = p
	c.kids.suite = espSuite(p.Suite)
	c.changed = true
}

// deleteChild handles a peer's Delete: the peer has given up its inbound SA, which is our
// outbound one. Our inbound SA still receives for a moment.
func (c *Conn) deleteChild(now time.Time, outSPI uint32) {
	for _, p := range c.kids.pairs {
		if p.OutSPI != outSPI || p.deleted { // a peer may use its SPIs again
			continue
		}
		p.deleted, p.renewed = true, true // so that nobody renews it
		if end := now.Add(deletedGrace); p.expires.IsZero() || end.Before(p.expires) {
			p.expires = end
		}
		if c.kids.sending == p {
			c.promote(now, p)
		}
		c.changed = true
		c.publish() // workers must stop sealing with it before it is retired
		p.out.Retire()
		break
	}
	if c.kids.sending == nil {
		c.fade(now)
	}
}

// promote makes the newest other pair send in place of the one that is gone. Windows
// deletes the old pair before message 3 of the new one's Quick Mode.
//
// A pair whose phase 1 may be somebody else's is the last choice. If that peer is not
// this connection's, it does not have the keys.
func (c *Conn) promote(now time.Time, gone *pair) {
	c.kids.sending = nil
	c.changed = true
	var last *pair
	for i := len(c.kids.pairs) - 1; i >= 0; i-- {
		switch p := c.kids.pairs[i]; {
		case p == gone || p.deleted:
		case !c.doubts(p) && (p.confirmed || !p.phase.unproven()):
			c.send(p)
			return
		case last == nil:
			last = p
		}
	}
	if last != nil {
		c.send(last)
		c.prompt(now, last)
	}
}

// retire removes a pair for good.
func (c *Conn) retire(now time.Time, gone *pair, why ChildEnd) {
	c.logPair(gone)
	kept := c.kids.pairs[:0]
	for _, p := range c.kids.pairs {
		if p != gone {
			kept = append(kept, p)
		}
	}
	clear(c.kids.pairs[len(kept):])
	c.kids.pairs = kept
	if c.kids.sending == gone {
		c.promote(now, gone)
	}
	c.changed = true
	c.publish() // workers must no longer find the keys when they are zeroed
	gone.in.Retire()
	gone.out.Retire()
	if gone.confirmed {
		c.observe(ChildDown{c.who(), gone.InSPI, gone.OutSPI, why})
	}
}

// deadline is the earliest expiry or renewal.
func (k *children) deadline() (next time.Time) {
	for _, p := range k.pairs {
		next = machine.Earliest(next, p.expires, p.settles)
		if p == k.sending && !p.renewed {
			next = machine.Earliest(next, p.renew)
		}
	}
	return next
}

// expireChildren retires expired pairs, and renews the sending pair as a last resort.
func (c *Conn) expireChildren(now time.Time) {
	for i := 0; i < len(c.kids.pairs); {
		p := c.kids.pairs[i]
		if due(p.expires, now) {
			why := ChildExpired
			if p.deleted {
				why = ChildDeletedByPeer
			}
			c.retire(now, p, why)
			continue
		}
		i++
	}
	for _, p := range c.kids.pairs {
		if due(p.settles, now) {
			p.settles = time.Time{}
			c.settled(now, p)
			break // the list may have changed; what else is due is so at once
		}
	}
	if p := c.kids.sending; p != nil && due(p.renew, now) {
		c.renewPair(now, p)
	}
	if len(c.kids.pairs) == 0 && c.slot != nil && c.kids.suite != (ipsec.Suite{}) {
		c.fade(now)
	}
}

// renew re-keys the pair with this inbound SPI, because its byte limit or its sequence
// numbers are running out.
func (c *Conn) renew(now time.Time, inSPI uint32) {
	if p := c.kids.of(inSPI); p != nil && p == c.kids.sending {
		c.renewPair(now, p)
	}
}

// renewPair begins one Quick Mode per pair, with the client's own identities. Most
// clients re-key by themselves: this is for those that do not.
func (c *Conn) renewPair(now time.Time, p *pair) {
	if p.renewed {
		return
	}
	p.renewed = true
	sa := c.newest()
	switch {
	case c.kids.pairs[len(c.kids.pairs)-1] != p:
		return // there is a successor already
	case sa == nil:
		c.fetch()
		return
	}
	c.succeed(now, sa, p)
}

// succeed begins the Quick Mode for a pair's successor under this ISAKMP SA.
func (c *Conn) succeed(now time.Time, sa *phase1, p *pair) {
	if err := sa.Negotiate(now, successor(p.Child)); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: err})
	}
}

// successor is a request for a new pair with the same parameters as child.
func successor(child ike.Child) ike.ChildRequest {
	ours, theirs := child.IDr, child.IDi
	if child.Initiator {
		ours, theirs = theirs, ours
	}
	return ike.ChildRequest{
		IDi: ours, IDr: theirs,
		Suites: []ike.ESPSuite{child.Suite}, Group: child.Suite.Group,
		Lifetime: child.Lifetime, Kilobytes: child.Kilobytes,
	}
}

// espSuite converts between the types of two packages that do not know each other.
func espSuite(s ike.ESPSuite) ipsec.Suite {
	suite := ipsec.Suite{KeyBits: s.KeyBits}
	switch s.Cipher {
	case ike.ESPAESCBC:
		suite.Cipher = ipsec.AESCBC
	case ike.ESP3DES:
		suite.Cipher = ipsec.TripleDESCBC
	case ike.ESPAESGCM16:
		suite.Cipher = ipsec.AESGCM16
	}
	switch s.Auth {
	case ike.ESPAuthNone:
		suite.Auth = ipsec.AuthNone
	case ike.ESPAuthSHA1_96:
		suite.Auth = ipsec.HMACSHA1_96
	case ike.ESPAuthSHA256_128:
		suite.Auth = ipsec.HMACSHA256_128
	case ike.ESPAuthSHA384_192:
		suite.Auth = ipsec.HMACSHA384_192
	case ike.ESPAuthSHA512_256:
		suite.Auth = ipsec.HMACSHA512_256
	}
	return suite
}

// carry records that ESP carries traffic. The time to log in begins with the first pair:
// a client that repeats lost messages slowly may have needed nearly a minute for IKE.
func (c *Conn) carry(now time.Time) {
	if !c.carried && !c.setup.IsZero() {
		c.hurry(now)
	}
	c.carried = true
}
