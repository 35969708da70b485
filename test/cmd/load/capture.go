package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// capture records the UDP datagrams that one address sends and receives, with the
// kernel's times, so that the time that programs spend before and after is not
// included.
type capture struct {
	fd       int
	buf, oob []byte
}

// seen is one datagram.
type seen struct {
	out      bool
	at       int64 // Unix nanoseconds
	from, to uint16
	length   int // of UDP
}

var errNothing = errors.New("nothing was seen in time")

// newCapture listens on a device.
func newCapture(device string, address netip.Addr, patience time.Duration) (*capture, error) {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	// All protocols are captured, because a capture of only some does not see
	// outgoing packets.
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		return nil, os.NewSyscallError("socket AF_PACKET", err)
	}
	c := &capture{fd: fd, buf: make([]byte, 128), oob: make([]byte, 128)}
	wait := unix.NsecToTimeval(patience.Nanoseconds())
	filter := only(address)
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return c, nil
}

// only is a filter that passes IPv4 packets from or to an address.
func only(a netip.Addr) []unix.SockFilter {
	k := binary.BigEndian.Uint32(a.AsSlice())
	const load, equal, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	return []unix.SockFilter{
		{Code: load, K: 12},
		{Code: equal, Jt: 2, K: k},
		{Code: load, K: 16},
		{Code: equal, Jf: 1, K: k},
		{Code: give, K: 128},
		{Code: give, K: 0},
	}
}

func (c *capture) next() (s seen, err error) {
	for {
		n, oobn, _, from, err := unix.Recvmsg(c.fd, c.buf, c.oob, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return s, errNothing
		case err != nil:
			return s, os.NewSyscallError("recvmsg", err)
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			continue
		}
		s, ok := parseSeen(c.buf[:n])
		if !ok {
			continue
		}
		s.out = link.Pkttype == unix.PACKET_OUTGOING
		if s.at, err = timestamp(c.oob[:oobn]); err != nil {
			return s, err
		}
		return s, nil
	}
}

// parseSeen reads the beginning of an IPv4 packet with UDP.
func parseSeen(b []byte) (s seen, ok bool) {
	if len(b) < ipLen || b[0]>>4 != 4 || b[9] != unix.IPPROTO_UDP {
		return s, false
	}
	n := int(b[0]&15) * 4
	if len(b) < n+udpLen {
		return s, false
	}
	u := b[n:]
	return seen{from: binary.BigEndian.Uint16(u), to: binary.BigEndian.Uint16(u[2:]), length: int(binary.BigEndian.Uint16(u[4:]))}, true
}

func timestamp(oob []byte) (int64, error) {
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, err
	}
	for _, m := range all {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return int64(binary.NativeEndian.Uint64(m.Data))*1e9 + int64(binary.NativeEndian.Uint64(m.Data[8:])), nil
		}
	}
	return 0, errors.New("the kernel gave no time")
}
