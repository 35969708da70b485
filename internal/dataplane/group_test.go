package dataplane

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/l2tp"
)

var (
	mdns      = netip.MustParseAddr("224.0.0.251")
	directed  = netip.MustParseAddr("10.83.255.255")
	multicast = Config{Multicast: true, ClientToClient: true, Broadcasts: []netip.Addr{directed}}
)

func TestPacketsToEverybodyLeaveByTheDevice(t *testing.T) {
	for _, together := range []bool{true, false} {
		c := multicast
		c.ClientToClient = together
		inRig(t, c, func(r *rig) {
			for _, dst := range []netip.Addr{mdns, broadcast, directed} {
				ip := udp4(clientAddr, dst, 5353, 30)
				r.client.ip(ip)
				synctest.Wait()
				if got := r.device.Poll(); !bytes.Equal(got, ip) {
					t.Errorf("to %v: the device got %x", dst, got)
				}
				notes := r.inbox.take(NoteGroup)
				if together && (len(notes) != 1 || notes[0].Session != ourSession || !bytes.Equal(notes[0].Data, ip)) || !together && len(notes) != 0 {
					t.Errorf("to %v: client to client is %v, and the connection was told %+v", dst, together, notes)
				}
			}
			if n := r.session.Counters().InPackets; n != 3 {
				t.Errorf("%d packets counted", n)
			}
		})
	}
}

func TestWhatIsBetweenAClientAndItsRouterGoesNoFurther(t *testing.T) {
	inRig(t, multicast, func(r *rig) {
		for name, ip := range map[string][]byte{
			"DHCP":             udp4(clientAddr, broadcast, 67, 300),
			"another's source": udp4(netip.MustParseAddr("10.83.0.99"), mdns, 5353, 30),
			"no source":        udp4(netip.IPv4Unspecified(), broadcast, 137, 30),
			"link-local":       udp4(netip.MustParseAddr("169.254.1.1"), mdns, 5353, 30),
		} {
			r.client.ip(ip)
			synctest.Wait()
			if got := r.device.Poll(); got != nil {
				t.Errorf("%s: the device got %x", name, got)
			}
			if notes := r.inbox.take(NotePacket); len(notes) != 1 {
				t.Errorf("%s: the connection was told %+v", name, notes)
			}
		}
	})
}

func TestOneSessionCannotFlood(t *testing.T) {
	inRig(t, multicast, func(r *rig) {
		for range groupBurst + 50 {
			r.client.ip(udp4(clientAddr, mdns, 5353, 30))
		}
		synctest.Wait()
		r.wantDrop(DropRate, 50, "more than a burst came at once")
	})
}

// join adds a session with an address, whose packets come to the same client.
func (r *rig) join(a netip.Addr, local uint16) *Session {
	r.Helper()
	s := NewSession(local, local, false)
	own := []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
	s.SetNetwork(own, 1400)
	if err := r.plane.Route(own[0], r.slot, s); err != nil {
		r.Fatal(err)
	}
	v := *r.view
	v.Sessions = append(v.Sessions[:len(v.Sessions):len(v.Sessions)], s)
	r.publish(&v)
	return s
}

func TestPacketsToEverybodyReachAllButTheirSender(t *testing.T) {
	inRig(t, multicast, func(r *rig) {
		other := r.join(netip.MustParseAddr("10.83.0.77"), 7)
		six := r.join(netip.MustParseAddr("2001:db8::7"), 8)
		ip := udp4(farAddr, mdns, 5353, 30)
		r.device.Inject(0, ip)
		synctest.Wait()
		if a, b := other.Counters().OutPackets, r.session.Counters().OutPackets; a != 1 || b != 1 {
			t.Errorf("the sessions got %d and %d", b, a)
		}
		r.plane.Flood(other, ip)
		synctest.Wait()
		for range 3 {
			if h, err := l2tp.ParseData(r.client.next()[8:]); err != nil || h.Session != peerSession && h.Session != 7 {
				t.Errorf("%+v, %v", h, err)
			}
		}
		r.device.Inject(0, udp4(farAddr, broadcast, 68, 300), udp4(clientAddr, mdns, 5353, 30)) // DHCP; and the session's own, come back
		synctest.Wait()
		if a, b, c := r.session.Counters().OutPackets, other.Counters().OutPackets, six.Counters().OutPackets; a != 2 || b != 2 || c != 0 {
			t.Errorf("the sessions got %d, %d and %d packets, want 2, 2 and 0", a, b, c)
		}
		r.wantDrop(DropNoRoute, 1, "DHCP of others is not for clients")
	})
}

// A super-packet to everybody comes to each session as its datagrams, each of which
// counts as a copy. One of very many datagrams is dropped.
func TestSuperPacketsToEverybody(t *testing.T) {
	inRig(t, multicast, func(r *rig) {
		other := r.join(netip.MustParseAddr("10.83.0.77"), 7)
		b := udp4(farAddr, mdns, 5353, 950)
		r.device.InjectSuper(0, netdev.Packet{Buf: b, End: len(b), Segment: 100, HeaderLen: 28, CsumStart: 20, CsumOffset: 6})
		seen := map[uint16][]byte{}
		for range 20 {
			inner := r.client.next()
			h, err := l2tp.ParseData(inner[8:])
			if err != nil {
				t.Fatal(err)
			}
			seen[h.Session] = append(seen[h.Session], inner[8+h.Off+4+28:8+h.End]...)
		}
		for _, id := range []uint16{peerSession, 7} {
			if !bytes.Equal(seen[id], b[28:]) {
				t.Errorf("session %d got %d bytes, want %d", id, len(seen[id]), 950)
			}
		}
		if owed := time.Duration(r.plane.copies.next.Load() - (time.Now().UnixNano() - int64(copyBurst*copyEvery))); owed < 20*copyEvery {
			t.Errorf("the copies were counted as %d", owed/copyEvery)
		}
		for _, v := range []struct{ payload, segment int }{{1000, 1}, {60000, 29}} {
			r.device.InjectSuper(0, super(tcp4(farAddr, mdns, v.payload), v.segment))
		}
		r.wantDrop(DropIP, 2, "thousands of copies for everybody")
		if n := other.Counters().OutPackets; n != 10 {
			t.Errorf("%d copies were sent", n)
		}
	})
}

func TestCopiesAreLimitedInSum(t *testing.T) {
	inRig(t, multicast, func(r *rig) {
		ip := udp4(farAddr, mdns, 5353, 30)
		r.plane.copies.next.Store(time.Now().UnixNano() + int64(time.Second)) // as after too many
		r.plane.Flood(nil, ip)
		r.wantDrop(DropRate, 1, "all copies together are too many")
		r.device.Inject(0, ip)
		r.wantDrop(DropRate, 2, "from the device, too")
		time.Sleep(2 * time.Second)
		r.device.Inject(0, ip)
		synctest.Wait()
		if got := r.client.nextIP(); !bytes.Equal(got, ip) {
			t.Errorf("the client got %x", got)
		}
	})
}

// A packet to everybody is copied in the worker's own buffers, whatever their
// number.
func TestCopiesDoNotAllocate(t *testing.T) {
	w := newWalks(t, testSuite, 4, 100)
	w.in.plane.cfg.Multicast = true
	for i := range w.ips {
		w.ips[i] = udp4(farAddr, mdns, 5353, walkLen-28)
	}
	w.send()
	w.conn.packets = 0
	if n := testing.AllocsPerRun(20, w.send); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if w.conn.packets != 21*400 {
		t.Errorf("%d copies were sent, want %d", w.conn.packets, 21*400)
	}
}

// What is too long for some clients comes to them in fragments, as a router
// would forward it.
func TestLongPacketsToEverybodyAreFragmented(t *testing.T) {
	inRig(t, multicast, func(r *rig) {
		other := r.join(netip.MustParseAddr("10.83.0.11"), 77)
		other.SetNetwork([]netip.Prefix{netip.MustParsePrefix("10.83.0.11/32")}, 1000)
		long := udp4(farAddr, mdns, 5353, 1372)
		reassembled := func() {
			t.Helper()
			whole, pieces := 0, map[int][]byte{}
			for len(pieces) < 2 {
				b := r.client.next()[8+8+4:] // of either session
				h, ok := packet.Parse(b)
				switch {
				case !ok:
					t.Fatalf("got %x", b)
				case h.Len == len(long) && bytes.Equal(b, long):
					whole++
				case h.Len > 1000:
					t.Fatalf("%d bytes for who takes 1000", h.Len)
				default:
					pieces[h.Offset] = append([]byte(nil), b[h.HeaderLen:]...)
				}
			}
			if !bytes.Equal(append(pieces[0], pieces[len(pieces[0])]...), long[20:]) {
				t.Error("the fragments are another packet")
			}
		}
		r.device.Inject(0, long)
		reassembled()
		r.plane.Flood(r.session, long)
		reassembled()
		long[6] = 0x40
		r.device.Inject(0, long)
		synctest.Wait()
		r.wantDrop(DropTooBig, 1, "one that must not be fragmented")
	})
}
