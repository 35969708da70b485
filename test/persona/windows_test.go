package persona

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/sim"
)

// tap stores what a host sends, without UDP headers. It drops nothing.
type tap struct {
	mu   sync.Mutex
	from netip.Addr
	sent [][]byte
}

func (x *tap) drop(d udptest.Datagram) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if d.Src.Addr() == x.from {
		x.sent = append(x.sent, slices.Clone(d.Data))
	}
	return false
}

// isakmp returns the lengths of the ISAKMP messages.
func (x *tap) isakmp() (list []int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, b := range x.sent {
		if len(b) > 4 && binary.BigEndian.Uint32(b) == 0 {
			b = b[4:]
		}
		if len(b) >= 28 && int(binary.BigEndian.Uint32(b[24:])) == len(b) {
			list = append(list, len(b))
		}
	}
	return list
}

// These lengths appear in captures and in the logs of other servers: of message 1, of
// message 3 with a 2048-bit group, of messages 5 and of Quick Mode, with five ciphers and
// NAT-OA.
func TestWindowsMessagesHaveTheLengthsThatAreSeen(t *testing.T) {
	for _, test := range []struct {
		p    Profile
		want []int
	}{
		{Windows10(WindowsOptions{}), []int{408, 388, 76, 444, 60}},
		{Windows7(WindowsOptions{}), []int{384, 388, 76, 332, 60}},
	} {
		t.Run(test.p.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				x := &tap{from: netip.MustParseAddr("198.51.100.7")}
				w.Net.SetPolicy(udptest.Policy{Drop: x.drop})
				online(t, test.p, account, w.Net.Host("198.51.100.7"))
				if got := x.isakmp(); !slices.Equal(got, test.want) {
					t.Errorf("its ISAKMP messages have %d bytes, want %d", got, test.want)
				}
			})
		})
	}
}

// Windows repeats an unanswered message in fragments, because a router on the path may
// drop large datagrams: here all of more than 420 bytes, such as message 1 of Quick Mode.
func TestWindowsConnectsInFragmentsWhereLargeDatagramsAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		var lost atomic.Int64
		w.Net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
			if len(d.Data) <= 420 {
				return false
			}
			lost.Add(1)
			return true
		}})
		p := Windows10(WindowsOptions{})
		p.IKE.Fragment = 300
		c := start(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		if err := c.Dial(); err != nil {
			t.Fatalf("it does not connect: %v", err)
		}
		if lost.Load() != 1 {
			t.Errorf("%d large datagrams were lost, want the first message of Quick Mode", lost.Load())
		}
		time.Sleep(time.Second)
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
}
