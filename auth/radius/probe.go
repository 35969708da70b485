package radius

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
)

// probeUser is the user of the Access-Request that stands in for a Status-Server. Nobody
// has the name; it shows in the server's log.
const probeUser = "adit-check"

// statusServer is a Status-Server (RFC 5997).
func (s *service) statusServer(secret []byte) (*radius.Packet, error) {
	p := radius.New(radius.CodeStatusServer, secret)
	return p, s.identify(p)
}

// nobody is an Access-Request for a user who does not exist.
func (s *service) nobody(secret []byte) (*radius.Packet, error) {
	p := radius.New(radius.CodeAccessRequest, secret)
	return p, errors.Join(s.identify(p),
		rfc2865.UserName_AddString(p, probeUser),
		rfc2865.UserPassword_AddString(p, rand.Text()))
}

// identify adds what every probe begins with. RFC 5997, section 2: a
// Status-Server MUST have a Message-Authenticator.
func (s *service) identify(p *radius.Packet) error {
	return errors.Join(
		rfc2869.MessageAuthenticator_Add(p, make([]byte, 16)),
		rfc2865.NASIdentifier_AddString(p, s.nas()))
}

// owe has probes sent, at once or as soon as there is a link. s.mu is locked.
func (s *service) owe(now time.Time, p probes) {
	s.owed |= p &^ byRequest
	s.pay(now)
}

// pay sends the probes that are owed. s.mu is locked.
func (s *service) pay(now time.Time) {
	for _, bit := range []probes{byStatus, byLogin} {
		if s.owed&bit == 0 {
			continue
		}
		q := &question{kind: s.kind, build: s.statusServer}
		if bit == byLogin {
			q.build = s.nobody
		}
		p, err := s.prepare(now, q)
		if p == nil && err == nil {
			_, _ = s.connect(now) // which pays
			return
		}
		s.owed &^= bit
		if err != nil {
			continue // a NAS-Identifier that is too long; requests say so
		}
		s.launch(now, p)
	}
}

// launch sends a probe, for which nobody waits. s.mu is locked.
func (s *service) launch(now time.Time, p *pending) {
	p.probe = true
	s.out = append(s.out, p)
	p.release(now)
	p.rests = now.Add(restOfProbe)
}

// restOfProbe is for how long the answer to a probe is waited for.
const restOfProbe = 10 * time.Second

// The watchdog of connections: one that is silent for long is asked whether it still leads
// to the server.
const (
	idleTime  = 30 * time.Second
	watchTime = 5 * time.Second
)

// watch is when the watchdog has something to do; zero: never.
func (l *link) watch() time.Time {
	switch {
	case !l.stream || l.closed:
		return time.Time{}
	case !l.watched.IsZero():
		return l.watched
	}
	return l.heard.Add(idleTime)
}

// guard has a connection watched. s.mu is locked.
func (s *service) guard(now time.Time, l *link) {
	at := l.watch()
	switch {
	case at.IsZero() || now.Before(at):
	case l.watched.IsZero():
		packet, err := s.statusServer(s.secret.Reveal())
		if err != nil {
			return
		}
		l.watched = now.Add(watchTime)
		if p := l.take(now, packet); p != nil {
			if p.request, err = encode(packet); err == nil {
				s.launch(now, p)
			}
		}
	case s.health.status:
		l.why = fmt.Errorf("it answers no Status-Server")
		l.close(now)
		s.owe(now, byStatus) // by another connection
	default: // perhaps the server does not know Status-Server: TCP says whether it is there
		l.watched, l.heard = time.Time{}, now
	}
}

// Probe asks one server whether it is there, knows us and has the same secret, and
// returns which request it answered. The first is a Status-Server (RFC 5997). NPS does
// not know that, and answers the second: an Access-Request for a user who does not exist.
// A server that answers neither is not there, does not know this host's address, or has
// another secret.
func Probe(ctx context.Context, cfg Config, srv Server) (by string, err error) {
	s := cfg.service(srv.identity(&cfg, authentication), srv)
	if s == nil {
		return "", errors.New("the server has no address for authentication")
	}
	defer s.close()
	if err = s.question(ctx, authentication, s.statusServer); err == nil {
		return "Status-Server", nil
	}
	if refusal(err) {
		return "", err
	}
	err = s.question(ctx, authentication, s.nobody)
	return "an Access-Request of the user " + probeUser, err
}

// ProbeAccounting asks the accounting service of a server whether it is there.
// It asks by Status-Server only: the server would keep an accounting record.
func ProbeAccounting(ctx context.Context, cfg Config, srv Server) error {
	s := cfg.service(srv.identity(&cfg, accounting), srv)
	if s == nil {
		return errors.New("the server has no address for accounting")
	}
	defer s.close()
	return s.question(ctx, accounting, s.statusServer)
}

// question asks for as long as a server has to show that it lives.
func (s *service) question(ctx context.Context, k kind, build func([]byte) (*radius.Packet, error)) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	_, err := s.ask(ctx, &question{kind: k, build: build}, func() bool { return false })
	return err
}
