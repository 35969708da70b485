package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/udp"
)

// blastBatch is how many datagrams are sent with one system call.
const blastBatch = 64

// runBlast sends UDP from here to clients of the server, as fast as the kernel
// accepts it. Its commands are
//
//	down SIZE ADDRESS,…   in IP packets of so many bytes, to each in turn
//	stop
func runBlast(ctx context.Context, _ options) error {
	sockets, err := udp.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), 0), 1)
	if err != nil {
		return err
	}
	socket := sockets[0]
	var wg sync.WaitGroup
	stop := func() {}
	defer func() {
		stop()
		wg.Wait()
	}()
	return serve(ctx, func(words []string) (any, error) {
		stop()
		wg.Wait()
		if len(words) == 1 && words[0] == "stop" {
			return "stopped", nil
		}
		if len(words) != 3 || words[0] != "down" {
			return nil, errors.New("no such command")
		}
		size, err := strconv.Atoi(words[1])
		if err != nil || size < ipLen+udpLen {
			return nil, errors.New("no such size")
		}
		var to []netip.AddrPort
		for a := range strings.SplitSeq(words[2], ",") {
			addr, err := netip.ParseAddr(a)
			if err != nil {
				return nil, err
			}
			to = append(to, netip.AddrPortFrom(addr, discardPort))
		}
		blasting, cancel := context.WithCancel(ctx)
		stop = cancel
		wg.Go(func() { blast(blasting, socket, to, make([]byte, size-ipLen-udpLen)) })
		return "started", nil
	})
}

func blast(ctx context.Context, socket *udp.Socket, to []netip.AddrPort, data []byte) {
	packets := make([]udp.Packet, blastBatch)
	for next := 0; ctx.Err() == nil; {
		for i := range packets {
			packets[i] = udp.Packet{Data: data, Remote: to[next]}
			next = (next + 1) % len(to)
		}
		if _, err := socket.WriteBatch(packets); err != nil {
			return
		}
	}
}

// discarding is a UDP socket that nobody reads: the kernel drops the datagrams
// that arrive, and counts the drops.
type discarding struct{ *net.UDPConn }

func discardUDP(at string) (d discarding, err error) {
	host, err := netip.ParseAddrPort(at)
	if err != nil {
		return d, err
	}
	if d.UDPConn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host.Addr(), discardPort))); err != nil {
		return d, err
	}
	return d, d.SetReadBuffer(1) // the kernel rounds this up to room for a packet or two
}

// dropped is how many datagrams have arrived, without the few for which there was
// room.
func (d discarding) dropped() (n uint32, err error) {
	raw, err := d.SyscallConn()
	if err != nil {
		return 0, err
	}
	var gerr error
	if err := raw.Control(func(fd uintptr) { n, gerr = drops(fd) }); err != nil {
		return 0, err
	}
	return n, gerr
}

// drops reads SK_MEMINFO_DROPS of a socket, which golang.org/x/sys does not
// support.
func drops(fd uintptr) (uint32, error) {
	const place = 8
	var info [place + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("getsockopt SO_MEMINFO", errno)
	}
	if size < uint32(unsafe.Sizeof(info)) {
		return 0, errors.New("the kernel does not count what sockets drop")
	}
	return info[place], nil
}
