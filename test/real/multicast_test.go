//go:build real

package real

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/test/real/lab"
)

var group = &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3), Port: 5000}

// listenGroup has a host join a group, which it says by IGMP.
func listenGroup(t *testing.T, ns string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := lab.In(ns, func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		if c, err = net.ListenMulticastUDP("udp4", eth0, group); err != nil {
			return err
		}
		return c.SetReadBuffer(1 << 20)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// sendGroup sends numbered packets to the group, one a millisecond, until stop is closed.
func sendGroup(t *testing.T, ns string, stop <-chan struct{}) {
	t.Helper()
	var c *net.UDPConn
	err := lab.In(ns, func() (err error) {
		if c, err = net.DialUDP("udp4", nil, group); err != nil {
			return err
		}
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		var set error
		err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 16) })
		return errors.Join(err, set)
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer c.Close()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		b := make([]byte, 1000)
		for n := uint32(0); ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			binary.BigEndian.PutUint32(b, n)
			_, _ = c.Write(b) // what is lost is noticed
		}
	}()
}

// A stream to a group passes, all of it and in order, from a host behind one router to one
// behind the other that has joined, by PIM of both and IGMP.
func TestAMulticastStreamPassesATunnel(t *testing.T) {
	for name, o := range map[string]over{"GRE": overGRE, "link": overLink} {
		t.Run(name, func(t *testing.T) {
			both := makeRing(t, 2, o)
			startAll(t, both, o)
			for _, r := range both {
				// Linux forwards multicast with the checksum that its connection tracking has
				// computed, and the other end of a veth, which lan is, takes it for a wrong one.
				lab.Run(t, r.ns, "sysctl", "-qw", "net.netfilter.nf_conntrack_checksum=0")
				r.speak(t, lab.Routing{Rendezvous: "192.168.81.1"})
			}
			meet(t, both, over{four: true}, false, 30*time.Second)
			stop := make(chan struct{})
			defer close(stop)
			sendGroup(t, both[0].host, stop)
			c := listenGroup(t, both[1].host)
			next := func() uint32 {
				var b [2000]byte
				if err := c.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
					t.Fatal(err)
				}
				n, err := c.Read(b[:])
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("nothing of the stream arrives")
				}
				if err != nil || n != 1000 {
					t.Fatalf("%d bytes, %v", n, err)
				}
				return binary.BigEndian.Uint32(b[:])
			}
			const settled, all = 3000, 8000
			first := next()
			for next() < first+settled { // while both routers still change the tree some are lost
			}
			for want := next() + 1; want < first+all; want++ {
				if got := next(); got != want {
					t.Fatalf("packet %d comes, want %d", got, want)
				}
			}
		})
	}
}
