package app

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// coaSocket is a UDP socket that knows at which address a datagram has come.
type coaSocket struct{ *net.UDPConn }

// wantAddresses has the kernel say them. A socket for both families has both options.
func (s *coaSocket) wantAddresses() error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var four, six error
	err = raw.Control(func(fd uintptr) {
		four = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		six = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
	if err == nil && four != nil && six != nil {
		err = errors.Join(four, six)
	}
	return err
}

// Receive implements radius.DynamicConn.
func (s *coaSocket) Receive(b []byte) (n int, from netip.AddrPort, at netip.Addr, err error) {
	var oob [128]byte
	n, size, _, from, err := s.ReadMsgUDPAddrPort(b, oob[:])
	if err != nil {
		return 0, from, at, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:size])
	if err != nil {
		return n, from, at, nil // the answer leaves from where the host chooses
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			at = netip.AddrFrom4([4]byte(m.Data[4:8])) // Spec_dst
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			at = netip.AddrFrom16([16]byte(m.Data[:16]))
		}
	}
	return n, from, at, nil
}

// Send implements radius.DynamicConn.
func (s *coaSocket) Send(b []byte, to netip.AddrPort, from netip.Addr) error {
	var oob []byte
	switch from = from.Unmap(); {
	case from.Is4():
		oob = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4()})
	case from.Is6() && !from.IsLinkLocalUnicast(): // which needs the interface, too
		oob = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: from.As16()})
	}
	_, _, err := s.WriteMsgUDPAddrPort(b, oob, to)
	return err
}
