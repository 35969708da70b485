package sim

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// ledger counts the bytes between the server and each address.
type ledger struct {
	rand    *rand.Rand
	mu      sync.Mutex
	in, out map[netip.Addr]int
	heard   [][]byte // first datagrams to the server
	worst   int      // the most by which an address ever received more than it had sent
}

// note loses a fifth of the datagrams. Those to the server are lost before they are
// counted.
func (l *ledger) note(d udptest.Datagram) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := l.rand.IntN(5) == 0
	server := netip.MustParseAddr(ServerAddr)
	switch server {
	case d.Dst.Addr():
		if lost {
			return true
		}
		l.in[d.Src.Addr()] += len(d.Data)
		if len(l.heard) < 50 {
			l.heard = append(l.heard, append([]byte(nil), d.Data...))
		}
	case d.Src.Addr():
		l.out[d.Dst.Addr()] += len(d.Data)
		l.worst = max(l.worst, l.out[d.Dst.Addr()]-l.in[d.Dst.Addr()])
	}
	return lost
}

// sofar returns what has been counted so far.
func (l *ledger) sofar() (heard [][]byte, answered bool, worst int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard), len(l.out) > 0, l.worst
}

// A peer that has proved nothing never receives more bytes than it sent, whatever it
// sends: the server is not an amplifier.
func TestUnauthenticatedPeersNeverGetMoreBytesThanTheySent(t *testing.T) {
	ours, foreign := newOffice(), newOffice()
	for name, change := range map[string]func(*client.Config){
		"pre-shared key": func(c *client.Config) { c.PSK = secret.String("another pre-shared key") },
		"Aggressive Mode": func(c *client.Config) {
			as("staff", "another pre-shared key", true)(c)
			c.Suites = append([]ike.Suite{{Cipher: ike.CipherAES, KeyBits: 128, Hash: ike.HashSHA256, Group: ike.GroupECP256}}, c.Suites...)
		},
		"certificate": func(c *client.Config) { c.Change = with(foreign, "laptop", ecKey()) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, Options{Policy: func(p *vpn.Policy) {
					p.IKE.Identity, p.IKE.Authority, p.IKE.Aggressive = ours.identity("server", ecKey()), ours, true
				}})
				neverAmplifies(t, w, change)
			})
		})
	}
}

func neverAmplifies(t *testing.T, w *World, change func(*client.Config)) {
	l := &ledger{rand: rand.New(rand.NewPCG(1, 1)), in: map[netip.Addr]int{}, out: map[netip.Addr]int{}}
	w.Net.SetPolicy(udptest.Policy{Delay: time.Millisecond, Drop: l.note})
	bad, from := crowd(w, 20, "198.18.0.1", change)
	var wg sync.WaitGroup
	for _, a := range from {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if _, err := bad.Dial(ctx, client.Target{Local: a, Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password}); err == nil {
				t.Error("who has nothing was accepted")
			}
		})
	}
	wg.Wait()
	heard, answered, _ := l.sofar()
	if len(heard) == 0 || !answered {
		t.Fatal("nothing was exchanged")
	}

	// A spoofer repeats what it heard, truncated and whole, from another address.
	spoofer := w.Net.Host("198.18.9.9").Listen(500)
	for _, b := range heard {
		for n := 28; n <= len(b); n += max(1, len(b)/7) {
			for _, cut := range [][]byte{b[:n], b} {
				_, _ = spoofer.WriteBatch([]udp.Packet{{Data: cut, Remote: netip.MustParseAddrPort(ServerAddr + ":500")}})
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(2 * time.Minute)
	if _, _, worst := l.sofar(); worst > 0 {
		t.Errorf("an address got %d bytes more than it had sent", worst)
	}
	w.WantNothingLeft(t)
}
