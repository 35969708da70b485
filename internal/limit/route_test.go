package limit

import (
	"testing"

	"github.com/adit-vpn/adit/internal/packet"
)

// with4 puts options, a multiple of 4 bytes, into an IPv4 packet.
func with4(b []byte, options ...byte) []byte {
	b = append(append(append([]byte(nil), b[:20]...), options...), b[20:]...)
	b[0] += byte(len(options) / 4)
	b[3] += byte(len(options))
	return b
}

// What has a route of its own does not pass a filter, wherever it says that it goes first, and
// whatever the rules say of that.
func TestAFilterStopsWhatIsRoutedElsewhere(t *testing.T) {
	web4, web6 := made(client, web, packet.TCP, tcp(1, 443, 2), nil), made(client6, web6, 43, nil, nil)
	routed6 := func(kind, left byte) []byte {
		return append(append([]byte(nil), web6...), append([]byte{packet.TCP, 0, kind, left, 0, 0, 0, 0}, tcp(1, 443, 2)...)...)
	}
	long := func(b []byte) []byte { b[5] = byte(len(b) - 40); return b }
	route := []byte{131, 7, 4, 10, 1, 2, 3, 0}
	for name, x := range map[string]struct {
		b    []byte
		want Verdict
	}{
		"no options":               {web4, Passes},
		"a loose route":            {with4(web4, route...), SourceRouted},
		"a strict route":           {with4(web4, 137, 7, 4, 10, 1, 2, 3, 0), SourceRouted},
		"behind others":            {with4(web4, 1, 1, 148, 4, 0, 0, 131, 3, 4, 0, 0, 0), SourceRouted},
		"in a later fragment":      {with4(made(client, web, packet.TCP, tcp(0, 0, 0), fragmentAt(1480)), route...), SourceRouted},
		"behind the end":           {with4(web4, 0, 131, 3, 4), Passes},
		"a router alert":           {with4(web4, 148, 4, 0, 0), Passes},
		"inside of another":        {with4(web4, 7, 7, 4, 131, 3, 4, 0, 0), Passes},
		"a length of 0":            {with4(web4, 148, 0, 131, 3), Denied},
		"a length beyond the end":  {with4(web4, 148, 9, 0, 0), Denied},
		"a kind alone at the end":  {with4(web4, 1, 1, 1, 148), Denied},
		"IPv6, type 0":             {long(routed6(0, 1)), SourceRouted},
		"IPv6, type 0, at its end": {long(routed6(0, 0)), SourceRouted},
		"IPv6, segments":           {long(routed6(4, 2)), SourceRouted},
		"IPv6, segments are done":  {long(routed6(4, 0)), Passes},
		"IPv6, behind hop-by-hop":  {made(client6, "2001:db8:80::80", 0, append([]byte{43, 0, 0, 0, 0, 0, 0, 0}, routed6(0, 1)[40:]...), nil), SourceRouted},
		"IPv6, cut off":            {long(routed6(0, 1)[:44]), Denied},
	} {
		h, ok := packet.Parse(x.b)
		if !ok {
			t.Fatalf("%s: no packet", name)
		}
		for rule, f := range map[string]*Compiled{
			"that permits its destination": filter(t, "permit in ip from any to 192.0.2.0/24", "permit in ip from any to 2001:db8:80::/48"),
			"that asks for ports":          filter(t, "permit in tcp from any to any 443"),
			"that denies others":           filter(t, "deny in ip from any to 10.0.0.0/8"),
		} {
			later := h.Is4() && h.Offset > 0
			if got := f.Judge(false, x.b, &h); got != x.want && !later || later && got != SourceRouted {
				t.Errorf("%s, by a rule %s: %v, want %v", name, rule, got, x.want)
			}
		}
		if f := filter(t, "deny out ip from any to any"); f.Judge(false, x.b, &h) != Passes {
			t.Errorf("%s does not pass where no rule is about its direction", name)
		}
	}
}
