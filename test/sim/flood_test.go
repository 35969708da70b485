package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// firstOf is a message 1 of a client of this kind, sent from elsewhere.
func firstOf(t *testing.T, w *World, change func(*client.Config)) []byte {
	t.Helper()
	var first atomic.Pointer[[]byte]
	w.Net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
		if d.Dst == netip.MustParseAddrPort("192.0.2.99:500") {
			b := bytes.Clone(d.Data)
			first.CompareAndSwap(nil, &b)
			return true
		}
		return false
	}})
	w.Net.Host("192.0.2.99")
	l := w.Laptop(w.Net.Host("203.0.113.99"), change)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.Dial(ctx, client.Target{Local: l.Host.Addr(), Server: netip.MustParseAddr("192.0.2.99"), User: User, Password: Password, Silent: true})
	if first.Load() == nil {
		t.Fatal("no first message was seen")
	}
	return *first.Load()
}

// flood sends first messages until the test ends, at this rate per second. Each has an
// address and port from source and a cookie of its own, like forged messages.
func flood(w *World, first []byte, rate int, source func(*rand.Rand) netip.AddrPort) (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		random := rand.New(rand.NewPCG(1, 2))
		const step = 5 * time.Millisecond
		for ticker := time.NewTicker(step); ; {
			select {
			case <-done:
				ticker.Stop()
				return
			case <-ticker.C:
			}
			for range rate / int(time.Second/step) {
				msg := bytes.Clone(first)
				binary.BigEndian.PutUint64(msg, random.Uint64()|1)
				w.Server.IKE(nil, netip.MustParseAddrPort(ServerAddr+":500"), source(random), false, msg)
			}
		}
	}()
	return func() { close(done); <-over }
}

// anybody is any IPv4 address.
func anybody(r *rand.Rand) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{byte(11 + r.IntN(100)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
	return netip.AddrPortFrom(a, 500)
}

// within counts how many of a laptop's attempts connect in time.
func within(t *testing.T, l *Laptop, n int, limit time.Duration) (connected int) {
	t.Helper()
	for range n {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		d, err := l.Dial(ctx, client.Target{Local: l.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password, Silent: true})
		cancel()
		if err == nil {
			connected++
			time.Sleep(time.Second)
			d.Vanish()
		}
	}
	return connected
}

// A flood of forged first messages, also with the client's own address, replaces all
// records many times before an honest client's message 3 arrives. Clients of a kind that
// has connected before need no record.
func TestForgedFirstMessagesDisplaceNobodyWhoIsKnown(t *testing.T) {
	for name, source := range map[string]func(*rand.Rand) netip.AddrPort{
		"from everywhere": anybody,
		"from the client's own address": func(r *rand.Rand) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), uint16(r.Uint32()))
		},
		"from the client's own port": func(*rand.Rand) netip.AddrPort {
			return netip.MustParseAddrPort("198.51.100.7:500")
		},
	} {
		for _, other := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, of another kind: %v", name, other), func(t *testing.T) {
				in(t, func(t *testing.T) {
					w := New(t, Options{})
					first := firstOf(t, w, func(c *client.Config) {
						if other {
							c.Suites = cheap
						}
					})
					w.Net.SetPolicy(udptest.Policy{Delay: 75 * time.Millisecond})
					laptop := w.Laptop(w.Net.Host("198.51.100.7"), nil)
					if n := within(t, laptop, 1, 10*time.Second); n != 1 {
						t.Fatal("nobody connects without a flood either")
					}
					time.Sleep(5 * time.Minute)
					stop := flood(w, first, 1000, source)
					defer stop()
					time.Sleep(time.Second)
					if n := within(t, laptop, 10, 10*time.Second); n != 10 {
						t.Errorf("%d of 10 connect", n)
					}
				})
			})
		}
	}
}

// The first client of its kind proves its address by its message 3, and then has a place
// that forged messages do not reach.
func TestForgedFirstMessagesDisplaceNobodyForLong(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		first := firstOf(t, w, nil)
		w.Net.SetPolicy(udptest.Policy{Delay: 75 * time.Millisecond})
		stop := flood(w, first, 1000, anybody)
		defer stop()
		time.Sleep(time.Second)
		laptop := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		if n := within(t, laptop, 1, 5*time.Second); n != 0 {
			t.Fatal("it connects at once: the flood is none")
		}
		if n := within(t, laptop, 1, 5*time.Second); n != 1 {
			t.Error("it does not connect when it tries again")
		}
	})
}

// A peer that has the key, and comes and goes or stays without a user, takes no place
// from an honest client, whether it uses other addresses or the same one.
func TestPlacesCannotBeTakenByComingAndGoing(t *testing.T) {
	const server = "2001:db8::1"
	for name, honest := range map[string]string{"from elsewhere": "2001:db8:7::1", "from the same /64": "2001:db8:66::ffff"} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				n := udptest.New(1)
				w := New(t, Options{
					Net: n, Host: n.Host(server), Slots: 40,
					Policy: func(p *vpn.Policy) { p.IKE.Suites, p.HalfOpenPerSource = cheap, 4 },
				})
				w.Net.SetPolicy(udptest.Policy{Delay: 10 * time.Millisecond})
				l, from := crowd(w, 250, "2001:db8:66::1", nil)
				ctx, stop := context.WithCancel(context.Background())
				gone := make(chan struct{})
				go func() { // 25 a second, each for long enough to prove the key
					defer close(gone)
					for i := 0; ctx.Err() == nil; i++ {
						go func() {
							ctx, cancel := context.WithTimeout(ctx, 70*time.Millisecond)
							defer cancel()
							_, _ = l.Dial(ctx, client.Target{Local: from[i%len(from)], Server: netip.MustParseAddr(server), User: "nobody", Password: "guessed", Silent: true})
						}()
						time.Sleep(40 * time.Millisecond)
					}
				}()
				time.Sleep(20 * time.Second)
				if n := w.Server.Counts().Guests; n < 10 {
					t.Fatalf("only %d peers without a user: the test proves nothing", n)
				}
				laptop := w.Laptop(n.Host(honest), nil)
				for i := range 5 {
					d, err := laptop.Connect(server)
					if err != nil {
						t.Fatalf("the honest client, attempt %d: %v", i, err)
					}
					passes(t, w, laptop, d, uint32(i))
					d.Close()
					time.Sleep(3 * time.Second)
				}
				if len(All[vpn.Full](w.Events)) == 0 {
					t.Error("nobody was told that there was no room")
				}
				stop()
				<-gone
			})
		})
	}
}

// When users have all places, another peer is refused before message 6, so it is not told
// of a phase 1 that does not exist.
func TestWhoFindsNoPlaceGetsNoMessage6(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{Slots: 2})
		for i := range 2 {
			if _, err := w.Laptop(w.Net.Host(fmt.Sprintf("198.51.100.%d", i+1)), nil).Connect(ServerAddr); err != nil {
				t.Fatal(err)
			}
		}
		var after atomic.Int32
		w.Net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
			if d.Src == netip.MustParseAddrPort(ServerAddr+":4500") && d.Dst.Addr() == netip.MustParseAddr("198.51.100.9") {
				after.Add(1)
			}
			return false
		}})
		if n := within(t, w.Laptop(w.Net.Host("198.51.100.9"), nil), 1, 20*time.Second); n != 0 {
			t.Fatal("there was a place")
		}
		if n := after.Load(); n != 0 {
			t.Errorf("%d messages follow message 4", n)
		}
		full := All[vpn.Full](w.Events)
		if len(full) == 0 || full[0].Admitted || full[0].Users != 2 {
			t.Errorf("it is said so: %+v", full)
		}
	})
}

// A first message that equals one of a client with a user is answered at once where it is
// received, as long as the policy is unchanged. The answer has our cookie, the same for
// every repetition.
func TestKnownFirstMessagesAreAnsweredAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		first := firstOf(t, w, func(*client.Config) {})
		local := netip.MustParseAddrPort(ServerAddr + ":500")
		answer := func(n uint64, from string) []byte {
			msg := bytes.Clone(first)
			binary.BigEndian.PutUint64(msg, n)
			return w.Server.IKE([]byte("before"), local, netip.MustParseAddrPort(from), false, msg)[len("before"):]
		}
		const here, there = "198.51.100.9:500", "198.51.100.10:500"
		if len(answer(1, here)) > 0 {
			t.Error("nobody is known, and it is answered at once")
		}
		connect := func(h string) {
			t.Helper()
			if n := within(t, w.Laptop(w.Net.Host(h), nil), 1, 5*time.Second); n != 1 {
				t.Fatal("an honest client does not connect")
			}
		}
		connect("198.51.100.6")
		connect("198.51.100.7") // after this, its first message is known
		a := answer(2, here)
		if len(a) == 0 || len(a) > len(first) || binary.BigEndian.Uint64(a) != 2 || bytes.Equal(a[8:16], make([]byte, 8)) {
			t.Fatalf("the answer is %x", a)
		}
		if !bytes.Equal(answer(2, here), a) {
			t.Error("who repeats it is told something else")
		}
		for what, b := range map[string][]byte{"another address": answer(2, there), "another message": answer(3, here)} {
			if bytes.Equal(a[8:16], b[8:16]) {
				t.Errorf("%s has the same cookie", what)
			}
			if !bytes.Equal(a[16:], b[16:]) {
				t.Errorf("%s has the answer %x, not %x", what, b, a)
			}
		}
		p := *w.Policy
		p.IKE = new(ike.Policy)
		*p.IKE = *w.Policy.IKE
		w.Server.SetPolicy(&p)
		if len(answer(4, here)) > 0 {
			t.Error("the answer of another policy is given")
		}
		connect("198.51.100.8")
		if len(answer(4, here)) == 0 {
			t.Error("it is known no more")
		}
	})
}
