package vpn

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/session"
)

// public is what other goroutines read about a connection.
type public struct {
	info   atomic.Pointer[Status] // for List
	listed shown                  // by people; for show alone
	ident  atomic.Pointer[identity]
	leaves atomic.Bool  // it is saying goodbye: nothing may join it
	lastAt atomic.Int64 // last of userless, as Unix nanoseconds; 0: none
}

// Status is one connection as an administrator sees it.
type Status struct {
	Conn     uint64
	Remote   netip.AddrPort
	Local    netip.AddrPort
	Since    time.Time
	Client   ike.ClientKind
	HostName string // from the peer
	PSK      string // name of the pre-shared key that it proved; or
	Cert     string // name in its certificate, from the peer
	Group    string // the group whose users this admits; "": all users
	IKE      ike.Suite
	ESP      ike.ESPSuite
	Encap    bool
	Sessions []session.Info

	meters []session.Meter // of Sessions
	calls  []*auth.Call    // of Sessions: where they come from, which does not change
	multi  string          // what the sessions have in common, if there are several
	held   held            // what another connection may claim
	was    bool            // its ESP has carried traffic before
}

// has reports whether one of the sessions belongs to user.
func (st *Status) has(user string) bool {
	for _, s := range st.Sessions {
		if s.User == user {
			return true
		}
	}
	return false
}

// first is when the oldest session of a user began.
func (st *Status) first(user string) (began time.Time) {
	for i := range st.Sessions {
		if s := &st.Sessions[i]; s.User == user && (began.IsZero() || s.Since.Before(began)) {
			began = s.Since
		}
	}
	return began
}

// holds reports whether one of the sessions belongs to user and has something that g
// promises.
func (st *Status) holds(user string, g auth.Grant) bool {
	for _, s := range st.Sessions {
		if s.User == user && (g.Address.IsValid() && s.Address == g.Address || g.IPv6.Address.IsValid() && s.IPv6.Address == g.IPv6.Address ||
			g.IPv6.Prefix.IsValid() && s.IPv6.Prefix == g.IPv6.Prefix || g.IPv6.Delegated.IsValid() && s.IPv6.Delegated == g.IPv6.Delegated) {
			return true
		}
	}
	return false
}

// status is what List shows. The connection publishes it with its view.
func (c *Conn) status() *Status {
	st := &Status{
		Conn: c.id, Remote: c.path.Remote, Local: c.path.Local, Since: c.born,
		Client: c.peer.Kind, HostName: c.host, PSK: c.peer.PSK, Cert: c.peer.Cert, Group: c.peer.Group, IKE: c.peer.Suite, Encap: c.peer.Encap, was: c.carried,
	}
	if c.kids.sending != nil {
		st.ESP = c.kids.sending.Suite
	}
	for _, s := range c.calls {
		if s.Up() {
			st.Sessions = append(st.Sessions, s.Info())
			st.meters = append(st.meters, s.Meter())
			c.authCall(s, s.ID())
			st.calls = append(st.calls, s.origin)
		}
	}
	if c.several {
		st.multi = c.multi
	}
	if c.bare != nil && c.caller == nil {
		st.Sessions = append(st.Sessions, c.bare.info())
		st.meters = append(st.meters, session.MeterOf(traffic{c.bare.data}))
	}
	st.held = c.held()
	return st
}

// snapshot is st with the present counters.
func (c *Conn) snapshot(st *Status) Status {
	now := *st
	now.Sessions = append([]session.Info(nil), st.Sessions...)
	for i := range now.Sessions {
		now.Sessions[i].Count(st.meters[i].Carried())
	}
	return now
}

// all are the connections, for what concerns each of them: it takes time where there are
// many. What a login asks for is in people.
func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	return all
}

// List returns the connections that have proved a pre-shared key or a certificate, in no
// particular order. Those that we have placed for links are not among them.
func (s *Server) List() []Status {
	var list []Status
	for _, c := range s.all() {
		if st := c.info.Load(); st != nil && c.device() == "" {
			list = append(list, c.snapshot(st))
		}
	}
	return list
}

// Counts are a server's gauges.
type Counts struct {
	HalfOpen    int // embryos
	Strangers   int // connections without an authenticated phase 1
	Guests      int // connections that have proved a key and have no user
	Connections int
	Cookies     int
	Users       int // users that have a session
}

// Counts returns the gauges.
func (s *Server) Counts() Counts {
	live := s.greeter.Live()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{live, s.strangers.Len(), s.guests.Len(), len(s.conns), len(s.cookies), s.registry.count()}
}

// Spent is how much processor time key exchanges of peers without a user have used so far.
func (s *Server) Spent() time.Duration { return s.gate.Spent() }
