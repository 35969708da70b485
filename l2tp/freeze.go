package l2tp

import (
	"fmt"

	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/internal/machine/frozen"
)

// frozenVersion is the version of the format that Append writes. Raise it whenever
// a field changes below.
const frozenVersion = 1

var _ machine.Freezer = (*Tunnel)(nil)

// Append appends the state of the tunnel and its sessions to b. From that state
// and an equal Env, Resume makes a tunnel that continues where this one stands.
// All events must have been drained.
//
// The state contains the challenges of tunnel authentication. It has to be
// protected like a password.
func (t *Tunnel) Append(b []byte) []byte {
	t.out.MustBeDrained()
	return frozen.Append(b, frozenVersion, t.s.fields)
}

// Resume makes a tunnel from what Append appended.
func Resume(env Env, b []byte) (*Tunnel, error) {
	t := &Tunnel{env: env}
	if err := frozen.Read(b, frozenVersion, t.s.fields); err != nil {
		return nil, fmt.Errorf("l2tp: %w", err)
	}
	return t, nil
}

func (s *tunnelData) fields(c *frozen.Codec) {
	c.Bool(&s.lac)
	frozen.Int(c, &s.id)
	frozen.Enum(c, &s.state, tunnelStates-1)
	frozen.Enum(c, &s.ending, gone)
	c.Time(&s.born)
	c.Time(&s.heard)
	c.Time(&s.setup)
	c.Time(&s.leave)
	s.peer.fields(c)
	c.Bytes(&s.challenge)
	c.Bytes(&s.theirs)
	c.Bool(&s.proved)
	c.Bytes(&s.began)
	s.channel.fields(c)
	frozen.List(c, &s.sessions, func(call *session) {
		call.fields(c)
		c.Check(s.table()[call.state][callClose].possible, "a call in a state that its side does not have")
	})
	c.Bool(&s.ack)
	c.Bool(&s.up)
}

func (p *Peer) fields(c *frozen.Codec) {
	c.String(&p.HostName)
	c.String(&p.Vendor)
	frozen.Int(c, &p.Firmware)
	frozen.Int(c, &p.Tunnel)
	frozen.Int(c, &p.Window)
	frozen.Int(c, &p.Framing)
	frozen.Int(c, &p.Bearer)
}

func (ch *channel) fields(c *frozen.Codec) {
	frozen.Int(c, &ch.ns)
	frozen.Int(c, &ch.nr)
	frozen.List(c, &ch.queue, func(m *outgoing) { m.fields(c) })
	frozen.List(c, &ch.sent, func(m *outgoing) { m.fields(c) })
	frozen.List(c, &ch.ahead, func(m *incoming) { m.fields(c) })
	frozen.Int(c, &ch.window)
	frozen.Int(c, &ch.congested)
	frozen.Int(c, &ch.threshold)
	frozen.Int(c, &ch.credit)
	c.Time(&ch.timer)
	frozen.Int(c, &ch.interval)
	frozen.Int(c, &ch.sends)
	c.Time(&ch.since)
	for i := range ch.trips {
		frozen.Int(c, &ch.trips[i])
	}
}

func (m *outgoing) fields(c *frozen.Codec) {
	frozen.Int(c, &m.ns)
	c.Bool(&m.hello)
	c.Time(&m.at)
	c.Bytes(&m.data)
	c.Check(len(m.data) >= controlHeaderLen, "a message that is shorter than its header")
}

func (m *incoming) fields(c *frozen.Codec) {
	frozen.Int(c, &m.ns)
	c.Bytes(&m.data)
}

func (s *session) fields(c *frozen.Codec) {
	frozen.Int(c, &s.Local)
	frozen.Int(c, &s.Remote)
	frozen.Int(c, &s.Serial)
	frozen.Int(c, &s.TxSpeed)
	c.Bool(&s.Sequencing)
	c.String(&s.CallingNumber)
	c.String(&s.CalledNumber)
	frozen.Enum(c, &s.state, sessionStates-1)
	c.Time(&s.deadline)
}
