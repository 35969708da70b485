//go:build thaw

package persona

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// crossing is a datagram and the time at which it crossed the network.
type crossing struct {
	at time.Time
	udptest.Datagram
}

// recording is everything observed of a client's connection.
type recording struct {
	crossings []crossing
	log       string
	thawed    int64 // machines

	mu   sync.Mutex
	said []string // what the server reported about it: accounting records, then events
}

// say records what the server reports. A time that was thawed has no reading of the
// monotonic clock.
func (r *recording) say(what any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, monotonic.ReplaceAllString(fmt.Sprintf("%T %+v", what, what), ""))
}

var monotonic = regexp.MustCompile(` m=[+-][0-9.]+`)

// Account implements auth.Accountant.
func (r *recording) Account(record auth.Record) { r.say(record) }

// extras makes a server tell its clients everything that it can, and account for them.
func (r *recording) extras(p Profile) sim.Options {
	o := with6(netip.MustParseAddr("2001:db8:1::1"), netip.MustParsePrefix("2001:db8:1::/48"))
	six, own := o.Policy, policyOf(p)
	o.Policy = func(p *vpn.Policy) {
		six(p)
		if own != nil {
			own(p)
		}
		p.InterimInterval = 20 * time.Minute
		p.Settings.Split, p.Settings.Domain = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}, "corp.example"
	}
	o.Seed, o.Accountant = 1, r
	return o
}

// odd keeps the test's own actions apart from timers of the client and the server.
const odd = 1234567 * time.Nanosecond

// record plays a client's connection: it connects, exchanges packets, gets another port
// from its NAT, is idle, renews its keys, including those of phase 1, and leaves. If the
// network loses datagrams, some of that may not happen. All randomness comes from the
// seed.
func record(t *testing.T, p Profile, loss float64, thawing bool) *recording {
	r := &recording{}
	before := machine.Thawed.Load()
	machine.Thawing.Store(thawing)
	defer func() {
		machine.Thawing.Store(false)
		r.thawed = machine.Thawed.Load() - before
	}()
	t.Run(fmt.Sprint("thawing ", thawing), func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, 1)
		bubble(t, func(t *testing.T) {
			w := sim.New(t, r.extras(p))
			// No two things happen at the same instant: their order would be undefined.
			time.Sleep(odd)
			jitter := time.Millisecond
			if loss > 0 {
				jitter = 30 * time.Millisecond
			}
			w.Net.SetPolicy(udptest.Policy{
				Delay: 10 * time.Millisecond, Jitter: jitter, Loss: loss, Duplicate: loss,
				Drop: func(d udptest.Datagram) bool {
					r.crossings = append(r.crossings, crossing{time.Now(), udptest.Datagram{Src: d.Src, Dst: d.Dst, Data: bytes.Clone(d.Data)}})
					return false
				},
			})
			nat := w.Net.NAT("198.51.100.7")
			c := New(p, accountOf(p), nat.Host("192.168.1.10"), 1, func(rule string) {
				if loss == 0 {
					t.Error(rule)
				}
			})
			t.Cleanup(c.Vanish)
			err := c.Dial()
			if loss == 0 && err != nil {
				t.Fatal(err)
			}
			if err == nil {
				spend(t, w, c, nat, loss == 0)
			}
			r.log = c.Log()
			for _, e := range w.Events.Everything() {
				r.say(e)
			}
		})
	})
	return r
}

// spend does what a connected client does.
func spend(t *testing.T, w *sim.World, c *Client, nat *udptest.NAT, lossless bool) {
	time.Sleep(time.Second + odd)
	if lossless {
		passes(t, w, c, 1)
	}
	nat.Rebind()
	if lossless {
		passes(t, w, c, 3)
	}
	time.Sleep(70 * time.Minute)
	if lossless {
		passes(t, w, c, 5)
	}
	time.Sleep(8 * time.Hour)
	_ = c.Close()
	time.Sleep(time.Minute)
}

// Every client's connection is the same, byte for byte, when each machine of the server
// is frozen and thawed each time its events have been drained.
func TestThawedEveryConnectionIsTheSame(t *testing.T) {
	theOffice()
	// The order in which randomness is read must not depend on the number of processors,
	// nor on what the garbage collector drops from a sync.Pool.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, make := range slices.Concat(everyone, signers) {
		for _, loss := range []float64{0, 0.1} {
			t.Run(fmt.Sprintf("%s, loss %v", make().Name, loss), func(t *testing.T) {
				// A profile may count what its clients do, so each run has a profile of
				// its own.
				plain, thawed := record(t, make(), loss, false), record(t, make(), loss, true)
				runtime.GC()
				if len(plain.crossings) < 30 || plain.log == "" || len(plain.said) < 10 || plain.thawed != 0 || thawed.thawed < 30 {
					t.Fatalf("%d datagrams crossed the network, the server said %d things; machines were thawed %d and %d times", len(plain.crossings), len(plain.said), plain.thawed, thawed.thawed)
				}
				plain.compare(t, thawed)
			})
		}
	}
}

func (r *recording) compare(t *testing.T, thawed *recording) {
	t.Helper()
	for i := range min(len(r.crossings), len(thawed.crossings)) {
		a, b := r.crossings[i], thawed.crossings[i]
		if !a.at.Equal(b.at) || a.Src != b.Src || a.Dst != b.Dst || !bytes.Equal(a.Data, b.Data) {
			t.Fatalf("datagram %d of %d differs: at %v from %v to %v\n%x\nand, thawed, at %v from %v to %v\n%x",
				i, len(r.crossings), a.at, a.Src, a.Dst, a.Data, b.at, b.Src, b.Dst, b.Data)
		}
	}
	if len(r.crossings) != len(thawed.crossings) {
		t.Errorf("%d datagrams crossed the network, and %d thawed", len(r.crossings), len(thawed.crossings))
	}
	for i := range min(len(r.said), len(thawed.said)) {
		if a, b := r.said[i], thawed.said[i]; a != b {
			t.Fatalf("the server said\n%s\nand, thawed,\n%s", a, b)
		}
	}
	if len(r.said) != len(thawed.said) {
		t.Errorf("the server said %d things, and thawed %d", len(r.said), len(thawed.said))
	}
	if r.log != thawed.log {
		t.Errorf("the client saw\n%s\n\nand, thawed,\n%s", r.log, thawed.log)
	}
}
