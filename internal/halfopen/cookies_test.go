package halfopen

import (
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// Every answer to a first message has a cookie of its own. It is recognised as ours from
// the address to which it was given, and from no other.
func TestEveryCookieDiffers(t *testing.T) {
	g := New(Config{Rand: rand.Reader})
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:500"), Remote: netip.MustParseAddrPort("198.51.100.1:500")}
	other := path
	other.Remote = netip.MustParseAddrPort("198.51.100.2:500")
	seen, now := map[[8]byte]bool{}, time.Now()
	for range 1000 {
		c := ike.Cookies{Initiator: [8]byte{1}, Responder: g.cookie(path, [8]byte{1})}
		if seen[c.Responder] || c.Responder == [8]byte{} {
			t.Fatalf("cookie %x comes again", c.Responder)
		}
		seen[c.Responder] = true
		if !g.minted(path, c, now) || g.minted(other, c, now) || g.minted(path, ike.Cookies{Initiator: [8]byte{2}, Responder: c.Responder}, now) {
			t.Fatalf("cookie %x is not told from others", c.Responder)
		}
	}
}

// A message of a known kind leaves no record, so it costs no memory that grows.
func BenchmarkCookies(b *testing.B) {
	g := New(Config{Rand: rand.Reader})
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:500"), Remote: netip.MustParseAddrPort("198.51.100.1:500")}
	c := ike.Cookies{Initiator: [8]byte{1}, Responder: [8]byte{0x80}}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if g.minted(path, c, now) {
			b.Fatal("it is ours")
		}
	}
}
