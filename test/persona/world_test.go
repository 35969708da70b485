package persona

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// everyone is the list of clients with which every scenario is played.
var everyone = slices.Concat(systems, desktops, routers)

// systems are the clients of Windows, Apple and Android.
var systems = []func() Profile{
	func() Profile { return Windows10(WindowsOptions{Length: true, Inform: true}) },
	func() Profile { return Windows7(WindowsOptions{Length: true, Inform: true}) },
	func() Profile { return Apple(AppleOptions{Ack: 200 * time.Millisecond}) },
	func() Profile {
		return named("Apple, split tunnel", Apple(AppleOptions{Ack: 200 * time.Millisecond, Split: true, VJ: true}))
	},
	func() Profile { return named("iOS 12", Apple(AppleOptions{OldESP: true, NoChecksum: true})) },
	func() Profile { return Android(AndroidOptions{Deletes: true}) },
	func() Profile { return Android(AndroidOptions{Old: true, Deletes: true, MRU: 1270}) },
}

func named(name string, p Profile) Profile {
	p.Name = name
	return p
}

// each plays a scenario with every client, each in a bubble of its own.
func each(t *testing.T, play func(t *testing.T, p Profile)) {
	t.Helper()
	for _, make := range everyone {
		p := make()
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { play(t, p) })
		})
	}
}

// bubble plays in virtual time, in a synctest bubble.
func bubble(t *testing.T, play func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, play)
}

// account is the account that the simulated server knows.
var account = Account{Server: netip.MustParseAddr(sim.ServerAddr), PSK: sim.PSK, User: sim.User, Password: sim.Password}

// start makes a client that ends with the test.
func start(t *testing.T, p Profile, a Account, h *udptest.Host) *Client {
	t.Helper()
	c := New(p, a, h, rand.Uint64(), func(rule string) { t.Error(rule) })
	t.Cleanup(func() {
		c.Vanish()
		if t.Failed() {
			t.Logf("%s:\n%s", p.Name, c.Log())
		}
	})
	return c
}

// online makes a client on a network that loses nothing, and connects it.
func online(t *testing.T, p Profile, a Account, h *udptest.Host) *Client {
	t.Helper()
	c := start(t, p, a, h)
	c.Lossless = true
	began := time.Now()
	if err := c.Dial(); err != nil {
		t.Fatalf("it does not connect: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("connecting took %v on a network without delay", took)
	}
	time.Sleep(time.Millisecond) // so that nothing else happens at the very same instant
	addr, dns := c.Address()
	if !netip.MustParsePrefix("10.83.0.0/16").Contains(addr) {
		t.Errorf("its address is %v", addr)
	}
	want := []netip.Addr{netip.MustParseAddr("9.9.9.9")}
	if !slices.ContainsFunc(p.PPP.IPCP, func(o wire.Option) bool { return o.Type == optDNS1 }) {
		want = nil
	}
	if !slices.Equal(dns, want) {
		t.Errorf("its DNS servers are %v", dns)
	}
	return c
}

// internet is a host with which clients communicate.
var internet = netip.MustParseAddr("203.0.113.80")

// numbered is a datagram with a number in it.
func numbered(src, dst netip.Addr, n uint32) []byte {
	return wire.UDP{Src: netip.AddrPortFrom(src, 9), Dst: netip.AddrPortFrom(dst, 9), Payload: wire.U32(n)}.IP(64, true)
}

// number reads the number.
func number(b []byte) uint32 {
	if len(b) < 32 {
		return 0
	}
	return binary.BigEndian.Uint32(b[28:])
}

// passes fails the test unless a packet gets through in each direction.
func passes(t *testing.T, w *sim.World, c *Client, n uint32) {
	t.Helper()
	own, _ := c.Address()
	c.Send(numbered(own, internet, n))
	time.Sleep(time.Second)
	if got := number(w.Device.Poll()); got != n {
		t.Errorf("packet %d came out of the server, want %d", got, n)
	}
	w.Device.Inject(0, numbered(internet, own, n+1))
	time.Sleep(time.Second)
	if got := number(c.Poll()); got != n+1 {
		t.Errorf("packet %d came to the client, want %d", got, n+1)
	}
}

// leaves disconnects a client, and fails the test unless the server holds nothing of it
// ten seconds later.
func leaves(t *testing.T, w *sim.World, c *Client) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("it does not leave as it likes: %v", err)
	}
	time.Sleep(10 * time.Second)
	w.WantNothingLeft(t)
}
