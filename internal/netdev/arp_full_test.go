package netdev

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// newOffice is a large LAN, with clients 10.0.0.1 and so on.
func newOffice(clients int) (n *neighbours, own []netip.Addr) {
	n = newNeighbours(arpMAC, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("10.255.0.1"))
	for i := range clients {
		own = append(own, nth(0x0a000001+uint32(i)))
		n.own[own[i]] = true
	}
	return n, own
}

func nth(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], i)
	return netip.AddrFrom4(b)
}

// sweep is a client that sends to one address after the other, from first on,
// and goes on where it has ended.
type sweep struct{ next uint32 }

func (s *sweep) send(n *neighbours, from netip.Addr, packets int, now time.Time) (asked int) {
	for range packets {
		s.next++
		if _, ask := n.route(frameOf(0), from, nth(s.next), now); ask != nil {
			asked++
		}
	}
	return asked
}

// Whatever clients have sent to unused addresses, another client finds an existing
// neighbour at once, and the client that did it finds it soon.
func TestASweepKeepsNobodyFromAsking(t *testing.T) {
	for name, v := range map[string]struct {
		sweepers int
		still    bool // they go on meanwhile
		same     bool // who asks is one of them
	}{
		"one":                         {1, false, false},
		"one that goes on":            {1, true, false},
		"all":                         {arpQuestion/arpShare + 1, false, false},
		"all, and go on":              {arpQuestion/arpShare + 1, true, false},
		"very many, and go on":        {300, true, false},
		"who asks":                    {1, false, true},
		"who asks, one of many":       {50, false, true},
		"who asks, while it goes on":  {1, true, true},
		"networks behind the clients": {0, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			n, own := newOffice(v.sweepers + 1)
			s := sweep{0x0a400000}
			now := epoch
			all := func(packets int) {
				for i := range v.sweepers {
					s.send(n, own[i], packets, now)
				}
				if v.sweepers == 0 {
					s.send(n, netip.MustParseAddr("172.16.0.9"), packets, now)
				}
			}
			all(500)
			asker := own[v.sweepers]
			if v.same {
				asker = own[0]
			}
			found := false
			for i := 0; i < 30 && !found; i++ { // three seconds
				now = now.Add(100 * time.Millisecond)
				if v.still {
					all(2)
				}
				_, ask := n.route(frameOf(1), asker, peer7, now)
				if ask != nil {
					if out := n.receive(from(otherMAC, arpReply, peer7, asker), now.Add(time.Millisecond)); len(out) != 1 {
						t.Errorf("%d packets have waited", len(out))
					}
				}
				found, _ = n.route(frameOf(1), asker, peer7, now.Add(2*time.Millisecond))
			}
			if !found {
				t.Error("a neighbour who is there is not found within three seconds")
			}
		})
	}
}

var peer7 = netip.MustParseAddr("10.7.7.7")

// After the time that a question has, there is room for all again.
func TestQuestionsExpire(t *testing.T) {
	n, own := newOffice(2 * arpQuestion / arpShare)
	s := sweep{0x0a400000}
	for _, o := range own {
		s.send(n, o, 200, epoch)
	}
	if len(n.waiting.list) != arpQuestion {
		t.Fatalf("%d questions", len(n.waiting.list))
	}
	now := epoch.Add(arpWait)
	for _, o := range own[:arpQuestion/arpShare] {
		if asked := s.send(n, o, arpShare, now); asked != arpShare {
			t.Errorf("%v asks for %d neighbours after the others' questions are over", o, asked)
		}
	}
	if len(n.waiting.list) != arpQuestion {
		t.Errorf("%d questions", len(n.waiting.list))
	}
}

// A sweep is not repeated to everybody on the LAN at its own pace.
func TestASweepAsksSlowly(t *testing.T) {
	n, own := newOffice(20)
	s := sweep{0x0a400000}
	asked := 0
	for i := range 1000 { // a second, at 20,000 packets
		for _, o := range own {
			asked += s.send(n, o, 1, epoch.Add(time.Duration(i)*time.Millisecond))
		}
	}
	if most := arpQuestion * int(time.Second/arpAnswer) * 2; asked > most {
		t.Errorf("asked %d times in a second, want at most %d", asked, most)
	}
}

// A station on the LAN can claim many addresses. A neighbour that is asked for is known
// all the same.
func TestAFullTableTakesWhoWasAskedFor(t *testing.T) {
	n, own := newOffice(1)
	for i := range uint32(2 * arpCapacity) {
		n.receive(from(otherMAC, arpRequest, nth(0x0a400000+i), own[0]), epoch)
	}
	n.route(frameOf(1), own[0], peer7, epoch)
	if out := n.receive(from(otherMAC, arpReply, peer7, own[0]), epoch); len(out) != 1 {
		t.Errorf("%d packets have waited", len(out))
	}
	if ready, _ := n.route(frameOf(1), own[0], peer7, epoch); !ready {
		t.Error("who has answered is not known")
	}
	if len(n.known) > arpCapacity {
		t.Errorf("%d are known", len(n.known))
	}
	// And a neighbour that nobody asked for is, when others have been silent for a while.
	later := epoch.Add(arpConfirm + time.Second)
	n.receive(from(otherMAC, arpRequest, nth(0x0a800000), own[0]), later)
	if ready, _ := n.route(frameOf(1), own[0], nth(0x0a800000), later); !ready {
		t.Error("a newcomer is not known although others have been silent")
	}
}
