package vpn

import "github.com/adit-vpn/adit/ike"

// logPhaseKey writes the key of a phase 1 to the key log.
func (c *Conn) logPhaseKey(p *phase1) {
	if c.policy.KeyLog == nil {
		return
	}
	initiator, key := p.PhaseKey()
	c.policy.KeyLog.IKE(initiator, key)
}

// logPair writes the keys of a pair to the key log, once. With HMAC-SHA2-256, only the
// first packet shows whether the peer truncates the ICV to 96 bits, and Wireshark has to
// be told.
func (c *Conn) logPair(p *pair) {
	if c.policy.KeyLog == nil || p.logged {
		return
	}
	p.logged = true
	cut := p.in.Truncated()
	c.policy.KeyLog.ESP(c.path.Remote.Addr(), c.path.Local.Addr(), p.InSPI, p.Suite, cut, p.In)
	c.policy.KeyLog.ESP(c.path.Local.Addr(), c.path.Remote.Addr(), p.OutSPI, p.Suite, cut, p.Out)
	p.forgetKeys()
}

// forgetKeys erases the keys that are here for the key log only: ESP has its own.
func (p *pair) forgetKeys() {
	for _, k := range []ike.ChildKeys{p.In, p.Out} {
		k.Enc.Zero()
		k.Auth.Zero()
	}
	p.In, p.Out = ike.ChildKeys{}, ike.ChildKeys{}
}
