package vpn

import (
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// Windows deletes the sending pair before its successor is confirmed. A packet sent at
// that very moment leaves by one of the two. This rarely coincides, so the test tries it
// many times.
func TestNothingIsLostWhileAPeerDeletesThePairThatSends(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 10, HalfOpenPerSource: 10}, Observer: &refusals{}})
	n := udptest.New(1)
	n.SetPolicy(udptest.Policy{Drop: func(udptest.Datagram) bool { return true }}) // all are dropped
	local, remote := netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("203.0.113.5:4500")
	plane, err := dataplane.New(dataplane.Config{
		Workers: [][]dataplane.Socket{{{Conn: n.Host("192.0.2.1").Listen(4500), Bound: local, Kind: dataplane.SocketNATT}}},
		Device:  netdevtest.New("adit0", 1400, 1), Control: s, Slots: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Bind(plane)
	c := s.newConn(time.Now(), ike.Path{Local: local, Remote: remote})
	c.peer.Encap = true
	if c.slot, err = plane.NewSlot(c); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	add := func(spi uint32) *pair {
		key := func(n int) secret.Bytes {
			b := make([]byte, n)
			if _, err := rand.Read(b); err != nil {
				t.Fatal(err)
			}
			return secret.New(b)
		}
		keys := func() ike.ChildKeys { return ike.ChildKeys{Enc: key(16), Auth: key(20)} }
		c.addChild(now, nil, ike.Child{
			InSPI: c.slot.NewSPI(), OutSPI: spi, In: keys(), Out: keys(),
			Suite: ike.ESPSuite{Cipher: ike.ESPAESCBC, KeyBits: 128, Auth: ike.ESPAuthSHA1_96}, Lifetime: time.Hour,
		})
		c.publish()
		return c.kids.pairs[len(c.kids.pairs)-1]
	}
	old := add(1)
	c.confirm(now, old.InSPI)
	c.publish()

	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for sent := 0; ; sent++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := c.slot.SendL2TP([]byte("from the moment on that there is a pair")); err != nil {
				done <- err
				return
			}
		}
	}()
	for i := range uint32(2000) {
		next := add(i + 2)
		c.deleteChild(now, old.OutSPI)
		c.publish()
		c.retire(time.Time{}, old, ChildDeletedByPeer)
		old = next
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
