package sim

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// in runs f in a synctest bubble, in virtual time.
func in(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// datagram is a UDP packet with a number in it.
func datagram(src, dst netip.Addr, n uint32) []byte {
	b := make([]byte, 20+8+4)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[20:], 9)
	binary.BigEndian.PutUint16(b[22:], 9)
	binary.BigEndian.PutUint16(b[24:], 12)
	binary.BigEndian.PutUint32(b[28:], n)
	return b
}

// number reads the number of a datagram.
func number(b []byte) uint32 {
	if len(b) < 32 {
		return 0
	}
	return binary.BigEndian.Uint32(b[28:])
}

var internet = netip.MustParseAddr("203.0.113.80")

// passes fails the test unless a packet gets through in each direction.
func passes(t *testing.T, w *World, l *Laptop, d *client.Dialled, n uint32) {
	t.Helper()
	own := d.Network.Peer
	l.Device.Inject(0, datagram(own, internet, n))
	synctest.Wait()
	time.Sleep(time.Second)
	if got := number(w.Device.Poll()); got != n {
		t.Errorf("the server's device got packet %d, want %d", got, n)
	}
	w.Device.Inject(0, datagram(internet, own, n+1))
	time.Sleep(time.Second)
	if got := number(l.Device.Poll()); got != n+1 {
		t.Errorf("the client got packet %d, want %d", got, n+1)
	}
}

func TestClientConnectsPassesTrafficAndLeaves(t *testing.T) {
	in(t, func(t *testing.T) {
		w, l, d := online(t, Options{})
		if d.Network.Peer != netip.MustParseAddr("10.83.0.2") || d.Network.Local != netip.MustParseAddr("10.83.0.1") {
			t.Errorf("network = %+v", d.Network)
		}
		passes(t, w, l, d, 100)
		list := w.Server.List()
		if len(list) != 1 || len(list[0].Sessions) != 1 || list[0].Sessions[0].User != User || list[0].Sessions[0].InPackets != 1 {
			t.Errorf("List = %+v", list)
		}
		d.Close()
		time.Sleep(10 * time.Second)
		w.WantNothingLeft(t)
	})
}

func TestTwoClientsBehindOneNATWithEqualPorts(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		nat := w.Net.NAT("198.51.100.7")
		one := w.Laptop(nat.Host("192.168.1.10"), nil)
		two := w.Laptop(nat.Host("192.168.1.11"), nil)
		a, err := one.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		b, err := two.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		if a.Network.Peer == b.Network.Peer {
			t.Fatal("both clients have one address")
		}
		passes(t, w, one, a, 100)
		passes(t, w, two, b, 200)
		passes(t, w, one, a, 300)
	})
}

// natAddr is the address at which clients dial a server behind a NAT.
const natAddr = "192.0.2.99"

// serverBehindNAT is a network with a NAT that leads to a server's host.
func serverBehindNAT() (*udptest.Net, *udptest.Host) {
	n := udptest.New(1)
	nat := n.NAT(natAddr)
	host := nat.Host("172.18.0.2")
	nat.Forward(client.IKEPort, "172.18.0.2:500")
	nat.Forward(client.NATTPort, "172.18.0.2:4500")
	return n, host
}

func TestServerBehindNAT(t *testing.T) {
	in(t, func(t *testing.T) {
		n, host := serverBehindNAT()
		w := New(t, Options{Net: n, Host: host})
		l := w.Laptop(n.Host("198.51.100.7"), nil)
		d, err := l.Connect(natAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 100)
	})
}

func TestRekeyUnderTrafficLosesNothing(t *testing.T) {
	in(t, func(t *testing.T) {
		w, l, d := online(t, Options{})
		own := d.Network.Peer
		up, down := uint32(0), uint32(0)
		for i := range uint32(2000) {
			switch i % 200 {
			case 50:
				d.Rekey(ike.ChildRequest{LocalPort: 1701})
			case 150:
				d.Rephase()
			}
			l.Device.Inject(0, datagram(own, internet, i+1))
			w.Device.Inject(0, datagram(internet, own, i+1))
			time.Sleep(10 * time.Millisecond)
			for b := w.Device.Poll(); b != nil; b = w.Device.Poll() {
				if up++; number(b) != up {
					t.Fatalf("the server's device got %d, want %d", number(b), up)
				}
			}
			for b := l.Device.Poll(); b != nil; b = l.Device.Poll() {
				if down++; number(b) != down {
					t.Fatalf("the client got %d, want %d", number(b), down)
				}
			}
		}
		time.Sleep(time.Second)
		if up < 1999 || down < 1999 {
			t.Errorf("up %d, down %d of 2000 packets", up, down)
		}
		if n := len(All[vpn.ChildUp](w.Events)); n < 10 {
			t.Errorf("only %d pairs of SAs came up", n)
		}
		adopted := 0
		for _, e := range All[vpn.PhaseOneUp](w.Events) {
			if e.Adopted {
				adopted++
			}
		}
		if adopted < 8 {
			t.Errorf("%d new phases 1 joined the connection, want all", adopted)
		}
		if n := len(w.Server.List()); n != 1 {
			t.Errorf("%d connections, want one", n)
		}
	})
}

func TestAClientWhosePlugWasPulledReturnsAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		for i := range uint32(4) {
			d, err := l.Connect(ServerAddr)
			if err != nil {
				t.Fatalf("return %d: %v", i, err)
			}
			passes(t, w, l, d, 100*i+1)
			d.Vanish()
		}
		time.Sleep(5 * time.Minute)
		w.WantNothingLeft(t)
	})
}

func TestASilentPeerIsGoneWithinMinutes(t *testing.T) {
	in(t, func(t *testing.T) {
		w, _, d := online(t, Options{})
		d.Vanish()
		time.Sleep(4 * time.Minute)
		w.WantNothingLeft(t)
		down := All[vpn.SessionDown](w.Events)
		if len(down) != 1 || down[0].Cause.String() != "lost carrier" {
			t.Errorf("session ends = %+v", down)
		}
	})
}

func TestDisconnectSaysGoodbyeToEveryLayer(t *testing.T) {
	in(t, func(t *testing.T) {
		w, _, d := online(t, Options{})
		began := time.Now()
		w.Server.Disconnect(func(vpn.Status) bool { return true })
		<-d.Done()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the client noticed after %v", took)
		}
	})
}

func TestNATRebindingIsFollowed(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		nat := w.Net.NAT("198.51.100.7")
		l := w.Laptop(nat.Host("192.168.1.10"), nil)
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 1)
		nat.Rebind()
		passes(t, w, l, d, 100)
		nat.Move("198.51.100.8")
		passes(t, w, l, d, 200)
		if n := len(All[vpn.Moved](w.Events)); n < 2 {
			t.Errorf("%d moves were seen, want two or more", n)
		}
	})
}

func TestWrongPasswordIsRefusedAndNothingIsLeft(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		if _, err := l.ConnectAs(ServerAddr, User, "wrong"); err == nil {
			t.Fatal("a wrong password was accepted")
		}
		time.Sleep(20 * time.Second)
		w.WantNothingLeft(t)
	})
}

func TestNumberedDataMessagesWhenThePeerAsksForThem(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		l := w.Laptop(w.Net.Host("198.51.100.7"), func(c *client.Config) { c.Sequencing = true })
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		if !d.Session.Sequencing {
			t.Fatal("the session is not sequenced")
		}
		passes(t, w, l, d, 1)
		passes(t, w, l, d, 100)
	})
}

// If a client agreed on a lifetime in kilobytes and does not renew its keys, the server
// renews them, as a last resort and without loss.
func TestTheServerRenewsKeysWhoseKilobytesAreOver(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		l := w.Laptop(w.Net.Host("198.51.100.7"), func(c *client.Config) { c.ChildKilobytes = 100 })
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		got := uint32(0)
		const packets = 5000
		for i := range uint32(packets) {
			l.Device.Inject(0, datagram(d.Network.Peer, internet, i+1))
			time.Sleep(time.Millisecond)
			for b := w.Device.Poll(); b != nil; b = w.Device.Poll() {
				if got++; number(b) != got {
					t.Fatalf("packet %d came, want %d", number(b), got)
				}
			}
		}
		time.Sleep(time.Second)
		if got < packets-1 {
			t.Errorf("%d of %d packets came", got, packets)
		}
		if n := len(All[vpn.ChildUp](w.Events)); n < 2 {
			t.Errorf("%d pairs of SAs came up, want a renewed one", n)
		}
	})
}
