package sim

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// forger is a socket of somebody who knows the pre-shared key and claims to have the
// victim's address. Where stage allows it, what it sends really has the victim's source
// address.
type forger struct {
	udp.Conn
	own, victim netip.Addr
	as          udp.Conn // the victim's socket
	forge       func(msg []byte) bool
}

func (f *forger) Read(list []udp.Packet, handle func(n int) []udp.Packet) error {
	return f.Conn.Read(list, func(n int) []udp.Packet {
		for i := range list[:n] {
			list[i].Local = netip.AddrPortFrom(f.victim, list[i].Local.Port())
		}
		list = handle(n)
		return list
	})
}

func (f *forger) WriteBatch(list []udp.Packet) (int, error) {
	for i, p := range list {
		from := f.as
		if f.forge == nil || !f.forge(p.Data) {
			from, p.Local = f.Conn, netip.AddrPortFrom(f.own, p.Local.Port())
		}
		if _, err := from.WriteBatch([]udp.Packet{p}); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

// Somebody who knows the pre-shared key can complete a Main Mode from an address of their
// own and forge the source of its last message, with the victim's identification, which
// is a private address and easily guessed. The resulting keys must not become those of
// the victim's connection.
func TestAForgedSourceInMessage5JoinsNoOthersConnection(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		victim, own := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.66")
		var socket udp.Conn
		l := w.Laptop(w.Net.Host(victim.String()), func(c *client.Config) { socket = c.Workers[0][1].Conn })
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 1)
		forged := 0
		evil := w.Laptop(w.Net.Host(own.String()), func(c *client.Config) {
			for i := range c.Workers[0] {
				f := &forger{Conn: c.Workers[0][i].Conn, own: own, victim: victim, as: socket}
				if c.Workers[0][i].Kind == dataplane.SocketNATT {
					f.forge = func(msg []byte) bool { forged++; return len(msg) > 22 && msg[22] == 2 }
				}
				c.Workers[0][i].Conn = f
			}
		})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if _, err := evil.Dial(ctx, client.Target{Local: victim, Server: netip.MustParseAddr(ServerAddr), User: User, Password: "wrong"}); err == nil {
			t.Fatal("the forger connected")
		}
		up := All[vpn.PhaseOneUp](w.Events)
		if forged == 0 || len(up) != 2 {
			t.Fatalf("%d messages forged, %d phases 1 came up: the attack did not take place", forged, len(up))
		}
		if up[1].Adopted || up[1].Conn == up[0].Conn {
			t.Error("the forger's phase 1 joined the victim's connection")
		}
		passes(t, w, l, d, 100)
		d.Rephase() // the victim's own phase 1 still joins it, although the forger's claims its endpoint
		time.Sleep(2 * time.Second)
		up = All[vpn.PhaseOneUp](w.Events)
		if len(up) != 3 || !up[2].Adopted || up[2].Conn != up[0].Conn {
			t.Errorf("phases 1 = %+v, want the last to join the first", up)
		}
		passes(t, w, l, d, 200)
	})
}

// A peer with keys of its own can forge the source of ESP, and so make its connection
// move to a victim's address. It receives nothing there, and the victim's phase 1 must
// not join its connection.
func TestAForgedSourceOfESPAdoptsNobodysPhase1(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		victim, own := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.66")
		var socket udp.Conn
		l := w.Laptop(w.Net.Host(victim.String()), func(c *client.Config) { socket = c.Workers[0][1].Conn })
		var forging atomic.Bool
		var forged atomic.Int64
		evil := w.Laptop(w.Net.Host(own.String()), func(c *client.Config) {
			for i := range c.Workers[0] {
				f := &forger{Conn: c.Workers[0][i].Conn, own: own, victim: victim, as: socket}
				if c.Workers[0][i].Kind == dataplane.SocketNATT {
					f.forge = func(msg []byte) bool {
						if !forging.Load() {
							return false
						}
						forged.Add(1)
						return true
					}
				}
				c.Workers[0][i].Conn = f
			}
		})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		e, err := evil.Dial(ctx, client.Target{Local: victim, Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		forging.Store(true)
		for n := range uint32(5) {
			evil.Device.Inject(0, datagram(e.Network.Peer, internet, n))
			time.Sleep(3 * time.Second)
		}
		forging.Store(false)
		if moved := All[vpn.Moved](w.Events); forged.Load() == 0 || len(moved) == 0 || moved[len(moved)-1].Remote.Addr() != victim {
			t.Fatalf("%d packets forged, moves %+v: the attack did not take place", forged.Load(), moved)
		}
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		if up := All[vpn.PhaseOneUp](w.Events); len(up) != 2 || up[1].Adopted || up[1].Conn == up[0].Conn {
			t.Errorf("phases 1 = %+v: the victim's joined the forger's connection", up)
		}
		for b := w.Device.Poll(); b != nil; b = w.Device.Poll() { // packets of the forger
		}
		passes(t, w, l, d, 100)
	})
}
