package radius

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// Authority is who may end and change sessions: a dynamic authorization client of RFC 5176.
type Authority struct {
	Network       netip.Prefix // from where its requests come
	Secret        secret.Bytes
	AllowUnsigned bool // they need no Message-Authenticator
}

// DynamicConfig is what a Dynamic works with.
type DynamicConfig struct {
	Authorities   []Authority
	NASIdentifier string
	NASIP, NASIP6 netip.Addr
	Identity      auth.Identity // of users
	ClassGroup    bool          // as in Config
	Dated         bool          // a request by UDP must have an Event-Timestamp
}

// Dynamic answers requests that end and change sessions (RFC 5176). It is safe for concurrent
// use.
type Dynamic struct {
	sessions auth.Sessions
	tell     func(DynamicEvent)
	panicked func(value any, stack []byte)
	cfg      atomic.Pointer[DynamicConfig]
	room     chan struct{} // one for each request that is worked on

	mu    sync.Mutex
	seen  given
	count dynamicCounts
}

// DynamicEvent is a request that was believed and answered.
type DynamicEvent struct {
	From     string // the authority
	What     string // Disconnect or CoA
	User     string // as the request names it
	Sessions []string
	Error    string   // "": it was done
	Notes    []string // parts that have no effect
}

const (
	// maxWorking bounds the requests that are worked on at once.
	maxWorking = 64
	// workTime is how long a connection may take to end or change a session.
	workTime = 3 * time.Second
)

// NewDynamic returns one for these sessions. tell hears of every request that was answered, and
// panicked of every one that an error in the server kept from being done; both may be nil.
func NewDynamic(s auth.Sessions, cfg DynamicConfig, tell func(DynamicEvent), panicked func(value any, stack []byte)) *Dynamic {
	if tell == nil {
		tell = func(DynamicEvent) {}
	}
	if panicked == nil {
		panicked = func(any, []byte) {}
	}
	d := &Dynamic{sessions: s, tell: tell, panicked: panicked, room: make(chan struct{}, maxWorking)}
	d.Replace(cfg)
	return d
}

// Replace changes who may ask, and who we are.
func (d *Dynamic) Replace(cfg DynamicConfig) { d.cfg.Store(&cfg) }

// Serve answers what comes on a socket until that is closed.
func (d *Dynamic) Serve(ctx context.Context, conn DynamicConn) error {
	buf := make([]byte, radius.MaxPacketLength+1)
	for {
		n, from, at, err := conn.Receive(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if slices.ContainsFunc(passing, func(e error) bool { return errors.Is(err, e) }) {
				continue
			}
			return err
		}
		b := append([]byte(nil), buf[:n]...)
		d.work(func() {
			if reply := d.Handle(ctx, from, at, b); reply != nil {
				_ = conn.Send(reply, from, at) // lost like any datagram: it is asked for again
			}
		})
	}
}

// passing are errors of a socket that are about one datagram that it has sent: what ICMP says of it
// comes with the next call.
var passing = []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN, syscall.EPROTO, syscall.EMSGSIZE}

// DynamicConn is a socket that knows at which of our addresses a datagram has come, so that
// the answer leaves from there.
type DynamicConn interface {
	Receive(b []byte) (n int, from netip.AddrPort, at netip.Addr, err error)
	Send(b []byte, to netip.AddrPort, from netip.Addr) error
}

// work runs f on a goroutine of its own, if there is room. A panic costs f's request its answer.
func (d *Dynamic) work(f func()) {
	select {
	case d.room <- struct{}{}:
	default:
		d.drop(dynamicBusy)
		return
	}
	go func() {
		defer func() { <-d.room }()
		defer func() {
			if v := recover(); v != nil {
				d.rescue(v)
			}
		}()
		f()
	}()
}

// rescue counts a panic, and reports it. The stack is the one that panicked.
func (d *Dynamic) rescue(v any) {
	d.mu.Lock()
	d.count.panics++
	d.mu.Unlock()
	d.panicked(v, debug.Stack())
}

// Handle answers one datagram from an authority that has reached us at an address; nil: it is
// dropped, and counted.
func (d *Dynamic) Handle(ctx context.Context, from netip.AddrPort, at netip.Addr, b []byte) []byte {
	from, at = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port()), at.Unmap()
	b, why := dynamicFrame(b)
	if why != 0 {
		return d.drop(why)
	}
	of, why := d.cfg.Load().authority(from.Addr(), b)
	if why != 0 {
		return d.drop(why)
	}
	return d.authentic(ctx, dynamicRequest{from: from.Addr().String(), at: at, b: b, secret: of.Secret.Reveal(), unsigned: of.AllowUnsigned, dated: d.cfg.Load().Dated})
}

// HandleOver answers a request that a server has sent on a TLS connection of ours: that proves
// who asks (RFC 6614, section 2.5).
func (d *Dynamic) HandleOver(server string, secret, b []byte, reply func([]byte)) {
	d.work(func() {
		b, why := dynamicFrame(b)
		if why == 0 && !authenticRequest(b, secret) {
			why = dynamicForged
		}
		if why != 0 {
			d.drop(why)
			return
		}
		if answer := d.authentic(context.Background(), dynamicRequest{from: server, b: b, secret: secret, unsigned: true}); answer != nil {
			reply(answer)
		}
	})
}

// dynamicRequest is a request whose sender is known.
type dynamicRequest struct {
	from     string     // for people
	at       netip.Addr // of ours; not valid: not known
	b        []byte
	secret   []byte
	unsigned bool // it needs no Message-Authenticator
	dated    bool // it needs an Event-Timestamp
}

// authentic answers a request whose authenticator is right.
func (d *Dynamic) authentic(ctx context.Context, r dynamicRequest) []byte {
	p, err := radius.Parse(r.b, r.secret)
	if err != nil {
		return d.drop(dynamicMalformed)
	}
	if why := checkSignedRequest(r.b, r.secret, r.unsigned); why != 0 {
		return d.drop(why)
	}
	now := time.Now()
	until, why := believed(now, p, r.dated)
	if why != 0 {
		return d.drop(why)
	}
	if !answerable(p) {
		return d.drop(dynamicMalformed)
	}
	id := answerID{p.Identifier, p.Authenticator}
	switch answer, turn := d.begin(now, until, id); turn {
	case turnFirst:
	case turnAgain:
		return answer // nil: the first one's answer comes
	case turnForgone:
		return d.drop(dynamicReplayed)
	case turnFull:
		return d.drop(dynamicFull)
	}
	answer := d.reply(ctx, p, r)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen.end(time.Now(), id, answer)
	return answer
}

// begin says whether a request has come before.
func (d *Dynamic) begin(now, until time.Time, id answerID) ([]byte, turn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer, turn := d.seen.begin(now, until, id)
	if turn == turnAgain {
		d.count.repeats++
	}
	return answer, turn
}

// maxClockSkew is how far an Event-Timestamp may be from our clock (RFC 5176, section 6.3).
const maxClockSkew = 300 * time.Second

// believed says until when a request is believed: as long as its Event-Timestamp is (RFC 5176,
// section 6.3). One without is believed for ever, and known again for as long as its sender
// may repeat it.
func believed(now time.Time, p *radius.Packet, dated bool) (until time.Time, why dynamicDrop) {
	at, err := rfc2869.EventTimestamp_Lookup(p)
	switch {
	case errors.Is(err, radius.ErrNoAttribute) && dated:
		return until, dynamicUndated
	case errors.Is(err, radius.ErrNoAttribute):
		return now.Add(answerLife), 0
	case err != nil || now.Sub(at).Abs() > maxClockSkew:
		return until, dynamicStale
	}
	return at.Add(maxClockSkew), 0
}

// refused is why a request is not done: an Error-Cause, and what people read.
type refused struct {
	cause rfc3576.ErrorCause
	text  string
}

func (r *refused) Error() string { return fmt.Sprintf("%s (Error-Cause %d)", r.text, r.cause) }

func refuse(cause rfc3576.ErrorCause, format string, args ...any) *refused {
	return &refused{cause, fmt.Sprintf(format, args...)}
}

// reply does what a request asks for, and writes the answer.
func (d *Dynamic) reply(ctx context.Context, p *radius.Packet, r dynamicRequest) []byte {
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	e := DynamicEvent{From: r.from, What: "Disconnect"}
	if p.Code == radius.CodeCoARequest {
		e.What = "CoA"
	}
	no := d.try(ctx, p, r.at, &e)
	if no != nil {
		e.Error = no.Error()
	}
	d.mu.Lock()
	d.count.answered(e.What, no)
	d.mu.Unlock()
	d.tell(e)
	b, err := encodeDynamic(p, no)
	if err != nil {
		return d.drop(dynamicMalformed)
	}
	return b
}

// try does what a request asks for. If that panics, nobody knows what of it is done: it is refused,
// and its sender hears of it.
func (d *Dynamic) try(ctx context.Context, p *radius.Packet, at netip.Addr, e *DynamicEvent) (no *refused) {
	defer func() {
		if v := recover(); v != nil {
			d.rescue(v)
			no = refuse(rfc3576.ErrorCause_Value_ResourcesUnavailable, "an error in the server: its log has it")
		}
	}()
	return d.do(ctx, p, at, e)
}

// do does what a request asks for, and says in e what that was.
func (d *Dynamic) do(ctx context.Context, p *radius.Packet, at netip.Addr, e *DynamicEvent) *refused {
	cfg := d.cfg.Load()
	if no := checkService(p); no != nil {
		return no
	}
	m, rest, no := cfg.identify(p)
	if no != nil {
		return no
	}
	e.User = m.user
	if no := m.ours(cfg, at, d.sessions); no != nil {
		return no
	}
	change, no := cfg.changeOf(p.Code, rest)
	if no != nil {
		return no
	}
	live := d.sessions.Live(m.matches)
	if len(live) == 0 {
		return refuse(rfc3576.ErrorCause_Value_SessionContextNotFound, "no session has all that the request names")
	}
	for i := range live {
		e.Sessions = append(e.Sessions, live[i].Call.SessionID)
	}
	var n int
	var err error
	if p.Code == radius.CodeDisconnectRequest {
		n, err = d.sessions.Disconnect(ctx, e.Sessions)
	} else {
		e.Notes = change.notes
		n, err = d.sessions.Change(ctx, e.Sessions, change.Change)
	}
	switch {
	case errors.Is(err, auth.ErrUnknownName):
		return refuse(invalidValue, "%v", err)
	case errors.Is(err, auth.ErrProhibited):
		return refuse(rfc3576.ErrorCause_Value_AdministrativelyProhibited, "%v", err)
	case err != nil:
		return refuse(rfc3576.ErrorCause_Value_ResourcesUnavailable, "the session does not answer in time: %v", err)
	case n == 0:
		return refuse(rfc3576.ErrorCause_Value_SessionContextNotFound, "the session has just ended")
	}
	return nil
}
