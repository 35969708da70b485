package l2tp

import (
	"crypto/subtle"
	"io"
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// end is why something ends, and whether the peer said so.
type end struct {
	Result
	remote bool
}

// framing is what we claim to frame: synchronous and asynchronous (RFC 2661,
// section 4.4.3), as every client expects.
const framing = 3

const (
	protocolVersion = 0x0100
	firmware        = 0x0100
)

// fire runs one event through the control connection's table.
func (t *Tunnel) fire(now time.Time, ev tunnelEvent, why end) {
	tr := tunnelTable[t.s.state][ev]
	if !tr.possible || t.s.ending != live {
		return
	}
	t.s.state = tr.next
	stopped := false
	for _, act := range tr.actions {
		switch act {
		case tunnelNothing:
		case sendSCCRQ:
			t.sendSCCRQ(now)
		case sendSCCRP:
			t.sendSCCRP(now)
		case sendSCCCN:
			t.sendSCCCN()
		case sendStopCCN:
			stopped = true
			t.sendStopCCN(why.Result)
		case tunnelClean:
			t.clean(now, why, stopped)
		case tunnelIsUp:
			t.isUp(now)
		}
	}
}

func (t *Tunnel) sendSCCRQ(now time.Time) {
	c := t.env.Config
	o := compose(sccrq).uint16(avpProtocolVersion, protocolVersion).uint32(avpFraming, framing).
		uint32(avpBearer, 0).uint16(avpFirmware, firmware).add(avpHostName, t.hostName()...)
	if c.Vendor != "" {
		o.add(avpVendorName, []byte(c.Vendor)...)
	}
	o.uint16(avpAssignedTunnel, t.s.id).uint16(avpWindow, uint16(t.window()))
	if !t.challenged(now, o) {
		return
	}
	t.queue(0, o)
}

// sendSCCRP says no more than it must: clients abort on an AVP that they do not
// expect.
func (t *Tunnel) sendSCCRP(now time.Time) {
	o := compose(sccrp).uint16(avpProtocolVersion, protocolVersion).uint32(avpFraming, framing).
		add(avpHostName, t.hostName()...).uint16(avpAssignedTunnel, t.s.id).uint16(avpWindow, uint16(t.window()))
	if !t.challenged(now, o) {
		return
	}
	t.queue(0, t.answered(sccrp, o))
}

func (t *Tunnel) sendSCCCN() { t.queue(0, t.answered(scccn, compose(scccn))) }

func (t *Tunnel) sendStopCCN(why Result) {
	// What has not left never will: the peer forgets it all.
	t.s.channel.queue = nil
	if t.s.peer.Tunnel == 0 && !t.s.lac {
		return // nobody to tell
	}
	t.queue(0, compose(stopccn).uint16(avpAssignedTunnel, t.s.id).result(why))
}

func (t *Tunnel) hostName() []byte {
	if name := t.env.Config.HostName; name != "" {
		return []byte(name)
	}
	return []byte("adit")
}

// challenged appends our Challenge, if the peer must have the secret. Without
// randomness there is no tunnel.
func (t *Tunnel) challenged(now time.Time, o *outline) bool {
	if t.env.Config.Secret.Len() == 0 || !t.env.Config.Challenge {
		return true
	}
	t.s.challenge = make([]byte, 16)
	if _, err := io.ReadFull(t.env.Rand, t.s.challenge); err != nil {
		t.clean(now, end{Result: Result{Code: StopError, Error: ErrorResources, Message: "no randomness"}}, false)
		return false
	}
	o.add(avpChallenge, t.s.challenge...)
	return true
}

// answered appends the answer to the peer's Challenge, if it sent one and there
// is a secret to answer with.
func (t *Tunnel) answered(in messageType, o *outline) *outline {
	if len(t.s.theirs) > 0 && t.env.Config.Secret.Len() > 0 {
		o.add(avpChallengeResponse, challengeResponse(in, t.env.Config.Secret.Reveal(), t.s.theirs)...)
		t.s.proved = true
	}
	t.s.theirs = nil
	return o
}

// authenticate runs tunnel authentication (RFC 2661, section 5.1.1). A peer
// that challenges us gets an answer or, if we have no secret, a clear refusal:
// left alone it would only give up without a word. Whether we challenge, too, is
// the configuration's: "a LAC or LNS may ... authenticate", and the clients that
// systems have built in have no secret.
//
// Deviation: a LAC of ours that has no secret ignores an LNS's Challenge, as
// macOS does; it is the LNS that must insist.
func (t *Tunnel) authenticate(m *message) (Result, bool) {
	secret := t.env.Config.Secret
	if m.kind == sccrq && m.has(avpChallenge) && secret.Len() == 0 {
		return Result{Code: StopNotAuthorized, Message: "tunnel authentication is not configured"}, false
	}
	if t.s.challenge == nil || m.kind != sccrp && m.kind != scccn {
		return Result{}, true
	}
	want := challengeResponse(m.kind, secret.Reveal(), t.s.challenge)
	switch {
	case !m.has(avpChallengeResponse):
		return Result{Code: StopNotAuthorized, Message: "tunnel authentication failed: no answer to the challenge"}, false
	case subtle.ConstantTimeCompare(want, m.values[avpChallengeResponse]) != 1:
		return Result{Code: StopNotAuthorized, Message: "tunnel authentication failed: the secrets differ"}, false
	}
	return Result{}, true
}

// isUp tells the driver, once, and the sessions that wait.
func (t *Tunnel) isUp(now time.Time) {
	if !t.s.setup.IsZero() || t.s.challenge != nil {
		t.s.setup, t.s.challenge = time.Time{}, nil
	}
	if !t.s.up {
		t.s.up = true
		t.out.Push(TunnelUp{Peer: t.s.peer})
	}
	for i := range t.s.sessions {
		if t.s.sessions[i].state == waitTunnel {
			t.fireSession(now, &t.s.sessions[i], callTunnelUp, end{})
		}
	}
}

// clean ends every session and the tunnel.
func (t *Tunnel) clean(now time.Time, why end, stopped bool) {
	if t.s.ending != live {
		return
	}
	for _, s := range t.s.sessions {
		t.report(s, why)
	}
	secret := why.remote && !t.s.up && (t.s.proved || t.s.challenge != nil)
	t.s.sessions = nil
	t.s.setup, t.s.challenge, t.s.theirs = time.Time{}, nil, nil
	t.s.channel.ahead = nil
	t.out.Push(TunnelDown{Result: why.Result, Remote: why.remote, Secret: secret})
	switch {
	case why.remote:
		t.s.channel.queue = nil
		t.linger(now)
	case stopped && !t.s.channel.idle():
		t.s.ending = leaving
	default:
		t.gone()
	}
}

// linger keeps a dead tunnel to acknowledge what may be repeated.
func (t *Tunnel) linger(now time.Time) {
	t.s.ending = lingering
	t.s.leave = now.Add(lingerTime)
	t.s.channel.queue, t.s.channel.sent, t.s.channel.timer = nil, nil, time.Time{}
}

func (t *Tunnel) gone() {
	t.s.ending = gone
	t.s.channel = channel{}
	t.out.Push(Closed{})
}

// queue hands a message to the channel. The header's sequence numbers are
// written when it leaves.
func (t *Tunnel) queue(session uint16, o *outline) {
	t.enqueue(session, o, false)
}

func (t *Tunnel) enqueue(session uint16, o *outline, isHello bool) {
	putHeader(o.b, header{tunnel: t.s.peer.Tunnel, session: session})
	t.s.channel.queue = append(t.s.channel.queue, outgoing{data: o.b, hello: isHello})
}

// flush sends what the windows allow, and the acknowledgement that is due if
// nothing has carried it. It never waits for something to carry it: RFC 2661,
// section 5.8, allows a delay, and old Android does nothing until it comes.
func (t *Tunnel) flush(now time.Time) {
	if t.s.ending == gone {
		return
	}
	c := &t.s.channel
	if len(c.queue) > maxQueue {
		t.clean(now, end{Result: Result{Code: StopError, Error: ErrorResources, Message: "peer acknowledges nothing"}}, false)
		return
	}
	t.pump(now)
	if t.s.ending == leaving && c.idle() {
		t.gone()
	}
}

func (t *Tunnel) pump(now time.Time) {
	c := &t.s.channel
	for {
		m, ok := c.next(now)
		if !ok {
			break
		}
		t.transmit(m)
	}
	if t.s.ack {
		b := make([]byte, controlHeaderLen)
		putHeader(b, header{tunnel: t.s.peer.Tunnel, ns: c.ns, nr: c.nr})
		t.s.ack = false
		t.out.Push(Send{Data: b})
	}
}

// transmit sends a copy of a message, with the newest acknowledgement.
func (t *Tunnel) transmit(m outgoing) {
	b := append([]byte(nil), m.data...)
	h := header{tunnel: t.s.peer.Tunnel, ns: m.ns, nr: t.s.channel.nr}
	h.session = uint16(b[6])<<8 | uint16(b[7])
	putHeader(b, h)
	t.s.ack = false
	t.out.Push(Send{Data: b})
}

// resend repeats the oldest outstanding message without counting it.
func (t *Tunnel) resend() {
	if sent := t.s.channel.sent; len(sent) > 0 {
		t.transmit(sent[0])
	}
}

// HandleTimer does what is due at now.
func (t *Tunnel) HandleTimer(now time.Time) {
	if t.s.ending == gone {
		return
	}
	if due(now, t.s.leave) {
		t.gone()
		return
	}
	t.handleRetransmit(now)
	if t.s.ending == live {
		t.handleTimeouts(now)
	}
	if t.s.ending == live && due(now, t.helloDeadline()) {
		t.enqueue(0, compose(hello), true)
	}
	t.flush(now)
}

func (t *Tunnel) handleTimeouts(now time.Time) {
	if due(now, t.s.setup) {
		t.fire(now, tunnelClose, end{Result: Result{Code: StopRequest, Message: "not established in time"}})
		return
	}
	for i := 0; i < len(t.s.sessions); {
		s := &t.s.sessions[i]
		if !due(now, s.deadline) {
			i++
			continue
		}
		t.fireSession(now, s, callClose, end{Result: Result{Code: CallTimeout, Message: "not established in time"}})
	}
}

// handleRetransmit repeats the oldest outstanding message, or gives up. RFC
// 2661, section 5.8: "if no peer response is detected after several
// retransmissions ... the entire tunnel and all sessions within it MUST be
// cleared".
func (t *Tunnel) handleRetransmit(now time.Time) {
	c := &t.s.channel
	if !due(now, c.timer) || len(c.sent) == 0 {
		return
	}
	limit := maxSends
	if t.s.ending == leaving {
		limit = maxClosingSends
	}
	if c.sends >= limit {
		// A peer that does not acknowledge a HELLO but sends data lives: the
		// data is what it is asked for.
		if t.s.ending == live && c.sent[0].hello && t.s.heard.After(c.since) {
			c.sends, c.since = 1, now
		} else {
			t.giveUp(now)
			return
		}
	}
	t.transmit(c.sent[0])
	c.backOff(now)
}

func (t *Tunnel) giveUp(now time.Time) {
	if t.s.ending == live {
		t.s.state = tunnelIdle
		t.clean(now, end{Result: Result{Message: "peer does not answer"}}, false)
		return
	}
	t.gone()
}

// Deadline is when HandleTimer is next needed; the zero time means never.
func (t *Tunnel) Deadline() time.Time {
	if t.s.ending == gone {
		return time.Time{}
	}
	first := machine.Earliest(t.s.leave, t.s.channel.timer)
	if t.s.ending != live {
		return first
	}
	first = machine.Earliest(first, t.s.setup, t.helloDeadline())
	for i := range t.s.sessions {
		first = machine.Earliest(first, t.s.sessions[i].deadline)
	}
	return first
}

// Probe asks the peer at once whether it is there, by a HELLO (RFC 2661, section
// 6.5), unless something is outstanding, which asks the same. The answer is
// what the peer sends next.
func (t *Tunnel) Probe(now time.Time) {
	if t.s.ending != live || t.s.state != tunnelEstablished || !t.s.channel.idle() {
		return
	}
	t.enqueue(0, compose(hello), true)
	t.flush(now)
}

// helloDeadline is when silence calls for a HELLO: not while something is
// outstanding, which asks the same.
func (t *Tunnel) helloDeadline() time.Time {
	if d := t.env.Config.Hello; d > 0 && t.s.state == tunnelEstablished && t.s.channel.idle() {
		return t.s.heard.Add(d)
	}
	return time.Time{}
}

// due tells whether deadline is set and has come.
func due(now, deadline time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }
