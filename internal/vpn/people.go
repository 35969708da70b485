package vpn

import (
	"net/netip"
	"slices"
	"sync"
)

// people are the connections of each user, and of each user at each public address, by what
// these show (public.info). Logins ask for them: a search through all connections would take
// longer the more there are.
type people struct {
	mu sync.Mutex
	of map[string]map[netip.Addr][]*Conn
}

// shown is what people know of a connection. Only show uses it.
type shown struct {
	users []string
	at    netip.Addr
}

// show publishes what a connection is, nil once it has ended.
func (c *Conn) show(st *Status) {
	c.info.Store(st)
	is := shown{users: st.users()}
	if c.bare != nil {
		is.users = nil // its session has the tunnel's name, and no login is about that
	}
	if len(is.users) > 0 {
		is.at = st.Remote.Addr()
	}
	if was := c.listed; was.at != is.at || !slices.Equal(was.users, is.users) {
		c.listed = is
		c.srv.people.change(c, was, is)
	}
}

// users are those of the sessions, one after another.
func (st *Status) users() (list []string) {
	if st == nil {
		return nil
	}
	for i := range st.Sessions {
		if user := st.Sessions[i].User; !slices.Contains(list, user) {
			list = append(list, user)
		}
	}
	return list
}

func (p *people) change(c *Conn, was, is shown) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, user := range was.users {
		places := p.of[user]
		places[was.at] = slices.DeleteFunc(places[was.at], func(other *Conn) bool { return other == c })
		if len(places[was.at]) == 0 {
			delete(places, was.at)
		}
		if len(places) == 0 {
			delete(p.of, user)
		}
	}
	if p.of == nil {
		p.of = map[string]map[netip.Addr][]*Conn{}
	}
	for _, user := range is.users {
		if p.of[user] == nil {
			p.of[user] = map[netip.Addr][]*Conn{}
		}
		p.of[user][is.at] = append(p.of[user][is.at], c)
	}
}

// conns are the connections that have a session of a user.
func (p *people) conns(user string) (list []*Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conns := range p.of[user] {
		list = append(list, conns...)
	}
	return list
}

// connsAt are those whose peer is at a public address.
func (p *people) connsAt(user string, at netip.Addr) []*Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.of[user][at])
}
