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

// socketBuffer is what a socket may hold each way, in bytes: a burst of some
// thousand datagrams.
const socketBuffer = 7 << 20

// Listen opens n sockets on one address, among which the kernel spreads the
// peers. An unspecified address means every address of its family. Port 0
// means any free port, the same for all of them.
func Listen(addr netip.AddrPort, n int) ([]*Socket, error) {
	if n < 1 {
		n = 1
	}
	var sockets []*Socket
	fail := func(err error) ([]*Socket, error) {
		for _, s := range sockets {
			_ = s.Close()
		}
		return nil, explain(addr, err)
	}
	// SO_REUSEPORT would let us share the port with another server of the same
	// user: find out first whether we are alone.
	probe, err := listen(addr, false)
	if err != nil {
		return fail(err)
	}
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), boundPort(probe))
	}
	if n == 1 {
		s, err := newSocket(probe, addr)
		if err != nil {
			return fail(err)
		}
		return []*Socket{s}, nil
	}
	if err := probe.Close(); err != nil {
		return fail(err)
	}
	for range n {
		conn, err := listen(addr, true)
		if err != nil {
			return fail(err)
		}
		s, err := newSocket(conn, addr)
		if err != nil {
			return fail(err)
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

func boundPort(c *net.UDPConn) uint16 {
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Port()
	}
	return 0
}

func listen(addr netip.AddrPort, share bool) (*net.UDPConn, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6" // package net sets IPV6_V6ONLY
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = setOptions(int(fd), addr.Addr().Is6(), share) }); cerr != nil {
			return cerr
		}
		return err
	}}
	pc, err := config.ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		_ = pc.Close()
		return nil, errors.New("not a UDP socket")
	}
	return conn, nil
}

func setOptions(fd int, six, share bool) error {
	if share {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("SO_REUSEPORT: %w", err)
		}
	}
	// The outer DF bit stays clear: RFC 4301, section 8.1 leaves it to us, and a
	// client behind a narrow path is better served by fragments than by nothing. Nobody can
	// shorten packets from afar: with OMIT the kernel ignores what ICMP messages, which
	// anybody can forge, say about the path (RFC 5927, section 7), and fragments at the MTU
	// of the device.
	if six {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			return fmt.Errorf("IPV6_RECVPKTINFO: %w", err)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT); err != nil {
			return fmt.Errorf("IPV6_MTU_DISCOVER: %w", err)
		}
	} else {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
			return fmt.Errorf("IP_PKTINFO: %w", err)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT); err != nil {
			return fmt.Errorf("IP_MTU_DISCOVER: %w", err)
		}
	}
	// The options below are for speed: without them everything works.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer)
	}
	return nil
}

// explain says what an administrator can do about a failed Listen.
func explain(addr netip.AddrPort, err error) error {
	host := addr.Addr()
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("UDP port %d on %v is in use by another program (another VPN server?): %w", addr.Port(), host, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("UDP port %d on %v may not be opened: it needs root or CAP_NET_BIND_SERVICE: %w", addr.Port(), host, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("no interface of this machine has the address %v: %w", host, err)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("this machine has no support for addresses like %v: %w", host, err)
	default:
		return fmt.Errorf("UDP port %d on %v: %w", addr.Port(), host, err)
	}
}
