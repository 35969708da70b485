package crowd

import (
	"fmt"
	"net/netip"
	"testing"
)

// The member that yields belongs to the origin with the most members, counted by the
// widest prefix that one stranger may have.
func TestWhoHasTheMostYields(t *testing.T) {
	var c Crowd[string]
	add := func(value, from string) *Member[string] { return c.Add(OriginOf(netip.MustParseAddr(from)), value) }
	add("honest", "192.0.2.1")
	add("honest", "2001:db8:7::1")
	for i := range 60 {
		add("flood", fmt.Sprintf("2001:db8:1:%x::1", i<<8|i)) // a /64 each, all within one /48
	}
	for c.Len() > 3 {
		m := c.Yields()
		if m.Value == "honest" && c.Len() > 40 {
			t.Fatalf("an honest one yields among %d", c.Len())
		}
		if m.Value == "flood" {
			c.Remove(m)
		} else {
			c.Renew(m)
		}
	}
	for c.Len() > 0 {
		c.Remove(c.first)
	}
	if c.first != nil || c.last != nil || len(c.origins) != 0 || c.Yields() != nil {
		t.Errorf("%d origins remain", len(c.origins))
	}
}
