package radius

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
)

// left are logins whose client went away, or was refused, before the answer came. A server that
// accepts one later has perhaps leased it an address, which is given back as that of any session that
// never came up. Not where the user has tried again since: servers give the same address to the
// same user, and it may be in use by then.
type left struct {
	mu   sync.Mutex
	last map[string]*attempt // by user: the last one
}

// attempt is one question about a user, or a step of an exchange.
type attempt struct {
	user  string
	began time.Time
}

// maxLeft bounds the users that are known; a reply later than restOfUnanswered after the end of the
// wait is not known, either.
const maxLeft = 1 << 12

// watch returns what takes an answer to a request that nobody waits for any more.
func (l *left) watch(c *Client, r *auth.Request) func(*radius.Packet) {
	now := time.Now()
	own := &attempt{user: strings.ToLower(auth.BareName(r.User)), began: now}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[string]*attempt{}
	}
	if _, known := l.last[own.user]; !known && len(l.last) >= maxLeft {
		l.forget(now.Add(-c.set.Load().patience(authentication) - restOfUnanswered))
	}
	if len(l.last) < maxLeft {
		l.last[own.user] = own
	} else {
		delete(l.last, own.user)
	}
	return func(reply *radius.Packet) {
		if reply.Code == radius.CodeAccessAccept && l.take(own) {
			c.giveBack(r, reply)
		}
	}
}

// forget forgets what began before. l.mu is locked.
func (l *left) forget(before time.Time) {
	for user, x := range l.last {
		if x.began.Before(before) {
			delete(l.last, user)
		}
	}
}

// take reports whether an attempt is its user's last.
func (l *left) take(x *attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[x.user] != x {
		return false
	}
	delete(l.last, x.user)
	return true
}

// giveBack sends what frees a lease that a server has granted in vain. Its session has an id of its
// own: the client may have gone on with the request's.
func (c *Client) giveBack(r *auth.Request, reply *radius.Packet) {
	g := grant(reply, false).Grant
	g.By, g.User = auth.ByRADIUS, cmp.Or(g.User, r.User)
	for _, record := range auth.Unused(r.Call.SessionID+"-late", r.Method, g, time.Now(), auth.UserRequest) {
		id := record.Call.SessionID
		record.Call = r.Call
		record.Call.SessionID = id
		c.Account(record)
	}
}
