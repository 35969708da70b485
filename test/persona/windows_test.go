package persona

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/sim"
)

// tap keeps what a host sends, without UDP headers, and goes on to do what
// else is asked.
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

// Captures and the logs of other servers have these lengths: of message 1, of
// message 3 with a group of 2048 bits, of messages 5 and of Quick Mode, with
// five ciphers and NAT-OA.
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
