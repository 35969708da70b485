package vpn

import (
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// session is one L2TP session with its PPP link, and what its user was granted.
type session struct {
	conn *Conn
	l2tp l2tp.Session
	link *ppp.Link
	data *dataplane.Session
	id   string // Acct-Session-Id

	asked   *attempt // the verdict that is waited for
	method  auth.Method
	grant   auth.Grant
	address netip.Addr // leased
	six     six
	entered bool // counted against the user's limit

	up       bool
	four     bool               // IPCP is open
	before   dataplane.Counters // what data had carried when this session came up
	prefixes []netip.Prefix     // routed to it
	since    time.Time
	interim  time.Time // next accounting record
	end      time.Time // Session-Timeout
	idle     time.Time // when Idle-Timeout is looked at next
	active   time.Time // when it last found traffic
	packets  uint64    // that had passed then
	why      ppp.Reason
}

// addCall begins PPP on an established L2TP session.
func (c *Conn) addCall(now time.Time, call l2tp.Session, roundTrip time.Duration) {
	s := &session{
		conn: c, l2tp: call, id: c.sessionID(),
		data: dataplane.NewSession(call.Local, call.Remote, call.Sequencing),
		link: ppp.New(ppp.Env{Config: c.pppConfig(), Rand: c.srv.cfg.Rand, RoundTrip: roundTrip}),
	}
	c.calls = append(c.calls, s)
	c.stay(now)
	c.changed = true
	c.publish()
	s.link.Start(now)
}

func (c *Conn) pppConfig() *ppp.Config {
	if c.dialer != nil {
		return c.dialer.ppp
	}
	return c.policy.PPP
}

// sessionID is unique over restarts: RADIUS servers key accounting by it.
func (c *Conn) sessionID() string {
	var b [8]byte
	if _, err := io.ReadFull(c.srv.cfg.Rand, b[:]); err != nil {
		panic(err) // without randomness nothing here is safe
	}
	return hex.EncodeToString(b[:])
}

func (c *Conn) call(local uint16) *session {
	for _, s := range c.calls {
		if s.l2tp.Local == local {
			return s
		}
	}
	return nil
}

// ErrNoSession says that a frame came for a session which has ended, or never was.
var ErrNoSession = errors.New("a PPP frame of a session that is not there")

// receiveFrame hands a PPP frame to its link.
func (c *Conn) receiveFrame(now time.Time, local uint16, frame []byte) {
	s := c.call(local)
	if s == nil && c.claim != nil && c.claim.session.l2tp.Local == local {
		s = c.claim.session
	}
	if s == nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: ErrNoSession})
		return
	}
	if c.tunnel != nil {
		c.tunnel.HandleData(now)
	}
	if err := s.link.HandlePacket(now, frame); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
	}
}

// pumpPPP drains the events of every link. The Configure-Ack that opens the
// network at the peer leaves only when it is open here: a client's first packet
// follows at once.
func (c *Conn) pumpPPP(now time.Time) (any bool) {
	var held ppp.Event
	for i := 0; i < len(c.calls) && !c.ended; {
		s := c.calls[i]
		e, ok := s.link.NextEvent()
		if held != nil && !opensNetwork(e) {
			c.onPPP(now, s, held)
			held = nil
		}
		if !ok {
			i++
			continue
		}
		any = true
		if _, sends := e.(ppp.Send); sends {
			held = e
			continue
		}
		c.onPPP(now, s, e)
		if i < len(c.calls) && c.calls[i] != s {
			i = 0 // the list changed
		}
	}
	return any && !c.ended
}

func opensNetwork(e ppp.Event) bool {
	switch e.(type) {
	case ppp.NetworkUp, ppp.Network6Up:
		return true
	}
	return false
}

func (c *Conn) onPPP(now time.Time, s *session, event ppp.Event) {
	switch e := event.(type) {
	case ppp.Send:
		c.sendFrame(now, s, e.Frame)
	case ppp.AuthRequest:
		c.authenticate(now, s, e, c.verdict)
	case ppp.NetworkUp:
		c.networkUp(now, s, e)
	case ppp.NetworkDown:
		// The session is over when its link is, which says why. Until then its
		// network may come up again.
		s.four = false
		c.route(s, s.six.mtu)
	case ppp.Network6Up:
		c.network6Up(now, s, e)
	case ppp.Network6Down:
		c.network6Down(s)
	case ppp.AuthFailed:
		c.dialFailed(now, e.Message)
	case ppp.Proved:
		c.arrived(c.path.Remote.Addr())
	case ppp.Note:
		c.observe(Noted{c.who(), LayerPPP, e.Kind.String(), ppp.ProtocolName(e.Protocol)})
	case ppp.Down:
		s.why = e.Why
		c.linkDown(now, s, e)
	case ppp.LinkUp, ppp.Authenticated:
		// The session is up when its network is.
	}
}

func (c *Conn) sendFrame(now time.Time, s *session, frame []byte) {
	if c.slot == nil {
		return
	}
	c.publish()
	c.sent = now
	// What cannot be sent is lost like any datagram: PPP repeats itself.
	_ = c.slot.SendFrame(s.data, frame)
}

// linkDown hangs up the call of a link that has ended.
func (c *Conn) linkDown(now time.Time, s *session, e ppp.Down) {
	cause := causeOf(e.Why)
	c.endCall(now, s, cause, e.Why)
	detail := detailOf(e)
	if c.tunnel != nil {
		result := l2tp.Result{Code: l2tp.CallAdmin, Message: detail}
		if e.Why == ppp.ReasonNoAddress {
			result = l2tp.Result{Code: l2tp.CallNoResources, Message: e.Why.String()}
		}
		c.tunnel.Hangup(now, s.l2tp.Local, result)
	}
	c.idle(now, endOf(e.Why))
	if len(c.calls) == 0 && c.drain.IsZero() {
		c.detail = detail
	}
	if detail == "" {
		detail = e.Why.String()
	}
	c.dialFailed(now, detail)
}

// detailOf says, for people at either end, what could not be agreed on; "" of a
// link that ended otherwise.
func detailOf(e ppp.Down) string {
	switch end := endOf(e.Why); {
	case end != EndNegotiation && end != EndMethod:
		return ""
	case e.Detail == "":
		return e.Why.String()
	}
	return e.Why.String() + ": " + e.Detail
}

// endCall takes a session down, whoever ended it. It is idempotent.
func (c *Conn) endCall(now time.Time, s *session, cause auth.Cause, why ppp.Reason) {
	kept := c.calls[:0]
	found := false
	for _, other := range c.calls {
		if other == s {
			found = true
			continue
		}
		kept = append(kept, other)
	}
	if !found {
		return
	}
	clear(c.calls[len(kept):])
	c.calls = kept
	if s.asked != nil {
		s.asked.cancel()
	}
	if why != 0 {
		s.why = why
	}
	c.networkDown(now, s, cause)
	c.release(s)
	c.changed = true
	c.user = ""
	for _, other := range c.calls {
		if other.grant.User != "" {
			c.user = other.grant.User
		}
	}
}

// deadline is when expire has something to do.
func (s *session) deadline() time.Time {
	return machine.Earliest(s.link.Deadline(), s.interim, s.end, s.idle, s.six.next)
}

// expire does what is due for one session.
func (s *session) expire(now time.Time) {
	if due(s.link.Deadline(), now) {
		s.link.HandleTimer(now)
	}
	if due(s.interim, now) {
		s.interim = now.Add(s.interimInterval())
		s.account(now, auth.Interim, 0)
	}
	if due(s.six.next, now) {
		s.conn.advertise(now, s)
	}
	if due(s.end, now) {
		s.end = time.Time{}
		s.link.Close(now, ppp.ReasonSessionTimeout)
	}
	if due(s.idle, now) {
		s.checkIdle(now)
	}
}

// checkIdle ends a session without user traffic for its Idle-Timeout, and
// looks again after a part of it otherwise.
func (s *session) checkIdle(now time.Time) {
	counters := s.counters()
	if passed := counters.InPackets + counters.OutPackets; passed != s.packets {
		s.packets, s.active = passed, now
	}
	if now.Sub(s.active) >= s.grant.IdleTimeout {
		s.idle = time.Time{}
		s.link.Close(now, ppp.ReasonIdleTimeout)
		return
	}
	s.idle = now.Add(max(time.Second, s.grant.IdleTimeout/10))
}

// causeOf maps a link's end to Acct-Terminate-Cause (RFC 2866, section 5.10).
func causeOf(r ppp.Reason) auth.Cause {
	switch r {
	case ppp.ReasonAdmin:
		return auth.AdminReset
	case ppp.ReasonServerStop:
		return auth.AdminReboot
	case ppp.ReasonIdleTimeout:
		return auth.IdleTimeout
	case ppp.ReasonSessionTimeout:
		return auth.SessionTimeout
	case ppp.ReasonReplaced:
		return auth.NASRequest
	case ppp.ReasonPeerTerminated, ppp.ReasonUserRequest:
		return auth.UserRequest
	case ppp.ReasonEchoTimeout, ppp.ReasonNoAnswer, ppp.ReasonLowerLayer:
		return auth.LostCarrier
	case ppp.ReasonInternal:
		return auth.NASError
	case ppp.ReasonNoAddress:
		return auth.ServiceUnavail
	case ppp.ReasonAuthFailed, ppp.ReasonAuthRefused, ppp.ReasonAuthTimeout, ppp.ReasonServerUnverified,
		ppp.ReasonNegotiation, ppp.ReasonSetupTimeout, ppp.ReasonNoNetwork, ppp.ReasonLoop, ppp.ReasonRejected:
		return auth.UserError
	}
	return auth.NASError
}

// endOf maps a link's end to what a connection without links ends of.
func endOf(r ppp.Reason) End {
	switch r { //nolint:exhaustive // the others are what RADIUS calls them
	case ppp.ReasonAuthRefused:
		return EndMethod
	case ppp.ReasonNegotiation, ppp.ReasonNoNetwork, ppp.ReasonRejected, ppp.ReasonLoop:
		return EndNegotiation
	case ppp.ReasonSetupTimeout:
		return EndSetup
	case ppp.ReasonNoAddress:
		return EndNoAddress
	}
	switch causeOf(r) {
	case auth.AdminReset:
		return EndAdmin
	case auth.AdminReboot:
		return EndServerStop
	case auth.IdleTimeout, auth.SessionTimeout:
		return EndUserTimeout
	case auth.NASRequest:
		return EndReplaced
	case auth.UserRequest:
		return EndPeer
	case auth.LostCarrier:
		return EndLost
	case auth.PortError, auth.NASError, auth.ServiceUnavail, auth.UserError:
		return EndAuth
	}
	return EndAuth
}
