package dataplane

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/ipsec"
)

func newPlane(t *testing.T, slots int) *Plane {
	t.Helper()
	p, err := New(Config{
		Workers: make([][]Socket, 1), Device: netdevtest.New("test0", 1400, 1), Control: &recorder{}, Slots: slots,
		Pools: []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16"), netip.MustParsePrefix("10.84.0.0/30")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSlotsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlane(t, 2)
		take := func() *Slot {
			s, err := p.NewSlot(&inbox{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		first := take()
		spi := first.NewSPI()
		first.Free(time.Now())
		first.Free(time.Now())
		if s := take(); s.index == first.index {
			t.Error("a slot that was just freed is used again, and others are free")
		}
		time.Sleep(slotRests) // virtual
		again := take()
		if again.index != first.index || p.slot(spi) != again {
			t.Error("it is another slot")
		}
		if next := again.NewSPI(); next == spi {
			t.Error("the SPI of its last user is used again at once")
		}
		for range 2 + leastSpare - 2 {
			take()
		}
		if _, err := p.NewSlot(&inbox{}); !errors.Is(err, ErrFull) {
			t.Errorf("more than there are, or it was freed twice: %v", err)
		}
		// Where nothing else is free, what rests does not count.
		again.Free(time.Now())
		last := take()
		if last.index != again.index {
			t.Error("it is another slot")
		}
		if next := last.NewSPI(); next == spi || next>>slotBits == 1 {
			t.Errorf("SPI %#x was its last user's", next)
		}
	})
}

func TestSPIs(t *testing.T) {
	p := newPlane(t, 10)
	var s *Slot
	for range 3 {
		var err error
		if s, err = p.NewSlot(&inbox{}); err != nil {
			t.Fatal(err)
		}
	}
	live, _ := pair(t, s.NewSPI(), testSuite)
	s.Publish(&View{In: []*ipsec.Inbound{live}})
	seen := map[uint32]bool{}
	for range 2 * spiGens {
		spi := s.NewSPI()
		if spi <= 255 || spi == live.SPI() || p.slot(spi) != s {
			t.Fatalf("SPI %08x", spi)
		}
		seen[spi] = true
	}
	if len(seen) != spiGens-2 { // without generation 0, and the live one
		t.Errorf("%d different SPIs", len(seen))
	}
}

func TestRoutes(t *testing.T) {
	p := newPlane(t, 10)
	slot, err := p.NewSlot(&inbox{})
	if err != nil {
		t.Fatal(err)
	}
	sessions := map[string]*Session{}
	for _, prefix := range []string{
		"10.83.0.0/32", "10.83.1.7/32", "10.83.255.255/32", "10.84.0.3/32", // of pools
		"192.168.0.0/16", "192.168.7.0/24", "192.168.7.9/32", "10.83.64.0/18", "2001:db8:1::/48", "2001:db8:1:2::/64",
	} {
		sessions[prefix] = NewSession(1, 1, false)
		if err := p.Route(netip.MustParsePrefix(prefix), slot, sessions[prefix]); err != nil {
			t.Fatal(err)
		}
	}
	check := func(addr, want string) {
		t.Helper()
		to := p.routes.lookup(netip.MustParseAddr(addr))
		if to == nil && want == "" || to != nil && to.session == sessions[want] {
			return
		}
		t.Errorf("%s does not lead to %q", addr, want)
	}
	check("10.83.0.0", "10.83.0.0/32")
	check("10.83.1.7", "10.83.1.7/32")
	check("10.83.1.8", "")
	check("10.83.255.255", "10.83.255.255/32")
	check("10.84.0.3", "10.84.0.3/32")
	check("10.84.0.4", "")
	check("10.83.65.1", "10.83.64.0/18")
	check("192.168.1.1", "192.168.0.0/16")
	check("192.168.7.1", "192.168.7.0/24")
	check("192.168.7.9", "192.168.7.9/32")
	check("192.169.0.1", "")
	check("2001:db8:1:3::1", "2001:db8:1::/48")
	check("2001:db8:1:2::1", "2001:db8:1:2::/64")
	check("2001:db8:2::1", "")

	for _, prefix := range []string{"10.83.1.7/32", "192.168.7.0/24"} {
		other := NewSession(2, 2, false)
		if err := p.Route(netip.MustParsePrefix(prefix), slot, other); !errors.Is(err, ErrTaken) {
			t.Errorf("%s twice: %v", prefix, err)
		}
		p.Unroute(netip.MustParsePrefix(prefix), other)
		if err := p.Route(netip.MustParsePrefix(prefix), slot, sessions[prefix]); err != nil {
			t.Errorf("%s again for the same: %v", prefix, err)
		}
		p.Unroute(netip.MustParsePrefix(prefix), sessions[prefix])
		if err := p.Route(netip.MustParsePrefix(prefix), slot, other); err != nil {
			t.Errorf("%s after it is free: %v", prefix, err)
		}
		p.Unroute(netip.MustParsePrefix(prefix), other)
	}
	check("10.83.1.7", "")
	check("192.168.7.1", "192.168.0.0/16")
	if err := p.Route(netip.Prefix{}, slot, sessions["192.168.0.0/16"]); err == nil {
		t.Error("no prefix is routed")
	}
}

func TestConfigErrors(t *testing.T) {
	device := netdevtest.New("test0", 1400, 2)
	for _, c := range []Config{
		{},
		{Workers: make([][]Socket, 2), Device: device},
		{Workers: make([][]Socket, 1), Device: device, Control: &recorder{}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func TestDropNames(t *testing.T) {
	seen := map[string]bool{}
	for d := range Drop(NumDrops) {
		if seen[d.String()] || d.String() == "" {
			t.Errorf("%d is called %q", d, d)
		}
		seen[d.String()] = true
	}
}

// Each session of many has prefixes of its own: neither a lookup nor a change
// may depend on their number.
func TestManyPrefixes(t *testing.T) {
	p := newPlane(t, 10)
	slot, err := p.NewSlot(&inbox{})
	if err != nil {
		t.Fatal(err)
	}
	of := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i)}), 64)
	}
	const n = 20000
	sessions := make([]*Session, n)
	for i := range n {
		sessions[i] = NewSession(1, 1, false)
		if err := p.Route(of(i), slot, sessions[i]); err != nil {
			t.Fatal(err)
		}
	}
	largest := 0
	for i := range p.routes.others.parts {
		if part := p.routes.others.parts[i].Load(); part != nil {
			largest = max(largest, len(*part))
		}
	}
	if largest > 4*n/routeParts {
		t.Errorf("one part holds %d of %d prefixes", largest, n)
	}
	for i := range n {
		if to := p.routes.lookup(of(i).Addr().Next()); to == nil || to.session != sessions[i] {
			t.Fatalf("%v leads elsewhere", of(i))
		}
	}
	if a := testing.AllocsPerRun(100, func() { p.routes.lookup(of(7).Addr()) }); a != 0 {
		t.Errorf("%v allocations a lookup", a)
	}
	for i := range n {
		p.Unroute(of(i), sessions[i])
	}
	if lengths := p.routes.others.lengths.Load(); len(lengths[1]) != 0 || p.routes.lookup(of(7).Addr()) != nil {
		t.Errorf("after the last prefix went, the lengths are %v", lengths)
	}
}
