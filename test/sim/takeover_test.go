package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// tapped is a victim's socket on which somebody else also receives and sends.
type tapped struct {
	udp.Conn
	heard chan udp.Packet
}

func (c *tapped) Read(list []udp.Packet, handle func(n int) []udp.Packet) error {
	return c.Conn.Read(list, func(n int) []udp.Packet {
		for _, p := range list[:n] {
			p.Data = bytes.Clone(p.Data)
			select {
			case c.heard <- p:
			default:
			}
		}
		list = handle(n)
		return list
	})
}

// thief is what that other person gets from it. It sends no ESP; the ESP that reaches it
// is counted by SPI.
type thief struct {
	of   *tapped
	done chan struct{}
	end  sync.Once

	mu   sync.Mutex
	spis map[uint32]int
}

func (c *thief) Read(list []udp.Packet, handle func(n int) []udp.Packet) error {
	for {
		select {
		case <-c.done:
			return net.ErrClosed
		case p := <-c.of.heard:
			c.count(p.Data)
			list[0].Local, list[0].Remote, list[0].Segment = p.Local, p.Remote, 0
			list[0].Data = list[0].Data[:copy(list[0].Data, p.Data)]
			list = handle(1)
		}
	}
}

func (c *thief) count(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) > 8 {
		c.spis[binary.BigEndian.Uint32(b)]++
	}
}

func (c *thief) WriteBatch(list []udp.Packet) (int, error) {
	for _, p := range list {
		if p.Local.Port() == client.NATTPort && len(p.Data) > 4 && binary.BigEndian.Uint32(p.Data) != 0 {
			continue
		}
		if _, err := c.of.WriteBatch([]udp.Packet{p}); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

func (c *thief) Close() error {
	c.end.Do(func() { close(c.done) })
	return nil
}

// Somebody who knows the pre-shared key and is at the victim's address and port joins its
// connection by a phase 1 and a Quick Mode, as the victim's renewal would. They get none
// of the victim's traffic. It continues, also when the victim renews its keys then, and
// when it deletes its old ones.
func TestWhoIsAtAClientsEndpointGetsNoneOfItsTraffic(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		taps := make([]*tapped, 2)
		l := w.Laptop(w.Net.Host("198.51.100.7"), func(c *client.Config) {
			for i := range taps {
				taps[i] = &tapped{c.Workers[0][i].Conn, make(chan udp.Packet, 1000)}
				c.Workers[0][i].Conn = taps[i]
			}
		})
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 1)
		for _, tap := range taps {
			for len(tap.heard) > 0 {
				<-tap.heard
			}
		}
		thieves := make([]*thief, 2)
		evil := w.Laptop(w.Net.Host("198.51.100.66"), func(c *client.Config) {
			for i := range thieves {
				_ = c.Workers[0][i].Conn.Close()
				thieves[i] = &thief{of: taps[i], done: make(chan struct{}), spis: map[uint32]int{}}
				c.Workers[0][i].Conn = thieves[i]
			}
		})
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = evil.Dial(ctx, client.Target{Local: l.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: User, Password: "wrong", Silent: true})
		if up := All[vpn.PhaseOneUp](w.Events); len(up) != 2 || !up[1].Adopted {
			t.Fatalf("phases 1 = %+v: the attack did not take place", up)
		}
		for i := range uint32(20) {
			passes(t, w, l, d, 100+i)
		}
		d.Rephase()
		time.Sleep(2 * time.Second)
		d.Rekey(ike.ChildRequest{LocalPort: 1701})
		time.Sleep(2 * time.Second)
		for i := range uint32(20) {
			passes(t, w, l, d, 200+i)
		}
		st := w.Server.List()
		if len(st) != 1 || len(st[0].Sessions) != 1 {
			t.Fatalf("connections %+v", st)
		}
		spis := map[uint32]bool{}
		for _, e := range All[vpn.ChildUp](w.Events) {
			spis[e.Child.OutSPI] = true
		}
		thieves[1].mu.Lock()
		defer thieves[1].mu.Unlock()
		for spi, n := range thieves[1].spis {
			if spi != 0 && !spis[spi] {
				t.Errorf("%d packets left under SPI %#x, which nobody has used", n, spi)
			}
		}
		if len(spis) != 2 {
			t.Errorf("%d pairs came up, want the victim's two", len(spis))
		}
		if drops := l.Drops(); drops["unknown-spi"] != 0 {
			t.Errorf("the victim has had packets of keys that are not its own: %v", drops)
		}
	})
}
