package vpn

import (
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/ipsec"
)

// children are a connection's pairs of ESP SAs, oldest first.
type children struct {
	pairs   []*pair
	sending *pair
	suite   ipsec.Suite // of the pair that was last sending

	// trip is how long the path and back takes, by the answer to the last message 2 of
	// ours: not less than that, but more if a copy was lost; 0: nobody knows.
	trip time.Duration
}

// pair is one child: an inbound and an outbound SA.
type pair struct {
	ike.Child
	in        *ipsec.Inbound
	out       *ipsec.Outbound
	phase     *phase1   // under which it was agreed
	born      time.Time // when message 2 came or went
	heard     shownAt   // where its Quick Mode was answered
	confirmed bool      // message 3 or an ESP packet came
	deleted   bool      // by the peer
	logged    bool      // its keys are in the key log, if there is one
	renewed   bool      // we asked for a successor
	renew     time.Time // when we do, as a last resort
	settles   time.Time // when our message 3 must have come; zero: it is not waited for
	ends      time.Time // when the peer takes it for over
	expires   time.Time // when we do
}

const (
	// expiryGrace is how long after the agreed lifetime an inbound SA still
	// receives: clocks and retransmissions differ.
	expiryGrace = 20 * time.Second
	// deletedGrace is how long an SA still receives after its peer deleted
	// it: packets that were on their way arrive.
	deletedGrace = 3 * time.Second
	// maxPairs bounds a connection's pairs, confirmed or not.
	maxPairs = 8
	// renewAhead is how long before the end we re-key if the client did not.
	renewAhead = 30 * time.Second
)

// addChild installs an agreed pair: its inbound SA receives at once.
func (c *Conn) addChild(now time.Time, phase *phase1, child ike.Child) {
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
	p := &pair{Child: child, phase: phase, born: now, in: in, out: out}
	if child.Lifetime > 0 {
		p.ends = now.Add(child.Lifetime)
		p.expires = p.ends.Add(expiryGrace)
		p.renew = now.Add(child.Lifetime - min(renewAhead, child.Lifetime/10))
	}
	if child.Kilobytes > 0 {
		// The client renews at its own count. Implementations disagree on the
		// unit and on what counts, so that ours, the last resort, is a quarter
		// above it.
		limit := child.Kilobytes * 1024 / 4 * 5
		if c.dialer != nil {
			limit = child.Kilobytes * 1024 / 8 * 7
		}
		in.SetLimit(limit)
		out.SetLimit(limit)
	}
	c.kids.pairs = append(c.kids.pairs, p)
	c.crowdOut()
	c.srv.learn(child.LocalID)
	c.changed = true
	if child.Initiator && phase.unproven() && c.answeredHere(phase) {
		c.own(phase, phase.Peer())
	}
	if !child.Initiator && !phase.unproven() {
		if !c.resume(now) {
			c.refuseReturn(now, LayerIKE)
			return
		}
		c.stay(now)
	}
	if child.Suite.Auth != ike.ESPAuthSHA256_128 {
		c.logPair(p)
	}
}

// logPair writes the keys of a pair for who reads a capture, once. Of HMAC-SHA2-256
// it is known with the first packet alone whether the peer cuts it to 96 bits, and
// Wireshark has to be told.
func (c *Conn) logPair(p *pair) {
	if c.policy.KeyLog == nil || p.logged {
		return
	}
	p.logged = true
	cut := p.in.Truncated()
	c.policy.KeyLog.ESP(c.path.Remote.Addr(), c.path.Local.Addr(), p.InSPI, p.Suite, cut, p.In)
	c.policy.KeyLog.ESP(c.path.Local.Addr(), c.path.Remote.Addr(), p.OutSPI, p.Suite, cut, p.Out)
}

// used says that the first authentic packet came on a pair.
func (c *Conn) used(now time.Time, inSPI uint32) {
	for _, sa := range c.phases {
		sa.Confirm(inSPI)
	}
	c.confirm(now, inSPI)
	for _, p := range c.kids.pairs {
		if p.InSPI == inSPI {
			c.logPair(p)
		}
	}
}

// crowdOut keeps the number of pairs bounded. The oldest that never carried
// traffic goes first: a burst of Quick Modes without an answer is what Windows
// does when L2TP is not answered. The sending pair never goes.
func (c *Conn) crowdOut() {
	if len(c.kids.pairs) <= maxPairs {
		return
	}
	victim := -1
	for i, p := range c.kids.pairs[:len(c.kids.pairs)-1] {
		if !p.confirmed {
			victim = i
			break
		}
		if victim < 0 && p != c.kids.sending {
			victim = i
		}
	}
	if victim >= 0 {
		c.retire(c.kids.pairs[victim], ChildReplaced)
	}
}

// dropChild retires a pair whose Quick Mode failed after its message 2.
func (c *Conn) dropChild(inSPI uint32) {
	for _, p := range c.kids.pairs {
		if p.InSPI == inSPI && !p.confirmed {
			c.retire(p, ChildReplaced)
			return
		}
	}
}

func (c *Conn) send(p *pair) {
	if old := c.kids.sending; p.in.Truncated() || old != nil && old.out.Truncated() {
		// The packet that told may have come before there was anything to send on,
		// or on the predecessor.
		p.out.SetTruncated(true)
	}
	c.kids.sending = p
	c.kids.suite = espSuite(p.Suite)
	c.changed = true
}

// deleteChild acts on a peer's Delete: it gave up its inbound SA, which is our
// outbound one. Ours still receives for a moment.
func (c *Conn) deleteChild(now time.Time, outSPI uint32) {
	for _, p := range c.kids.pairs {
		if p.OutSPI != outSPI || p.deleted { // a peer may give its SPIs again
			continue
		}
		p.deleted, p.renewed = true, true // nobody renews it
		if end := now.Add(deletedGrace); p.expires.IsZero() || end.Before(p.expires) {
			p.expires = end
		}
		if c.kids.sending == p {
			c.promote(p)
		}
		c.changed = true
		c.publish() // before it is retired, workers stop sealing by it
		p.out.Retire()
		break
	}
	if c.kids.sending == nil {
		c.fade(now)
	}
}

// promote has the newest other pair send in place of the one that is gone.
// Windows deletes the old pair before message 3 of the new one's Quick Mode.
//
// One of a phase 1 that may be somebody else's comes last: whoever that is has no
// keys of it, if they are not this connection's peer.
func (c *Conn) promote(gone *pair) {
	c.kids.sending = nil
	c.changed = true
	var last *pair
	for i := len(c.kids.pairs) - 1; i >= 0; i-- {
		switch p := c.kids.pairs[i]; {
		case p == gone || p.deleted:
		case p.confirmed || !p.phase.unproven():
			c.send(p)
			return
		case last == nil:
			last = p
		}
	}
	if last != nil {
		c.send(last)
	}
}

// retire ends a pair for good.
func (c *Conn) retire(gone *pair, why ChildEnd) {
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
		c.promote(gone)
	}
	c.changed = true
	c.publish() // before the keys are zeroed, workers stop finding them
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

// expireChildren retires pairs whose time is over, and renews the sending one
// as a last resort.
func (c *Conn) expireChildren(now time.Time) {
	for i := 0; i < len(c.kids.pairs); {
		p := c.kids.pairs[i]
		if due(p.expires, now) {
			why := ChildExpired
			if p.deleted {
				why = ChildDeletedByPeer
			}
			c.retire(p, why)
			continue
		}
		i++
	}
	for _, p := range c.kids.pairs {
		if due(p.settles, now) {
			p.settles = time.Time{}
			c.confirm(now, p.InSPI)
		}
	}
	if p := c.kids.sending; p != nil && due(p.renew, now) {
		c.renewPair(now, p)
	}
	if len(c.kids.pairs) == 0 && c.slot != nil && c.kids.suite != (ipsec.Suite{}) {
		c.fade(now)
	}
}

// renew re-keys the pair of an inbound SPI whose bytes or sequence numbers
// come to an end.
func (c *Conn) renew(now time.Time, inSPI uint32) {
	for _, p := range c.kids.pairs {
		if p.InSPI == inSPI && p == c.kids.sending {
			c.renewPair(now, p)
		}
	}
}

// renewPair begins one Quick Mode with the client's own identities, once a
// pair. Clients re-key by themselves: this is for those that do not.
func (c *Conn) renewPair(now time.Time, p *pair) {
	if p.renewed {
		return
	}
	p.renewed = true
	sa := c.newest()
	switch {
	case c.kids.pairs[len(c.kids.pairs)-1] != p:
		return // a successor is there
	case sa == nil:
		c.fetch()
		return
	}
	c.succeed(now, sa, p)
}

// succeed begins the Quick Mode for a successor under an ISAKMP SA.
func (c *Conn) succeed(now time.Time, sa *phase1, p *pair) {
	if err := sa.Negotiate(now, successor(p.Child)); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: err})
	}
}

// espSuite translates between the two packages that know nothing of each other.
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

// carry notes that ESP carries traffic. With the first pair the time to log in
// begins: a client that repeats slowly what the network loses may have needed
// nearly a minute for IKE.
func (c *Conn) carry(now time.Time) {
	if !c.carried && !c.setup.IsZero() {
		c.setup = now.Add(c.policy.SetupTimeout)
	}
	c.carried = true
}
