package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// Status is one connection as an administrator sees it.
type Status struct {
	Conn     uint64
	Remote   netip.AddrPort
	Local    netip.AddrPort
	Since    time.Time
	Client   ike.ClientKind
	HostName string // from the peer
	PSK      string // name of the pre-shared key that it proved, or
	Cert     string // of its certificate, which is from the peer
	Group    string // whose users that admits, "" for all
	IKE      ike.Suite
	ESP      ike.ESPSuite
	Encap    bool
	Sessions []Info

	data []carried
	held held // what another connection may claim
	was  bool // its ESP has carried traffic
}

// carried counts for one session of a Status.
type carried struct {
	data   *dataplane.Session
	before dataplane.Counters
}

// Info is one session.
type Info struct {
	ID      string
	User    string
	Method  auth.Method
	Address netip.Addr
	IPv6    auth.IPv6
	Since   time.Time

	InOctets, OutOctets, InPackets, OutPackets uint64
}

// has reports whether one of the sessions is user's.
func (st *Status) has(user string) bool {
	for _, s := range st.Sessions {
		if s.User == user {
			return true
		}
	}
	return false
}

// holds reports whether one of the sessions is user's and has something that g
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

// status is what List shows; the connection publishes it with its view.
func (c *Conn) status() *Status {
	st := &Status{
		Conn: c.id, Remote: c.path.Remote, Local: c.path.Local, Since: c.born,
		Client: c.peer.Kind, HostName: c.host, PSK: c.peer.PSK, Cert: c.peer.Cert, Group: c.peer.Group, IKE: c.peer.Suite, Encap: c.peer.Encap, was: c.carried,
	}
	if c.kids.sending != nil {
		st.ESP = c.kids.sending.Suite
	}
	for _, s := range c.calls {
		if s.up {
			st.Sessions = append(st.Sessions, c.infoOf(s))
			st.data = append(st.data, carried{s.data, s.before})
		}
	}
	st.held = c.held()
	return st
}

func (c *Conn) infoOf(s *session) Info {
	i := Info{ID: s.id, User: s.grant.User, Method: s.method, Address: s.address, IPv6: s.six.IPv6, Since: s.since}
	i.count(s.counters())
	return i
}

func (i *Info) count(n dataplane.Counters) {
	i.InOctets, i.OutOctets, i.InPackets, i.OutPackets = n.InOctets, n.OutOctets, n.InPackets, n.OutPackets
}

// snapshot is st with the counters of this moment.
func (c *Conn) snapshot(st *Status) Status {
	now := *st
	now.Sessions = append([]Info(nil), st.Sessions...)
	for i := range now.Sessions {
		now.Sessions[i].count(since(st.data[i].data.Counters(), st.data[i].before))
	}
	return now
}

func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	return all
}

// List returns the connections that have proved their pre-shared key or their
// certificate, in no order.
func (s *Server) List() []Status {
	var list []Status
	for _, c := range s.all() {
		if st := c.info.Load(); st != nil {
			list = append(list, c.snapshot(st))
		}
	}
	return list
}

// Counts are gauges of a server.
type Counts struct {
	HalfOpen    int // embryos
	Strangers   int // connections without an authenticated phase 1
	Guests      int // sources of peers that have proved a key, and no user
	Connections int
	Cookies     int
	Users       int // users with a session
}

// Counts returns the gauges.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{int(s.halves.Load()), len(s.strangers.list), len(s.guests), len(s.conns), len(s.cookies), len(s.users)}
}
