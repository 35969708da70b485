package sim

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/test/client"
)

// heard stores the packets that a client's host receives other than unicast.
type heard struct {
	mu      sync.Mutex
	packets [][]byte
}

func (h *heard) packet(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.packets = append(h.packets, bytes.Clone(b))
}

func (h *heard) count(b []byte) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.packets {
		if bytes.Equal(p, b) {
			n++
		}
	}
	return n
}

// listening connects a separate laptop that stores what it receives.
func listening(t *testing.T, w *World, from string) (*Laptop, *client.Dialled, *heard) {
	t.Helper()
	l, h := w.Laptop(w.Net.Host(from), nil), &heard{}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := l.Dial(ctx, client.Target{
		Local: l.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password, Packets: h.packet,
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	return l, d, h
}

func TestMulticastReachesTheOtherClientsAndTheDevice(t *testing.T) {
	for _, on := range []bool{true, false} {
		in(t, func(t *testing.T) {
			w := New(t, Options{Plane: func(c *dataplane.Config) { c.Multicast = on }})
			a, da, ha := listening(t, w, "198.51.100.7")
			_, _, hb := listening(t, w, "198.51.100.8")
			_, _, hc := listening(t, w, "198.51.100.9")
			want := 0
			if on {
				want = 1
			}
			hello := datagram(da.Network.Peer, netip.MustParseAddr("224.0.0.251"), 1)
			a.Device.Inject(0, hello)
			time.Sleep(time.Second)
			if ha.count(hello) != 0 || hb.count(hello) != want || hc.count(hello) != want {
				t.Errorf("multicast is %v: the sender heard %d, the others %d and %d", on, ha.count(hello), hb.count(hello), hc.count(hello))
			}
			if got := w.Device.Poll(); on != bytes.Equal(got, hello) {
				t.Errorf("multicast is %v: the device got %x", on, got)
			}
			search := datagram(internet, netip.MustParseAddr("239.255.255.250"), 2)
			w.Device.Inject(0, search)
			time.Sleep(time.Second)
			if ha.count(search) != want || hb.count(search) != want || hc.count(search) != want {
				t.Errorf("multicast is %v: from the device the clients heard %d, %d and %d", on, ha.count(search), hb.count(search), hc.count(search))
			}
		})
	}
}
