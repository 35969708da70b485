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

// ListenESP opens sockets for IP protocol 50: ESP without UDP (RFC 4303). Their packets
// have port 0 at both ends. An unspecified address means every address of its family. The
// kernel cuts no trains for them, and joins none.
//
// The packets of an SPI all come by one of the sockets. The kernel offers each packet to
// every socket, which takes its share: so many of them cost more than they help, and there
// are at most n and maxESP.
func ListenESP(addr netip.Addr, n int) (all []*Socket, err error) {
	defer func() {
		if err != nil {
			for _, s := range all {
				err = errors.Join(err, s.Close())
			}
			all = nil
		}
	}()
	n = min(max(1, n), maxESP)
	for i := range n {
		s, err := listenESP(addr)
		if err != nil {
			return all, err
		}
		all = append(all, s)
		if n == 1 {
			continue
		}
		if err := s.take(uint32(i), uint32(n)); err != nil {
			return all, err
		}
	}
	return all, nil
}

// maxESP is how many sockets of one address there are at most. A packet that another one
// takes costs each of them 0.1 µs.
const maxESP = 8

// take has the socket receive the packets of every nth SPI alone, from i on.
func (s *Socket) take(i, n uint32) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // a raw socket of IPv6 has no IP header
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: n},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: i, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18}, // more bytes than any packet has,
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	if s.headers {
		program = append([]unix.SockFilter{
			{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH},
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_IND},
		}, program[1:]...)
	}
	var err error
	if cerr := s.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	}); cerr != nil {
		return cerr
	}
	if err != nil {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", err)
	}
	return nil
}

func listenESP(addr netip.Addr) (*Socket, error) {
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
