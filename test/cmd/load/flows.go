package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// counters is the answer to "info": sums over the TCP connections of one end,
// including those that ended. The receiving kernel counts what arrived, so data
// that is still in a buffer counts neither as carried nor as lost.
type counters struct {
	Flows         int    // open connections
	Received      uint64 // bytes
	Segments      uint64 // segments with data that were sent
	Retransmitted uint64 // of these, retransmissions
	Sent          uint64 // bytes, including retransmissions
	MSS           int    // bytes of data in a full segment
}

// end is one end of some TCP connections.
type end struct {
	mu   sync.Mutex
	open map[*net.TCPConn]bool
	past counters
	wg   sync.WaitGroup // of the goroutines that send or receive
}

func (e *end) add(c *net.TCPConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open == nil {
		e.open = map[*net.TCPConn]bool{}
	}
	e.open[c] = true
}

// drop closes a connection, at once in both directions, and keeps its counters.
func (e *end) drop(c *net.TCPConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.open[c] {
		return
	}
	delete(e.open, c)
	e.past.add(c)
	_ = c.SetLinger(0) // if a connection cannot be reset, it is closed
	_ = c.Close()
}

func (e *end) info() counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := e.past
	sum.Flows = len(e.open)
	for c := range e.open {
		sum.add(c)
	}
	return sum
}

func (s *counters) add(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		s.Received += i.Bytes_received
		s.Segments += uint64(i.Data_segs_out)
		s.Retransmitted += uint64(i.Total_retrans)
		s.Sent += i.Bytes_sent
		s.MSS = max(s.MSS, int(i.Snd_mss))
	})
}

// header begins each of our TCP connections. It says which side sends, and how
// many bytes a second at most; 0 means no limit.
type header struct {
	Way  byte // 'u': the side that connected, 'd': the side that accepted
	Pace uint64
}

const headerLen = 9

// chunk is how much data is passed to the kernel, or discarded, at a time.
const chunk = 1 << 20

// runFlows opens TCP connections to the target. It accepts
//
//	open WAY PACE ADDRESS,…   one from each address, "-" for any
//	info
//	close
func runFlows(ctx context.Context, o options) error {
	var e end
	return serve(ctx, func(words []string) (any, error) {
		switch {
		case len(words) == 4 && words[0] == "open" && len(words[1]) == 1:
			pace, err := strconv.ParseUint(words[2], 10, 64)
			if err != nil {
				return nil, err
			}
			if err := e.dial(ctx, strings.Split(words[3], ","), o.target, header{words[1][0], pace}); err != nil {
				return nil, err
			}
			return e.info(), nil
		case len(words) == 1 && words[0] == "info":
			return e.info(), nil
		case len(words) == 1 && words[0] == "close":
			return e.close(), nil
		default:
			return nil, errors.New("no such command")
		}
	})
}

// dial connects from every address before any connection begins to carry data: a
// flow that carries data would slow down those that are still connecting.
func (e *end) dial(ctx context.Context, from []string, to string, h header) error {
	var all []*net.TCPConn
	for _, a := range from {
		c, err := connect(ctx, a, to)
		if err != nil {
			return err
		}
		e.add(c)
		all = append(all, c)
	}
	for _, c := range all {
		if err := binary.Write(c, binary.BigEndian, h); err != nil {
			return err
		}
	}
	for _, c := range all {
		e.wg.Go(func() { e.carry(c, h, h.Way == 'u') })
	}
	return nil
}

func connect(ctx context.Context, from, to string) (*net.TCPConn, error) {
	var dialer net.Dialer
	if from != "-" {
		local, err := netip.ParseAddr(from)
		if err != nil {
			return nil, err
		}
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.New("not a TCP connection")
	}
	return c, nil
}

// close ends all connections, and waits until no data is carried any longer.
func (e *end) close() counters {
	e.mu.Lock()
	var all []*net.TCPConn
	for c := range e.open {
		all = append(all, c)
	}
	e.mu.Unlock()
	for _, c := range all {
		e.drop(c)
	}
	e.wg.Wait()
	return e.info()
}

// runSink accepts the connections of runFlows, and discards UDP. It accepts
// "info", and "datagrams", which is answered with how many have come.
func runSink(ctx context.Context, o options) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", o.target)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	discarding, err := discardUDP(o.target)
	if err != nil {
		return err
	}
	defer func() { _ = discarding.Close() }()
	var e end
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if c, ok := conn.(*net.TCPConn); ok {
				go e.accept(c)
			}
		}
	}()
	return serve(ctx, func(words []string) (any, error) {
		switch {
		case len(words) == 1 && words[0] == "info":
			return e.info(), nil
		case len(words) == 1 && words[0] == "datagrams":
			return discarding.dropped()
		default:
			return nil, errors.New("no such command")
		}
	})
}

func (e *end) accept(c *net.TCPConn) {
	var b [headerLen]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		_ = c.Close()
		return
	}
	e.add(c)
	h := header{b[0], binary.BigEndian.Uint64(b[1:])}
	e.carry(c, h, h.Way == 'd')
}

// carry sends, or receives, until the other side closes the connection, which is
// how a measurement ends.
func (e *end) carry(c *net.TCPConn, h header, sends bool) {
	defer e.drop(c)
	var err error
	if sends {
		err = source(c, h.Pace)
	} else {
		err = discard(c)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
		fmt.Fprintln(os.Stderr, "load:", err)
	}
}

// source sends the same bytes again and again without copying them, so that it
// takes little of the core that it shares with the client.
func source(c *net.TCPConn, pace uint64) error {
	if pace > 0 {
		if err := control(c, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, int(pace))
		}); err != nil {
			return err
		}
	}
	shared, err := zeros()
	if err != nil {
		return err
	}
	// It is opened again, because each connection needs its own position in the
	// file.
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", shared.Fd()))
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := c.ReadFrom(file); err != nil { // this uses sendfile
			return err
		}
	}
}

// zeros is a file of one chunk that has no name in any directory.
var zeros = sync.OnceValues(func() (*os.File, error) {
	fd, err := unix.MemfdCreate("load", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "load")
	_, err = file.Write(make([]byte, chunk))
	return file, err
})

// discard makes the kernel discard what arrives (MSG_TRUNC, tcp(7)).
func discard(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	b := make([]byte, chunk)
	for {
		var n int
		var rerr error
		err := raw.Read(func(fd uintptr) bool {
			n, _, rerr = unix.Recvfrom(int(fd), b, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
			return !errors.Is(rerr, unix.EAGAIN)
		})
		if err != nil {
			return err
		}
		if rerr != nil || n == 0 {
			return rerr
		}
	}
}

func control(c *net.TCPConn, do func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var derr error
	if err := raw.Control(func(fd uintptr) { derr = do(int(fd)) }); err != nil {
		return err
	}
	return derr
}
