package l2tp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// lingerTime is how long a tunnel that the peer closed acknowledges repeated
// messages. RFC 2661, section 5.7: "the recipient ... should maintain ... for the
// full retransmission interval (for example 31 seconds)".
const lingerTime = 31 * time.Second

// duplicateTime is how long an SCCRQ that equals the first is taken for a copy of
// it.
const duplicateTime = 30 * time.Second

// ending is how far the end of a tunnel has progressed.
type ending uint8

const (
	live      ending = iota
	leaving          // our StopCCN is not yet acknowledged
	lingering        // the peer's StopCCN may be repeated
	gone             // Closed was reported
)

// tunnelData is a tunnel's whole state, as plain data.
type tunnelData struct {
	lac    bool
	id     uint16 // ours
	state  tunnelState
	ending ending
	born   time.Time
	heard  time.Time // the last sign of life
	setup  time.Time // when the tunnel must be established
	leave  time.Time // when lingering ends

	peer      Peer
	challenge []byte // ours
	theirs    []byte // the peer's, which our next message responds to
	proved    bool   // the peer's challenge was answered
	began     []byte // the AVPs of the SCCRQ that we answered
	channel   channel
	sessions  []session
	ack       bool // an acknowledgement is due
	up        bool // TunnelUp was reported
}

// Tunnel is one control connection with its sessions, as LNS or as LAC. It belongs
// to one goroutine.
type Tunnel struct {
	env Env
	s   tunnelData
	out machine.Queue[Event]
}

var _ machine.Machine[Event] = (*Tunnel)(nil)

// NewLNS returns a tunnel that waits for its SCCRQ.
func NewLNS(env Env, now time.Time) *Tunnel { return newTunnel(env, now, false) }

// NewLAC returns a tunnel that sends its SCCRQ at once.
func NewLAC(env Env, now time.Time) *Tunnel {
	t := newTunnel(env, now, true)
	t.fire(now, tunnelOpen, end{})
	t.flush(now)
	return t
}

func newTunnel(env Env, now time.Time, lac bool) *Tunnel {
	t := &Tunnel{env: env, s: tunnelData{lac: lac, born: now, heard: now}}
	t.s.channel.start()
	if d := env.Config.SetupTimeout; d > 0 {
		t.s.setup = now.Add(d)
	}
	t.s.id = t.randomID()
	return t
}

// ID is our tunnel id: random, not zero.
func (t *Tunnel) ID() uint16 { return t.s.id }

// RoundTrip is an upper bound of the round-trip time, 0 if it is not known. When a
// session is up, it is known.
func (t *Tunnel) RoundTrip() time.Duration { return t.s.channel.roundTrip() }

// Established reports whether the control connection is established.
func (t *Tunnel) Established() bool { return t.s.state == tunnelEstablished }

// Over reports whether neither the peer nor we have anything more to say. At most
// the peer repeats its StopCCN, because our acknowledgement was lost.
func (t *Tunnel) Over() bool { return t.s.ending == lingering || t.s.ending == gone }

// HandlePacket takes one control message from the peer. An error says why it
// was dropped; the tunnel lives on.
func (t *Tunnel) HandlePacket(now time.Time, b []byte) error {
	if err := t.handle(now, b); err != nil {
		return fmt.Errorf("l2tp: %w", err)
	}
	return nil
}

func (t *Tunnel) handle(now time.Time, b []byte) error {
	if t.s.ending == gone {
		return ErrClosed
	}
	h, body, err := parseHeader(b)
	if err != nil {
		return err
	}
	var m *message
	if len(body) > 0 {
		m, err = parseMessage(h, body, t.env.Config.Secret.Reveal())
		// A HELLO only asks whether we are here, so it is answered whatever
		// follows its type.
		if err != nil && (m.kind != hello || t.s.state != tunnelEstablished) {
			return err
		}
	}
	if err := t.address(h, m); err != nil {
		return err
	}
	c := &t.s.channel
	if !c.plausible(h.nr) {
		return fmt.Errorf("acknowledges %d of %d: %w", h.nr, c.ns, ErrUnexpected)
	}
	t.s.heard = now
	c.acknowledge(now, h.nr)
	if m != nil && m.kind == sccrq && t.s.began == nil {
		t.s.began = bytes.Clone(body)
	}
	if m != nil {
		err = t.receive(now, m, b)
	}
	t.flush(now)
	return err
}

// address decides whether a message is for this tunnel: it has our id, or no id
// yet (an SCCRQ, or a StopCCN of a peer that never learnt our id).
//
// Deviation: some clients write 0, or the id that they assigned themselves, into
// every header. Only the peer of this tunnel has the keys of its ESP SAs, so this
// tunnel is meant, unless an Assigned Tunnel ID says otherwise.
func (t *Tunnel) address(h header, m *message) error {
	fresh := !t.s.lac && t.s.state == tunnelIdle && t.s.ending == live
	own := h.tunnel == 0 || h.tunnel == t.s.peer.Tunnel
	switch {
	case fresh && (m == nil || !m.begins() || h.ns != 0):
		return fmt.Errorf("no SCCRQ: %w", ErrUnexpected)
	case fresh, h.tunnel == t.s.id:
		return nil
	case own && m != nil && m.uint16(avpAssignedTunnel) == t.s.peer.Tunnel:
		if m.kind == stopccn || m.kind == sccrq && !t.s.lac {
			return nil
		}
	case h.tunnel == 0 && m != nil && m.kind == stopccn && t.s.peer.Tunnel == 0:
		return nil // an answer to our SCCRQ
	case m != nil && m.kind == sccrp && t.s.state == waitCtlReply:
		if h.tunnel == 0 || h.tunnel == m.uint16(avpAssignedTunnel) {
			return nil
		}
	case t.s.peer.Tunnel != 0 && own:
		if m == nil || !m.has(avpAssignedTunnel) || m.uint16(avpAssignedTunnel) == t.s.peer.Tunnel && m.kind != sccrq {
			return nil
		}
	}
	return fmt.Errorf("tunnel id %d: %w", h.tunnel, ErrUnexpected)
}

// receive sorts a message into the sequence, and handles every message whose turn
// has come.
func (t *Tunnel) receive(now time.Time, m *message, raw []byte) error {
	c := &t.s.channel
	switch c.classify(m.ns, t.window()) {
	case tooFar:
		t.s.ack = m.kind == hello // the acknowledgement says that we are here, and which number we expect
		return fmt.Errorf("%v number %d, want %d: %w", m.kind, m.ns, c.nr, ErrUnexpected)
	case late:
		// "the message is acknowledged ... and then discarded": we do so at once.
		t.s.ack = true
		if m.kind == sccrq && t.s.state == waitCtlConn {
			t.resend() // the SCCRP says more than an acknowledgement
		}
		return nil
	case early:
		c.keep(m.ns, raw)
		return nil
	case inTurn:
	}
	err := t.take(now, m)
	for {
		raw, ok := c.turn()
		if !ok {
			return err
		}
		if h, body, e := parseHeader(raw); e == nil {
			if m, e = parseMessage(h, body, t.env.Config.Secret.Reveal()); e == nil {
				err = errors.Join(err, t.take(now, m))
			}
		}
	}
}

// take handles the message whose turn it is. The message is acknowledged whatever
// the result.
func (t *Tunnel) take(now time.Time, m *message) error {
	t.s.channel.nr++
	t.s.ack = true
	if t.s.ending != live {
		if m.kind == stopccn && t.s.ending == leaving {
			t.linger(now) // both ends closed the tunnel
		}
		return nil
	}
	rule, known := messageRules[m.kind]
	switch {
	case !known && !m.mandatory:
		return fmt.Errorf("%v: %w", m.kind, ErrUnexpected)
	case !known:
		// Section 4.4.1: of an unknown Message Type with the M bit, "the
		// tunnel MUST be cleared".
		t.fire(now, tunnelClose, end{Result: Result{Code: StopError, Error: ErrorValue,
			Message: fmt.Sprintf("unknown message type %d", uint16(m.kind))}})
		return fmt.Errorf("%v: %w", m.kind, ErrUnexpected)
	case rule.call:
		return t.takeCall(now, m)
	}
	return t.takeTunnel(now, m)
}

// takeTunnel handles a message that concerns the control connection.
func (t *Tunnel) takeTunnel(now time.Time, m *message) error {
	if m.kind == stopccn {
		t.fire(now, stopReceived, end{Result: m.result(), remote: true})
		return nil
	}
	why, ok := t.judge(m)
	if m.kind == hello { // it asks only for its acknowledgement
		if !ok {
			t.fire(now, tunnelClose, end{Result: why})
		}
		return nil
	}
	ev := map[messageType]tunnelEvent{sccrq: sccrqGood, sccrp: sccrpGood, scccn: scccnGood}[m.kind]
	if !ok {
		ev++ // the event after it is for the same message, not acceptable
	}
	if wanted := tunnelTable[t.s.state][ev].next != tunnelIdle; ok && !wanted {
		why = Result{Code: StopFSM, Message: fmt.Sprintf("%v in state %v", m.kind, t.s.state)}
	}
	t.learn(m)
	t.fire(now, ev, end{Result: why})
	return nil
}

// judge decides whether a control connection message is acceptable.
func (t *Tunnel) judge(m *message) (Result, bool) {
	if m.unknown {
		// Section 4.1: with an unrecognized AVP whose M bit is set, "the entire
		// tunnel ... MUST be terminated"; the error "SHOULD" name it.
		return unknownAVP(StopError, m), false
	}
	if !m.complete() {
		return Result{Code: StopError, Error: ErrorLength, Message: fmt.Sprintf("no usable %v", messageRules[m.kind].need)}, false
	}
	if m.has(avpProtocolVersion) && m.uint16(avpProtocolVersion)>>8 != 1 {
		return Result{Code: StopVersion, Error: ErrorCode(0x0100)}, false // the highest version that we support
	}
	return t.authenticate(m)
}

func unknownAVP(code ResultCode, m *message) Result {
	if m.sealed {
		return Result{Code: code, Error: ErrorUnknownAVP,
			Message: fmt.Sprintf("%v is hidden: the secrets differ, or one end has none", attribute(m.unknownType))}
	}
	return Result{Code: code, Error: ErrorUnknownAVP,
		Message: fmt.Sprintf("vendor %d attribute %d", m.unknownVendor, m.unknownType)}
}

// learn stores what an SCCRQ or SCCRP says about the peer.
func (t *Tunnel) learn(m *message) {
	if m.kind != sccrq && m.kind != sccrp || t.s.peer.Tunnel != 0 {
		return
	}
	t.s.peer = Peer{
		HostName: m.text(avpHostName), Vendor: m.text(avpVendorName), Firmware: m.uint16(avpFirmware),
		Tunnel: m.uint16(avpAssignedTunnel), Window: defaultWindow,
		Framing: m.uint32(avpFraming), Bearer: m.uint32(avpBearer),
	}
	if m.has(avpWindow) {
		t.s.peer.Window = m.uint16(avpWindow)
	}
	t.s.channel.setWindow(int(t.s.peer.Window))
	t.s.theirs = append([]byte(nil), m.values[avpChallenge]...)
}

// HandleData says that a data message of this tunnel came, so the peer is alive.
func (t *Tunnel) HandleData(now time.Time) { t.s.heard = now }

// Close ends the tunnel and its sessions with a StopCCN. The tunnel continues to
// retransmit and to acknowledge until it reports Closed.
func (t *Tunnel) Close(now time.Time, why Result) {
	if t.s.ending != live {
		return
	}
	t.fire(now, tunnelClose, end{Result: why})
	t.flush(now)
}

// Duplicate reports whether an SCCRQ is a copy of the one that this tunnel
// answers, and not the beginning of a new tunnel. A copy comes within 30 s of the
// first, equals it to the last byte, and was sent before the peer had our SCCRP.
// An acknowledgement shows that the peer has our SCCRP; late says that the copy
// was overtaken on its way by messages that its sender sent afterwards. The
// contents alone prove nothing: clients count their tunnel ids from 1 at every
// boot.
func (t *Tunnel) Duplicate(now time.Time, b []byte, late bool) bool {
	if t.s.ending != live || t.s.lac || t.s.peer.Tunnel == 0 || now.Sub(t.s.born) > duplicateTime {
		return false
	}
	_, body, err := parseHeader(b)
	if err != nil || !bytes.Equal(body, t.s.began) {
		return false
	}
	return late || t.s.state == waitCtlConn && len(t.s.channel.sent) > 0
}

// IsSCCRQ reports whether b is an SCCRQ, and which tunnel id the peer assigns; the
// id is 0 if it is hidden.
func IsSCCRQ(b []byte) (assignedTunnel uint16, ok bool) {
	h, body, err := parseHeader(b)
	if err != nil || len(body) == 0 {
		return 0, false
	}
	m, err := parseMessage(h, body, nil)
	if err != nil || !m.begins() {
		return 0, false
	}
	return m.uint16(avpAssignedTunnel), true
}

// begins reports whether a message is an SCCRQ: the tunnel id in its header is 0,
// or the one that it assigns.
func (m *message) begins() bool {
	return m.kind == sccrq && (m.tunnel == 0 || m.tunnel == m.uint16(avpAssignedTunnel))
}

// window is our own Receive Window Size.
func (t *Tunnel) window() int { return min(max(int(t.env.Config.Window), minWindow), maxWindow) }

// randomID returns a random number other than zero.
func (t *Tunnel) randomID() uint16 {
	var b [2]byte
	for range 8 {
		if _, err := io.ReadFull(t.env.Rand, b[:]); err != nil {
			break
		}
		if v := binary.BigEndian.Uint16(b[:]); v != 0 {
			return v
		}
	}
	return 1
}
