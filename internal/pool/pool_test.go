package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
)

var none netip.Addr

func lease(t *testing.T, p *Pool, user string) netip.Addr {
	t.Helper()
	a, err := p.Lease(user, none)
	if err != nil {
		t.Fatalf("lease for %q: %v", user, err)
	}
	return a
}

// What is kept for the server is leased to nobody, and not counted as if it were.
func TestLeasedCountsWhatSomebodyHas(t *testing.T) {
	p := New([]Range{Prefix(netip.MustParsePrefix("10.83.0.0/24"))}, netip.MustParseAddr("10.83.0.1"), netip.MustParseAddr("10.83.0.9"))
	if n := p.Leased(); n != 0 {
		t.Errorf("%d are leased, and nobody is there", n)
	}
	a := lease(t, p, "alice")
	if _, err := p.Lease("bob", netip.MustParseAddr("192.0.2.9")); err != nil || p.Leased() != 2 {
		t.Errorf("%d are leased, want 2 (%v)", p.Leased(), err)
	}
	p.Release(a)
	if n := p.Leased(); n != 1 {
		t.Errorf("%d are leased at the end, want 1", n)
	}
}

func TestEveryAddressIsLeasedOnceAndNoMore(t *testing.T) {
	server := netip.MustParseAddr("10.0.0.1")
	p := New([]Range{
		Prefix(netip.MustParsePrefix("10.0.0.0/29")),
		{netip.MustParseAddr("192.168.1.200"), netip.MustParseAddr("192.168.1.201")},
	}, server)
	seen := map[netip.Addr]bool{}
	for range 7 { // .2 to .6, and two of the range
		a := lease(t, p, "")
		if seen[a] || a == server {
			t.Fatalf("%v leased twice or reserved", a)
		}
		seen[a] = true
	}
	if _, err := p.Lease("", none); !errors.Is(err, ErrExhausted) {
		t.Fatalf("an exhausted pool said %v", err)
	}
	gone := netip.MustParseAddr("10.0.0.4")
	p.Release(gone)
	if got := lease(t, p, ""); got != gone {
		t.Errorf("after a release got %v, want %v", got, gone)
	}
}

func TestAUserGetsTheLastAddressAgain(t *testing.T) {
	p := New([]Range{Prefix(netip.MustParsePrefix("10.0.0.0/24"))})
	alice := lease(t, p, "alice")
	p.Release(alice)
	if bob := lease(t, p, "bob"); bob == alice {
		t.Error("bob got alice's address although others were never used")
	}
	if again := lease(t, p, "alice"); again != alice {
		t.Errorf("alice got %v, want %v again", again, alice)
	}
	if second := lease(t, p, "alice"); second == alice {
		t.Error("alice's second session shares her first one's address")
	}
}

func TestAClaimYieldsWhenThePoolIsShort(t *testing.T) {
	p := New([]Range{Prefix(netip.MustParsePrefix("10.0.0.0/30"))})
	p.Release(lease(t, p, "alice"))
	p.Release(lease(t, p, "bob"))
	lease(t, p, "carol")
	lease(t, p, "dave")
	if _, err := p.Lease("erin", none); !errors.Is(err, ErrExhausted) {
		t.Errorf("got %v", err)
	}
}

func TestStaticAddresses(t *testing.T) {
	p := New([]Range{Prefix(netip.MustParsePrefix("10.0.0.0/30"))})
	static := netip.MustParseAddr("10.0.0.2")
	if a, err := p.Lease("alice", static); err != nil || a != static {
		t.Fatal(a, err)
	}
	if _, err := p.Lease("bob", static); !errors.Is(err, ErrTaken) {
		t.Errorf("a taken static address said %v", err)
	}
	if a := lease(t, p, "carol"); a == static {
		t.Error("a static address was leased dynamically")
	}
	p.Release(static)
	outside := netip.MustParseAddr("172.16.0.9")
	if a, err := p.Lease("dave", outside); err != nil || a != outside {
		t.Errorf("a static address outside the pool: %v %v", a, err)
	}
}

// Who had an address by a lease does not get it again once somebody has had it by name, as long
// as there is another one.
func TestAnAddressThatSomebodyHadByNameIsLeasedLast(t *testing.T) {
	p := New([]Range{Prefix(netip.MustParsePrefix("10.0.0.0/29"))})
	named := lease(t, p, "alice")
	p.Release(named)
	if _, err := p.Lease("bob", named); err != nil {
		t.Fatal(err)
	}
	p.Release(named)
	for _, user := range []string{"alice", "carol", "dave", "erin", "frank"} {
		if a := lease(t, p, user); a == named {
			t.Errorf("%s got %v", user, a)
		}
	}
	if a := lease(t, p, "grace"); a != named {
		t.Errorf("the last address is %v", a)
	}
}

func TestPrefixLeavesOutNetworkAndBroadcast(t *testing.T) {
	r := Prefix(netip.MustParsePrefix("10.83.7.9/16"))
	if r.First.String() != "10.83.0.1" || r.Last.String() != "10.83.255.254" {
		t.Errorf("range = %v to %v", r.First, r.Last)
	}
}

// An address that is somebody's own goes to nobody else in the meantime, even
// where it is all that is left.
func TestPromisedAddressesAreLeasedToNobodyElse(t *testing.T) {
	own := netip.MustParseAddr("10.0.0.2")
	p := New([]Range{Prefix(netip.MustParsePrefix("10.0.0.0/29"))})
	for range 2 { // bob had it once
		if a := lease(t, p, "bob"); a == own {
			p.Release(a)
		}
	}
	p.Promise([]netip.Addr{own})
	for {
		a, err := p.Lease("bob", none)
		if err != nil {
			break
		}
		if a == own {
			t.Fatal("bob got the promised address")
		}
	}
	if a, err := p.Lease("alice", own); err != nil || a != own {
		t.Errorf("alice got %v, %v", a, err)
	}
}

func TestPrefixesAreLeasedLikeAddresses(t *testing.T) {
	p := Of(Prefixes(64, netip.MustParsePrefix("2001:db8:1::/62"), netip.MustParsePrefix("2001:db8:ffff:fffe::/63")), netip.MustParseAddr("2001:db8:1::1"))
	var got []string
	for range 5 {
		got = append(got, p.Of(lease(t, p, "")).String())
	}
	want := "[2001:db8:1:1::/64 2001:db8:1:2::/64 2001:db8:1:3::/64 2001:db8:ffff:fffe::/64 2001:db8:ffff:ffff::/64]"
	if fmt.Sprint(got) != want {
		t.Errorf("leased %v, want %v", got, want)
	}
	if _, err := p.Lease("", none); !errors.Is(err, ErrExhausted) {
		t.Errorf("an exhausted pool said %v", err)
	}
	p.Release(netip.MustParseAddr("2001:db8:1:2::"))
	if a := lease(t, p, "alice"); a != netip.MustParseAddr("2001:db8:1:2::") {
		t.Errorf("after a release got %v", a)
	}
}

// A pool as large as IPv6's are is not walked through.
func TestALargePoolOfAddresses(t *testing.T) {
	n := netip.MustParsePrefix("2001:db8:1::/64")
	p := New([]Range{Prefix(n)}, n.Addr(), n.Addr().Next())
	if a := lease(t, p, "alice"); a != netip.MustParseAddr("2001:db8:1::2") || p.Of(a).Bits() != 128 {
		t.Errorf("leased %v", a)
	}
}

func TestWhatCanBeSomebodysOwn(t *testing.T) {
	prefixes := Of(Prefixes(64, netip.MustParsePrefix("2001:db8:1::/48")))
	addresses := New([]Range{Prefix(netip.MustParsePrefix("2001:db8:2::/64"))})
	for _, tt := range []struct {
		pool *Pool
		own  string
		want bool
	}{
		{prefixes, "2001:db8:1:7::/64", true},
		{prefixes, "2001:db8:1:7::9/128", false}, // of somebody's /64
		{prefixes, "2001:db8:1:ffff::9/128", false},
		{prefixes, "2001:db8::/32", false},
		{prefixes, "2001:db8:3::/64", true},
		{prefixes, "2001:db8:3::9/128", true},
		{addresses, "2001:db8:2::9/128", true},
		{addresses, "2001:db8:2::/64", false},
		{New(nil), "2001:db8:2::/64", true},
	} {
		if got := tt.pool.Admits(netip.MustParsePrefix(tt.own)); got != tt.want {
			t.Errorf("%s: %v", tt.own, got)
		}
	}
}
