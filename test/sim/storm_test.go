package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
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

// cheap is a suite whose key exchange costs little, so that a test can do many.
var cheap = []ike.Suite{{Cipher: ike.CipherAES, KeyBits: 128, Hash: ike.HashSHA1, Group: ike.GroupECP256}}

// crowd is a host with many addresses, used by many strangers.
func crowd(w *World, n int, first string, change func(*client.Config)) (*Laptop, []netip.Addr) {
	addrs := make([]string, n)
	list := make([]netip.Addr, n)
	for i, a := 0, netip.MustParseAddr(first); i < n; i, a = i+1, a.Next() {
		addrs[i], list[i] = a.String(), a
	}
	return w.Laptop(w.Net.Host(addrs...), func(c *client.Config) {
		c.Suites = cheap
		if change != nil {
			change(c)
		}
	}), list
}

// goroutines counts all goroutines with the world stopped: runtime.NumGoroutine sometimes
// still counts those that have just ended.
func goroutines() int {
	n, _ := runtime.GoroutineProfile(make([]runtime.StackRecord, 10000))
	return n
}

// Ten thousand handshakes fail or stop at every point, and nothing of them remains: no
// goroutine, connection, cookie, slot or lease.
func TestTenThousandFailedHandshakesLeaveNothing(t *testing.T) {
	in(t, func(t *testing.T) {
		const slots, batch = 300, 100
		rounds := 25 // of four kinds each: 10,000 in all
		if testing.Short() {
			rounds = 5 // in the race detector's run
		}
		w := New(t, Options{Slots: slots, Policy: func(p *vpn.Policy) { p.IKE.Suites = cheap }})
		w.Net.SetPolicy(udptest.Policy{Delay: 10 * time.Millisecond})
		abandon, from := crowd(w, batch, "198.18.0.1", nil)
		badPSK, from2 := crowd(w, batch, "198.18.1.1", func(c *client.Config) { c.PSK = secret.String("another pre-shared key") })
		wrong, from3 := crowd(w, batch, "198.18.3.1", nil)
		time.Sleep(time.Second)
		before := goroutines()
		noise := w.Net.Host("198.18.2.1").Listen(500)
		random := rand.New(rand.NewPCG(1, 2))

		for round := range rounds {
			var wg sync.WaitGroup
			dial := func(l *Laptop, from netip.Addr, password string, patience time.Duration) {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					d, err := l.Dial(ctx, client.Target{
						Local: from, Server: netip.MustParseAddr(ServerAddr), User: User, Password: password, Silent: true,
					})
					if err == nil {
						d.Vanish()
					}
				})
			}
			for i := range batch {
				// From the first message to a session that vanishes takes some 40
				// messages of 10 ms each.
				dial(abandon, from[i], Password, time.Duration(1+i*5+round%5)*time.Millisecond)
				dial(badPSK, from2[i], Password, 40*time.Second)
			}
			for range batch {
				b := make([]byte, 28+random.IntN(200))
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				if random.IntN(2) == 0 { // a header that looks like a first message
					copy(b[8:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(b))})
				}
				_, _ = noise.WriteBatch([]udp.Packet{{Data: b, Remote: netip.MustParseAddrPort(ServerAddr + ":500")}})
			}
			wg.Wait()
			time.Sleep(time.Duration(1+round%3) * time.Second)
		}
		for range rounds {
			var wg sync.WaitGroup
			for i := range batch {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					defer cancel()
					if _, err := wrong.Dial(ctx, client.Target{Local: from3[i], Server: netip.MustParseAddr(ServerAddr), User: User, Password: "wrong"}); err == nil {
						t.Error("a wrong password was accepted")
					}
				})
			}
			wg.Wait()
			time.Sleep(2 * time.Minute) // until slots may be used again
		}
		time.Sleep(5 * time.Minute)
		w.WantNothingLeft(t)
		if n := goroutines(); n > before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
		if n := len(All[vpn.ConnDown](w.Events)); n < rounds*batch {
			t.Errorf("only %d connections were tried as far as message 3", n)
		}

		// Every slot is available again: connect as many clients as there are slots.
		many, from4 := crowd(w, slots, "198.19.0.1", nil)
		var wg sync.WaitGroup
		for i := range slots {
			if i%50 == 0 { // fewer at once than the number of embryos
				wg.Wait()
			}
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if _, err := many.Dial(ctx, client.Target{Local: from4[i], Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password}); err != nil {
					t.Errorf("connection %d of %d after the storm: %v", i, slots, err)
				}
			})
		}
		wg.Wait()
		ends := map[string]int{}
		for _, e := range All[vpn.ConnDown](w.Events) {
			ends[e.Why.String()]++
		}
		t.Log(fmt.Sprint(ends))
	})
}
