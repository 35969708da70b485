package persona

import (
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// stream sends numbered packets in both directions and stores those that arrive.
type stream struct {
	w        *sim.World
	c        *Client
	sent     uint32
	up, down []uint32
}

// step sends a packet in each direction and waits.
func (s *stream) step(pause time.Duration) {
	own, _ := s.c.Address()
	s.sent++
	s.c.Send(numbered(own, internet, s.sent))
	s.w.Device.Inject(0, numbered(internet, own, s.sent))
	time.Sleep(pause)
	s.collect()
}

// collect takes the packets that have arrived.
func (s *stream) collect() {
	for b := s.w.Device.Poll(); b != nil; b = s.w.Device.Poll() {
		s.up = append(s.up, number(b))
	}
	for b := s.c.Poll(); b != nil; b = s.c.Poll() {
		s.down = append(s.down, number(b))
	}
}

// want fails the test if the server lost, repeated or reordered a packet. Away is the
// number of packets under keys that the client had already discarded.
func (s *stream) want(t *testing.T, away int) {
	t.Helper()
	time.Sleep(time.Second)
	s.step(time.Second)
	complete := func(what string, got []uint32, away int) {
		if len(got)+away != int(s.sent) {
			t.Errorf("%s: %d of %d packets came, %d came for keys that the client had deleted", what, len(got), s.sent, away)
		}
		for i := 1; i < len(got); i++ {
			if got[i] <= got[i-1] {
				t.Errorf("%s: packet %d came after %d", what, got[i], got[i-1])
			}
		}
	}
	complete("to the server", s.up, 0)
	complete("to the client", s.down, away)
}

// The client renews the keys of ESP and of phase 1 in turn, while packets are in flight
// in both directions.
func TestEveryClientRenewsItsKeysWithoutLoss(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
		s := &stream{w: w, c: c}
		errs := make(chan error, 20)
		renewals := 0
		for i := range 1000 {
			switch i % 200 {
			case 50:
				go func() { errs <- c.Rekey() }()
				renewals++
			case 150:
				go func() { errs <- c.Rephase() }()
				renewals++
			}
			s.step(7 * time.Millisecond)
		}
		for range renewals {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		s.want(t, c.Stats().UnknownSPI)
		if n := len(w.Server.List()); n != 1 {
			t.Errorf("it has %d connections, want one", n)
		}
		if n := len(sim.All[vpn.SessionUp](w.Events)); n != 1 {
			t.Errorf("it had %d sessions, want one", n)
		}
		time.Sleep(time.Minute)
		w.Net.SetPolicy(udptest.Policy{})
		leaves(t, w, c)
	})
}

// A session lasts a day: keys are renewed whenever their lifetime ends.
func TestEveryClientStaysForADay(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		s := &stream{w: w, c: c}
		for range 24 * 12 {
			s.step(5 * time.Minute)
		}
		s.want(t, 0)
		if n := len(sim.All[vpn.ChildUp](w.Events)); n < 3 {
			t.Errorf("%d pairs of SAs came up in a day", n)
		}
		if n := len(w.Server.List()); n != 1 {
			t.Errorf("it has %d connections, want one", n)
		}
		leaves(t, w, c)
	})
}

// Windows and similar clients also renew their keys by the bytes that these have
// protected. A few kilobytes here stand for the 250,000 of Windows.
func TestWindowsRenewsItsKeysByKilobytesWithoutLoss(t *testing.T) {
	for _, make := range []func(WindowsOptions) Profile{Windows10, Windows7} {
		p := make(WindowsOptions{Kilobytes: 20})
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
				s := &stream{w: w, c: c}
				for range 1000 {
					s.step(10 * time.Millisecond)
				}
				s.want(t, c.Stats().UnknownSPI)
				if n := len(sim.All[vpn.ChildUp](w.Events)); n < 5 {
					t.Errorf("%d pairs of SAs came up", n)
				}
				if n := len(w.Server.List()); n != 1 {
					t.Errorf("it has %d connections, want one", n)
				}
			})
		})
	}
}
