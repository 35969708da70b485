package radius

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/ledger"
)

// deliverer sends what a ledger has. One goroutine decides, and each request has one.
//
// A server that is silent is left alone for a while, not its records: they go to the next
// server, or wait together. A record that a server does not take while it takes others is at fault
// itself: it is tried again, ever less, and its session's later records go on without it.
//
// To each server Accounting-On goes first: it ends there whatever an earlier run has left
// (RFC 2866, section 5.1).
type deliverer struct {
	c      *Client
	pace   pace
	ledger *ledger.Ledger
	began  time.Time

	ctx     context.Context // of requests
	cancel  context.CancelFunc
	stop    chan struct{}
	done    chan struct{}
	results chan result

	stations map[string]*station
	own      []netip.Addr // the addresses of ours that records have named
	busy     int          // requests that are under way
	records  int          // of these, with a record
	retried  int          // of these, with one that a server that lives did not take
	told     bool         // that records wait
}

// station is what is known of a server.
type station struct {
	address string
	on      bool // it knows that we have begun
	opening bool // it is being told
	ons     int  // tries of that
	// ventured says that a record was sent since Accounting-On was tried last. FreeRADIUS's radutmp
	// answers none before it has had a first Start.
	ventured bool
	silent   bool
	next     time.Time // when it is tried again, while it is silent
	pause    time.Duration
	busy     int
	heard    time.Time // when it last took a record
}

// result is how a request ended.
type result struct {
	*station
	entry *ledger.Entry // nil: Accounting-On
	began time.Time
	err   error
}

func newDeliverer(c *Client) *deliverer {
	d := &deliverer{
		c: c, pace: c.cfg.pace, began: time.Now(), stop: make(chan struct{}), done: make(chan struct{}), results: make(chan result),
		stations: map[string]*station{}, ledger: ledger.Open(ledger.Config{Path: c.cfg.Ledger, Problem: c.cfg.Problem, News: c.cfg.News}),
	}
	if d.pace == (pace{}) {
		d.pace = usualPace
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.ledger.Each(func(r *auth.Record) { d.note(&r.Call) })
	go d.run()
	return d
}

// run sends until close.
func (d *deliverer) run() {
	defer close(d.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	stop, deadline, ends := d.stop, (<-chan time.Time)(nil), false
	for {
		at := d.dispatch(time.Now())
		if ends && (d.idle() || d.hopeless()) { // nobody waits for an Accounting-On now
			d.cancel()
		}
		if d.ctx.Err() != nil && d.busy == 0 {
			return
		}
		var tick <-chan time.Time
		if !at.IsZero() {
			timer.Reset(max(0, time.Until(at)))
			tick = timer.C
		}
		select {
		case r := <-d.results:
			d.take(time.Now(), r)
		case <-d.ledger.Ready():
		case <-tick:
		case <-stop:
			stop, ends, deadline = nil, true, time.After(d.pace.drain)
		case <-deadline:
			d.cancel()
		}
	}
}

// idle reports whether nothing is left that can be sent.
func (d *deliverer) idle() bool {
	s := d.ledger.Stats()
	return s.Waiting == s.Aside && d.records == 0
}

// hopeless reports whether records are kept, and no server is there to take them now.
func (d *deliverer) hopeless() bool {
	for _, s := range d.stations {
		if s.on && !s.silent {
			return false
		}
	}
	return d.ledger.Stats().OnDisk
}

// close sends what there is, and says how many records are left, and whether they are kept.
func (d *deliverer) close() (left int, kept bool) {
	d.ledger.Sync()
	close(d.stop)
	<-d.done
	d.cancel()
	d.farewell()
	s := d.ledger.Stats()
	d.ledger.Close()
	return s.Waiting, s.OnDisk
}

// dispatch begins all requests that can begin now, and says when there may be others.
func (d *deliverer) dispatch(now time.Time) (at time.Time) {
	if d.ctx.Err() != nil {
		return time.Time{}
	}
	for _, a := range d.c.set.Load().all() {
		if s := d.station(a.address); !s.on && !s.opening && !now.Before(s.next) {
			d.open(now, a, s)
		} else if !s.on && !s.opening {
			at = earlier(at, s.next)
		}
	}
	for d.busy < d.pace.window {
		e, due := d.ledger.Next(now)
		if e == nil {
			return earlier(at, due)
		}
		if e.Tries > 0 && d.retried >= d.pace.again {
			d.ledger.Back(e, now.Add(d.pace.retry))
			continue
		}
		a, s, when := d.pick(now, d.c.accountants(e.Record.User))
		if s == nil {
			d.ledger.Back(e, when)
			continue
		}
		d.send(now, a, s, e)
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (d *deliverer) station(address string) *station {
	s := d.stations[address]
	if s == nil {
		s = &station{address: address}
		d.stations[address] = s
	}
	return s
}

// pick returns the server for a record, or when to look again.
func (d *deliverer) pick(now time.Time, all []accountant) (a accountant, s *station, when time.Time) {
	for _, a := range all {
		s := d.station(a.address)
		switch {
		case !s.on && s.ons == 0: // being told for the first time: it comes before the next server
			return accountant{}, nil, now.Add(d.pace.first)
		case !s.on && (s.opening || s.ons < d.pace.withoutOn || s.ventured):
			when = earlier(when, now.Add(d.pace.first))
		case !s.on: // one record finds out whether it is Accounting-On alone that is not answered
			s.ventured = true
			return a, s, time.Time{}
		case s.silent && now.Before(s.next):
			when = earlier(when, s.next)
		case s.silent && s.busy >= d.pace.probes:
			when = earlier(when, now.Add(d.pace.first))
		default:
			return a, s, time.Time{}
		}
	}
	if when.IsZero() { // no server is left: see a reload
		when = now.Add(d.pace.last)
	}
	return accountant{}, nil, when
}

// open tells a server that we have begun.
func (d *deliverer) open(now time.Time, a accountant, s *station) {
	s.opening = true
	d.busy++
	own := d.addresses()
	go func() {
		d.results <- result{station: s, began: now, err: d.announce(d.ctx, a, own, rfc2866.AcctStatusType_Value_AccountingOn, d.began)}
	}()
}

// send sends one record to one server.
func (d *deliverer) send(now time.Time, a accountant, s *station, e *ledger.Entry) {
	d.busy++
	d.records++
	s.busy++
	if e.Tries > 0 {
		d.retried++
	}
	d.note(&e.Record.Call)
	go func() {
		ctx, cancel := context.WithTimeout(d.ctx, d.pace.patience)
		defer cancel()
		err := a.ask(ctx, func(secret []byte) (*radius.Packet, error) { return d.c.accountingRequest(secret, &e.Record) })
		d.results <- result{s, e, now, err}
	}()
}

// take takes the end of a request.
func (d *deliverer) take(now time.Time, r result) {
	d.busy--
	if r.entry == nil {
		d.opened(now, r)
		return
	}
	s, e := r.station, r.entry
	s.busy--
	d.records--
	if e.Tries > 0 {
		d.retried--
	}
	switch {
	case r.err == nil:
		if !s.on { // Accounting-On would end this record's session now
			s.on = true
			d.c.cfg.Problem(fmt.Sprintf("%s: %v", s.address, errIgnored))
		}
		d.lives(now, s)
		s.heard = now
		d.ledger.Done(e)
	case d.ctx.Err() != nil, errors.Is(r.err, errReplaced):
		d.ledger.Back(e, time.Time{})
	case errors.Is(r.err, errRequest):
		d.lose(e, ledger.Unwritten, r.err)
	case !s.heard.Before(r.began):
		e.Tries++
		d.later(now, s, e, r.err)
	case e.Tries > 0: // its silence says nothing of the server
		d.later(now, s, e, r.err)
	default:
		e.Misses++ // others find out whether the server lives: it may be this record alone that is not taken
		d.fallsSilent(now, s, r.err)
		d.ledger.Back(e, time.Time{})
	}
}

// opened takes the answer to Accounting-On, or its absence.
func (d *deliverer) opened(now time.Time, r result) {
	s := r.station
	s.opening = false
	switch {
	case r.err == nil:
		s.on = true
		d.lives(now, s)
		d.ledger.Hurry()
	case d.ctx.Err() != nil:
	default:
		s.ons++
		s.ventured = false
		d.fallsSilent(now, s, r.err)
		d.ledger.Hurry() // to the next server
	}
}

// lives says that a server has answered.
func (d *deliverer) lives(now time.Time, s *station) {
	if s.silent {
		s.silent, s.pause, s.next = false, 0, now
		d.ledger.Hurry()
		if d.told {
			d.told = false
			d.c.cfg.News(s.address + " answers again: records that wait are sent")
		}
	}
}

// fallsSilent leaves a server alone for a while.
func (d *deliverer) fallsSilent(now time.Time, s *station, err error) {
	if s.silent && now.Before(s.next) { // of the requests that went out together, each says so
		return
	}
	s.silent, s.pause = true, min(max(d.pace.first, 2*s.pause), d.pace.last)
	s.next = now.Add(s.pause)
	if !d.told {
		d.told = true
		d.c.cfg.Problem(fmt.Sprintf("records wait: %s: %v", s.address, err))
	}
}

// later has a record tried again that a server did not take while it took others, unless that
// has been so for too long.
func (d *deliverer) later(now time.Time, s *station, e *ledger.Entry, err error) {
	n := e.Tries - d.pace.aside
	switch {
	case n < 0:
		d.ledger.Back(e, now.Add(d.pace.retry))
	case now.Sub(e.Since) > d.pace.giveUp && now.Sub(s.heard) < d.pace.giveUp:
		d.lose(e, ledger.Refused, fmt.Errorf("%s takes others and not this one: %w", s.address, err))
	default:
		d.ledger.Aside(e, now.Add(min(d.pace.sparse<<min(n, 16), d.pace.sparsest)))
	}
}

func (d *deliverer) lose(e *ledger.Entry, why ledger.Loss, err error) {
	d.c.cfg.Problem(fmt.Sprintf("a record of session %s is lost: %v", e.Record.Call.SessionID, err))
	d.ledger.Lose(e, why)
}

// farewell tells every server that knows that we began that we stop. There is one try, for a
// short time.
func (d *deliverer) farewell() {
	ctx, cancel := context.WithTimeout(context.Background(), d.pace.off)
	defer cancel()
	var all sync.WaitGroup
	for _, a := range d.c.set.Load().all() {
		if !d.station(a.address).on {
			continue
		}
		own := d.addresses()
		all.Go(func() { _ = d.announce(ctx, a, own, rfc2866.AcctStatusType_Value_AccountingOff, time.Now()) })
	}
	all.Wait()
}

// maxOwn bounds the addresses that Accounting-On is sent for.
const maxOwn = 16

// note remembers an address of ours that a server knows us by.
func (d *deliverer) note(call *auth.Call) {
	if a := call.Local.Addr().Unmap(); a.IsValid() && !slices.Contains(d.own, a) && len(d.own) < maxOwn {
		d.own = append(d.own, a)
	}
}

// addresses are those that servers know us by, if records have named any. Servers end the
// sessions of the NAS-IP-Address that Accounting-On has.
func (d *deliverer) addresses() []netip.Addr {
	if cfg := &d.c.set.Load().Config; cfg.NASIP.IsValid() || cfg.NASIP6.IsValid() {
		return nil // all records have these
	}
	return slices.Clone(d.own)
}

// announce sends Accounting-On or -Off, one for each of our addresses.
func (d *deliverer) announce(ctx context.Context, a accountant, own []netip.Addr, status rfc2866.AcctStatusType, at time.Time) error {
	if len(own) == 0 {
		own = []netip.Addr{{}}
	}
	ctx, cancel := context.WithTimeout(ctx, d.pace.patience)
	defer cancel()
	for _, addr := range own {
		err := a.ask(ctx, func(secret []byte) (*radius.Packet, error) {
			return d.c.announcement(secret, status, addr, d.began, at)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
