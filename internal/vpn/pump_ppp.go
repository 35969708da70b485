package vpn

import (
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/compress"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// pumpPPP drains the events of every session.
func (c *Conn) pumpPPP(now time.Time) (any bool) {
	for i := 0; i < len(c.calls) && !c.ended; {
		s := c.calls[i]
		e, ok := s.NextEvent()
		if !ok {
			i++
			continue
		}
		any = true
		c.onSession(now, s, e)
		if i < len(c.calls) && c.calls[i] != s {
			i = 0 // the list has changed
		}
	}
	return any && !c.ended
}

// drainEnded handles the events of a session that has ended, except those that concern
// its client.
func (c *Conn) drainEnded(now time.Time, s *call) {
	for e, ok := s.NextEvent(); ok; e, ok = s.NextEvent() {
		switch e.(type) {
		case session.Send, session.Ask, session.Blocked, session.Ended:
		default:
			c.onSession(now, s, e)
		}
	}
}

func (c *Conn) onSession(now time.Time, s *call, event session.Event) {
	switch e := event.(type) {
	case session.Send:
		c.sendFrame(now, s, e.Frame)
	case session.Ask:
		c.reach(stepPassword)
		c.ask(now, s, e)
	case session.Blocked:
		c.makeRoom(now, s, e)
	case session.Leased:
		c.await(c.lookalikes(e.User), (*Conn).prove, nil)
	case session.Judged:
		c.observe(c.authDone(e))
	case session.Route:
		c.lead(now, s, e)
	case session.Limit:
		s.data.SetLimits(dataplane.Limits(e))
	case session.Gardened:
		c.observe(Gardened{c.who(), e.In})
	case session.Account:
		c.account(s, e.Record)
	case session.Up:
		c.user = e.User
		c.welcome()
		c.changed = true
		c.observe(SessionUp{c.who(), e.Info})
	case session.Changed:
		c.changed = true
	case session.Down:
		c.observe(SessionDown{c.who(), e.Info, e.Cause, e.Link})
		c.changed = true
	case session.Restarted:
		c.user = ""
		c.miss(now)
		c.hurry(now)
	case session.Released:
		c.handOn(e.User, e.Routes)
	case session.Compression:
		s.data.SetCompression(dataplane.Compression{Send: codec(e.Send), Receive: codec(e.Receive), Open: e.Open})
		c.changed = true
	case session.Dialled:
		c.carryOwn(now, s, e.NetworkUp)
	case session.Undialled:
		c.dropOwn(now, s)
	case session.Dialled6:
		c.carry6(now, s, e.Network6Up)
	case session.Failed:
		c.failed(now, e.Message)
	case session.Proved:
		c.arrived(c.path.Remote.Addr())
	case session.Note:
		c.observe(Noted{c.who(), LayerPPP, e.Kind, e.Text})
	case session.Ended:
		c.linkDown(now, s, e)
	case session.Passed: // only a challenge does: see pumpClaim
	}
}

// codec is what the data path calls what PPP has agreed on.
func codec(k ppp.Codec) compress.Codec {
	switch k.Compressor {
	case ppp.CompressMPPC:
		return compress.Codec{Method: compress.MPPC}
	case ppp.CompressDeflate:
		return compress.Codec{Method: compress.Deflate, Window: k.Window}
	}
	return compress.Codec{}
}

// authDone makes the event for an attempt that has been answered.
func (c *Conn) authDone(e session.Judged) AuthDone {
	who := c.who()
	if e.User != "" {
		who.User = e.User
	}
	return AuthDone{Who: who, Method: e.Method, Name: e.Name, Verdict: e.Verdict, Detail: e.Detail, Message: e.Message,
		Warnings: e.Warnings, Err: e.Err, Duration: e.Duration, Odd: e.Odd}
}

// linkDown hangs up the call of a link that has ended.
func (c *Conn) linkDown(now time.Time, s *call, e session.Ended) {
	c.endCall(now, s, session.CauseOf(e.Why), e.Why)
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
	c.failed(now, detail)
}

// detailOf says, for people at either end, what could not be agreed; "" if the link ended
// for another reason.
func detailOf(e session.Ended) string {
	switch end := endOf(e.Why); {
	case end != EndNegotiation && end != EndMethod:
		return ""
	case e.Detail == "":
		return e.Why.String()
	}
	return e.Why.String() + ": " + e.Detail
}

// endOf maps a link's end to the end of a connection that has no links left.
func endOf(r ppp.Reason) End {
	switch r { //nolint:exhaustive // the others are mapped through their RADIUS cause
	case ppp.ReasonAuthRefused:
		return EndMethod
	case ppp.ReasonNegotiation, ppp.ReasonNoNetwork, ppp.ReasonRejected, ppp.ReasonLoop:
		return EndNegotiation
	case ppp.ReasonSetupTimeout:
		return EndSetup
	case ppp.ReasonNoAddress:
		return EndNoAddress
	case ppp.ReasonQuota:
		return EndQuota
	}
	switch session.CauseOf(r) {
	case auth.AdminReset:
		return EndAdmin
	case auth.AdminReboot:
		return EndServerStop
	case auth.IdleTimeout, auth.SessionTimeout:
		return EndUserTimeout
	case auth.NASRequest:
		return EndReplaced
	case auth.PortPreempted:
		return EndPreempted
	case auth.UserRequest:
		return EndPeer
	case auth.LostCarrier:
		return EndLost
	case auth.PortError, auth.NASError, auth.NASReboot, auth.ServiceUnavail, auth.UserError:
		return EndAuth
	}
	return EndAuth
}
