package radius

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
)

// probeTries is how often a probe asks: a packet may be lost.
const probeTries = 2

// probeUser is the user of the Access-Request that stands in for Status-Server:
// nobody's name, for a server's log to show.
const probeUser = "adit-check"

// Probe asks one server whether it is there, knows us, and has the same secret,
// and says by what it was found out. A Status-Server (RFC 5997) does, where the
// server knows it; NPS does not, and is asked for a user that nobody is. A server
// that is silent to both is not there, or does not know this host's address, or
// has another secret: it answers none of these.
func Probe(ctx context.Context, cfg Config, s Server) (by string, err error) {
	c := prober(cfg)
	if err := c.status(ctx, s, authentication); err == nil {
		return "Status-Server", nil
	}
	p := radius.New(radius.CodeAccessRequest, s.Secret.Reveal())
	err = errors.Join(c.identify(p),
		rfc2865.UserName_AddString(p, probeUser),
		rfc2865.UserPassword_AddString(p, rand.Text()))
	if err != nil {
		return "", err
	}
	return "an Access-Request of the user " + probeUser, c.send(ctx, s, authentication, p)
}

// ProbeAccounting asks the accounting service of a server whether it is there.
// There is no more to ask it with than a Status-Server: a record would be kept.
func ProbeAccounting(ctx context.Context, cfg Config, s Server) error {
	return prober(cfg).status(ctx, s, accounting)
}

// prober is a client that has no queues: nothing has to close it.
func prober(cfg Config) *Client {
	cfg.Tries = probeTries
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	return &Client{cfg: cfg, down: map[string]time.Time{}}
}

func (c *Client) status(ctx context.Context, s Server, k kind) error {
	p := radius.New(radius.CodeStatusServer, s.Secret.Reveal())
	if err := c.identify(p); err != nil {
		return err
	}
	return c.send(ctx, s, k, p)
}

// identify adds what every probe begins with. RFC 5997, section 2: a
// Status-Server MUST have a Message-Authenticator.
func (c *Client) identify(p *radius.Packet) error {
	return errors.Join(
		rfc2869.MessageAuthenticator_Add(p, make([]byte, 16)),
		rfc2865.NASIdentifier_AddString(p, c.cfg.NASIdentifier))
}

func (c *Client) send(ctx context.Context, s Server, k kind, p *radius.Packet) error {
	request, err := encode(p)
	if err != nil {
		return err
	}
	_, err = c.ask(ctx, s.address(k), k, p, request)
	return err
}
