package session

import (
	"encoding/hex"
	"io"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/ppp"
)

// Env is what a Session uses but does not own.
type Env struct {
	*Shared
	PPP     *ppp.Config
	Policy  *Policy // the policy in force when the connection began
	Traffic Traffic

	// RoundTrip is the round-trip time of the path; 0: unknown.
	RoundTrip time.Duration
	// Number differs between connections, so that their sessions do not all act at the
	// same time.
	Number uint64
}

// Session is one PPP session and its user. It belongs to one goroutine.
type Session struct {
	env  Env
	link *ppp.Link
	st   state
	out  machine.Queue[Event]
}

var _ machine.Machine[Event] = (*Session)(nil)

// state is a session's whole state except its link's: plain data.
type state struct {
	id    string   // Acct-Session-Id
	alone string   // the user that a challenge is for: see Challenge; "": not a challenge
	asked *attempt // the request whose verdict is pending
	open  *attempt // the exchange in which the client has been asked again

	method  auth.Method
	grant   auth.Grant
	address netip.Addr // leased
	six     six
	entered bool           // counted against the user's limit
	holds   []netip.Prefix // networks that no other session can get

	up      bool
	began   bool      // it was up with this grant
	four    bool      // IPCP is open
	mtu     int       // of packets routed to the session
	before  Counters  // what the link had carried when this session came up
	since   time.Time // when that was
	interim time.Time // when the next accounting record is due
	timed   time.Time // from when Session-Timeout counts: since, or when the user authenticated last
	end     time.Time // when Session-Timeout is over
	idle    time.Time // when Idle-Timeout is checked next
	active  time.Time // when the last check found traffic
	packets uint64    // the packet count at that check
	why     ppp.Reason
	usage   usage
}

// New returns a session that waits for Start. It is the server's side, or a client's if
// env.PPP says so.
func New(env Env) *Session {
	s := &Session{env: env, link: ppp.New(env.link())}
	s.st.id = s.newID()
	return s
}

// link is the Env of the session's link.
func (e Env) link() ppp.Env {
	return ppp.Env{Config: e.PPP, Rand: e.Rand, RoundTrip: e.RoundTrip}
}

// Start opens the link.
func (s *Session) Start(now time.Time) {
	s.link.Start(now)
	s.pump(now)
}

// newID returns an id that stays unique over restarts: RADIUS servers identify accounting
// by it.
func (s *Session) newID() string {
	var b [8]byte
	if _, err := io.ReadFull(s.env.Rand, b[:]); err != nil {
		panic(err) // without randomness nothing here is safe
	}
	return hex.EncodeToString(b[:])
}

// HandleFrame handles one PPP frame from the client. An error says why it was dropped;
// the session continues.
func (s *Session) HandleFrame(now time.Time, frame []byte) error {
	err := s.link.HandlePacket(now, frame)
	s.pump(now)
	return err
}

// HandleData says that the client is alive: the driver has received authentic data that
// the session did not see.
func (s *Session) HandleData(now time.Time) {
	s.link.HandleData(now)
	s.pump(now)
}

// HandleTimer does what is due at now.
func (s *Session) HandleTimer(now time.Time) {
	if due(s.link.Deadline(), now) {
		s.link.HandleTimer(now)
	}
	if due(s.st.interim, now) {
		s.st.interim = s.nextInterim(now)
		s.account(now, auth.Interim, 0)
	}
	if due(s.st.six.next, now) {
		s.advertise(now)
	}
	if due(s.st.end, now) {
		s.expire(now)
	}
	if due(s.st.idle, now) {
		s.checkIdle(now)
	}
	if due(s.st.usage.next, now) {
		s.checkQuota(now)
	}
	s.pump(now)
}

// Deadline is when HandleTimer is next needed.
func (s *Session) Deadline() time.Time {
	return machine.Earliest(s.link.Deadline(), s.st.interim, s.st.end, s.st.idle, s.st.six.next, s.st.usage.next)
}

func due(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// next is NextEvent in every build. The counters of an event are read only now: for a
// session that has ended, no route leads to it by now.
func (s *Session) next() (Event, bool) {
	event, ok := s.out.Pop()
	switch e := event.(type) {
	case Account:
		if !e.unused {
			s.count(&e.Record)
		}
		return e, ok
	case Up:
		e.Count(s.Meter().Carried())
		return e, ok
	case Down:
		e.Count(s.Meter().Carried())
		return e, ok
	}
	return event, ok
}

// Damaged says that a compressed packet of the client's could not be opened.
func (s *Session) Damaged(now time.Time) {
	s.link.Damaged(now)
	s.pump(now)
}

// Prove asks the client to show that it receives what is sent to it. Proved says that it
// does.
func (s *Session) Prove(now time.Time) {
	s.link.Prove(now)
	s.pump(now)
}

// Close stops the user's traffic and ends the link in an orderly way. Ended says when
// that is done.
func (s *Session) Close(now time.Time, why ppp.Reason) {
	s.st.why = why
	s.networkDown(now, CauseOf(why))
	s.link.Close(now, why)
	s.pump(now)
}

// End stops the user's traffic at once, without telling the client. With why 0, the
// reason given earlier stands. It is idempotent.
func (s *Session) End(now time.Time, cause auth.Cause, why ppp.Reason) {
	if why != 0 {
		s.st.why = why
	}
	s.st.asked = nil
	s.leftOpen(now)
	s.networkDown(now, cause)
	if s.st.entered && !s.st.began {
		s.unused(now, s.st.grant, cause)
		s.st.began = true // said once
	}
}

// Release returns what the session holds to the pools and the Registry. Call it once no
// route leads to the session. It is idempotent.
func (s *Session) Release() { s.release() }

// Inherit makes the session continue in another connection, under that connection's
// policy.
func (s *Session) Inherit(p *Policy, number uint64) { s.env.Policy, s.env.Number = p, number }

// ID is the Acct-Session-Id.
func (s *Session) ID() string { return s.st.id }

// User is the user that the session was granted to, "" if there is none yet.
func (s *Session) User() string { return s.st.grant.User }

// Method is how the user was authenticated or, as a client, the server; 0: it was not.
func (s *Session) Method() auth.Method { return s.st.method }

// Up reports whether the user's traffic flows.
func (s *Session) Up() bool { return s.st.up }

// Routes are the networks behind the client.
func (s *Session) Routes() []netip.Prefix { return s.st.grant.Routes }

// Info is the session as an administrator sees it.
func (s *Session) Info() Info {
	i := s.info()
	i.Count(s.Meter().Carried())
	return i
}

func (s *Session) info() Info {
	return Info{
		ID: s.st.id, User: s.st.grant.User, Name: s.st.grant.Called(), Group: s.st.grant.Group, Rates: s.st.grant.Limits.Rates, Method: s.st.method, Address: s.st.address, IPv6: s.st.six.IPv6, Since: s.st.since,
		Compression: s.link.Compression(),
	}
}

// push queues an event for the driver.
func (s *Session) push(e Event) { s.out.Push(e) }
