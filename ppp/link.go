package ppp

import (
	"fmt"
	"io"
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// Env is what a Link is given and does not own.
type Env struct {
	Config *Config
	Rand   io.Reader

	// RoundTrip is how long the path and back takes, as far as the driver knows;
	// 0: not at all.
	RoundTrip time.Duration
}

// phase is a phase of RFC 1661, section 3.2.
type phase uint8

const (
	phaseDead phase = iota
	phaseEstablish
	phaseAuthenticate
	phaseNetwork
	phaseDone // the link is of no more use
)

// networkTimeout bounds the time from authentication to an open IPCP, in which
// the counters of RFC 1661 alone could go on for ever.
const networkTimeout = 60 * time.Second

// linkState is a link's whole state: plain data.
type linkState struct {
	phase      phase
	alone      bool   // it only challenges: see Rechallenge
	why        Reason // why we are ending, once we are
	heard      bool   // a control packet came, ever
	terminated bool   // a Terminate-Request came
	peerText   string // its data
	detail     string // what why does not say

	setup   time.Time // by when the link must be authenticated
	network time.Time // by when a network must be up

	tickets    uint32 // the last AuthRequest's
	challenges byte   // the last Challenge's identifier

	lcp    lcpState
	auth   authState
	ipcp   ipcpState
	ipv6cp ipv6cpState
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
		l.finish(ReasonAuthRefused) // nobody enters unasked
		return
	}
	l.s.phase = phaseEstablish
	l.startSetup(now)
	l.resetLCP()
	l.fire(now, lcp{l}, evOpen, stimulus{})
	l.fire(now, lcp{l}, evUp, stimulus{})
}

// Close ends the link in good order: Terminate-Request, at most two, 3 s apart,
// then Down. The first reason stands.
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

// HandlePacket takes one frame from the peer. It may begin with FF 03 or not,
// and have a protocol field of one or two bytes. An error says why this frame
// was dropped; the link lives on.
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

// handle sorts by protocol and phase. What was not negotiated is dropped
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
	if l.s.alone && protocol != l.authProtocol() {
		return ErrUnexpected
	}
	if protocol == ProtocolLCP {
		p, err := parsePacket(info)
		if err != nil {
			return err
		}
		l.s.heard = true
		if l.ownEcho(p) { // it is answered, and no sign of life
			return l.handleLCP(now, p)
		}
		return l.heard(now, l.handleLCP(now, p))
	}
	// RFC 1661, section 3.4: "Any non-LCP packets received during this phase
	// MUST be silently discarded."
	if l.s.lcp.automaton.state != opened {
		return ErrUnexpected
	}
	if protocol == l.authProtocol() {
		p, err := parsePacket(info)
		if err != nil {
			return err
		}
		return l.heard(now, l.handleAuthPacket(now, p))
	}
	// RFC 1661, section 3.5, of the Authenticate phase: "All other packets
	// received during this phase MUST be silently discarded."
	if l.s.phase != phaseNetwork {
		return ErrUnexpected
	}
	for _, y := range l.ncps() {
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
	if protocol >= 0x8000 && protocol < 0xc000 {
		l.confirmSuccess() // any network control protocol will do
	}
	l.hear(now)
	l.rejectProtocol(protocol, info)
	return nil
}

// HandleData says that the peer lives: something authentic came that this link
// did not see.
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
	l.handleEchoTimer(now)
	l.handleProofTimer(now)
	for _, y := range l.ncps() {
		l.handleNudge(now, y)
	}
	l.handleNudge(now, lcp{l})
	for _, y := range l.ncps() {
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
	return machine.Earliest(setup, network, l.authDeadline(), l.echoDeadline(), l.s.proof.timer,
		l.s.lcp.automaton.timer, l.s.ipcp.automaton.timer, l.s.ipv6cp.automaton.timer,
		l.s.lcp.automaton.nudge, l.s.ipcp.automaton.nudge, l.s.ipv6cp.automaton.nudge,
		l.s.lcp.automaton.until, l.s.ipcp.automaton.until, l.s.ipv6cp.automaton.until)
}

// NextEvent returns the next pending event, oldest first.
func (l *Link) NextEvent() (Event, bool) { return l.out.Pop() }

// due tells whether deadline is set and has come.
func due(now, deadline time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

func (l *Link) startSetup(now time.Time) {
	l.s.setup = time.Time{}
	if d := l.env.Config.SetupTimeout; d > 0 {
		l.s.setup = now.Add(d)
	}
}

// setupDeadline leaves a pending verdict its own time.
func (l *Link) setupDeadline() time.Time {
	if l.s.auth.pending {
		return time.Time{}
	}
	return l.s.setup
}

// fail notes why the link ends; the first reason stands.
func (l *Link) fail(why Reason) {
	if l.s.why == 0 {
		l.s.why = why
	}
}

// farewell is what a Terminate-Request of ours says, for people who read the
// peer's log.
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
	for _, y := range l.ncps() {
		if y.common().up {
			l.emit(y.closed())
		}
	}
	l.emit(Down{Why: l.s.why, Detail: l.s.detail, PeerText: l.s.peerText})
	l.s.phase = phaseDone
	// The deadlines end with the phase; secrets and buffers go now.
	l.s.auth, l.s.echo = authState{}, echoState{}
	l.s.lcp.automaton = automaton{}
	l.s.ipcp, l.s.ipv6cp = ipcpState{}, ipv6cpState{}
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

// random fills b, or ends the link: a challenge that can be guessed is worse
// than none.
func (l *Link) random(b []byte) error {
	if _, err := io.ReadFull(l.env.Rand, b); err != nil {
		l.finish(ReasonInternal)
		return errRandom
	}
	return nil
}
