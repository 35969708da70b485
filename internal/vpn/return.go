package vpn

import (
	"errors"
	"sync"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/ppp"
)

// A client whose plug was pulled comes back while its old session still waits
// for it. From the very endpoint of before, a new SCCRQ ends the old tunnel.
// From another port of its NAT nothing proves that it is the same client: a
// second one behind that NAT may have the same user, private address and name.
// So the old session is asked whether it lives, and only one that does not
// answer makes room.

// proofTime is how long a session has to show that its client is there: a
// HELLO is repeated twice within it. On a long path it is two round trips, but no
// more than maxProof: a round trip in which much was lost seems longer than it is.
const (
	proofTime = 4 * time.Second
	maxProof  = 12 * time.Second
)

// errSessions says that a user has no session left to open.
var errSessions = errors.New("the user has as many sessions as limits.sessions_per_user allows")

// doubt is the question whether a connection's client is still there.
type doubt struct {
	since, until time.Time // zero: nobody asks
	replies      []func()  // called when it is answered
}

// lookalikes are the connections that may be what this one's client left
// behind: the same user, public address, pre-shared key, identification and
// host name.
func (c *Conn) lookalikes(user string) (list []*Conn) {
	own := c.ident.Load()
	for _, other := range c.srv.all() {
		st, id := other.info.Load(), other.ident.Load()
		if other == c || st == nil || id == nil || own == nil {
			continue
		}
		if st.Remote.Addr() == c.path.Remote.Addr() && st.HostName == c.host && st.has(user) &&
			id.same(own) {
			list = append(list, other)
		}
	}
	return list
}

// holders are the connections whose session of the same user has what g
// promises. The newer session of a user with a static address wins.
func (c *Conn) holders(user string, g auth.Grant) (list []*Conn) {
	for _, other := range c.srv.all() {
		if st := other.info.Load(); other != c && st != nil && st.holds(user, g) {
			list = append(list, other)
		}
	}
	return list
}

// makeRoom has old sessions end that stand in the way of a user who was denied
// a new one, and the verdict come again then. It reports whether there are any.
func (c *Conn) makeRoom(s *session, a *attempt, g auth.Grant, denied error, old []*Conn, again func(time.Time)) bool {
	ask := (*Conn).prove
	switch {
	case a.waited:
		return false
	case errors.Is(denied, pool.ErrTaken):
		old, ask = c.holders(g.User, g), (*Conn).surrender
	case !errors.Is(denied, errSessions):
		return false
	}
	if len(old) == 0 {
		return false
	}
	a.waited, s.asked = true, a
	c.await(old, ask, again)
	return true
}

// await puts a question to other connections, on a goroutine that waits for
// all answers, and then has then run on this connection's, if it is not nil.
func (c *Conn) await(others []*Conn, ask func(other *Conn, now time.Time, answered func()), then func(time.Time)) {
	if len(others) == 0 {
		return
	}
	c.srv.run.Go(func() {
		for _, other := range others {
			answer := make(chan struct{})
			other.do(func(now time.Time) { ask(other, now, sync.OnceFunc(func() { close(answer) })) })
			select {
			case <-answer:
			case <-other.done:
			}
		}
		if then != nil {
			c.do(then)
		}
	})
}

// prove ends this connection unless its client shows within proofTime that it
// is there. Then, or when the connection ends, answered is called.
func (c *Conn) prove(now time.Time, answered func()) {
	if c.ended || !c.drain.IsZero() {
		answered()
		return
	}
	c.doubt.replies = append(c.doubt.replies, answered)
	if c.doubt.until.IsZero() {
		wait := proofTime
		if c.tunnel != nil {
			wait = min(max(wait, 2*c.tunnel.RoundTrip()), maxProof)
			c.tunnel.Probe(now)
		}
		c.doubt.since, c.doubt.until = now, now.Add(wait)
	}
}

// settle is the end of a doubt.
func (c *Conn) settle(now time.Time) {
	gone := c.slot == nil || c.slot.LastIn().Before(c.doubt.since)
	replies := c.doubt.replies
	c.doubt = doubt{}
	if gone {
		c.replace(now)
	}
	for _, answered := range replies {
		answered()
	}
}

// surrender ends this connection for a newer one of the same user.
func (c *Conn) surrender(now time.Time, answered func()) {
	c.replace(now)
	answered()
}

// replace frees at once what the sessions hold, and says goodbye.
func (c *Conn) replace(now time.Time) {
	for len(c.calls) > 0 {
		c.endCall(now, c.calls[0], auth.NASRequest, ppp.ReasonReplaced)
	}
	c.shut(now, EndReplaced)
}
