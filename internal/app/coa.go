package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/vpn"
)

// coa is where RADIUS servers end and change sessions. The reload lock guards all but the
// Dynamic.
type coa struct {
	*radius.Dynamic
	ready  atomic.Bool   // the Dynamic is there
	listen conf.HostPort // where it listens; none: nowhere
	stop   func()        // has it listen no more; nil: it does not

	saying sync.Mutex
	said   time.Time // when a panic was logged
}

// openCoA has RADIUS servers end and change sessions.
func (a *instance) openCoA(ctx context.Context, c *conf.Config, cleanup *closers) error {
	a.coa.Dynamic = radius.NewDynamic(vpn.Dynamic{Server: a.server}, dynamicConfig(ctx, c), a.coaDone, a.coaPanicked)
	a.coa.ready.Store(true)
	cleanup.add(func() error {
		a.reload.Lock()
		defer a.reload.Unlock()
		a.coa.close()
		return nil
	})
	return a.listenCoA(c)
}

// changeCoA takes a new configuration over.
func (a *instance) changeCoA(ctx context.Context, c *conf.Config) error {
	if !a.coa.ready.Load() {
		return nil
	}
	a.coa.Replace(dynamicConfig(ctx, c))
	return a.listenCoA(c)
}

// listenCoA listens where the configuration says.
func (a *instance) listenCoA(c *conf.Config) error {
	if a.coa.listen == c.Radius.CoAListen {
		return nil
	}
	a.coa.close()
	if !c.Radius.CoAListen.IsValid() {
		return nil
	}
	socket, err := listenCoA(c.Radius.CoAListen.String())
	if err != nil {
		return fmt.Errorf("radius.coa_listen: %w", err)
	}
	a.coa.listen = c.Radius.CoAListen
	a.coa.stop = a.background(context.Background(), func(ctx context.Context) {
		a.serveCoA(ctx, socket, func() (coaConn, error) { return listenCoA(c.Radius.CoAListen.String()) })
	})
	return nil
}

// coaConn is a socket on which requests come.
type coaConn interface {
	radius.DynamicConn
	Close() error
}

// How long requests go unheard once a socket is broken: twice as long each time, up to the most,
// after which a socket counts as one that works.
const (
	leastUnheard = time.Second
	mostUnheard  = time.Minute
)

// serveCoA answers on a socket, and on another one when that is broken, until ctx ends. It logs
// each broken one, but not that none can be opened yet.
func (a *instance) serveCoA(ctx context.Context, socket coaConn, open func() (coaConn, error)) {
	for wait := leastUnheard; ; {
		began := time.Now()
		err := a.serveSocket(ctx, socket)
		if err == nil {
			return
		}
		if time.Since(began) > mostUnheard {
			wait = leastUnheard
		}
		a.log.WithField("error", err.Error()).Error("nothing is heard at radius.coa_listen until its socket is open again")
		for opened := false; !opened; wait = min(2*wait, mostUnheard) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			socket, err = open()
			opened = err == nil
		}
	}
}

// serveSocket answers on a socket until it is broken, or ctx ends: then there is no error.
func (a *instance) serveSocket(ctx context.Context, socket coaConn) error {
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	err := a.coa.Serve(ctx, socket)
	if stop() {
		_ = socket.Close()
	}
	return err
}

func (c *coa) close() {
	if c.stop != nil {
		c.stop()
	}
	c.listen, c.stop = conf.HostPort{}, nil
}

// dynamicConfig is who may end and change sessions, and who we are.
func dynamicConfig(ctx context.Context, c *conf.Config) radius.DynamicConfig {
	r := &c.Radius
	cfg := radius.DynamicConfig{
		NASIdentifier: r.NASIdentifier, NASIP: r.NASIP, NASIP6: r.NASIP6, Identity: identity(c), ClassGroup: r.ClassGroup, Dated: r.CoADated,
	}
	for i := range r.CoAClients {
		s := &r.CoAClients[i]
		cfg.Authorities = append(cfg.Authorities, radius.Authority{Network: s.Address.Prefix, Secret: s.Secret, AllowUnsigned: s.AllowUnsigned})
	}
	if len(r.CoAClients) > 0 || !r.CoAListen.IsValid() {
		return cfg
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for i := range r.Servers {
		cfg.Authorities = append(cfg.Authorities, authoritiesOf(ctx, &r.Servers[i])...)
	}
	return cfg
}

// authoritiesOf are the addresses of a RADIUS server, with the secrets that it has. One that is
// asked over TLS asks over TLS.
func authoritiesOf(ctx context.Context, s *conf.RadiusServer) (list []radius.Authority) {
	if s.TLS() {
		return nil
	}
	for _, at := range []conf.HostPort{s.Address, s.Accounting} {
		addresses, err := resolve(ctx, at.Host)
		if err != nil || !at.IsValid() {
			continue
		}
		of := s.Secret
		if at == s.Accounting && s.AccountingSecret.Len() > 0 {
			of = s.AccountingSecret
		}
		for _, address := range addresses {
			address = address.Unmap().WithZone("")
			list = append(list, radius.Authority{Network: netip.PrefixFrom(address, address.BitLen()), Secret: of})
		}
	}
	return list
}

// coaDone says what an authority has had done, or why not.
func (a *instance) coaDone(e radius.DynamicEvent) {
	l := a.log.WithFields(logrus.Fields{"server": e.From, "sessions": bounded(strings.Join(e.Sessions, " "), errorLimit)})
	if e.User != "" {
		l = l.WithField("user", field(e.User))
	}
	if len(e.Notes) > 0 {
		l = l.WithField("ignored", bounded(strings.Join(e.Notes, "; "), errorLimit))
	}
	switch {
	case e.Error != "":
		l.WithFields(logrus.Fields{"request": e.What, "reason": bounded(e.Error, errorLimit)}).Warn("a request of a RADIUS server about sessions is refused")
	case e.What == "Disconnect":
		l.Info("disconnected by a RADIUS server")
	default:
		l.Info("changed by a RADIUS server")
	}
}

// coaPanicked logs what kept a request from being done. Each request may have it happen, so there is
// one line a minute; all are counted.
func (a *instance) coaPanicked(value any, stack []byte) {
	a.coa.saying.Lock()
	defer a.coa.saying.Unlock()
	now := time.Now()
	if !a.coa.said.IsZero() && now.Sub(a.coa.said) < time.Minute {
		return
	}
	a.coa.said = now
	a.log.WithFields(logrus.Fields{"panic": value, "stack": string(stack)}).
		Error("an error in the server kept a request of a RADIUS server from being done; please report it")
}

// asked answers what a RADIUS server asks over TLS.
func (a *instance) asked(server string, secret, request []byte, reply func([]byte)) {
	if a.coa.ready.Load() {
		a.coa.HandleOver(server, secret, request, reply)
	}
}

var errNoUDP = errors.New("no UDP socket")

// listenCoA opens a socket, whose answers leave from where the requests came to.
func listenCoA(address string) (*coaSocket, error) {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, errNoUDP
	}
	s := &coaSocket{UDPConn: udp}
	if err := s.wantAddresses(); err != nil {
		return nil, errors.Join(err, udp.Close())
	}
	return s, nil
}
