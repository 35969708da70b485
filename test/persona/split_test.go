package persona

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// splits are what a NAT with several public addresses does with port 500 of a
// client: it leaves from the first of these when the client connects, and from the
// next ones at its renewals. Port 4500 leaves from 198.51.100.8 all the time, for
// it is never idle.
var splits = []struct {
	name      string
	addresses []string
	on500     bool // renewals begin on port 500
}{
	{"two addresses", []string{"198.51.100.7"}, false},
	{"two addresses, from port 500", []string{"198.51.100.7"}, true},
	{"two at first, one after, from port 500", []string{"198.51.100.7", "198.51.100.8"}, true},
	{"another at each renewal", []string{"198.51.100.7", "198.51.100.9", "198.51.100.10", "198.51.100.11"}, false},
	{"another at each renewal, from port 500", []string{"198.51.100.7", "198.51.100.9", "198.51.100.10", "198.51.100.11"}, true},
	{"one at first, two after, from port 500", []string{"198.51.100.8", "198.51.100.9"}, true},
	{"one at first, two after", []string{"198.51.100.8", "198.51.100.9"}, false},
}

// Ports 500 and 4500 of a client leave from different public addresses. Its keys
// are renewed in every order under 50 packets a second each way: nothing is lost,
// and there is one connection and one session all the time.
func TestPortsThatLeaveFromDifferentAddresses(t *testing.T) {
	orders := map[string][]func(*Client) error{
		"phase 1 first": {(*Client).Rephase, (*Client).Rekey, (*Client).Rephase, (*Client).Rephase, (*Client).Rekey, (*Client).Rekey},
		"phase 2 first": {(*Client).Rekey, (*Client).Rephase, (*Client).Rekey},
		"phase 1 alone": {(*Client).Rephase, (*Client).Rephase, (*Client).Rephase, (*Client).Rephase},
	}
	for _, split := range splits {
		for order, renewals := range orders {
			t.Run(fmt.Sprintf("%s, %s", split.name, order), func(t *testing.T) {
				each(t, func(t *testing.T, p Profile) {
					p.IKE.RekeyOnNATT = p.IKE.RekeyOnNATT && !split.on500
					renewSplit(t, p, split.addresses, renewals)
				})
			})
		}
	}
}

func renewSplit(t *testing.T, p Profile, addresses []string, renewals []func(*Client) error) {
	w := sim.New(t, sim.Options{Seed: 1})
	nat := w.Net.NAT("198.51.100.8")
	nat.Split(500, addresses[0])
	c := online(t, p, account, nat.Host("192.168.1.10"))
	w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
	s := &stream{w: w, c: c}
	probe := func(d time.Duration) {
		for range d / (20 * time.Millisecond) {
			s.step(20 * time.Millisecond)
		}
	}
	one := func(when string) {
		t.Helper()
		if list := w.Server.List(); len(list) != 1 || len(list[0].Sessions) != 1 {
			t.Errorf("%s there are %d connections", when, len(list))
		}
	}
	for i, renew := range renewals {
		nat.Split(500, addresses[min(i+1, len(addresses)-1)])
		done := make(chan error, 1)
		go func() { done <- renew(c) }()
		probe(time.Second)
		if err := <-done; err != nil {
			t.Fatalf("renewal %d: %v", i, err)
		}
		one(fmt.Sprintf("after renewal %d", i))
		for range 7 { // longer than a newcomer has to bring a user
			s.step(10 * time.Second)
		}
		one(fmt.Sprintf("70 s after renewal %d", i))
	}
	s.want(t, c.Stats().UnknownSPI)
	if n := len(sim.All[vpn.SessionUp](w.Events)); n != 1 {
		t.Errorf("it had %d sessions, want one", n)
	}
	time.Sleep(time.Minute) // some keep old SAs for that long
	w.Net.SetPolicy(udptest.Policy{})
	leaves(t, w, c)
}
