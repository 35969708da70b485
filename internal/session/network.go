package session

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/ppp"
)

// networkUp starts the user's traffic.
func (s *Session) networkUp(now time.Time, e ppp.NetworkUp) {
	if s.env.PPP.Client {
		s.st.up, s.st.four, s.st.since = true, true, now
		s.push(Dialled{e})
		return
	}
	s.st.four = true
	s.route(s.sessionMTU(e.MTU))
	s.sessionUp(now)
}

// route makes the client's networks lead to the session, for each family that is up, and
// no other networks.
func (s *Session) route(mtu int) {
	s.st.mtu = mtu
	var want []netip.Prefix
	if s.st.four {
		want = append(want, pool.Host(s.st.address))
	}
	if s.st.six.up {
		want = append(want, s.st.six.own()...)
	}
	for _, p := range s.st.grant.Routes {
		if p.Addr().Is4() && s.st.four || p.Addr().Is6() && s.st.six.up {
			want = append(want, p)
		}
	}
	s.push(Route{want, mtu, s.wire()})
}

// local is our address on the client's link; not valid: none.
func (s *Session) local() netip.Addr {
	if l := s.st.grant.Link; l != nil {
		return l.Local
	}
	return s.env.Policy.network(s.st.address).Server
}

// wire is the session's own device, nil if it has none.
func (s *Session) wire() *Wire {
	if s.st.grant.Interface == "" && !s.st.grant.OwnDevice {
		return nil
	}
	w := &Wire{User: s.st.grant.User, Device: s.st.grant.Interface, Method: s.st.method}
	if s.st.four {
		w.Local, w.Peer = s.local(), s.st.address
	}
	if s.st.six.up {
		w.Local6, w.Peer6 = s.st.six.server, ppp.InterfaceID(s.st.six.Interface).LinkLocal()
	}
	return w
}

// sessionUp begins the session's accounting when the first of its networks is up.
func (s *Session) sessionUp(now time.Time) {
	if s.st.up {
		s.push(Changed{}) // renegotiated, or the other network came: the session continues
		return
	}
	s.st.up, s.st.began, s.st.since, s.st.timed, s.st.before = true, true, now, now, s.env.Traffic.Carried()
	s.limitTime(now)
	if s.limited() {
		s.checkQuota(now)
	}
	if s.interimInterval() > 0 {
		s.st.interim = s.nextInterim(now)
	}
	s.account(now, auth.Start, 0)
	s.push(Up{s.info()})
}

// sessionMTU is the largest inner packet: the minimum of the configured limit, what the
// client accepts, and what the user was granted.
func (s *Session) sessionMTU(peer uint16) int {
	mtu := min(s.env.Policy.MTU, int(peer))
	if s.st.grant.MTU > 0 {
		mtu = min(mtu, max(s.st.grant.MTU, minMTU4))
	}
	return mtu
}

// minMTU4 is the least MTU that a server may grant. With less, every packet of ours would
// become many fragments, or be lost (RFC 791, section 3.1: "all hosts must be prepared to
// accept datagrams of up to 576 octets").
const minMTU4 = 576

// networkDown stops the user's traffic and ends its accounting. It is idempotent.
func (s *Session) networkDown(now time.Time, cause auth.Cause) {
	s.undial()
	s.st.four, s.st.six.up, s.st.six.next = false, false, time.Time{}
	s.route(0)
	if !s.st.up {
		return
	}
	s.st.up = false
	s.spend(now)
	s.st.interim, s.st.end, s.st.idle, s.st.usage = time.Time{}, time.Time{}, time.Time{}, s.st.usage.afresh()
	s.account(now, auth.Stop, cause)
	s.push(Down{s.info(), cause, s.st.why})
}

// undial says, as a client, that the network which is up is so no more.
func (s *Session) undial() {
	if s.env.PPP.Client && s.st.four {
		s.push(Undialled{})
	}
}

// checkIdle ends a session that has carried no user traffic for its Idle-Timeout.
// Otherwise it checks again after a part of that time.
func (s *Session) checkIdle(now time.Time) {
	n := s.Meter().Carried()
	if passed := n.InPackets + n.OutPackets; passed != s.st.packets {
		s.st.packets, s.st.active = passed, now
	}
	if now.Sub(s.st.active) >= s.st.grant.IdleTimeout {
		s.st.idle = time.Time{}
		s.link.Close(now, ppp.ReasonIdleTimeout)
		return
	}
	s.st.idle = now.Add(max(time.Second, s.st.grant.IdleTimeout/10))
}
