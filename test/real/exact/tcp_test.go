//go:build real

package exact

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/test/real/lab"
)

// clientTable is the clients' routing table for what goes through a tunnel.
const clientTable = "83"

// dialHost connects a client whose device is a real one: the namespace of the
// clients then has the leased address, and what is sent from there goes through
// the tunnel. All else goes the same way without it.
func dialHost(t testing.TB, s *server, p peer) *tunnel {
	t.Helper()
	var device netdev.Device
	err := lab.In(nsClient, func() (err error) {
		device, err = netdev.Open("exact0", 1400, 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.device = device
	x := dial(t, s, p)
	for _, command := range []string{
		"addr add " + x.four.String() + "/32 dev exact0",
		"route add default dev exact0 table " + clientTable,
		"rule add from " + x.four.String() + " table " + clientTable,
	} {
		if err := ip("-n " + nsClient + " " + command); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := ip("-n " + nsClient + " rule del table " + clientTable); err != nil {
			t.Error(err)
		}
	})
	return x
}

// moved is what came of one TCP connection.
type moved struct {
	bytes    int64
	again    int // segments that were sent again
	needless int // of these, those of which the receiver says that it had them
	err      error
}

func (m moved) String() string {
	return fmt.Sprintf("%d MB, %d segments again, %d of them needlessly", m.bytes/1e6, m.again, m.needless)
}

// segments is about how many there were.
func (m moved) segments() int { return int(m.bytes / 1340) }

// transfer has one end of a TCP connection send random bytes, in writes of any
// length, each at once, until a time. The other one compares.
func transfer(from, to *net.TCPConn, seed uint64, until time.Time) (m moved) {
	sent, got := sha256.New(), sha256.New()
	done := make(chan error, 1)
	var n int64
	go func() {
		var err error
		n, err = io.Copy(got, to)
		done <- err
	}()
	rng := rand.New(rand.NewPCG(seed, 3))
	pool := bytes(rng, 1<<20)
	for time.Now().Before(until) {
		size := 1 + rng.IntN(1<<17)
		if rng.IntN(4) == 0 {
			size = 1 + rng.IntN(3000)
		}
		at := rng.IntN(len(pool) - size)
		sent.Write(pool[at : at+size])
		k, err := from.Write(pool[at : at+size])
		m.bytes += int64(k)
		if err != nil {
			m.err = err
			return m
		}
	}
	m.err = errors.Join(from.CloseWrite(), <-done)
	if m.err == nil && (n != m.bytes || string(sent.Sum(nil)) != string(got.Sum(nil))) {
		m.err = fmt.Errorf("%d bytes with SHA-256 %x arrived of %d with %x", n, got.Sum(nil), m.bytes, sent.Sum(nil))
	}
	if m.err == nil {
		m.err = m.ask(from)
	}
	return m
}

// ask asks the kernel what a connection has sent again.
func (m *moved) ask(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); failed == nil {
			m.again, m.needless = int(info.Total_retrans), int(info.Dsack_dups)
		}
	})
	return errors.Join(err, failed)
}

// connect opens a TCP connection from an address of the clients' namespace to
// the far host, and returns both ends.
func connect(t testing.TB, from netip.Addr) (near, far *net.TCPConn) {
	t.Helper()
	l := lab.Listen(t, nsFar, farIP+":0")
	defer l.Close()
	err := lab.In(nsClient, func() error {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 10 * time.Second}
		c, err := d.DialContext(context.Background(), "tcp4", l.Addr().String())
		if err != nil {
			return err
		}
		near, _ = c.(*net.TCPConn)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far, _ = c.(*net.TCPConn)
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

// windows are how much of all TCP connections may be on its way, in bytes. No
// queue on the way overflows by that: not even where a slower machine comes
// behind a faster one, as the client behind the server here.
const windows = 2 << 20

// streamsBetween moves data over some connections at once, up, down or both
// ways at a time, and returns what came of them.
func streamsBetween(t testing.TB, from netip.Addr, up, down int, lasts time.Duration) (total moved) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	until := time.Now().Add(lasts)
	for i := range up + down {
		near, far := connect(t, from)
		if i >= up {
			near, far = far, near
		}
		if err := far.SetReadBuffer(windows / (up + down)); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			m := transfer(near, far, uint64(i), until)
			mu.Lock()
			defer mu.Unlock()
			total.bytes += m.bytes
			total.again += m.again
			total.needless += m.needless
			total.err = errors.Join(total.err, m.err)
		})
	}
	wg.Wait()
	return total
}

// runIperf runs iperf3 for a second, between an address of the clients' namespace
// and the far host.
func runIperf(t testing.TB, from netip.Addr, streams int, down bool) moved {
	t.Helper()
	run := lab.Start(t, lab.Command(nsFar, "iperf3", "-s", "-1", "--forceflush", "-B", farIP), filepath.Join(t.TempDir(), "iperf3"))
	defer run.Kill()
	if !lab.Wait(10*time.Second, func() bool { return run.Printed("Server listening") }) {
		t.Fatalf("iperf3 does not listen:\n%s", run.Output())
	}
	args := []string{"iperf3", "-c", farIP, "-B", from.String(), "-J", "-P", fmt.Sprint(streams), "-t", "1", "-w", fmt.Sprint(windows / streams)}
	if down {
		args = append(args, "-R")
	}
	out := lab.Run(t, nsClient, args...)
	var r struct {
		End struct {
			Sent struct {
				Bytes       float64
				Retransmits int
			} `json:"sum_sent"`
		}
		Error string
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&r); err != nil || r.Error != "" {
		t.Fatalf("iperf3: %v\n%s", err, out)
	}
	return moved{bytes: int64(r.End.Sent.Bytes), again: r.End.Sent.Retransmits}
}

// ways are the loads that TCP is put through a tunnel with.
var ways = []struct {
	name     string
	up, down int // streams
}{{"1 stream up", 1, 0}, {"1 stream down", 0, 1}, {"8 streams up", 8, 0}, {"8 streams down", 0, 8}, {"4 each way", 4, 4}}

// A real TCP stack gets every byte through the tunnel, and has no more to send
// again than without it on the same path. Every kernel on the way says that it
// dropped nothing.
func TestTCPHasNoMoreToSendAgainThanWithoutTheTunnel(t *testing.T) {
	s := serve(t, host{})
	x := dialHost(t, s, peer{})
	direct := netip.MustParseAddr(directIP)
	for _, way := range ways {
		before := streamsBetween(t, direct, way.up, way.down, time.Second)
		drops := readDrops(t)
		m := streamsBetween(t, x.four, way.up, way.down, time.Second)
		t.Logf("%s: %v through the tunnel, %v without", way.name, m, before)
		if err := errors.Join(m.err, before.err); err != nil {
			t.Errorf("%s: %v", way.name, err)
		}
		// What a receiver had already was not lost: somebody on this host had to
		// wait for longer than TCP does.
		if lost, most := m.again-m.needless, before.again-before.needless+m.segments()/50_000; lost > most {
			t.Errorf("%s: %d segments were lost, and %d without the tunnel", way.name, lost, most)
		}
		if way.up*way.down == 0 {
			b, i := runIperf(t, direct, way.up+way.down, way.down > 0), runIperf(t, x.four, way.up+way.down, way.down > 0)
			t.Logf("%s, iperf3: %v through the tunnel, %v without", way.name, i, b)
			if most := b.again + i.segments()/5_000; i.again > most {
				t.Errorf("%s: iperf3 has sent %d segments again through the tunnel, and %d without", way.name, i.again, b.again)
			}
		}
		if text := readDrops(t).since(drops); text != "" {
			t.Errorf("%s: kernels dropped packets: %s", way.name, text)
		}
	}
	for reason, n := range x.fleet.Drops() {
		if reason != "no-route" && reason != "source" && n > 0 { // the host's own multicast
			t.Errorf("the client dropped %d packets: %s", n, reason)
		}
	}
	s.wantNoDrops(t)
	s.stop(t)
}
