package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenESP opens a socket for IP protocol 50: ESP without UDP (RFC 4303).
// Its packets have port 0 at both ends. An unspecified address means every
// address of its family. The kernel cuts no trains for it.
//
// Every socket of this kind gets every packet, so that there is one.
func ListenESP(addr netip.Addr) (*Socket, error) {
	network := "ip4:50"
	if addr.Is6() {
		network = "ip6:50"
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = setOptions(int(fd), addr.Is6(), false) }); cerr != nil {
			return cerr
		}
		return err
	}}
	pc, err := config.ListenPacket(context.Background(), network, addr.String())
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("ESP (IP protocol 50) on %v may not be received: it needs root or CAP_NET_RAW: %w", addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("ESP (IP protocol 50) on %v: %w", addr, err)
	}
	conn, ok := pc.(*net.IPConn)
	if !ok {
		return nil, errors.Join(errors.New("not an IP socket"), pc.Close())
	}
	s, err := newSocket(conn, netip.AddrPortFrom(addr, 0))
	if err != nil {
		return nil, err
	}
	s.headers = addr.Is4()
	return s, nil
}
