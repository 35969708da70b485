//go:build real

package real

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// delayed is a relay that clients dial in the server's place, a second address of
// which the server sees. Everything takes its time each way.
type delayed struct {
	t     *testing.T
	takes time.Duration

	// Where lossy is above 0, so many of a hundred packets are lost, and some overtake others.
	lossy atomic.Int32

	mu   sync.Mutex
	away map[netip.AddrPort]*net.UDPConn // towards the server, of a client's endpoint
}

// newDelayed starts a relay on the NAT box.
func newDelayed(t *testing.T, takes time.Duration) *delayed {
	t.Helper()
	d := &delayed{t: t, takes: takes, away: map[netip.AddrPort]*net.UDPConn{}}
	for _, port := range []string{":500", ":4500"} {
		d.serve(lab.ListenUDP(t, here.NAT, lab.NATIP+port), netip.MustParseAddrPort(lab.ServerIP+port))
	}
	return d
}

// serve carries what comes to near, which clients dial, to the server and back.
func (d *delayed) serve(near *net.UDPConn, server netip.AddrPort) {
	go func() {
		for b := make([]byte, 2048); ; {
			n, client, err := near.ReadFromUDPAddrPort(b)
			if err != nil {
				return // the test has ended
			}
			far := d.far(near, client, server)
			d.later(b[:n], func(b []byte) { _, _ = far.WriteToUDPAddrPort(b, server) })
		}
	}()
}

// far is the socket towards the server of a client, which carries what comes back.
func (d *delayed) far(near *net.UDPConn, client, server netip.AddrPort) *net.UDPConn {
	key := netip.AddrPortFrom(client.Addr(), server.Port())
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.away[key]; c != nil {
		return c
	}
	c := lab.ListenUDP(d.t, here.NAT, lab.NATIP+":0")
	d.away[key] = c
	go func() {
		for b := make([]byte, 2048); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			d.later(b[:n], func(b []byte) { _, _ = near.WriteToUDPAddrPort(b, client) })
		}
	}()
	return c
}

func (d *delayed) later(b []byte, send func([]byte)) {
	b = append([]byte(nil), b...)
	takes := d.takes
	if lossy := d.lossy.Load(); lossy > 0 {
		if rand.Int32N(100) < lossy {
			return
		}
		if rand.IntN(20) == 0 {
			takes += takes / 2
		}
	}
	time.AfterFunc(takes, func() { send(b) })
}

// A Linux client connects over a path of two seconds each way, which is that of
// satellites and crowded cells and then some: its pppd repeats every three.
func TestLinuxConnectsOverALongPath(t *testing.T) {
	s := here.Serve(t, lab.Config{"server": `public = "` + lab.NATIP + `"`}) // which libreswan insists on
	newDelayed(t, 2*time.Second)
	var guests []*lab.Guest
	for i, kind := range []string{"strongswan", "libreswan"} {
		guests = append(guests, here.Dial(t, lab.Client{ID: 1 + i, Kind: kind, Args: []string{
			"--server", lab.NATIP, "--ike-timeout", "60", "--l2tp-timeout", "60", "--ppp-timeout", "60", "--ping-timeout", "30", "--ping-wait", "6",
		}}))
	}
	for _, g := range guests {
		g.Up(t)
		t.Logf("power-on to ping: %.1f s; %s", g.Took.Seconds(), g.Timing(t))
	}
	for _, x := range s.Status(t).Sessions {
		if netip.MustParseAddrPort(x.Remote).Addr() != netip.MustParseAddr(lab.NATIP) {
			t.Errorf("a client came by %s, not by the relay", x.Remote)
		}
	}
	for _, g := range guests {
		g.HangUp(t)
	}
	if !lab.Wait(2*patience, func() bool { return len(s.Status(t).Sessions) == 0 }) {
		t.Error("a session is still there after the clients said goodbye")
	}
	s.Stop(t)
}
