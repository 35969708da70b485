package l2tp

import (
	"encoding/binary"
	"fmt"
	"time"
)

// session is one call's state.
type session struct {
	Session
	state    sessionState
	deadline time.Time // by when it must be established
}

// Call places a call, as LAC: it sends an ICRQ as soon as the tunnel is
// established. It returns the session's id.
func (t *Tunnel) Call(now time.Time, c Call) (local uint16, err error) {
	switch {
	case t.s.ending != live:
		return 0, fmt.Errorf("l2tp: %w", ErrClosed)
	case !t.s.lac:
		return 0, fmt.Errorf("l2tp: only a LAC calls: %w", ErrUnexpected)
	case len(t.s.sessions) >= t.limit():
		return 0, fmt.Errorf("l2tp: %w", ErrLimit)
	}
	s := t.addSession(now, Session{
		Serial: c.Serial, TxSpeed: c.TxSpeed, Sequencing: t.env.Config.Sequencing,
		CallingNumber: c.CallingNumber, CalledNumber: c.CalledNumber,
	})
	local = s.Local
	t.fireSession(now, s, callIncoming, end{})
	t.flush(now)
	return local, nil
}

// Hangup ends a session with a CDN. An unknown id does nothing: the session
// may have ended meanwhile.
func (t *Tunnel) Hangup(now time.Time, local uint16, why Result) {
	if s := t.find(local); s != nil {
		t.fireSession(now, s, callClose, end{Result: why})
		t.flush(now)
	}
}

func (t *Tunnel) limit() int { return max(t.env.Config.Sessions, 1) }

// addSession adds a session with a random id that is not zero.
func (t *Tunnel) addSession(now time.Time, info Session) *session {
	s := session{Session: info}
	for s.Local = t.randomID(); s.Local == 0 || t.find(s.Local) != nil; {
		s.Local++
	}
	if d := t.env.Config.CallTimeout; d > 0 {
		s.deadline = now.Add(d)
	}
	t.s.sessions = append(t.s.sessions, s)
	return &t.s.sessions[len(t.s.sessions)-1]
}

// find returns the session with our id.
func (t *Tunnel) find(local uint16) *session {
	for i := range t.s.sessions {
		if t.s.sessions[i].Local == local {
			return &t.s.sessions[i]
		}
	}
	return nil
}

// sessionOf returns the session that a message is for: found by our id in its
// header or, if the peer may not know our id, by the peer's own id.
//
// Deviation: some clients write 0, or the id that they assigned themselves, into
// the header of ICCN and later messages. If only one session can be meant, it is
// used.
func (t *Tunnel) sessionOf(m *message) *session {
	if s := t.find(m.session); s != nil && m.session != 0 && m.kind != icrq {
		return s
	}
	remote := m.uint16(avpAssignedSession)
	if m.kind == icrp || remote == 0 && m.kind != icrq {
		remote = m.session
	}
	return t.only(func(s *session) bool {
		switch {
		case remote != 0 && s.Remote != 0:
			return s.Remote == remote
		case m.kind == icrq || m.session != 0 && m.session != m.uint16(avpAssignedSession):
			return false
		case m.kind == icrp:
			return s.state == waitReply
		case m.kind == iccn:
			return s.state == waitConnect
		}
		return remote == 0
	})
}

// only returns the one session that fits, nil if there is none or more than one.
func (t *Tunnel) only(fits func(*session) bool) (s *session) {
	for i := range t.s.sessions {
		if !fits(&t.s.sessions[i]) {
			continue
		}
		if s != nil {
			return nil
		}
		s = &t.s.sessions[i]
	}
	return s
}

// takeCall handles a message that concerns a session.
func (t *Tunnel) takeCall(now time.Time, m *message) error {
	if t.s.state != tunnelEstablished {
		return fmt.Errorf("%v in state %v: %w", m.kind, t.s.state, ErrUnexpected)
	}
	s := t.sessionOf(m)
	if m.unknown && m.kind != cdn && m.kind != icrq && m.kind != ocrq {
		// Section 4.1: within a message that is associated with a session,
		// "the session ... MUST be terminated".
		if s != nil {
			t.fireSession(now, s, callClose, end{Result: unknownAVP(CallError, m)})
		}
		return fmt.Errorf("%v has unknown AVP %d of vendor %d: %w", m.kind, m.unknownType, m.unknownVendor, ErrUnexpected)
	}
	switch m.kind {
	case icrq:
		return t.takeICRQ(now, m, s)
	case icrp:
		return t.takeReply(now, m, s, icrpGood)
	case iccn:
		return t.takeReply(now, m, s, iccnGood)
	case cdn:
		if s == nil {
			return noSession(m)
		}
		t.fireSession(now, s, cdnReceived, end{Result: m.result(), remote: true})
	case sli:
		t.takeSLI(m, s)
	case wen: // error counters of a line, which we do not have
	case ocrq, ocrp, occn:
		t.refuseOutgoing(m)
	case sccrq, sccrp, scccn, stopccn, hello: // handled by the tunnel
	}
	return nil
}

// takeICRQ begins a session, as LNS.
func (t *Tunnel) takeICRQ(now time.Time, m *message, s *session) error {
	if s != nil { // a second ICRQ for a session that exists
		t.fireSession(now, s, icrqGood, end{Result: fsmError(m, s.state)})
		return nil
	}
	why, ev := Result{}, icrqGood
	switch {
	case m.unknown:
		why, ev = unknownAVP(CallError, m), icrqBad
	case !m.complete():
		why, ev = Result{Code: CallError, Error: ErrorSession, Message: "no usable Assigned Session ID"}, icrqBad
	case t.s.lac:
		why, ev = Result{Code: CallNoFacilities, Message: "no incoming calls here"}, icrqBad
	case len(t.s.sessions) >= t.limit():
		why, ev = Result{Code: CallNoResources, Error: ErrorResources, Message: "no more sessions"}, icrqBad
	}
	info := Session{
		Remote: m.uint16(avpAssignedSession), Serial: m.uint32(avpCallSerial),
		CallingNumber: m.text(avpCallingNumber), CalledNumber: m.text(avpCalledNumber),
	}
	if ev == icrqBad {
		t.fireSession(now, &session{Session: info}, ev, end{Result: why})
		return fmt.Errorf("%v: %s: %w", m.kind, why.Message, ErrUnexpected)
	}
	t.fireSession(now, t.addSession(now, info), ev, end{})
	return nil
}

func noSession(m *message) error {
	return fmt.Errorf("%v for session %d, which is none or one of several: %w", m.kind, m.session, ErrUnexpected)
}

func fsmError(m *message, s sessionState) Result {
	return Result{Code: CallError, Error: ErrorValue, Message: fmt.Sprintf("%v in state %v", m.kind, s)}
}

// takeReply handles ICRP or ICCN. good is the event for an acceptable message; the
// event after it is for an unacceptable one.
func (t *Tunnel) takeReply(now time.Time, m *message, s *session, good sessionEvent) error {
	var unknown error
	if s == nil {
		s, unknown = &session{Session: Session{Remote: m.uint16(avpAssignedSession)}}, noSession(m)
	}
	why := end{Result: fsmError(m, s.state)}
	switch {
	case !m.complete():
		why.Result = Result{Code: CallError, Error: ErrorSession, Message: "no usable Assigned Session ID"}
		good++
	case m.kind == icrp && s.state == waitReply:
		s.Remote = m.uint16(avpAssignedSession)
	case m.kind == iccn && s.state == waitConnect:
		s.TxSpeed = m.uint32(avpTxSpeed)
		s.Sequencing = m.has(avpSequencing)
	}
	t.fireSession(now, s, good, why)
	return unknown
}

// takeSLI passes on a Set-Link-Info: 2 reserved bytes, send and receive ACCM.
func (t *Tunnel) takeSLI(m *message, s *session) {
	v := m.values[avpACCM]
	if s == nil || len(v) != 10 {
		return
	}
	t.out.Push(LinkInfo{
		Local: s.Local, SendACCM: binary.BigEndian.Uint32(v[2:]), ReceiveACCM: binary.BigEndian.Uint32(v[6:]),
	})
}

// refuseOutgoing answers the messages of outgoing calls, which we do not place: an
// OCRQ gets a CDN, the others are ignored.
func (t *Tunnel) refuseOutgoing(m *message) {
	if remote := m.uint16(avpAssignedSession); m.kind == ocrq && remote != 0 {
		t.sendCDN(Session{Remote: remote}, Result{Code: CallNoFacilities, Message: "no outgoing calls here"})
	}
}

// table is the session table of the tunnel's side, LAC or LNS.
func (s *tunnelData) table() *[sessionStates][sessionEvents]sessionTransition {
	if s.lac {
		return &lacTable
	}
	return &lnsTable
}

// fireSession runs one event through the session table. The session may no longer
// exist afterwards.
func (t *Tunnel) fireSession(now time.Time, s *session, ev sessionEvent, why end) {
	tr := t.s.table()[s.state][ev]
	if !tr.possible {
		return
	}
	was := *s
	s.state = tr.next
	for _, act := range tr.actions {
		switch act {
		case sessionNothing:
		case openTunnel:
			// NewLAC has opened the tunnel. If it is established already, the
			// session learns that at once.
			if t.s.state == tunnelEstablished {
				t.fireSession(now, s, callTunnelUp, end{})
			}
		case sendICRQ:
			t.sendICRQ(s.Session)
		case sendICRP:
			t.queue(s.Remote, compose(icrp).uint16(avpAssignedSession, s.Local))
		case sendICCN:
			t.sendICCN(s.Session)
		case sendCDN:
			t.sendCDN(s.Session, why.Result)
		case sessionClean:
			t.remove(was.Local)
			if was.Local != 0 || ev == icrqBad { // not if there never was a call
				t.report(was, why)
			}
		case sessionIsUp:
			// The acknowledgement of ICCN is sent before the driver's first PPP
			// frame: old Android starts its PPP only when it has that
			// acknowledgement.
			t.pump(now)
			s.deadline = time.Time{}
			t.out.Push(SessionUp{Session: s.Session})
		}
	}
}

func (t *Tunnel) sendICRQ(s Session) {
	o := compose(icrq).uint16(avpAssignedSession, s.Local).uint32(avpCallSerial, s.Serial)
	if s.CalledNumber != "" {
		o.add(avpCalledNumber, []byte(s.CalledNumber)...)
	}
	if s.CallingNumber != "" {
		o.add(avpCallingNumber, []byte(s.CallingNumber)...)
	}
	t.queue(0, o)
}

func (t *Tunnel) sendICCN(s Session) {
	o := compose(iccn).uint32(avpTxSpeed, s.TxSpeed).uint32(avpFramingType, 1)
	if s.Sequencing {
		o.add(avpSequencing)
	}
	t.queue(s.Remote, o)
}

func (t *Tunnel) sendCDN(s Session, why Result) {
	t.queue(s.Remote, compose(cdn).result(why).uint16(avpAssignedSession, s.Local))
}

func (t *Tunnel) remove(local uint16) {
	for i := range t.s.sessions {
		if t.s.sessions[i].Local == local {
			t.s.sessions = append(t.s.sessions[:i], t.s.sessions[i+1:]...)
			return
		}
	}
}

// report tells the driver how a session ended.
func (t *Tunnel) report(s session, why end) {
	if s.state == sessionEstablished {
		t.out.Push(SessionDown{Local: s.Local, Result: why.Result, Remote: why.remote})
	} else {
		t.out.Push(CallFailed{Local: s.Local, Result: why.Result, Remote: why.remote})
	}
}
