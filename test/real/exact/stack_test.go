//go:build real

package exact

import (
	stdbytes "bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/test/real/lab"
)

// stackExam has the kernels at both ends of a tunnel use it: TCP whose stream is
// hashed, and UDP that they send by the train, each datagram of which is
// compared. It is done with one suite, and the whole of the way.
func stackExam(t *testing.T, s *server, p peer) {
	t.Helper()
	x := dialHost(t, s, p)
	m := streamsBetween(t, x.four, 2, 2, 300*time.Millisecond)
	if m.err != nil {
		t.Errorf("TCP through %v: %v", suites[p.suite], m.err)
	}
	near := netip.AddrPortFrom(x.four, 9000)
	far := netip.MustParseAddrPort(farIP + ":9000")
	a, b := lab.ListenUDP(t, nsClient, near.String()), lab.ListenUDP(t, nsFar, far.String())
	var wg sync.WaitGroup
	for _, way := range []struct {
		name     string
		from, to *net.UDPConn
		dst      netip.AddrPort
	}{{"up", a, b, far}, {"down", b, a, near}} {
		wg.Go(func() {
			if err := trains(way.from, way.to, way.dst, x.mtu-28, 150); err != nil {
				t.Errorf("UDP %s through %v: %v", way.name, suites[p.suite], err)
			}
		})
	}
	wg.Wait()
	x.Close()
	t.Logf("TCP: %v", m)
}

// trains sends trains of datagrams of up to most bytes, by UDP_SEGMENT, and
// expects every datagram at the other end, in order. Each train waits until the
// one before has arrived.
func trains(from, to *net.UDPConn, dst netip.AddrPort, most, count int) error {
	rng := rand.New(rand.NewPCG(uint64(most), 4))
	got := make([]byte, 1<<16)
	for i := range count {
		size := 1 + rng.IntN(most)
		train := bytes(rng, min(size*(1+rng.IntN(50))+rng.IntN(size), 60000))
		if err := sendTrain(from, dst, train, size); err != nil {
			return fmt.Errorf("sending %d bytes by %d: %w", len(train), size, err)
		}
		for at := 0; at < len(train); at += size {
			if err := to.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
			n, err := to.Read(got)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Errorf("datagram %d of train %d, of %d bytes each, did not arrive", at/size, i, size)
			}
			if err != nil {
				return err
			}
			if want := train[at:min(at+size, len(train))]; !stdbytes.Equal(got[:n], want) {
				return fmt.Errorf("datagram %d of train %d: %d bytes arrived, want %d; they differ %s", at/size, i, n, len(want), difference(got[:n], want))
			}
		}
	}
	return nil
}

// sendTrain sends datagrams of so many bytes, the last of which may be shorter.
func sendTrain(c *net.UDPConn, dst netip.AddrPort, train []byte, size int) error {
	control := make([]byte, unix.CmsgSpace(2))
	binary.NativeEndian.PutUint64(control, uint64(unix.CmsgLen(2)))
	binary.NativeEndian.PutUint32(control[8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(control[12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], uint16(size))
	_, _, err := c.WriteMsgUDPAddrPort(train, control, dst)
	return err
}
