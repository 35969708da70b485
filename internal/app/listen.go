package app

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/udp"
)

// The ports of IKE and of NAT traversal (RFC 3947, section 4).
const (
	ikePort  = 500
	nattPort = 4500
)

// sockets are the sockets of every worker.
type sockets struct {
	workers [][]dataplane.Socket
	show    func(*udp.Socket) error // Options.Socket
}

// listen opens ports 500 and 4500 on every configured address, a socket a
// worker, and for ESP without UDP, too, if that is wanted.
func listen(c *conf.Config, log *logrus.Logger, show func(*udp.Socket) error) (*sockets, error) {
	n := runtime.GOMAXPROCS(0)
	s := &sockets{workers: make([][]dataplane.Socket, n), show: show}
	for _, addr := range c.Server.Listen {
		err := s.open(addr, n, log)
		if addr == netip.IPv6Unspecified() && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
			log.Info("this host has no IPv6: serving IPv4 only")
			continue
		}
		if err == nil && c.IPsec.NATTraversal == conf.NATAuto {
			err = s.openESP(addr, n)
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *sockets) openESP(addr netip.Addr, n int) error {
	opened, err := udp.ListenESP(addr, n)
	if err != nil {
		return fmt.Errorf("%w; ipsec.nat_traversal = \"always\" does without", err)
	}
	for i, conn := range opened {
		s.workers[i] = append(s.workers[i], dataplane.Socket{Conn: conn, Bound: conn.Bound(), Kind: dataplane.SocketESP})
	}
	return nil
}

// responderCookie is where an ISAKMP message has it (RFC 2408, section 3.1): first
// messages, of which anybody can send as many as they like, have none.
const responderCookie = 8

func (s *sockets) open(addr netip.Addr, n int, log *logrus.Logger) error {
	for _, port := range []uint16{ikePort, nattPort} {
		bound := netip.AddrPortFrom(addr, port)
		most := n
		if port == ikePort {
			most++ // one is for all but first messages
		}
		opened, err := udp.Listen(bound, most)
		if err != nil {
			return err
		}
		if port == ikePort {
			if err := udp.Apart(opened, responderCookie); err != nil {
				log.WithField("error", err.Error()).Debug("a flood of first messages can fill the sockets of the others")
			}
		}
		for i, conn := range opened {
			s.workers[i%n] = append(s.workers[i%n], dataplane.Socket{Conn: conn, Bound: bound, Kind: dataplane.KindOf(port)})
			if s.show == nil {
				continue
			}
			if err := s.show(conn); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sockets) close() error {
	var errs []error
	for _, w := range s.workers {
		for _, socket := range w {
			errs = append(errs, unlessClosed(socket.Conn.Close()))
		}
	}
	return errors.Join(errs...)
}
