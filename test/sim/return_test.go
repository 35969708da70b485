package sim

import (
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
)

// silence drops every datagram from now on.
func silence(n *udptest.Net) { n.SetPolicy(udptest.Policy{Loss: 1}) }

// A laptop whose cable was pulled comes back through another port of its NAT: soon only
// one of its sessions remains.
func TestAReturningClientTakesItsOldSessionsPlace(t *testing.T) {
	for name, limit := range map[string]int{"without a limit": 0, "one session a user": 1} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, Options{Policy: func(p *vpn.Policy) { p.SessionsPerUser = limit }})
				nat := w.Net.NAT("198.51.100.7")
				l := w.Laptop(nat.Host("192.168.1.10"), nil)
				d, err := l.Connect(ServerAddr)
				if err != nil {
					t.Fatal(err)
				}
				d.Vanish()
				nat.Rebind()
				d, err = l.Connect(ServerAddr)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(15 * time.Second)
				passes(t, w, l, d, 1)
				if n := len(w.Server.List()); n != 1 {
					t.Errorf("%d connections are left", n)
				}
				down := All[vpn.SessionDown](w.Events)
				if len(down) != 1 || down[0].Cause != auth.NASRequest {
					t.Errorf("session ends = %+v", down)
				}
			})
		})
	}
}

// Two machines of one user that look alike are behind NATs behind one NAT. Both stay
// connected, although they are idle: the old session's answer counts even if it arrives
// at the very moment of the question.
func TestALookalikeThatLivesIsLeftAlone(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		nat := w.Net.NAT("198.51.100.7")
		one := w.Laptop(nat.NAT("192.168.1.10").Host("10.0.0.2"), nil)
		a, err := one.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		two := w.Laptop(nat.NAT("192.168.1.11").Host("10.0.0.2"), nil)
		b, err := two.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		passes(t, w, one, a, 1)
		passes(t, w, two, b, 100)
		if down := All[vpn.SessionDown](w.Events); len(down) != 0 {
			t.Errorf("session ends = %+v", down)
		}
	})
}

// The limit on sessions does not cost a session its place: one whose client is alive
// keeps it.
func TestTheLimitHoldsAgainstALookalike(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{Policy: func(p *vpn.Policy) { p.SessionsPerUser = 1 }})
		nat := w.Net.NAT("198.51.100.7")
		one := w.Laptop(nat.NAT("192.168.1.10").Host("10.0.0.2"), nil)
		d, err := one.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		two := w.Laptop(nat.NAT("192.168.1.11").Host("10.0.0.2"), nil)
		if _, err := two.Connect(ServerAddr); err == nil {
			t.Error("a second session was admitted")
		}
		passes(t, w, one, d, 1)
	})
}

// With the other layers' own probes switched off, dead peer detection alone notices.
func TestDeadPeerDetectionEndsASilentConnection(t *testing.T) {
	quiet := func(p *vpn.Policy) {
		p.DeadPeer, p.IKE.DPDTimeout = 2*time.Minute, time.Minute
		p.L2TP.Hello, p.PPP.Echo = 0, 0
	}
	t.Run("the peer is gone", func(t *testing.T) {
		in(t, func(t *testing.T) {
			w, l, d := online(t, Options{Policy: quiet})
			passes(t, w, l, d, 1)
			silence(w.Net)
			time.Sleep(2*time.Minute + 15*time.Second)
			w.WantNothingLeft(t)
			if down := All[vpn.ConnDown](w.Events); len(down) != 1 || down[0].Why != vpn.EndLost {
				t.Errorf("connection ends = %+v", down)
			}
		})
	})
	t.Run("the peer only has nothing to say", func(t *testing.T) {
		in(t, func(t *testing.T) {
			w, l, d := online(t, Options{Policy: quiet})
			passes(t, w, l, d, 1)
			time.Sleep(30 * time.Minute)
			passes(t, w, l, d, 100)
		})
	})
	t.Run("the peer forgot phase 1, and sends", func(t *testing.T) {
		in(t, func(t *testing.T) {
			w, l, d := online(t, Options{Policy: quiet})
			time.Sleep(30 * time.Second)
			w.Net.SetPolicy(udptest.Policy{Drop: func(p udptest.Datagram) bool {
				return len(p.Data) > 4 && p.Data[0]|p.Data[1]|p.Data[2]|p.Data[3] == 0 // IKE after the non-ESP marker
			}})
			time.Sleep(70 * time.Second) // the server is probing meanwhile
			passes(t, w, l, d, 1)
			time.Sleep(40 * time.Second)
			passes(t, w, l, d, 100)
			if down := All[vpn.PhaseOneDown](w.Events); len(down) != 1 || down[0].Why != ike.ReasonDead {
				t.Errorf("phase 1 ends = %+v", down)
			}
		})
	})
}

// With the shortest server.dead_peer_timeout, of which each layer gets a share, a dead
// client is noticed within that time, and an idle client stays connected.
func TestAShortDeadPeerTimeout(t *testing.T) {
	short := func(p *vpn.Policy) {
		p.DeadPeer, p.IKE.DPDTimeout = 20*time.Second, 10*time.Second
		p.L2TP.Hello, p.PPP.Echo = 4*time.Second, 4*time.Second
	}
	in(t, func(t *testing.T) {
		w, l, d := online(t, Options{Policy: short})
		time.Sleep(10 * time.Minute)
		passes(t, w, l, d, 1)
		silence(w.Net)
		time.Sleep(21 * time.Second)
		if down := All[vpn.SessionDown](w.Events); len(down) != 1 || down[0].Cause != auth.LostCarrier {
			t.Errorf("session ends = %+v", down)
		}
		time.Sleep(time.Minute)
		w.WantNothingLeft(t)
	})
}
