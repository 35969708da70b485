package netdev

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

var (
	arpMAC   = mac{2, 0, 0, 0, 0, 1}
	otherMAC = mac{2, 0, 0, 0, 0, 2}
	lan      = netip.MustParsePrefix("192.168.7.0/24")
	gateway  = netip.MustParseAddr("192.168.7.1")
	client   = netip.MustParseAddr("192.168.7.200")
	peer     = netip.MustParseAddr("192.168.7.9")
	epoch    = time.Unix(1e9, 0)
)

func newTestNeighbours() *neighbours {
	t := newNeighbours(arpMAC, lan, gateway)
	t.own[client] = true
	return t
}

// from builds an ARP message of another machine.
func from(m mac, op uint16, sender, target netip.Addr) []byte {
	other := newNeighbours(m, lan, gateway)
	return other.message(op, broadcastMAC, mac{}, sender, target)
}

func frameOf(tail byte) []byte { return append(make([]byte, etherLen), tail) }

func TestARPAnswersForClients(t *testing.T) {
	n := newTestNeighbours()
	out := n.receive(from(otherMAC, arpRequest, peer, client), epoch)
	if len(out) != 1 || !bytes.Equal(out[0], []byte{
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 2,
		2, 0, 0, 0, 0, 1, 192, 168, 7, 200,
		2, 0, 0, 0, 0, 2, 192, 168, 7, 9,
	}) {
		t.Fatalf("answered %x", out)
	}
	if ready, ask := n.route(frameOf(1), client, peer, epoch); !ready || ask != nil {
		t.Error("who asked is not known")
	}
	if out := n.receive(from(otherMAC, arpRequest, netip.IPv4Unspecified(), client), epoch); len(out) != 1 {
		t.Error("a probe for a client's address is not answered")
	}
	for name, frame := range map[string][]byte{
		"for another address":      from(otherMAC, arpRequest, peer, gateway),
		"from our own address":     from(otherMAC, arpRequest, client, client),
		"from outside the LAN":     from(otherMAC, arpRequest, netip.MustParseAddr("10.0.0.1"), client),
		"from a multicast address": from(mac{3, 0, 0, 0, 0, 2}, arpRequest, peer, client),
		"our own":                  from(arpMAC, arpRequest, peer, client),
		"cut":                      from(otherMAC, arpRequest, peer, client)[:arpFrame-1],
		"of other lengths":         append(append([]byte{}, from(otherMAC, arpRequest, peer, client)[:18]...), make([]byte, 30)...),
	} {
		if out := n.receive(frame, epoch); out != nil {
			t.Errorf("%s: answered %x", name, out)
		}
	}
	delete(n.own, client)
	if out := n.receive(from(otherMAC, arpRequest, peer, client), epoch); out != nil {
		t.Error("answered for an address that was given up")
	}
}

func TestARPAsksAndHoldsPackets(t *testing.T) {
	n := newTestNeighbours()
	ready, ask := n.route(frameOf(0), client, peer, epoch)
	if ready || ask == nil || !bytes.Equal(ask[:6], broadcastMAC[:]) || !bytes.Equal(ask[28:32], client.AsSlice()) || !bytes.Equal(ask[38:42], peer.AsSlice()) {
		t.Fatalf("ready %v, asked %x", ready, ask)
	}
	for i := range 2 * arpQueue {
		if ready, ask := n.route(frameOf(byte(i+1)), client, peer, epoch); ready || ask != nil {
			t.Fatal("asked twice within a second")
		}
	}
	if _, ask := n.route(frameOf(99), client, peer, epoch.Add(arpRetry)); ask == nil {
		t.Error("not asked again after a second")
	}
	out := n.receive(from(otherMAC, arpReply, peer, client), epoch)
	if len(out) != arpQueue {
		t.Fatalf("%d packets waited", len(out))
	}
	for i, f := range out {
		if mac(f[:6]) != otherMAC || mac(f[6:12]) != arpMAC || f[etherLen] != byte(i) {
			t.Errorf("packet %d: %x", i, f)
		}
	}
	f := frameOf(0)
	if ready, ask := n.route(f, client, peer, epoch); !ready || ask != nil || mac(f[:6]) != otherMAC || binary.BigEndian.Uint16(f[12:]) != etherIPv4 {
		t.Errorf("%x", f)
	}
	if len(n.waiting.list) != 0 {
		t.Errorf("%d questions are left", len(n.waiting.list))
	}
}

func TestARPConfirmsAndForgets(t *testing.T) {
	n := newTestNeighbours()
	n.receive(from(otherMAC, arpRequest, peer, client), epoch)
	if ready, ask := n.route(frameOf(0), client, peer, epoch.Add(arpConfirm+time.Second)); !ready || ask == nil {
		t.Error("an old neighbour is not used and asked at the same time")
	}
	if ready, _ := n.route(frameOf(0), client, peer, epoch.Add(arpExpire+time.Second)); ready {
		t.Error("a neighbour that does not answer is used for ever")
	}
	moved := mac{2, 0, 0, 0, 0, 7}
	n.receive(from(moved, arpReply, peer, client), epoch.Add(arpExpire+time.Second))
	f := frameOf(0)
	if ready, _ := n.route(f, client, peer, epoch.Add(arpExpire+time.Second)); !ready || mac(f[:6]) != moved {
		t.Errorf("a neighbour that moved: %x", f[:6])
	}
}

func TestARPNextHop(t *testing.T) {
	n := newTestNeighbours()
	if _, ask := n.route(frameOf(0), client, netip.MustParseAddr("1.1.1.1"), epoch); !bytes.Equal(ask[38:42], gateway.AsSlice()) {
		t.Errorf("asked %x for what is far away", ask)
	}
	f := frameOf(0)
	if ready, ask := n.route(f, client, netip.MustParseAddr("192.168.7.255"), epoch); !ready || ask != nil || mac(f[:6]) != broadcastMAC {
		t.Errorf("broadcast goes to %x", f[:6])
	}
	for dst, want := range map[string]mac{
		"255.255.255.255": broadcastMAC, "224.0.0.251": {1, 0, 0x5e, 0, 0, 251}, "239.255.255.250": {1, 0, 0x5e, 0x7f, 0xff, 250},
	} {
		if ready, ask := n.route(f, client, netip.MustParseAddr(dst), epoch); !ready || ask != nil || mac(f[:6]) != want {
			t.Errorf("%s goes to %x", dst, f[:6])
		}
	}
	n.gateway = netip.Addr{}
	if ready, ask := n.route(frameOf(0), client, netip.MustParseAddr("1.1.1.1"), epoch); ready || ask != nil {
		t.Error("something far away is reached without a gateway")
	}
}

// An unsolicited reply makes no entry, and nobody can fill the table.
func TestARPTableIsBounded(t *testing.T) {
	n := newNeighbours(arpMAC, netip.MustParsePrefix("10.0.0.0/8"), netip.Addr{})
	n.own[netip.MustParseAddr("10.0.0.1")] = true
	addr := netip.MustParseAddr("10.1.0.0")
	n.receive(from(otherMAC, arpReply, addr, addr), epoch)
	if len(n.known) != 0 {
		t.Error("an unsolicited reply made an entry")
	}
	for range 2 * arpQuestion {
		addr = addr.Next()
		n.route(frameOf(0), netip.MustParseAddr("10.0.0.1"), addr, epoch)
	}
	if len(n.known) != 0 || len(n.waiting.list) != arpShare {
		t.Errorf("%d entries, %d questions of one client", len(n.known), len(n.waiting.list))
	}
	later := epoch.Add(time.Minute)
	for range 2 * arpCapacity {
		addr = addr.Next()
		n.receive(from(otherMAC, arpRequest, addr, netip.MustParseAddr("10.0.0.1")), later)
	}
	if len(n.known) != arpCapacity {
		t.Errorf("%d entries", len(n.known))
	}
}

func FuzzARP(f *testing.F) {
	f.Add(from(otherMAC, arpRequest, peer, client))
	f.Add(from(otherMAC, arpReply, peer, client))
	f.Add(from(otherMAC, arpRequest, netip.IPv4Unspecified(), client)[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		n := newTestNeighbours()
		n.route(frameOf(0), client, peer, epoch)
		for _, out := range n.receive(b, epoch) {
			if len(out) < etherLen || mac(out[6:12]) != arpMAC {
				t.Fatalf("sent %x", out)
			}
		}
		if len(n.waiting.list) > 1 || len(n.known) > 2 {
			t.Fatalf("%d questions, %d known", len(n.waiting.list), len(n.known))
		}
	})
}
