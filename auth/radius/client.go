package radius

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/internal/secret"
)

// Server is one RADIUS server.
type Server struct {
	Address    string // host:port for authentication
	Accounting string // host:port for accounting, "" for none
	Secret     secret.Bytes
}

// Config is what a Client works with.
type Config struct {
	Servers       []Server // asked in order
	NASIdentifier string
	Timeout       time.Duration // of one try
	Tries         int           // a server
	AllowUnsigned bool          // accept replies without Message-Authenticator

	// Problem is told what an administrator should know of accounting: a
	// server that is unreachable, a record that was given up. May be nil.
	Problem func(text string)

	// Dial opens a datagram connection; nil means net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client is an auth.Backend and an auth.Accountant.
type Client struct {
	cfg    Config
	queues []*queue
	stop   func() // queues end when they are empty
	cancel func() // queues end

	mu   sync.Mutex
	down map[string]time.Time // addresses that did not answer, and until when they come last
}

// Errors that callers tell apart.
var (
	// ErrNoAnswer means that no server answered, or not in time.
	ErrNoAnswer = errors.New("no RADIUS server answers")
	// ErrUnsigned means that a reply had no Message-Authenticator.
	ErrUnsigned = errors.New("the reply carries no Message-Authenticator: have the server add one" +
		" (FreeRADIUS before 3.2.5: `update reply { &Message-Authenticator = 0x00 }` in post-auth and in Post-Auth-Type REJECT)," +
		" or set radius.allow_unsigned_replies = true, which lets replies be forged (CVE-2024-3596)")
	// ErrUnreadable means that the server answered, with what is no RADIUS reply.
	ErrUnreadable = errors.New("the RADIUS server's reply cannot be read")
	// ErrForged means that a reply does not verify.
	ErrForged = errors.New("the reply does not verify: the shared secrets differ, or it is forged")
)

// errRequest says that there is no request that could be sent: no server is to
// blame, and another try makes no other one.
var errRequest = errors.New("radius: the request cannot be written")

// downTime is how long a server that did not answer is asked last.
const downTime = 30 * time.Second

// New returns a client; Close ends it.
func New(cfg Config) (*Client, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("radius: no server")
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Problem == nil {
		cfg.Problem = func(string) {}
	}
	c := &Client{cfg: cfg, down: map[string]time.Time{}}
	c.startQueues()
	return c, nil
}

// kind tells the two services of a server apart.
type kind uint8

const (
	authentication kind = iota + 1
	accounting
)

func (s Server) address(k kind) string {
	if k == accounting {
		return s.Accounting
	}
	return s.Address
}

// exchange asks the servers in order until one answers. build makes the
// request for a server: it depends on the secret.
func (c *Client) exchange(ctx context.Context, k kind, build func(secret []byte) (*radius.Packet, error)) (*radius.Packet, error) {
	var errs []error
	for _, s := range c.order(k) {
		p, err := build(s.Secret.Reveal())
		var request []byte
		if err == nil {
			request, err = encode(p)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRequest, err)
		}
		reply, err := c.ask(ctx, s.address(k), k, p, request)
		if err == nil {
			c.mark(s.address(k), time.Time{})
			return reply, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.address(k), err))
		if ctx.Err() != nil {
			break
		}
		c.mark(s.address(k), time.Now().Add(downTime))
	}
	return nil, errors.Join(errs...)
}

// order is the servers as configured, those that did not answer lately last.
func (c *Client) order(k kind) []Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var up, down []Server
	for _, s := range c.cfg.Servers {
		switch {
		case s.address(k) == "":
		case now.Before(c.down[s.address(k)]):
			down = append(down, s)
		default:
			up = append(up, s)
		}
	}
	return append(up, down...)
}

func (c *Client) mark(address string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until.IsZero() {
		delete(c.down, address)
	} else {
		c.down[address] = until
	}
}

// ask sends one request to one server, with retries, and returns the reply
// that verifies. Others are passed over: anybody can send one.
func (c *Client) ask(ctx context.Context, address string, k kind, p *radius.Packet, request []byte) (*radius.Packet, error) {
	conn, err := c.cfg.Dial(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	// RFC 2865, section 2: "A request from a client for which the RADIUS server does
	// not have a shared secret MUST be silently discarded."
	last := fmt.Errorf("%w: it keeps silent, as it also does if it does not know %s as a client, or has another secret for it", ErrNoAnswer, hostOf(conn.LocalAddr()))
	buf := make([]byte, radius.MaxPacketLength)
	for range max(1, c.cfg.Tries) {
		if ctx.Err() != nil {
			break
		}
		if _, err := conn.Write(request); err != nil {
			last = unreachable(err)
			continue // refused by an ICMP of an earlier try: try again
		}
		if err := conn.SetReadDeadline(time.Now().Add(c.cfg.Timeout)); err != nil {
			return nil, err
		}
		for {
			n, err := conn.Read(buf)
			if err != nil {
				if !isTimeout(err) {
					last = unreachable(err)
				}
				break
			}
			reply, err := c.verify(buf[:n], request, p, k)
			if err == nil {
				return reply, nil
			}
			if errors.Is(err, ErrUnreadable) {
				return nil, err // it is the server's: it would say the same again
			}
			if !errors.Is(err, errNotOurs) {
				last = err
			}
		}
	}
	return nil, last
}

// hostOf is an address without its port.
func hostOf(a net.Addr) string {
	if host, _, err := net.SplitHostPort(a.String()); err == nil {
		return host
	}
	return a.String()
}

// unreachable is the error of a socket without its addresses, which the
// caller names.
func unreachable(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
