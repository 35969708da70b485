package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/internal/packet"
)

var (
	six     = netip.MustParsePrefix("2001:db8:1:7::/64")
	sixAddr = netip.MustParseAddr("2001:db8:1:7::9")
	sixFar  = netip.MustParseAddr("2001:db8:ffff::80")
)

// ip6 is an IPv6 packet with a payload, whose transport checksum is at sumAt.
func ip6(src, dst netip.Addr, protocol byte, sumAt int, payload []byte) []byte {
	b := append(make([]byte, 40), payload...)
	packet.PutSum(b[40:], sumAt, protocol, src, dst)
	packet.Put(b, protocol, 64, src, dst)
	return b
}

func udp6(src, dst netip.Addr, port uint16, n int) []byte {
	u := make([]byte, 8+n)
	binary.BigEndian.PutUint16(u, 1000)
	binary.BigEndian.PutUint16(u[2:], port)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	return ip6(src, dst, packet.UDP, 6, u)
}

func syn6(src, dst netip.Addr) []byte {
	return ip6(src, dst, packet.TCP, 16, []byte{0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 6 << 4, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 0x05, 0xb4})
}

// inRig6 is a rig whose session has IPv6, too.
func inRig6(t *testing.T, f func(r *rig)) {
	inRig(t, Config{}, func(r *rig) {
		r.plane.cfg.Pools = append(r.plane.cfg.Pools, netip.MustParsePrefix("2001:db8:1::/48"))
		r.session.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32), six}, 1400)
		if err := r.plane.Route(six, r.slot, r.session); err != nil {
			r.Fatal(err)
		}
		f(r)
	})
}

func TestIPv6BothWays(t *testing.T) {
	inRig6(t, func(r *rig) {
		out := udp6(sixAddr, sixFar, 53, 30)
		r.client.ip(out)
		synctest.Wait()
		if got := r.device.Poll(); !bytes.Equal(got, out) {
			t.Errorf("the device got %x", got)
		}
		back := udp6(sixFar, sixAddr, 53, 30)
		r.device.Inject(0, back)
		synctest.Wait()
		if got := r.client.nextIP(); !bytes.Equal(got, back) {
			t.Errorf("the client got %x", got)
		}
		if c := r.session.Counters(); c.InPackets != 1 || c.OutPackets != 1 || c.InOctets != 78 || c.OutOctets != 78 {
			t.Errorf("counted %+v", c)
		}
		r.client.ip(udp6(netip.MustParseAddr("2001:db8:1:8::9"), sixFar, 53, 30))
		r.wantDrop(DropSource, 1, "another's prefix")
	})
}

// Neighbour discovery and DHCPv6 are the control side's.
func TestIPv6ForTheRouter(t *testing.T) {
	inRig6(t, func(r *rig) {
		local, allRouters := netip.MustParseAddr("fe80::9"), netip.MustParseAddr("ff02::2")
		for name, ip := range map[string][]byte{
			"Router Solicitation":             ip6(local, allRouters, packet.ICMPv6, 2, []byte{133, 0, 0, 0, 0, 0, 0, 0}),
			"from no address":                 ip6(netip.IPv6Unspecified(), allRouters, packet.ICMPv6, 2, []byte{133, 0, 0, 0, 0, 0, 0, 0}),
			"to the router":                   ip6(sixAddr, netip.MustParseAddr("fe80::1"), packet.ICMPv6, 2, []byte{135, 0, 0, 0, 0, 0, 0, 0}),
			"DHCPv6":                          udp6(local, netip.MustParseAddr("ff02::1:2"), 547, 30),
			"DHCPv6 to the server's address":  udp6(sixAddr, netip.MustParseAddr("2001:db8:1::1"), 547, 30),
			"link-local to somewhere outside": udp6(local, sixFar, 53, 30),
		} {
			r.client.ip(ip)
			synctest.Wait()
			if notes := r.inbox.take(NotePacket); len(notes) != 1 || !bytes.Equal(notes[0].Data, ip) {
				t.Errorf("%s: %+v", name, notes)
			}
			if got := r.device.Poll(); got != nil {
				t.Errorf("%s: the device got %x", name, got)
			}
		}
	})
}

func TestIPv6SegmentSizeAndTooBig(t *testing.T) {
	inRig6(t, func(r *rig) {
		r.client.ip(syn6(sixAddr, sixFar))
		synctest.Wait()
		got := r.device.Poll()
		mtu := r.slot.view.Load().mtuOf(r.session, r.session.network.Load())
		h, _ := packet.Parse(got)
		if mss := int(binary.BigEndian.Uint16(got[62:])); mss != mtu-60 {
			t.Errorf("the segment size is %d, want %d", mss, mtu-60)
		}
		if tcp := got[40:]; packet.Fold(packet.Sum(packet.PseudoSum(h.Src, h.Dst, packet.TCP, len(tcp)), tcp)) != 0 {
			t.Error("the TCP checksum is wrong")
		}
		r.device.Inject(0, udp6(sixFar, sixAddr, 53, 1452))
		synctest.Wait()
		answer := r.device.Poll()
		h, ok := packet.Parse(answer)
		if !ok || h.Src != sixAddr || h.Dst != sixFar || h.Protocol != packet.ICMPv6 || answer[40] != 2 {
			t.Fatalf("answered %x", answer)
		}
		if n := int(binary.BigEndian.Uint32(answer[44:])); n != mtu {
			t.Errorf("Packet Too Big says %d, want %d", n, mtu)
		}
		r.wantDrop(DropTooBig, 1, "longer than the session takes")
	})
}
