package pool

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func rng(first, last string) Range { return Range{a(first), a(last)} }

func TestASpaceWithoutWhatIsTaken(t *testing.T) {
	four := Addresses(rng("10.0.0.2", "10.0.0.20"), rng("10.0.1.2", "10.0.1.4"))
	six := Prefixes(64, n("2001:db8::/62")) // 0 to 3
	for name, x := range map[string]struct {
		of    Space
		taken []Range
		want  string
	}{
		"nothing":          {four, nil, "10.0.0.2-10.0.0.20 10.0.1.2-10.0.1.4"},
		"the middle":       {four, []Range{rng("10.0.0.5", "10.0.0.9")}, "10.0.0.2-10.0.0.4 10.0.0.10-10.0.0.20 10.0.1.2-10.0.1.4"},
		"the beginning":    {four, []Range{rng("10.0.0.0", "10.0.0.9")}, "10.0.0.10-10.0.0.20 10.0.1.2-10.0.1.4"},
		"the end":          {four, []Range{rng("10.0.0.20", "10.0.0.20")}, "10.0.0.2-10.0.0.19 10.0.1.2-10.0.1.4"},
		"over both":        {four, []Range{rng("10.0.0.15", "10.0.1.3")}, "10.0.0.2-10.0.0.14 10.0.1.4-10.0.1.4"},
		"all":              {four, []Range{rng("10.0.0.0", "10.0.1.255")}, ""},
		"twice":            {four, []Range{rng("10.0.0.5", "10.0.0.9"), rng("10.0.0.8", "10.0.0.12")}, "10.0.0.2-10.0.0.4 10.0.0.13-10.0.0.20 10.0.1.2-10.0.1.4"},
		"beside":           {four, []Range{rng("10.0.2.0", "10.0.2.9"), rng("2001:db8::", "2001:db8::1")}, "10.0.0.2-10.0.0.20 10.0.1.2-10.0.1.4"},
		"a prefix":         {six, []Range{rng("2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff")}, "2001:db8::-2001:db8:: 2001:db8:0:2::-2001:db8:0:3::"},
		"a part of one":    {six, []Range{rng("2001:db8:0:1::7", "2001:db8:0:1::9")}, "2001:db8::-2001:db8:: 2001:db8:0:2::-2001:db8:0:3::"},
		"a part of two":    {six, []Range{rng("2001:db8:0:1::7", "2001:db8:0:2::9")}, "2001:db8::-2001:db8:: 2001:db8:0:3::-2001:db8:0:3::"},
		"within the first": {six, []Range{rng("2001:db8::7", "2001:db8::9")}, "2001:db8:0:1::-2001:db8:0:3::"},
		"the last":         {six, []Range{rng("2001:db8:0:3::7", "2001:db8:0:3::7")}, "2001:db8::-2001:db8:0:2::"},
	} {
		var got []string
		for _, r := range x.of.Without(x.taken...).ranges {
			got = append(got, r.First.String()+"-"+r.Last.String())
		}
		if strings.Join(got, " ") != x.want {
			t.Errorf("%s: %v, want %s", name, got, x.want)
		}
	}
}

// A reserved address is had by who names it, and by nobody else, also not by who had it last.
func TestReservedAddressesAreNotLeased(t *testing.T) {
	p := New([]Range{rng("10.0.0.2", "10.0.0.5")})
	lease := func(user, static string) string {
		t.Helper()
		var s netip.Addr
		if static != "" {
			s = a(static)
		}
		got, err := p.LeaseOf("", user, s)
		if err != nil {
			return err.Error()
		}
		return got.String()
	}
	if got := lease("alice", ""); got != "10.0.0.2" {
		t.Fatal(got)
	}
	p.Release(a("10.0.0.2"))
	p.Reserve(rng("10.0.0.2", "10.0.0.4"))
	if got := lease("alice", ""); got != "10.0.0.5" {
		t.Errorf("alice has %s, which is reserved", got)
	}
	if got := lease("bob", ""); !strings.Contains(got, "no address left") {
		t.Errorf("bob has %s", got)
	}
	if got := lease("carol", "10.0.0.3"); got != "10.0.0.3" {
		t.Errorf("carol has %s", got)
	}
	p.Reserve()
	if got := lease("bob", ""); got != "10.0.0.2" && got != "10.0.0.4" {
		t.Errorf("bob has %s once nothing is reserved", got)
	}
	p.Reserve(rng("10.0.0.0", "10.0.0.255"))
	if got := lease("dave", ""); !strings.Contains(got, "no address left") {
		t.Errorf("dave has %s", got)
	}
}

func TestNamedPools(t *testing.T) {
	p, staff := New([]Range{rng("10.0.0.2", "10.0.0.3")}), New([]Range{rng("10.1.0.2", "10.1.0.3")})
	p.Add("staff", staff)
	for _, x := range []struct {
		name, user string
		static     netip.Addr
		want       string
		err        error
	}{
		{"", "alice", netip.Addr{}, "10.0.0.2", nil},
		{"staff", "bob", netip.Addr{}, "10.1.0.2", nil},
		{"guests", "carol", netip.Addr{}, "", ErrUnknown},
		{"", "carol", a("10.1.0.3"), "10.1.0.3", nil},
		{"staff", "dave", netip.Addr{}, "", ErrExhausted},
		{"staff", "dave", a("10.9.0.1"), "10.9.0.1", nil},
		{"", "erin", a("10.1.0.2"), "", ErrTaken},
	} {
		got, err := p.LeaseOf(x.name, x.user, x.static)
		if !errors.Is(err, x.err) || err == nil && got.String() != x.want {
			t.Errorf("%s of %q: %v, %v", x.user, x.name, got, err)
		}
	}
	p.Release(a("10.1.0.2"))
	if got, err := p.LeaseOf("staff", "dave", netip.Addr{}); err != nil || got != a("10.1.0.2") {
		t.Errorf("dave has %v, %v", got, err)
	}
	if p.InUse() != 2 || staff.InUse() != 2 {
		t.Errorf("%d and %d in use", p.InUse(), staff.InUse())
	}
	if l := p.Leases(); !l.Overlaps(n("10.1.0.2/32")) || !l.Overlaps(n("10.0.0.2/32")) || l.Overlaps(n("10.2.0.0/16")) {
		t.Errorf("leases %+v", l)
	}
}

// A pool says how many of its addresses, or prefixes, somebody has, and of how many: each pool by
// itself, without what is the server's and what it never leased.
func TestAPoolSaysHowFullItIs(t *testing.T) {
	for name, x := range map[string]struct {
		pool *Pool
		of   float64
	}{
		"addresses":         {New([]Range{Prefix(n("10.83.0.0/24")), {a("10.84.0.1"), a("10.84.0.10")}}, a("10.83.0.1")), 254 + 10 - 1},
		"prefixes":          {Of(Prefixes(64, n("2001:db8:1::/48")), a("2001:db8:1::1")), 65536 - 1},
		"delegated":         {Of(Prefixes(56, n("2001:db8:f000::/40"))), 65536},
		"addresses of IPv6": {New([]Range{Prefix(n("2001:db8::/64"))}, a("2001:db8::1")), 1 << 64},
	} {
		if used, of := x.pool.Used(); used != 0 || of != x.of {
			t.Errorf("%s: %d of %v, want 0 of %v", name, used, of, x.of)
		}
		lease(t, x.pool, "alice")
		if used, _ := x.pool.Used(); used != 1 {
			t.Errorf("%s: %d are used", name, used)
		}
	}
	p, other := New([]Range{Prefix(n("10.83.0.0/24"))}), New([]Range{Prefix(n("10.84.0.0/24"))})
	p.Add("staff", other)
	for _, static := range []string{"172.16.0.9", "10.84.0.9", "10.83.0.9"} {
		if _, err := p.Lease("alice", a(static)); static != "10.84.0.9" && err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.LeaseOf("staff", "bob", netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	if used, _ := p.Used(); used != 1 {
		t.Errorf("%d of the common pool are used, want its own alone", used)
	}
	if used, of := other.Used(); used != 1 || of != 254 {
		t.Errorf("%d of %v are used of the other", used, of)
	}
}
