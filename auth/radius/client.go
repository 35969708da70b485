package radius

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/internal/secret"
)

// Server is one RADIUS server.
type Server struct {
	Address    string // host:port for authentication, "" for none
	Accounting string // host:port for accounting, "" for none
	Secret     secret.Bytes

	AccountingSecret secret.Bytes // for accounting; empty: Secret
	AllowUnsigned    bool         // accept replies without Message-Authenticator
	Priority         int          // those with a lower number are asked first
	Weight           int          // the share of those of one priority; 0: in order
	Realms           []string     // whose users it is asked for; none: everybody else's
	TLS              *TLS         // RadSec; nil: UDP
}

// Config is what a Client works with.
type Config struct {
	Servers       []Server
	NASIdentifier string
	NASIP         netip.Addr    // NAS-IP-Address; not valid: the address that the client has reached
	NASIP6        netip.Addr    // NAS-IPv6-Address, likewise
	Source        netip.Addr    // from which requests leave; not valid: what the host chooses
	Patience      time.Duration // the most time for a login; 0: DefaultPatience
	AllowUnsigned bool          // accept replies without Message-Authenticator of every server
	ClassGroup    bool          // "OU=staff;" in a Class is the name of a group

	// Ledger is the file in which accounting records wait; "": in memory alone.
	Ledger string
	pace   pace // zero: the usual

	// Problem is told what an administrator should know of accounting: a
	// server that is unreachable, a record that was given up. May be nil.
	Problem func(text string)

	// News is told what of accounting is well again. May be nil.
	News func(text string)

	// Event is told when a server is given up, and when it answers again. May be nil.
	Event func(Event)

	// Asked is told of requests that a server makes on a TLS connection of ours (RFC 6614,
	// section 2.5), and answers by reply, if at all. May be nil.
	Asked func(server string, secret, request []byte, reply func([]byte))

	// Dial opens a datagram connection; nil means net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// DefaultPatience is how long a login is waited for: a little less than clients wait.
const DefaultPatience = 55 * time.Second

// accountingPatience is how long a record is waited for before it is sent again as a new
// request: nobody waits for it.
const accountingPatience = 10 * time.Second

// Client is an auth.Backend and an auth.Accountant.
type Client struct {
	cfg Config // as it began; for what Replace changes see set
	set atomic.Pointer[set]

	mu     sync.Mutex // of the next, and of Replace
	former []*service // that the configuration names no more, while they linger

	books struct { // accounting
		sync.Mutex
		*deliverer
		closed bool
	}

	ignored ignoredLog
	left    left
}

// Errors that callers tell apart.
var (
	// ErrNoAnswer means that no server answered, or not in time.
	ErrNoAnswer = errors.New("no RADIUS server answers")
	// ErrUnsigned means that a reply had no Message-Authenticator.
	ErrUnsigned = errors.New("the reply carries no Message-Authenticator: have the server add one" +
		" (FreeRADIUS before 3.2.5: `update reply { &Message-Authenticator = 0x00 }` in post-auth and in Post-Auth-Type REJECT)," +
		" or set radius.allow_unsigned_replies = true, which lets replies be forged (CVE-2024-3596)")
	// ErrUnreadable means that the server answered with something other than a RADIUS reply.
	ErrUnreadable = errors.New("the RADIUS server's reply cannot be read")
	// ErrForged means that a reply does not verify.
	ErrForged = errors.New("the reply does not verify: the shared secrets differ, or it is forged")
)

// errRequest says that the request cannot be encoded: no server is to blame, and another
// try would not help.
var errRequest = errors.New("radius: the request cannot be written")

// New returns a client; Close ends it.
func New(cfg Config) (*Client, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("radius: no server")
	}
	if cfg.Problem == nil {
		cfg.Problem = func(string) {}
	}
	if cfg.News == nil {
		cfg.News = func(string) {}
	}
	c := &Client{cfg: cfg}
	c.Replace(cfg)
	c.bookkeeping() // what an earlier run has left is sent now
	return c, nil
}

// Replace changes the servers and what they are told of us. Requests that are under way go
// on where they are, and a server that stays the same keeps its sockets and what is known of it.
// Problem, News, Event, Asked and Dial stay.
func (c *Client) Replace(cfg Config) {
	cfg.Problem, cfg.News, cfg.Event, cfg.Dial, cfg.Asked = c.cfg.Problem, c.cfg.News, c.cfg.Event, c.cfg.Dial, c.cfg.Asked
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.set.Load()
	c.former = slices.DeleteFunc(c.former, func(s *service) bool { return s.ctx.Err() != nil })
	c.set.Store(newSet(cfg, old))
	for _, s := range old.services() {
		if !c.set.Load().has(s) {
			s.retire()
			c.former = append(c.former, s)
		}
	}
}

// exchange asks the servers that a question is for, one after the other, until one answers. It returns
// which one did: a conversation goes on there.
func (c *Client) exchange(ctx context.Context, q question) (*radius.Packet, *service, error) {
	set := c.set.Load()
	list := []*service{q.at}
	if q.at == nil {
		list = set.order(q.kind, q.user)
	}
	if len(list) == 0 {
		return nil, nil, fmt.Errorf("%w: none is configured for %s of the user's realm", ErrNoAnswer, q.kind)
	}
	ctx, cancel := context.WithTimeout(ctx, set.patience(q.kind))
	defer cancel()
	var errs []error
	for i, s := range list {
		reply, err := s.ask(ctx, &q, func() bool { return anyUp(list[i+1:]) })
		if err == nil && reply.Code == codeProtocolError {
			err = errors.New("the RADIUS server reports that it cannot handle the request (Protocol-Error)")
		}
		if err == nil {
			return reply, s, nil
		}
		switch {
		case errors.Is(err, errRequest):
			return nil, nil, err
		case errors.Is(err, errReplaced) && q.at == nil && c.set.Load() != set:
			return c.exchange(ctx, q) // nothing was sent there
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.address, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, errors.Join(errs...)
}

func anyUp(list []*service) bool {
	for _, s := range list {
		if away, _ := s.away(); !away {
			return true
		}
	}
	return false
}

// closeServices ends everything that is under way.
func (c *Client) closeServices() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range append(c.set.Load().services(), c.former...) {
		s.close()
	}
}
