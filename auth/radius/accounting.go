package radius

import (
	"context"
	"errors"
	"fmt"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/ledger"
)

// Account implements auth.Accountant. Records are kept in the ledger until a server has
// taken them.
func (c *Client) Account(r auth.Record) {
	if d := c.bookkeeping(); d != nil {
		d.ledger.Account(r)
	}
}

// Mark keeps what live sessions have carried, for the case that they are cut off.
func (c *Client) Mark(list []ledger.Carried) {
	if d := c.bookkeeping(); d != nil {
		d.ledger.Mark(list)
	}
}

// AccountingStats says how accounting stands; false if no server is configured for it.
func (c *Client) AccountingStats() (ledger.Stats, bool) {
	d := c.bookkeeping()
	if d == nil {
		return ledger.Stats{}, false
	}
	return d.ledger.Stats(), true
}

// bookkeeping returns what sends records. It begins when there is the first server for it;
// nil: there is none.
func (c *Client) bookkeeping() *deliverer {
	c.books.Lock()
	defer c.books.Unlock()
	if c.books.deliverer == nil && !c.books.closed && len(c.set.Load().all()) > 0 {
		c.books.deliverer = newDeliverer(c)
	}
	return c.books.deliverer
}

// Close sends what waits, for some seconds, tells every accounting server that this one
// stops, and ends the client. An error says that records are lost.
func (c *Client) Close() error {
	c.books.Lock()
	d := c.books.deliverer
	if c.books.closed {
		d = nil
	}
	c.books.closed = true
	c.books.Unlock()
	defer c.closeServices()
	if d == nil {
		return nil
	}
	left, kept := d.close()
	switch {
	case left == 0:
		return nil
	case kept:
		c.cfg.News(fmt.Sprintf("records that wait for the next start: %d", left))
		return nil
	}
	return fmt.Errorf("%d accounting records could not be sent: %w", left, ErrNoAnswer)
}

// accountant is one accounting server. ask puts a request to it, and to no other, and
// returns nil when it was answered.
type accountant struct {
	address string
	ask     func(ctx context.Context, build func(secret []byte) (*radius.Packet, error)) error
}

// accountants are the servers that a user's records are sent to, in order. This, all and the
// type above are all that accounting knows of the exchange.
func (c *Client) accountants(user string) (list []accountant) {
	for _, s := range c.set.Load().order(accounting, user) {
		list = append(list, s.accountant(user))
	}
	return list
}

// all are all accounting servers.
func (n *set) all() (list []accountant) {
	seen := map[*service]bool{}
	for _, srv := range n.servers {
		if s := srv.acct; s != nil && !seen[s] {
			seen[s] = true
			list = append(list, s.accountant(""))
		}
	}
	return list
}

func (s *service) accountant(user string) accountant {
	return accountant{s.address, func(ctx context.Context, build func([]byte) (*radius.Packet, error)) error {
		q := question{kind: accounting, user: user, at: s, build: build}
		reply, err := s.ask(ctx, &q, func() bool { return true }) // whoever keeps silent is given up
		if err == nil && reply.Code == codeProtocolError {
			err = errors.New("the RADIUS server reports that it cannot handle the request (Protocol-Error)")
		}
		return err
	}}
}

// pace is how fast and how patient accounting is.
type pace struct {
	window     int           // requests that are under way at once
	probes     int           // of these, to a server that keeps silent
	again      int           // of these, records that a server that lives did not take
	patience   time.Duration // of one request
	first      time.Duration // pause after a server was silent; it doubles up to
	last       time.Duration
	retry      time.Duration // pause of a record that a server that lives did not take
	aside      int           // after so many tries the session's next records do not wait for it
	sparse     time.Duration // pause of such a record; it doubles up to
	sparsest   time.Duration
	giveUp     time.Duration // such a record is lost when it has waited for so long
	withoutOn  int           // Accounting-On is given up after so many tries, if the server answers records
	drain, off time.Duration // at the end: for records, and for Accounting-Off
}

// A day is what operators need to see that their server refuses a record, and to mend it.
var usualPace = pace{
	window: 64, probes: 4, again: 16, patience: 10 * time.Second,
	first: time.Second, last: 15 * time.Second,
	retry: 2 * time.Second, aside: 3, sparse: time.Minute, sparsest: 30 * time.Minute, giveUp: 24 * time.Hour,
	withoutOn: 3, drain: 6 * time.Second, off: 2 * time.Second,
}

// errIgnored says that a server does not answer Accounting-On or -Off.
var errIgnored = errors.New("it answers records, and not Accounting-On: sessions that it believes to be there may stay there after a crash of this server")
