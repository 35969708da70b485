package ike

import (
	"fmt"
	"io"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/internal/secret"
)

// Times and bounds of an SA.
const (
	halfOpenTime  = 75 * time.Second // for message 5 as responder: slow devices compute for most of a minute
	requestTime   = 60 * time.Second // for phase 1 as initiator
	lifetimeGrace = 60 * time.Second // an SA is kept this much longer than agreed
	maxTrials     = 4                // messages 5 that fit no PSK
	maxQuick      = 16               // Quick Modes under way at once
	maxRepeats    = 8                // answers to duplicates of one request
)

// SA is one ISAKMP security association: as responder from the third message on,
// as initiator from the first. It is not safe for concurrent use. It is a
// machine.Machine of Event.
type SA struct {
	env    Env
	st     state
	events machine.Queue[Event]
}

var _ machine.Machine[Event] = (*SA)(nil)

// step is the state of an SA in Main or Aggressive Mode (RFC 2409, section 5.4):
// the message that it waits for.
type step uint8

const (
	stepWait2  step = iota + 1 // initiator
	stepWait3                  // responder
	stepWait4                  // initiator
	stepWait5                  // responder
	stepWait6                  // initiator
	stepWaitA2                 // initiator, Aggressive Mode
	stepWaitA3                 // responder, Aggressive Mode
	stepUp
	stepClosed
)

// state is everything of an SA except its environment, as plain data.
type state struct {
	Initiator bool
	Step      step
	Path      Path
	Peer      Peer
	Ends      time.Time // when we give up, and after phase 1 when the lifetime ends
	In, Out   int       // bytes until the peer is authenticated

	Parts      assembly // a message of the peer's that came in fragments
	Fragmented uint16   // id of our last fragmented message

	// Phase 1.
	*exchange          // nil once phase 1 is complete
	Dialled     []byte // the client's first NAT-D
	DialledPort uint16
	Trials      int
	Floats      bool     // message 4 sent the peer to the NAT-T port, and nothing has arrived there yet
	Certs       [][]byte // of the peer, from message 3
	Refused     uint16   // type of an error notify that came in clear, as initiator
	Retry       retry
	Reply       reply // to the last message, for duplicates

	// Phase 2.
	Keys   keys
	IV     []byte // last block of phase 1
	Used   ranges // message ids of both ends
	Own    ranges // message ids of ours
	Seen   ranges // digests of the hashes of the messages with which the peer began exchanges
	LastID uint32 // our last message id
	Quick  []*quick
	Probe  probe

	Refusals []reply // answers to the last messages 1 of Quick Mode that were refused; at most maxQuick
}

// exchange is what nothing needs after phase 1: an SA lives for hours without it.
type exchange struct {
	Offer      []byte // SAi_b: the body of the initiator's SA payload
	DH         dhKey
	PeerPublic []byte
	Shared     secret.Bytes // g^xy, once it was needed
	NonceI     []byte
	NonceR     []byte
	Sent       []byte     // our last message, as initiator
	Early      aggressive // of Aggressive Mode; an initiator sets only its ID
}

// Cookies names the SA. The responder's is zero until message 2 came.
func (s *SA) Cookies() Cookies { return s.st.Peer.Cookies }

// Peer is what is known of the other end. It is complete after Authenticated.
func (s *SA) Peer() Peer { return s.st.Peer }

// Established reports whether phase 1 is complete and the SA is not closed.
func (s *SA) Established() bool { return s.st.Step == stepUp }

// PhaseKey returns what a network analyser needs to read phase 1 and the exchanges
// under it: the initiator's cookie and the cipher key. The key is a copy, and
// empty before phase 1 is complete.
func (s *SA) PhaseKey() (initiator [8]byte, key secret.Bytes) {
	return s.st.Peer.Cookies.Initiator, secret.New(s.st.Keys.Cipher.Reveal())
}

// Move says where the peer is now. Retransmissions, probes and deletes are sent
// there.
func (s *SA) Move(path Path) { s.st.Path = path }

// Deadline implements machine.Machine.
func (s *SA) Deadline() time.Time {
	st := &s.st
	if st.Step == stepClosed {
		return time.Time{}
	}
	first := machine.Earliest(st.Ends, st.Retry.At, st.Probe.next(), st.Parts.Ends)
	for _, q := range st.Quick {
		first = machine.Earliest(first, q.deadline())
	}
	return first
}

// HandleTimer implements machine.Machine.
func (s *SA) HandleTimer(now time.Time) {
	st := &s.st
	switch {
	case st.Step == stepClosed:
		return
	case !now.Before(st.Ends):
		s.end(s.timeoutReason())
		return
	case st.Retry.due(now):
		if !st.Retry.again(now) {
			s.end(s.timeoutReason())
			return
		}
		s.send(st.Path, st.Sent)
	}
	if st.Parts.expire(now) {
		s.note(NoteFragments, 0)
	}
	s.expireQuick(now)
	s.expireProbe(now)
}

func (s *SA) timeoutReason() Reason {
	switch {
	case s.st.Step == stepUp:
		return ReasonExpired
	case s.st.Step == stepWaitA3 && s.st.Refused != 0:
		return ReasonWrongKey
	case s.st.Refused != 0:
		return ReasonRefused
	case s.st.Step == stepWait5 && s.st.Floats && s.st.Reply.Left > maxRepeats/2:
		// A peer that asked for message 4 again and again has not received it, and
		// does not know that it should use another port.
		return ReasonNATTPort
	default:
		return ReasonTimeout
	}
}

// HandlePacket takes one message that came over path, without non-ESP marker. An
// error says why it was dropped; the SA lives on.
func (s *SA) HandlePacket(now time.Time, path Path, msg []byte) error {
	st := &s.st
	if st.Step == stepClosed {
		return ErrClosed
	}
	h, body, err := parseHeader(msg)
	if err != nil {
		return err
	}
	cookies := Cookies{h.InitiatorCookie, h.ResponderCookie}
	if st.Step == stepWait2 || st.Step == stepWaitA2 {
		cookies.Responder = st.Peer.Cookies.Responder // not known yet
	}
	if cookies != st.Peer.Cookies {
		return ErrCookies
	}
	msg = msg[:h.Length]
	st.In += len(msg)
	st.Floats = st.Floats && !path.Marker
	p := packet{now, path, h, body, msg}
	if h.Next == isakmp.PayloadFragment && !p.encrypted() {
		return s.handleFragment(p)
	}
	return s.handle(p)
}

// handle takes one whole message.
func (s *SA) handle(p packet) error {
	switch p.h.Exchange {
	case isakmp.ExchangeMain:
		return s.handleMain(p)
	case isakmp.ExchangeAggressive:
		return s.handleAggressive(p)
	case isakmp.ExchangeQuick:
		if s.st.Step == stepWaitA3 {
			return s.nudge(p)
		}
		return s.handleQuick(p)
	case isakmp.ExchangeInformational:
		return s.handleInformational(p)
	default:
		return p.misplaced()
	}
}

// misplaced is the error for a message that this SA cannot use. The error names
// the exchange.
func (p packet) misplaced() error {
	how := "in clear"
	if p.encrypted() {
		how = "encrypted"
	}
	return fmt.Errorf("%w: %v, %s", ErrUnexpected, p.h.Exchange, how)
}

// packet is a message that is being handled.
type packet struct {
	now  time.Time
	path Path
	h    isakmp.Header
	body []byte // what follows the header
	raw  []byte // the whole message
}

func (p packet) encrypted() bool { return p.h.Flags&isakmp.FlagEncryption != 0 }

// Close ends the SA: with a Delete if the peer has the SA too, and with the event
// Closed. Its children live on.
func (s *SA) Close(_ time.Time, why Reason) {
	if s.st.Step == stepClosed {
		return
	}
	if s.st.Step == stepUp {
		c := s.st.Peer.Cookies
		s.inform(isakmp.Delete{
			Protocol: isakmp.ProtocolISAKMP, SPIs: [][]byte{append(c.Initiator[:], c.Responder[:]...)},
		})
	}
	s.end(why)
}

// end marks the SA as closed and erases its secrets.
func (s *SA) end(why Reason) {
	st := &s.st
	if st.Step == stepClosed {
		return
	}
	st.Step = stepClosed
	for _, q := range st.Quick {
		q.DH.Private.Zero()
		if !q.complete() {
			s.events.Push(ChildFailed{InSPI: q.InSPI, Initiator: q.Initiator, Why: FailureClosed})
		}
	}
	st.Quick = nil
	st.Parts = assembly{}
	st.forget()
	st.Keys.zero()
	s.events.Push(Closed{why})
}

// forget drops the state that only phase 1 needs.
func (st *state) forget() {
	if st.exchange != nil {
		st.DH.Private.Zero()
		st.Shared.Zero()
		st.exchange = nil
	}
	st.Keys.SKEYID.Zero()
	st.Certs = nil
	st.Retry = retry{}
}

func (s *SA) note(kind NoteKind, typ uint16) { s.events.Push(Note{Kind: kind, Type: typ}) }

// fresh reports a verified message that is not a replay.
func (s *SA) fresh(path Path) {
	s.st.Path = path
	s.events.Push(Fresh{path})
}

// random reads n bytes of randomness.
func (s *SA) random(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(s.env.Rand, b)
	return b, err
}

// header begins a message of ours.
func (s *SA) header(e isakmp.Exchange, id uint32) isakmp.Header {
	return isakmp.Header{
		InitiatorCookie: s.st.Peer.Cookies.Initiator, ResponderCookie: s.st.Peer.Cookies.Responder,
		Version: isakmp.Version1, Exchange: e, MessageID: id,
	}
}
