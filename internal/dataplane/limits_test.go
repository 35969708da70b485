package dataplane

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/packet"
)

// rules is a filter.
func rules(t testing.TB, texts ...string) (f limit.Filter) {
	t.Helper()
	for _, text := range texts {
		var r limit.Rule
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		f = append(f, r)
	}
	return f
}

// taken is how many of n packets pass at once.
func taken(b *bucket, now time.Time, each, n int) int {
	admitted, _ := b.take(now.UnixNano(), each, each*n, n, 0)
	return admitted
}

// What passes a bucket in the long run is the rate, whatever comes in which pieces and how
// often the clock is read; at once no more than the burst, and that always.
func TestABucketPassesItsRate(t *testing.T) {
	for _, rate := range []limit.Rate{64e3, 1e6, 10e6, 100e6, 1e9} {
		for _, x := range []struct {
			each, n int
			every   time.Duration
		}{{1400, 1, 50 * time.Microsecond}, {60, 1, 20 * time.Microsecond}, {1400, 46, time.Millisecond / 2}, {1400, 32, 10 * time.Millisecond}} {
			offered := float64(x.each*x.n) * 8 / x.every.Seconds()
			if offered < 1.2*float64(rate) {
				continue
			}
			b := bucketOf(rate, 0, nil, nil)
			passed, begin := 0, time.Now()
			now := begin
			for ; now.Sub(begin) < 20*time.Second; now = now.Add(x.every) {
				passed += x.each * taken(b, now, x.each, x.n)
			}
			want := float64(rate)*20/8 + float64(rate.Burst())
			if got := float64(passed) / want; got < 0.99 || got > 1.01 {
				t.Errorf("%v in %d × %d octets every %v: %.4f of what may pass", rate, x.n, x.each, x.every, got)
			}
		}
		b := bucketOf(rate, 0, nil, nil)
		if n, _ := b.take(time.Now().UnixNano(), 1000, 1e9, 1e6, 0); n != int(rate.Burst()/1000) {
			t.Errorf("%v: %d octets at once, want %v", rate, n*1000, rate.Burst())
		}
	}
}

// A clock that is put back does not keep a session from its rate.
func TestABucketAndAClockThatJumps(t *testing.T) {
	b := bucketOf(1e6, 0, nil, nil)
	now := time.Now()
	taken(b, now, 1400, 1)
	now = now.Add(-time.Hour)
	passed := 0
	for range 10000 {
		now = now.Add(time.Millisecond)
		passed += 1400 * taken(b, now, 1400, 1)
	}
	if want := 1e6 / 8 * 10.0; float64(passed) < 0.97*want {
		t.Errorf("%d octets in 10 s, want %.0f", passed, want)
	}
}

// Workers share a bucket without a lock, and it passes no more than for one.
func TestABucketOfManyWorkers(t *testing.T) {
	b := bucketOf(1e6, 0, nil, nil)
	now := time.Now()
	passed := make([]int, 8)
	var all sync.WaitGroup
	for i := range passed {
		all.Go(func() {
			for range 1000 {
				passed[i] += taken(b, now, 100, 3)
			}
		})
	}
	all.Wait()
	sum := 0
	for _, n := range passed {
		sum += n
	}
	if sum != int(limit.Rate(1e6).Burst()/100) {
		t.Errorf("%d octets passed at once, want %v", sum*100, limit.Rate(1e6).Burst())
	}
}

func TestAFilteredSession(t *testing.T) {
	other := netip.MustParseAddr("198.51.100.81")
	for name, x := range map[string]struct {
		filter  []string
		in, out bool // to and from farAddr pass
	}{
		"none":            {nil, true, true},
		"denied in":       {[]string{"deny in ip from any to 198.51.100.80"}, false, true},
		"denied out":      {[]string{"deny out ip from 198.51.100.80 to any"}, true, false},
		"permitted other": {[]string{"permit in ip from any to 198.51.100.81", "permit out ip from 198.51.100.81 to any"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				r.session.SetLimits(Limits{Filter: rules(t, x.filter...)})
				drops := uint64(0)
				for _, far := range []netip.Addr{farAddr, other} {
					r.client.ip(udp4(clientAddr, far, 53, 100))
					r.device.Inject(0, udp4(far, clientAddr, 53, 100))
					if !x.in && far == farAddr {
						drops++
					}
					if !x.out && far == farAddr {
						drops++
					}
				}
				r.wantDrop(DropFilter, drops, name)
				if c := r.session.Counters(); c.InPackets+c.OutPackets != 4-drops || (c.InPackets == 2) != x.in {
					t.Errorf("carried %+v", c)
				}
			})
		})
	}
}

// A packet with a source route passes where nothing is filtered, and does not go around a filter,
// either way. It has a reason of its own.
func TestASourceRouteLeadsAroundNoFilter(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		inRig(t, Config{}, func(r *rig) {
			if filtered {
				r.session.SetLimits(Limits{Filter: rules(t, "permit in ip from any to 198.51.100.80", "permit out ip from 198.51.100.80 to any")})
			}
			for i, b := range [][]byte{udp4(clientAddr, farAddr, 53, 100), udp4(farAddr, clientAddr, 53, 100)} {
				b = slices.Insert(b, 20, 131, 7, 4, 10, 1, 2, 3, 0)
				b[0], b[3] = b[0]+2, b[3]+8
				b[10], b[11] = 0, 0
				binary.BigEndian.PutUint16(b[10:], packet.Checksum(b[:28]))
				if i == 0 {
					r.client.ip(b)
				} else {
					r.device.Inject(0, b)
				}
			}
			want := map[bool]uint64{true: 2}[filtered]
			r.wantDrop(DropSourceRoute, want, "source routes")
			if c := r.session.Counters(); c.InPackets+c.OutPackets != 2-want {
				t.Errorf("carried %+v", c)
			}
		})
	}
}

// Limits hold whenever they are set: before the network, while it is up, and when it comes
// again.
func TestLimitsOutliveTheNetwork(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		deny := Limits{Filter: rules(t, "deny in ip from any to any")}
		networks := []netip.Prefix{netip.PrefixFrom(clientAddr, 32)}
		for i, step := range []struct {
			do     func()
			passes bool
		}{
			{func() { r.session.SetLimits(deny) }, false},
			{func() { r.session.SetNetwork(networks, 1300) }, false},
			{func() { r.session.SetLimits(Limits{}) }, true},
			{func() { r.session.SetNetwork(networks, 1400) }, true},
			{func() { r.session.SetNetwork(nil, 0); r.session.SetLimits(deny); r.session.SetNetwork(networks, 0) }, false},
		} {
			step.do()
			before := r.session.Counters().InPackets
			r.client.ip(udp4(clientAddr, farAddr, 53, 100))
			synctest.Wait()
			if passed := r.session.Counters().InPackets > before; passed != step.passes {
				t.Errorf("step %d: passes %v", i, passed)
			}
		}
	})
}

// Of a super-packet goes at once what may, some packets wait, and the rest is counted as
// dropped.
func TestASuperPacketIsPolicedByThePacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWalks(t, testSuite, 1, 1)
		w.sessions[0].SetLimits(Limits{Rates: limit.Rates{Out: 1e6}})
		w.out.packets[0] = super(tcp4(farAddr, netip.MustParseAddr("10.83.0.1"), 40*1348), 1348)
		w.out.packets[1] = super(tcp4(farAddr, netip.MustParseAddr("10.83.0.1"), 40*1348), 1348)
		w.out.handle(2)
		want := int(limit.Rate(1e6).Burst()) / 1400
		if c := w.sessions[0].Counters(); c.OutPackets != uint64(want) {
			t.Errorf("%d packets left at once, want %d of 80", c.OutPackets, want)
		}
		time.Sleep(maxWait + 2*leaveEarly)
		synctest.Wait()
		want = (int(limit.Rate(1e6).Burst()) + 1e6/80) / 1400
		if n := w.out.tally.drops[DropOverRate].Load(); w.conn.packets != want || n != uint64(80-want) {
			t.Errorf("%d packets left and %d were dropped, want %d of 80", w.conn.packets, n, want)
		}
		if c := w.sessions[0].Counters(); c.OutPackets != uint64(want) {
			t.Errorf("%d packets are counted", c.OutPackets)
		}
	})
}

// A rate that stays the same is not a new burst.
func TestLimitsSetAgainKeepWhatWasUsed(t *testing.T) {
	s := NewSession(1, 1, false)
	s.SetLimits(Limits{Rates: limit.Rates{In: 1e6, Out: 2e6}})
	was := s.limits.Load()
	s.SetLimits(Limits{Rates: limit.Rates{In: 1e6, Out: 3e6}, Filter: rules(t, "deny in ip from any to any")})
	if now := s.limits.Load(); now.in != was.in || now.out == was.out {
		t.Error("the bucket of the rate that stays is another, or that of the changed one the same")
	}
	s.SetLimits(Limits{})
	if s.limits.Load() != nil {
		t.Error("no limits are something")
	}
}

// limited sets limits that everything passes.
func (w *walks) limited(t testing.TB) {
	for _, s := range w.sessions {
		s.SetLimits(Limits{
			Rates:  limit.Rates{In: limit.MaxRate, Out: limit.MaxRate, BurstIn: 1 << 40, BurstOut: 1 << 40},
			Filter: rules(t, "deny in tcp from any to 10.0.0.0/8 25", "deny out udp from 10.0.0.0/8 to any", "permit in ip from any to any", "permit out ip from any to any"),
		})
	}
}

func TestLimitsDoNotAllocate(t *testing.T) {
	w := newWalks(t, testSuite, 32, 3)
	w.limited(t)
	w.receive()
	w.in.handle(32)
	if n := testing.AllocsPerRun(50, func() { w.receive(); w.in.handle(32) }); n != 0 {
		t.Errorf("in: %v allocations for a batch", n)
	}
	if n := testing.AllocsPerRun(50, w.send); n != 0 {
		t.Errorf("out: %v allocations for a batch", n)
	}
	if w.device.packets != 52*32 || w.conn.packets != 51*32 {
		t.Errorf("%d packets in, %d out", w.device.packets, w.conn.packets)
	}
	six := ip6Extended(t)
	h, _ := packet.Parse(six)
	f := rules(t, "deny in tcp from any to any 25").Compile()
	if n := testing.AllocsPerRun(50, func() { f.Judge(false, six, &h) }); n != 0 {
		t.Errorf("IPv6 with extension headers: %v allocations", n)
	}
}

// ip6Extended is an IPv6 packet with an extension header.
func ip6Extended(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, 40+8+20)
	packet.Put(b, 60, 64, netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"))
	b[40] = packet.TCP
	return b
}

func BenchmarkLimitedIn(b *testing.B) {
	benchmarkWalk(b, func(b *testing.B, w *walks) {
		w.limited(b)
		for b.Loop() {
			b.StopTimer()
			w.receive()
			b.StartTimer()
			w.in.handle(w.batch)
		}
	})
}

func BenchmarkLimitedOut(b *testing.B) {
	benchmarkWalk(b, func(b *testing.B, w *walks) {
		w.limited(b)
		for b.Loop() {
			w.send()
		}
	})
}

func BenchmarkLimitedOutSuper(b *testing.B) {
	w := newWalks(b, testSuite, 1, 1)
	w.limited(b)
	p := super(tcp4(farAddr, netip.MustParseAddr("10.83.0.1"), 48*1348), 1348)
	b.SetBytes(2 * 48 * 1400)
	b.ReportAllocs()
	for b.Loop() {
		w.out.packets[0], w.out.packets[1] = p, p
		w.out.handle(2)
	}
}
