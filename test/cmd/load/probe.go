package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/test/client"
)

const (
	echoPort  = 7
	probeLen  = 300 // of the IP packet inside
	probeWait = time.Second
)

// probed is the answer to "probe": for each probe the time, in nanoseconds, from
// when its datagram left the client's device until the answer arrived there,
// through the tunnel and without it.
type probed struct {
	Tunnel, Bare []int64
	Lost         int
}

// runProbe is one client that sends UDP to the echo server behind the server,
// through the tunnel and outside it. It accepts "ready", and "probe N
// MICROSECONDS", which sends N probes each way, in turn, with that time between
// two.
func runProbe(ctx context.Context, o options) error {
	device := netdevtest.New("probe", innerMTU, 1)
	fleet, err := o.fleet(device)
	if err != nil {
		return err
	}
	up, err := fleet.Dial(ctx, o.dial(o.first))
	if err != nil {
		return err
	}
	go func() {
		for device.Read() != nil { // it is discarded, because the capture has recorded it
			continue
		}
	}()
	c, err := newCapture("eth0", o.first, probeWait)
	if err != nil {
		return err
	}
	bare, err := net.DialUDP("udp4", &net.UDPAddr{IP: o.first.AsSlice()}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.server, echoPort)))
	if err != nil {
		return err
	}
	defer func() { _ = bare.Close() }()
	p := &prober{
		capture: c, device: device, bare: bare,
		inner: datagram(netip.AddrPortFrom(up.Network.Peer, echoPort), netip.AddrPortFrom(o.inside.Masked().Addr().Next(), echoPort), probeLen),
	}
	return serve(ctx, func(words []string) (any, error) {
		if len(words) == 1 && words[0] == "ready" {
			return "ready", nil
		}
		if len(words) != 3 || words[0] != "probe" {
			return nil, errors.New("no such command")
		}
		n, err := strconv.Atoi(words[1])
		every, err2 := strconv.Atoi(words[2])
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		return p.run(ctx, n, time.Duration(every)*time.Microsecond)
	})
}

type prober struct {
	capture *capture
	device  *netdevtest.Device
	bare    *net.UDPConn
	inner   []byte
	length  int // length of the UDP datagram that carries a probe, once it is known
}

func (p *prober) run(ctx context.Context, n int, every time.Duration) (r probed, err error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range n {
		for _, through := range []bool{true, false} {
			select {
			case <-ctx.Done():
				return r, ctx.Err()
			case <-tick.C:
			}
			took, err := p.probe(through)
			switch {
			case errors.Is(err, errNothing):
				r.Lost++
			case err != nil:
				return r, err
			case through:
				r.Tunnel = append(r.Tunnel, took)
			default:
				r.Bare = append(r.Bare, took)
			}
		}
	}
	return r, nil
}

// probe sends one datagram and waits for its answer, which has the same length.
func (p *prober) probe(through bool) (took int64, err error) {
	port := uint16(client.NATTPort)
	if through {
		p.device.Inject(0, p.inner)
	} else {
		if p.length == 0 {
			return 0, errNothing
		}
		port = echoPort
		// It is as long as the tunnelled one is on the wire.
		if _, err := p.bare.Write(make([]byte, p.length-udpLen)); err != nil {
			return 0, err
		}
	}
	var sent seen
	for {
		s, err := p.capture.next()
		if err != nil {
			return 0, err
		}
		switch {
		case s.length < probeLen: // a packet of L2TP or PPP, not a probe
		case s.out && s.to == port:
			sent = s
		case !s.out && s.from == port && s.length == sent.length:
			p.length = s.length
			return s.at - sent.at, nil
		}
	}
}

// runUDPEcho returns datagrams to where they came from, with as little work as
// possible.
func runUDPEcho(ctx context.Context, _ options) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: echoPort}); err != nil {
		return fmt.Errorf("UDP port %d: %w", echoPort, err)
	}
	runtime.GOMAXPROCS(2)  // one of them waits in the kernel all the time
	debug.SetGCPercent(-1) // no garbage collection may stop it
	go echoAll(fd)
	return serve(ctx, func([]string) (any, error) { return "ready", nil })
}

// echoAll answers every datagram, in one thread that does nothing else. The Go
// scheduler is not told about its blocking system calls, and so has no work to do
// after them.
func echoAll(fd int) {
	runtime.LockOSThread()
	b := make([]byte, 1<<16)
	var from unix.RawSockaddrInet4
	for {
		size := uint32(unix.SizeofSockaddrInet4)
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0,
			uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)))
		if errno == 0 { // an answer that cannot be sent is lost, as any datagram may be
			_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), n, 0,
				uintptr(unsafe.Pointer(&from)), uintptr(size))
		}
	}
}
