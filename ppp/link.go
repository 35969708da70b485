package ppp

import (
	"fmt"
	"io"
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// Env is what a Link uses but does not own.
type Env struct {
	Config *Config
	Rand   io.Reader

	// RoundTrip is the round-trip time of the path, as far as the driver knows; 0:
	// unknown.
	RoundTrip time.Duration
}

// phase is a phase of RFC 1661, section 3.2.
type phase uint8

const (
	phaseDead phase = iota
	phaseEstablish
	phaseAuthenticate
	phaseNetwork
	phaseDone // the link has ended
)

// networkTimeout bounds the time from authentication to an open IPCP: with the counters
// of RFC 1661 alone, that could take for ever.
const networkTimeout = 60 * time.Second

// linkState is a link's whole state: plain data.
type linkState struct {
	phase      phase
	alone      bool   // the link only sends a challenge: see Rechallenge
	mute       bool   // as authenticator: there is nothing that we show to this peer
	why        Reason // why the link is ending; 0: it is not
	heard      bool   // a control packet has come at least once
	terminated bool   // a Terminate-Request has come
	peerText   string // the data of that Terminate-Request
	named      named  // what the peer says of itself
	detail     string // what the reason alone does not say

	setup   time.Time // the time by which the link must be authenticated
	network time.Time // the time by which a network must be up

	tickets    uint32 // the ticket of the last AuthRequest
	challenges byte   // the identifier of the last Challenge

	lcp    lcpState
	auth   authState
	self   *selfState // nil: the peer does not demand that we authenticate ourselves
	ipcp   ipcpState
	ipv6cp ipv6cpState
	ccp    *ccpState // nil: no compression is configured, or the network phase has not begun
	echo   echoState
	proof  proofState
}

// Link is one PPP link. It belongs to one goroutine.
type Link struct {
	env Env
	s   linkState
	out machine.Queue[Event]
}

var _ machine.Machine[Event] = (*Link)(nil)

// New returns a link that waits for Start.
func New(env Env) *Link { return &Link{env: env} }

// Start opens the link: the lower layer is up. A second call does nothing.
func (l *Link) Start(now time.Time) {
	if l.s.phase != phaseDead {
		return
	}
	if !l.env.Config.Client && len(l.env.Config.Methods) == 0 {
		l.finish(ReasonAuthRefused) // without a method nobody could authenticate
		return
	}
	l.s.phase = phaseEstablish
	l.startSetup(now)
	l.resetLCP()
	l.fire(now, lcp{l}, evOpen, stimulus{})
	l.fire(now, lcp{l}, evUp, stimulus{})
}

// Close ends the link in an orderly way: Terminate-Request, at most two, 3 s apart, then
// Down. The first reason given is kept.
func (l *Link) Close(now time.Time, why Reason) {
	switch l.s.phase {
	case phaseDone:
		return
	case phaseDead:
		l.finish(why)
		return
	case phaseEstablish, phaseAuthenticate, phaseNetwork:
	}
	if l.s.alone {
		l.finish(why)
		return
	}
	l.fail(why)
	l.fire(now, lcp{l}, evClose, stimulus{})
}

// HandlePacket handles one frame from the peer, with or without FF 03, and with a
// protocol field of one or two bytes. An error says why this frame was dropped; the link
// continues.
func (l *Link) HandlePacket(now time.Time, frame []byte) error {
	switch l.s.phase {
	case phaseDone:
		return fmt.Errorf("ppp: %w", ErrClosed)
	case phaseDead:
		return fmt.Errorf("ppp: link has not started: %w", ErrUnexpected)
	case phaseEstablish, phaseAuthenticate, phaseNetwork:
	}
	protocol, info, ok := splitFrame(frame)
	if !ok {
		return fmt.Errorf("ppp: protocol field: %w", ErrMalformed)
	}
	if err := l.handle(now, protocol, info); err != nil {
		return fmt.Errorf("ppp: %s: %w", ProtocolName(protocol), err)
	}
	return nil
}

// handle dispatches by protocol and phase. A protocol that was not negotiated is dropped
// before it is parsed.
func (l *Link) handle(now time.Time, protocol uint16, info []byte) error {
	if l.s.phase == phaseNetwork && (protocol == ProtocolIP || protocol == ProtocolIPv6 && l.s.ipv6cp.on) {
		l.HandleData(now)
		l.confirmSuccess()
		l.takeData(now, protocol, info)
		return nil
	}
	if len(info) > maxFrame {
		return ErrTooLong
	}
	if l.s.alone && protocol != l.s.auth.method.protocol() {
		return ErrUnexpected
	}
	if protocol == ProtocolLCP {
		p, err := parsePacket(info)
		if err != nil {
			return err
		}
		l.s.heard = true
		if l.ownEcho(p) { // it gets an answer, but is not a sign of life
			return l.handleLCP(now, p)
		}
		return l.heard(now, l.handleLCP(now, p))
	}
	// RFC 1661, section 3.4: "Any non-LCP packets received during this phase
	// MUST be silently discarded."
	if l.s.lcp.automaton.state != opened {
		return ErrUnexpected
	}
	if l.authenticatedBy(protocol) {
		p, err := parsePacket(info)
		if err != nil {
			return err
		}
		return l.heard(now, l.handleAuthPacket(now, protocol, p))
	}
	// RFC 1661, section 3.5, of the Authenticate phase: "All other packets
	// received during this phase MUST be silently discarded."
	if l.s.phase != phaseNetwork {
		return ErrUnexpected
	}
	return l.handleNetwork(now, protocol, info)
}

// handleNetwork handles a packet of the Network phase's protocols.
func (l *Link) handleNetwork(now time.Time, protocol uint16, info []byte) error {
	for y := range l.controls {
		if protocol != y.protocol() || !y.common().on {
			continue
		}
		p, err := parsePacket(info)
		if err != nil {
			return err
		}
		l.confirmSuccess()
		return l.heard(now, l.handleControl(now, y, p))
	}
	if protocol == ProtocolCompressed && l.s.ccp != nil && l.s.ccp.on {
		return ErrUnexpected // it was on its way when CCP closed, or began anew
	}
	if protocol >= 0x8000 && protocol < 0xc000 {
		l.confirmSuccess() // any network control protocol shows it
	}
	l.hear(now)
	l.rejectProtocol(protocol, info)
	return nil
}

// HandleData says that the peer is alive: the driver has received authentic data that
// this link did not see.
func (l *Link) HandleData(now time.Time) {
	if l.s.phase == phaseNetwork {
		l.hear(now)
	}
}

// HandleTimer does what is due at now.
func (l *Link) HandleTimer(now time.Time) {
	if due(now, l.setupDeadline()) && l.s.why == 0 {
		l.Close(now, ReasonSetupTimeout)
	}
	if due(now, l.s.network) && l.s.why == 0 {
		l.s.detail = l.unreached()
		l.Close(now, ReasonNoNetwork)
	}
	l.handleAuthTimer(now)
	l.handleSelfTimer(now)
	l.handleEchoTimer(now)
	l.handleProofTimer(now)
	l.handleResetTimer(now)
	for y := range l.controls {
		l.handleNudge(now, y)
	}
	l.handleNudge(now, lcp{l})
	for y := range l.controls {
		l.handleRestart(now, y)
	}
	l.handleRestart(now, lcp{l})
}

// Deadline is when HandleTimer is next needed; the zero time means never.
func (l *Link) Deadline() time.Time {
	if l.s.phase == phaseDone {
		return time.Time{}
	}
	var setup, network time.Time
	if l.s.why == 0 {
		setup, network = l.setupDeadline(), l.s.network
	}
	first := machine.Earliest(setup, network, l.authDeadline(), l.selfDeadline(), l.echoDeadline(), l.s.proof.timer, l.s.lcp.automaton.deadline())
	for y := range l.controls {
		first = machine.Earliest(first, y.auto().deadline())
	}
	if l.s.ccp != nil {
		first = machine.Earliest(first, l.s.ccp.timer)
	}
	return first
}

// deadline is when one of the automaton's timers is due.
func (a *automaton) deadline() time.Time { return machine.Earliest(a.timer, a.nudge, a.until) }

// due tells whether deadline is set and has come.
func due(now, deadline time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

func (l *Link) startSetup(now time.Time) {
	l.s.setup = time.Time{}
	if d := l.env.Config.SetupTimeout; d > 0 {
		l.s.setup = now.Add(d)
	}
}

// setupDeadline does not apply while a verdict or a new password is awaited, which have
// deadlines of their own.
func (l *Link) setupDeadline() time.Time {
	if l.s.auth.pending || l.s.auth.changing {
		return time.Time{}
	}
	return l.s.setup
}

// fail records why the link ends; the first reason is kept.
func (l *Link) fail(why Reason) {
	if l.s.why == 0 {
		l.s.why = why
	}
}

// farewell is the text of our Terminate-Request, for people who read the peer's log.
func (l *Link) farewell(y layer) string {
	switch {
	case l.s.why != 0 && l.s.detail != "":
		return l.s.why.String() + ": " + l.s.detail
	case l.s.why != 0:
		return l.s.why.String()
	}
	return y.auto().why
}

// finish ends the link at once.
func (l *Link) finish(why Reason) {
	if l.s.phase == phaseDone {
		return
	}
	l.fail(why)
	for y := range l.controls {
		if y.common().up {
			l.emit(y.closed())
		}
	}
	l.emit(Down{Why: l.s.why, Detail: l.s.detail, PeerText: l.s.peerText})
	l.s.phase = phaseDone
	// The deadlines end with the phase; secrets and buffers are dropped now.
	l.s.auth, l.s.self, l.s.echo = authState{}, nil, echoState{}
	l.s.lcp.automaton = automaton{}
	l.s.ipcp, l.s.ipv6cp, l.s.ccp = ipcpState{}, ipv6cpState{}, nil
}

// send emits one control packet.
func (l *Link) send(protocol uint16, code, id byte, data []byte) {
	b := appendFrame(make([]byte, 0, 8+len(data)), protocol)
	l.emit(Send{Frame: appendPacket(b, code, id, data)})
}

// emit queues an event. Down is the last.
func (l *Link) emit(e Event) {
	if l.s.phase != phaseDone {
		l.out.Push(e)
	}
}

func (l *Link) note(k NoteKind, protocol uint16, code byte) {
	l.emit(Note{Kind: k, Protocol: protocol, Code: code})
}

// random fills b with random bytes. If that fails it ends the link: a challenge that can
// be guessed is worse than none.
func (l *Link) random(b []byte) error {
	if _, err := io.ReadFull(l.env.Rand, b); err != nil {
		l.finish(ReasonInternal)
		return errRandom
	}
	return nil
}
