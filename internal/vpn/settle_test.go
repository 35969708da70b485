package vpn

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ipsec"
)

// A peer that sends nothing on a pair that we began has it by the time that it should: then
// sending moves there, once, and nothing waits any more. Otherwise the wait would begin
// again and again, at the old pair's end without a pause.
func TestASilentPeersNewPairSendsInTheEnd(t *testing.T) {
	for name, ends := range map[string]time.Duration{"long before the old pair ends": time.Hour, "when the old pair ends": settleTime / 2} {
		s := New(Config{Policy: &Policy{HalfOpen: 10, HalfOpenPerSource: 10}, Observer: &refusals{}})
		c := s.newConn(time.Now(), ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("203.0.113.5:4500")})
		now := time.Unix(1e9, 0)
		add := func(spi uint32, initiator bool) *pair {
			suite := ike.ESPSuite{Cipher: ike.ESPAESCBC, KeyBits: 128, Auth: ike.ESPAuthSHA1_96}
			in, out := pairOfSAs(t, spi)
			p := &pair{Child: ike.Child{InSPI: spi, OutSPI: spi + 1<<24, Suite: suite, Initiator: initiator}, in: in, out: out, born: now, renewed: true}
			c.kids.pairs = append(c.kids.pairs, p)
			return p
		}
		old := add(1<<20, false)
		c.confirm(now, old.InSPI)
		old.ends = now.Add(ends)
		next := add(2<<20, true)
		c.agreed(now, next.InSPI)
		if c.kids.sending != old || next.settles.IsZero() {
			t.Fatalf("%s: it does not wait for the peer", name)
		}
		rounds := 0
		for ; rounds < 10 && !next.settles.IsZero(); rounds++ {
			now = next.settles
			c.expireChildren(now)
		}
		if rounds != 1 || c.kids.sending != next || !next.confirmed {
			t.Errorf("%s: %d rounds, the new pair is confirmed: %v, and sends: %v", name, rounds, next.confirmed, c.kids.sending == next)
		}
	}
}

// pairOfSAs makes two SAs with keys of zeros.
func pairOfSAs(t *testing.T, spi uint32) (*ipsec.Inbound, *ipsec.Outbound) {
	t.Helper()
	suite := ipsec.Suite{Cipher: ipsec.AESCBC, KeyBits: 128, Auth: ipsec.HMACSHA1_96}
	keys := ipsec.Keys{Enc: secret.New(make([]byte, 16)), Auth: secret.New(make([]byte, 20))}
	in, err := ipsec.NewInbound(spi, suite, keys, 64)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ipsec.NewOutbound(spi+1<<24, suite, keys)
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

// The successor of a pair has the same identities from the same ends, whichever end agreed
// on the pair: peers that check them, as strongSwan does, refuse others.
func TestASuccessorHasItsPairsIdentities(t *testing.T) {
	ours, theirs := []byte("ours"), []byte("theirs")
	for name, child := range map[string]ike.Child{
		"the peer's pair": {IDi: theirs, IDr: ours},
		"our own pair":    {IDi: ours, IDr: theirs, Initiator: true},
	} {
		if r := successor(child); string(r.IDi) != "ours" || string(r.IDr) != "theirs" {
			t.Errorf("%s: %s asks %s", name, r.IDi, r.IDr)
		}
	}
}
