package vpn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ppp"
)

// attempt is one request for a verdict. A link that negotiates afresh may make
// another while the backend still thinks about the first: only the last counts.
type attempt struct {
	ticket uint32
	method auth.Method
	name   string // as the peer sent it
	asked  time.Time
	cancel context.CancelFunc
	waited bool // for an old session to make room
}

// authenticate asks the backend for a verdict, on a goroutine of its own, and
// has verdict run on the connection's.
func (c *Conn) authenticate(now time.Time, s *session, e ppp.AuthRequest, verdict func(time.Time, *session, *attempt, auth.Response, error)) {
	if s.asked != nil {
		s.asked.cancel()
	}
	r := &auth.Request{
		User:      e.User,
		ID:        e.ID,
		Password:  secret.New(e.Password.Reveal()),
		Challenge: bytes.Clone(e.Challenge),
		Response:  bytes.Clone(e.Response),
		Call:      c.authCall(s),
	}
	switch e.Method {
	case ppp.MethodPAP:
		r.Method = auth.PAP
	case ppp.MethodCHAP:
		r.Method = auth.CHAP
	case ppp.MethodMSCHAPv2:
		r.Method = auth.MSCHAPv2
	}
	ctx, cancel := context.WithTimeout(c.srv.ctx, c.policy.AuthTimeout)
	a := &attempt{ticket: e.Ticket, method: r.Method, name: e.User, asked: now, cancel: cancel}
	s.asked = a
	c.srv.run.Go(func() {
		defer cancel()
		answer, err := c.ask(ctx, r)
		r.Password.Zero()
		c.do(func(at time.Time) { verdict(at, s, a, answer, err) })
	})
}

// ask has the backend decide. What it panics on has no verdict, and ends no
// other connection.
func (c *Conn) ask(ctx context.Context, r *auth.Request) (answer auth.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.observe(Panicked{Who{Conn: c.id}, v, debug.Stack()})
			answer, err = auth.Response{}, errBackend
		}
	}()
	return c.srv.cfg.Backend.Authenticate(ctx, r)
}

var errBackend = errors.New("an error in the authentication backend")

func (c *Conn) authCall(s *session) auth.Call {
	return auth.Call{
		SessionID:  s.id,
		Port:       uint32(c.id),
		Remote:     c.path.Remote,
		Local:      c.path.Local,
		ClientName: c.host,
		Group:      c.peer.Group,
	}
}

// verdict turns the backend's answer into the link's, leasing an address only
// now.
func (c *Conn) verdict(now time.Time, s *session, a *attempt, r auth.Response, err error) {
	if c.ended || c.call(s.l2tp.Local) != s || s.asked != a {
		return
	}
	s.asked = nil
	answer := ppp.AuthAnswer{Message: r.Message, Error: r.Code, Success: r.Success}
	event := c.authDone(now, a, r, err)
	switch {
	case err != nil:
		answer.Message = "The server could not authenticate the user"
		answer.Error = mschapNoDialin
	case r.Verdict == auth.Accepted:
		if r.Grant.User == "" {
			r.Grant.User = a.name
		}
		c.restart(now, s)
		s.method = a.method
		old := c.lookalikes(r.Grant.User)
		again := func(now time.Time) { c.verdict(now, s, a, r, nil) }
		if denied := c.grant(s, r.Grant); denied != nil {
			if c.makeRoom(s, a, r.Grant, denied, old, again) {
				return
			}
			event.Verdict, event.Detail = auth.NotAllowed, denied.Error()
			answer.Error = mschapNoDialin
			if errors.Is(denied, pool.ErrExhausted) { // the user is not to blame, and is not asked for the password again
				event.Verdict = auth.NoAddress
				answer.OK, answer.Close = true, ppp.ReasonNoAddress
			}
			break
		}
		c.await(old, (*Conn).prove, nil)
		answer.OK = true
		answer.Network6 = ppp.Network6{On: s.six.on, Peer: s.grant.IPv6.Interface}
		answer.Network = ppp.Network{Local: c.policy.network(s.address).Server, Peer: s.address, DNS: ipv4(s.settings().DNS)}
		event.User = s.grant.User
	}
	c.observe(event)
	s.link.HandleAuth(now, a.ticket, answer)
}

// authDone is the event of an attempt that has its answer.
func (c *Conn) authDone(now time.Time, a *attempt, r auth.Response, err error) AuthDone {
	return AuthDone{Who: c.who(), Method: a.method, Name: a.name, Odd: oddName(a.name), Verdict: r.Verdict, Detail: r.Detail, Message: r.Message, Warnings: r.Warnings, Err: err, Duration: now.Sub(a.asked)}
}

// restart ends the accounting of a link's session whose user authenticated
// again, perhaps as another: what comes next is a session of its own.
func (c *Conn) restart(now time.Time, s *session) {
	if !s.up {
		return
	}
	c.networkDown(now, s, auth.UserRequest)
	s.id = c.sessionID()
	c.user = ""
	c.setup = now.Add(c.policy.SetupTimeout)
}

// mschapNoDialin is ERROR_NO_DIALIN_PERMISSION (RFC 2759, section 6).
const mschapNoDialin = 649

// grant leases what an accepted user gets. An error is for the administrator:
// errSessions and pool.ErrTaken may be over when an old session is.
func (c *Conn) grant(s *session, g auth.Grant) error {
	c.release(s)
	if detail := c.judgeGroup(g.Group); detail != "" {
		return errors.New(detail)
	}
	if a := g.Address; a.IsValid() && !isClients(a) {
		return fmt.Errorf("%v of the user is no address that a client can have", a)
	}
	for _, a := range []netip.Addr{g.Address, g.IPv6.Address} {
		if a.IsValid() && slices.Contains(c.policy.Own, a) {
			return fmt.Errorf("%v of the user is an address of the server's own host, which answers to it: give the user another", a)
		}
	}
	if detail := c.policy.judgeRoutes(g.Routes); detail != "" {
		return errors.New(detail)
	}
	if detail := judgeSettings(g.Settings); detail != "" {
		return errors.New(detail)
	}
	if !c.srv.enter(g.User, c.policy.SessionsPerUser) {
		return errSessions
	}
	s.grant, s.entered = g, true
	a, err := c.srv.cfg.Pool.Lease(g.User, g.Address)
	if err != nil {
		c.release(s)
		return err
	}
	s.address = a
	if err := c.grant6(s, g); err != nil {
		c.release(s)
		return err
	}
	return nil
}

// isClients reports whether a client can have an IPv4 address, wherever it is
// from.
func isClients(a netip.Addr) bool {
	return a.Is4() && a.IsGlobalUnicast() && a.As4()[0] != 0 && a.As4()[0] < 240
}

// judgeGroup says, for the administrator, why a user of a group, "" for none,
// may not come in with what the client proved; "" if they may.
func (c *Conn) judgeGroup(user string) string {
	bound := c.peer.Group
	if bound == "" || bound == user {
		return ""
	}
	of := "of none"
	if user != "" {
		of = fmt.Sprintf("of the group %.128q", user)
	}
	proof, another := "pre-shared key", "key"
	if c.peer.Auth != ike.AuthPSK {
		proof, another = "certificate", "certificate"
	}
	return fmt.Sprintf("the %s is of the group %q, the user %s: set the user's group, or give the client another %s", proof, bound, of, another)
}

// release returns what grant took. It is idempotent.
func (c *Conn) release(s *session) {
	if s.address.IsValid() {
		c.srv.cfg.Pool.Release(s.address)
		s.address = netip.Addr{}
	}
	s.six.release()
	if s.entered {
		c.srv.leave(s.grant.User)
		s.entered = false
	}
}

// networkUp lets the user's traffic flow.
func (c *Conn) networkUp(now time.Time, s *session, e ppp.NetworkUp) {
	if c.dialer != nil {
		c.dialNetworkUp(now, s, e)
		return
	}
	s.four = true
	c.route(s, c.sessionMTU(s, e.MTU))
	c.sessionUp(now, s)
}

// route leads to a session what is its client's, of the networks that are up,
// and nothing else any more.
func (c *Conn) route(s *session, mtu int) {
	var want, have []netip.Prefix
	if s.four {
		want = append(want, netip.PrefixFrom(s.address, s.address.BitLen()))
	}
	if s.six.up {
		want = append(want, s.six.own()...)
	}
	for _, p := range s.grant.Routes {
		if p.Addr().Is4() && s.four || p.Addr().Is6() && s.six.up {
			want = append(want, p)
		}
	}
	changed := NetworksChanged{Who: c.who()}
	for _, p := range s.prefixes {
		if !slices.Contains(want, p) {
			c.srv.plane.Unroute(p, s.data)
			changed.Removed = append(changed.Removed, p)
		}
	}
	for _, p := range want {
		if err := c.srv.plane.Route(p, c.slot, s.data); err != nil {
			c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
			continue // whose it is may send from there, and only they
		}
		have = append(have, p)
		if !slices.Contains(s.prefixes, p) {
			changed.Added = append(changed.Added, p)
		}
	}
	s.prefixes = have
	s.data.SetNetwork(have, mtu)
	if len(changed.Added)+len(changed.Removed) > 0 {
		c.observe(changed)
	}
}

// sessionUp begins a session's accounting with the first of its networks.
func (c *Conn) sessionUp(now time.Time, s *session) {
	if s.up {
		c.changed = true
		return // it was renegotiated, or the other network came: the same session goes on
	}
	s.up, s.since, s.before = true, now, s.data.Counters()
	c.user = s.grant.User
	c.srv.arrive(c)
	c.setup = time.Time{}
	if s.grant.SessionTimeout > 0 {
		s.end = now.Add(s.grant.SessionTimeout)
	}
	if s.grant.IdleTimeout > 0 {
		s.active = now
		s.checkIdle(now)
	}
	if every := s.interimInterval(); every > 0 {
		s.interim = now.Add(every)
	}
	c.changed = true
	s.account(now, auth.Start, 0)
	c.observe(SessionUp{c.who(), c.infoOf(s)})
}

// sessionMTU is the largest inner packet: the ceiling, what the client takes,
// and what the user was granted.
func (c *Conn) sessionMTU(s *session, peer uint16) int {
	mtu := min(c.policy.MTU, int(peer))
	if s.grant.MTU > 0 {
		mtu = min(mtu, max(s.grant.MTU, minMTU4))
	}
	return mtu
}

// minMTU4 is the least that a server may grant: every packet of ours would
// become a crowd of fragments, or be lost (RFC 791, section 3.1: "all hosts must
// be prepared to accept datagrams of up to 576 octets").
const minMTU4 = 576

// halt stops the user's traffic. It is idempotent.
func (c *Conn) halt(s *session) {
	s.four, s.six.up, s.six.next = false, false, time.Time{}
	c.route(s, 0)
}

// networkDown stops the user's traffic and accounts for it. It is idempotent.
func (c *Conn) networkDown(now time.Time, s *session, cause auth.Cause) {
	c.halt(s)
	if !s.up {
		return
	}
	s.up = false
	s.interim, s.end, s.idle = time.Time{}, time.Time{}, time.Time{}
	s.account(now, auth.Stop, cause)
	c.observe(SessionDown{c.who(), c.infoOf(s), cause, s.why})
	c.changed = true
}
