package dataplane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

func TestPacketsReachTheClient(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		ip := udp4(farAddr, clientAddr, 40000, 100)
		r.device.Inject(0, ip)
		inner := r.client.next()
		want := []byte{
			0x06, 0xa5, 0x06, 0xa5, 0, 148, 0, 0, // UDP 1701 to 1701, no checksum
			0x40, 0x02, 0, 140, 0, peerTunnel, 0, peerSession, // L2TP with length
			0xff, 0x03, 0x00, 0x21,
		}
		if !bytes.Equal(inner, append(want, ip...)) {
			t.Errorf("got %x", inner)
		}
		if c := r.session.Counters(); c.OutPackets != 1 || c.OutOctets != uint64(len(ip)) || r.plane.Stats().OutPackets != 1 {
			t.Errorf("counted %+v", c)
		}
		if !r.session.LastOut().Equal(time.Now()) {
			t.Error("it last went not now")
		}
	})
}

// RFC 8200, section 8.1: over IPv6 the inner UDP checksum is mandatory.
func TestInnerChecksumOverIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, testSuite, 1, "2001:db8::5")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.plane.Run(ctx) }()
		ip := udp4(farAddr, clientAddr, 40000, 101)
		r.device.Inject(0, ip)
		inner := r.client.next()
		sum := packet.Sum(packet.PseudoSum(r.client.server.Addr(), r.client.conn.Local().Addr(), packet.UDP, len(inner)), inner)
		if binary.BigEndian.Uint16(inner[6:]) == 0 || packet.Fold(sum) != 0 {
			t.Errorf("checksum %x", inner[6:8])
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// RFC 2661, section 5.4.
func TestSequencedSession(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		v := *r.view
		s := NewSession(ourSession, peerSession, true)
		s.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32)}, 0)
		r.plane.Unroute(netip.PrefixFrom(clientAddr, 32), r.session)
		if err := r.plane.Route(netip.PrefixFrom(clientAddr, 32), r.slot, s); err != nil {
			t.Fatal(err)
		}
		v.Sessions = []*Session{s}
		r.publish(&v)
		for i := range 3 {
			ip := udp4(farAddr, clientAddr, 40000, 50)
			r.device.Inject(0, ip)
			inner := r.client.next()
			h, err := l2tp.ParseData(inner[8:])
			if err != nil || !h.HasSequence || h.Ns != uint16(i) || !bytes.Equal(inner[8+h.Off+4:], ip) {
				t.Errorf("message %d: %+v, %v", i, h, err)
			}
		}
	})
}

func TestWhatIsNotSent(t *testing.T) {
	for _, v := range []struct {
		name    string
		prepare func(*rig)
		packet  []byte
		want    Drop
	}{
		{"nobody has the address", func(*rig) {}, udp4(farAddr, netip.MustParseAddr("10.83.0.99"), 1, 1), DropNoRoute},
		{"no IP packet", func(*rig) {}, []byte{0x45, 0, 0, 99}, DropIP},
		{"the network is down", func(r *rig) { r.session.SetNetwork(nil, 0) }, nil, DropNoPath},
		{"no outbound SA", func(r *rig) { v := *r.view; v.Out = nil; r.publish(&v) }, nil, DropNoPath},
		{"no view", func(r *rig) { r.slot.Publish(nil) }, nil, DropNoPath},
		{"no such socket", func(r *rig) {
			v := *r.view
			v.Local = netip.AddrPortFrom(serverAddr, 4501)
			r.publish(&v)
		}, nil, DropNoPath},
		{"a retired SA", func(r *rig) { r.view.Out.Retire() }, nil, DropESP(ipsec.DropRetired)},
		{"the route is gone", func(r *rig) { r.plane.Unroute(netip.PrefixFrom(clientAddr, 32), r.session) }, nil, DropNoRoute},
	} {
		t.Run(v.name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				v.prepare(r)
				if v.packet == nil {
					v.packet = udp4(farAddr, clientAddr, 1, 1)
				}
				r.device.Inject(0, v.packet)
				r.wantDrop(v.want, 1, v.name)
			})
		})
	}
}

func TestTooBigWithDF(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.session.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32)}, 1300)
		fits := udp4(farAddr, clientAddr, 1, 1300-28)
		long := udp4(farAddr, clientAddr, 1, 1301-28)
		long[6] = 0x40
		r.device.Inject(0, long, fits)
		synctest.Wait()
		h, ok := packet.Parse(r.device.Poll())
		if !ok || h.Protocol != packet.ICMP || h.Dst != farAddr || h.Src != clientAddr {
			t.Errorf("answered with %+v", h)
		}
		if got := r.client.nextIP(); !bytes.Equal(got, fits) {
			t.Errorf("the client got %d bytes", len(got))
		}
		r.wantDrop(DropTooBig, 1, "the long one")
	})
}

// A client has one router: redirects to another are dropped.
func TestRedirectsAreDropped(t *testing.T) {
	inRig6(t, func(r *rig) {
		redirect := udp4(serverAddr, clientAddr, 1, 28)
		redirect[9], redirect[20], redirect[21] = packet.ICMP, 5, 1
		redirect6 := ip6(sixFar, sixAddr, packet.ICMPv6, 2, append([]byte{137, 0}, make([]byte, 38)...))
		fine := udp4(farAddr, clientAddr, 1, 5)
		r.device.Inject(0, redirect, redirect6, fine)
		if got := r.client.nextIP(); !bytes.Equal(got, fine) {
			t.Errorf("the client got %x", got)
		}
		r.wantDrop(DropRedirect, 2, "one of each family")
	})
}

func TestLongPacketsWithoutDFAreFragmented(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		long := udp4(farAddr, clientAddr, 1, 1500-28)
		for i := range long[28:] {
			long[28+i] = byte(i * 3)
		}
		const n = 70 // more than one batch of fragments
		for range n {
			r.device.Inject(0, long)
		}
		for range n {
			var got []byte
			for more := true; more; {
				b := r.client.nextIP()
				h, ok := packet.Parse(b)
				if !ok || h.Len > 1400 || h.Offset != len(got) {
					t.Fatalf("%+v after %d bytes", h, len(got))
				}
				got = append(got, b[h.HeaderLen:]...)
				more = h.More
			}
			if !bytes.Equal(got, long[20:]) {
				t.Fatal("the fragments are another packet")
			}
		}
		r.wantDrop(DropTooBig, 0, "nothing")
	})
}

func TestSegmentSizeIsClampedOutbound(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		for _, v := range []struct {
			suite ipsec.Suite
			want  uint16
		}{
			{testSuite, 1360},
			// AES-256 with SHA2-512 leaves only 1386 of 1500.
			{ipsec.Suite{Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA512_256}, 1346},
		} {
			r.rekey(v.suite)
			r.device.Inject(0, syn4(farAddr, clientAddr))
			if got := binary.BigEndian.Uint16(r.client.nextIP()[42:]); got != v.want {
				t.Errorf("%v: MSS %d, want %d", v.suite, got, v.want)
			}
		}
	})
}

// Whatever fits into InnerMTU must fit into the path, and a byte more must not,
// unless MaxMTU is the limit.
func TestInnerMTU(t *testing.T) {
	for _, s := range []ipsec.Suite{
		testSuite,
		{Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA512_256},
		{Cipher: ipsec.TripleDESCBC, Auth: ipsec.HMACSHA1_96},
		{Cipher: ipsec.AESGCM16, KeyBits: 128},
	} {
		for _, remote := range []string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"} {
			for _, sequencing := range []bool{false, true} {
				for path := 1280; path <= 1500; path++ {
					addr := netip.MustParseAddr(remote)
					outer := func(n int) int {
						inner := n + 4 + 8 + 8
						if sequencing {
							inner += 4
						}
						total := inner + s.Overhead(inner) + 8 + 20
						if !addr.Unmap().Is4() {
							total += 20
						}
						return total
					}
					mtu := InnerMTU(path, addr, s, sequencing)
					if mtu > MaxMTU || outer(mtu) > path || mtu < MaxMTU && outer(mtu+1) <= path {
						t.Fatalf("%v, %v, path %d: %d makes %d outside", s, addr, path, mtu, outer(mtu))
					}
				}
			}
		}
	}
}

func TestControlSide(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		if err := r.slot.SendL2TP([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got := r.client.next(); !bytes.Equal(got, []byte("\x06\xa5\x06\xa5\x00\x0d\x00\x00hello")) {
			t.Errorf("got %x", got)
		}
		read := func() string {
			p := []udp.Packet{{Data: make([]byte, 100)}}
			if _, err := r.client.conn.Receive(p); err != nil {
				t.Fatal(err)
			}
			return p[0].Remote.String() + " " + string(p[0].Data)
		}
		if err := r.slot.SendKeepalive(); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != "192.0.2.1:4500 \xff" {
			t.Errorf("got %q", got)
		}
		remote := r.client.conn.Local()
		for port, marker := range map[uint16]bool{500: false, 4500: true} {
			if err := r.plane.SendIKE(netip.AddrPortFrom(serverAddr, port), remote, marker, []byte("ike")); err != nil {
				t.Fatal(err)
			}
			want := "192.0.2.1:500 ike"
			if marker {
				want = "192.0.2.1:4500 \x00\x00\x00\x00ike"
			}
			if got := read(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if err := r.plane.SendIKE(netip.MustParseAddrPort("192.0.2.1:501"), remote, false, nil); !errors.Is(err, ErrNoPath) {
			t.Errorf("from a port that is not ours: %v", err)
		}
		r.view.Out.Retire()
		if err := r.slot.SendL2TP(nil); !errors.Is(err, ErrDropped) {
			t.Errorf("with a retired SA: %v", err)
		}
		r.slot.Publish(nil)
		if err := r.slot.SendL2TP(nil); !errors.Is(err, ErrNoPath) {
			t.Errorf("without a view: %v", err)
		}
		if err := r.slot.SendKeepalive(); !errors.Is(err, ErrNoPath) {
			t.Errorf("keepalive without a view: %v", err)
		}
	})
}

// startRig is a running rig outside of a bubble, with real concurrency.
func startRig(t *testing.T, workers int) *rig {
	r := newRig(t, Config{}, testSuite, workers, "203.0.113.5")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.plane.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// Several workers, with packets and super-packets, and the control side seal for
// one SA at the same time: the sequence numbers reach the wire in order. Replay
// windows of clients are only 32 packets wide.
func TestWireOrderIsSequenceOrder(t *testing.T) {
	const workers = 3
	r := startRig(t, workers)
	var mu sync.Mutex
	var wire []uint32
	r.net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
		mu.Lock()
		defer mu.Unlock()
		wire = append(wire, binary.BigEndian.Uint32(d.Data[4:]))
		return true
	}})
	const rounds, burst, segments = 100, 40, 48
	long := super(tcp4(farAddr, clientAddr, segments*1348), 1348)
	var wg sync.WaitGroup
	for queue := range workers {
		wg.Go(func() {
			for i := range rounds {
				if i%2 == queue%2 {
					r.device.InjectSuper(queue, long)
					continue
				}
				var packets [][]byte
				for range burst {
					packets = append(packets, udp4(farAddr, clientAddr, 1, 40))
				}
				r.device.Inject(queue, packets...)
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if err := r.slot.SendL2TP([]byte("control")); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	const total = rounds/2*workers*(burst+segments) + rounds
	for {
		mu.Lock()
		n := len(wire)
		mu.Unlock()
		if n == total {
			break
		}
	}
	for i, seq := range wire {
		if seq != uint32(i+1) {
			t.Fatalf("datagram %d has sequence number %d", i+1, seq)
		}
	}
}

// SAs are replaced and retired while packets flow: nothing is lost, and what is
// sealed by one pair is opened by it.
func TestRekeyLosesNothing(t *testing.T) {
	r := startRig(t, 2)
	var mu sync.Mutex
	got := 0
	opener := ipsec.NewOpener()
	sas := map[uint32]*ipsec.Inbound{r.client.in.SPI(): r.client.in}
	r.net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
		mu.Lock()
		defer mu.Unlock()
		in := []ipsec.In{{SA: sas[binary.BigEndian.Uint32(d.Data)], Buf: bytes.Clone(d.Data), End: len(d.Data)}}
		opener.Open(in)
		if in[0].Drop != ipsec.DropNone {
			t.Errorf("the client drops a packet: %v", in[0].Drop)
		}
		got++
		return true
	}})
	const rounds, burst = 300, 20
	var wg sync.WaitGroup
	for queue := range 2 {
		wg.Go(func() {
			for range rounds * burst {
				r.device.Inject(queue, udp4(farAddr, clientAddr, 1, 40))
			}
		})
	}
	for done := false; !done; {
		old := r.view.Out
		spi := r.slot.NewSPI()
		in, _ := pair(t, spi, testSuite)
		peerIn, peerOut := pair(t, spi, testSuite)
		mu.Lock()
		sas[spi] = peerIn
		done = got == 2*rounds*burst
		mu.Unlock()
		v := *r.view
		v.In, v.Out = []*ipsec.Inbound{in}, peerOut
		r.publish(&v)
		old.Retire()
		if n := r.plane.Drops()[DropESP(ipsec.DropRetired)]; n > 0 {
			t.Fatalf("%d packets were sealed by a retired SA", n)
		}
	}
	wg.Wait()
}

func TestRunEndsWhenTheDeviceFails(t *testing.T) {
	r := newRig(t, Config{}, testSuite, 1, "203.0.113.5")
	_ = r.device.Close()
	if err := r.plane.Run(t.Context()); err != nil {
		t.Errorf("a closed device is not a failure, but %v", err)
	}
}
