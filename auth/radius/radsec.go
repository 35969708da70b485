package radius

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TLS is what a connection to a server by RADIUS over TLS needs (RFC 6614). There is no way
// back from it to UDP.
type TLS struct {
	Roots       *x509.CertPool  // who may have issued the server's certificate
	Certificate tls.Certificate // ours: the server wants one, too
	Name        string          // what the server's certificate is for; "": the host of its address
	ID          string          // differs wherever one of these does
}

// config is that of TLS. The name must be one of the certificate's alternative names: a
// common name does not count (RFC 9525, section 6.4.4).
func (t *TLS) config(address string) *tls.Config {
	name := t.Name
	if host, _, err := net.SplitHostPort(address); err == nil && name == "" {
		name = host
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: t.Roots, Certificates: []tls.Certificate{t.Certificate},
		ServerName: name, NextProtos: []string{"radius/1.0"},
	}
}

// userTimeout is how long what we have sent may go without TCP's acknowledgement.
const userTimeout = 6 * time.Second

// open makes a connection; dial nil is net.Dialer's.
func (t *TLS) open(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), source netip.Addr, address string) (net.Conn, error) {
	if dial == nil {
		d := net.Dialer{
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
			Control: func(_, _ string, c syscall.RawConn) error {
				var set error
				err := c.Control(func(fd uintptr) {
					set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
				})
				if err != nil {
					return err
				}
				return set
			},
		}
		if source.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		}
		dial = d.DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, t.config(address))
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}
