package l2tp

import (
	"crypto/subtle"
	"io"
	"time"
)

// end is why a tunnel or a session ends, and whether the peer ended it.
type end struct {
	Result
	remote bool
}

// framing says that we support synchronous and asynchronous framing (RFC 2661,
// section 4.4.3), as every client expects.
const framing = 3

const (
	protocolVersion = 0x0100
	firmware        = 0x0100
)

// fire runs one event through the state table of the control connection.
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

// sendSCCRP sends only the AVPs that are required: clients abort on an AVP that
// they do not expect.
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
	// Messages that have not been sent are dropped: the peer forgets the tunnel.
	t.s.channel.queue = nil
	if t.s.peer.Tunnel == 0 && !t.s.lac {
		return // no peer is known yet
	}
	t.queue(0, compose(stopccn).uint16(avpAssignedTunnel, t.s.id).result(why))
}

func (t *Tunnel) hostName() []byte {
	if name := t.env.Config.HostName; name != "" {
		return []byte(name)
	}
	return []byte("adit")
}

// challenged appends our Challenge, if the peer has to prove that it knows the
// secret. Without randomness there is no tunnel.
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

// answered appends the Challenge Response, if the peer sent a Challenge and we
// have a secret.
func (t *Tunnel) answered(in messageType, o *outline) *outline {
	if len(t.s.theirs) > 0 && t.env.Config.Secret.Len() > 0 {
		o.add(avpChallengeResponse, challengeResponse(in, t.env.Config.Secret.Reveal(), t.s.theirs)...)
		t.s.proved = true
	}
	t.s.theirs = nil
	return o
}

// authenticate runs tunnel authentication (RFC 2661, section 5.1.1). A peer that
// challenges us gets a response or, if we have no secret, a clear refusal: without
// one it would only give up silently. The configuration decides whether we
// challenge the peer, too: "a LAC or LNS may ... authenticate", and the clients
// that are built into operating systems have no secret.
//
// Deviation: as LAC without a secret we ignore the Challenge of an LNS, as macOS
// does; the LNS has to insist.
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

// isUp tells the driver once that the tunnel is established, and starts the calls
// that wait.
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

// clean ends all sessions and the tunnel.
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

// linger keeps a closed tunnel so that repeated messages are still acknowledged.
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
