//go:build real

package exact

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/ipsec"
)

// The hosts behind the server that are not there.
var (
	far4 = netip.MustParseAddr("198.51.100.0")
	far6 = netip.MustParseAddr("2001:db8:100::")

	farNets  = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:100::/64")}
	nearNets = []netip.Prefix{netip.MustParsePrefix(inside4), netip.MustParsePrefix(inside6), netip.MustParsePrefix(officeLAN)}
)

// How many packets of one client may be on their way. Down they wait in the
// device's queue, which has room for 500, and a super-packet that the kernel
// cuts in front of it takes as many places as it has segments.
const (
	roomUp   = 256
	roomDown = 90
)

// scenario is a server on some host, and its clients.
type scenario struct {
	name string
	host
	tier   string // of kernels; "": any
	joins  []byte // which kinds of super-packets the server hands to the device
	noSums bool   // the clients send no UDP checksums
	narrow bool   // the path carries less than a train's datagrams
	office bool   // the server is a station on an Ethernet
	seed   uint64
}

var (
	joinsTCP = []byte{gsoTCP4, gsoTCP6}
	joinsAll = []byte{gsoTCP4, gsoTCP6, gsoUDP}
)

// scenarios are every tier, and every host that lacks something: with one tier
// each, in the soak with all of them, and there under the race detector, too.
func scenarios() (list []scenario) {
	tiers := tiersHere()
	for i, c := range []scenario{
		{name: "generic kernels", joins: joinsAll, tier: "generic"},
		{name: "aesni kernels", joins: joinsAll, tier: "aesni"},
		{name: "avx512 kernels", joins: joinsAll, tier: "avx512"},
		{name: "one queue", joins: joinsAll, host: host{env: []string{"GOMAXPROCS=1"}}},
		{name: "four queues", joins: joinsAll, host: host{env: []string{"GOMAXPROCS=4"}}},
		{name: "clients without UDP checksums", joins: joinsAll, noSums: true},
		{name: "server without UDP checksums", joins: joinsAll, host: host{without: "sums"}},
		{name: "without GRO", joins: joinsAll, host: host{without: "gro"}},
		{name: "without USO", joins: joinsTCP, host: host{without: "uso"}},
		{name: "without offloads", host: host{without: "offloads"}},
		{name: "without vnet headers", host: host{without: "headers"}},
		{name: "narrow path", joins: joinsAll, narrow: true},
		{name: "TAP", office: true, joins: []byte{gsoTCP4, gsoUDP}, host: host{network: officeConfig}},
	} {
		switch {
		case c.tier != "":
			list = append(list, c)
		case !*soak:
			c.tier = tiers[i%len(tiers)]
			list = append(list, c)
		default:
			for _, tier := range tiers {
				one := c
				one.name, one.tier, one.seed = c.name+", "+tier, tier, rand.Uint64()
				list = append(list, one)
			}
		}
	}
	if *soak {
		env := []string{"GOMAXPROCS=4"}
		list = append(list, scenario{name: "race detector", joins: joinsAll, tier: tiers[len(tiers)-1], host: host{env: env, race: true}})
	}
	return list
}

// Packets of every length, of every kind and in bursts go through every suite at
// the same time, both ways: on every tier of kernels, and on hosts that lack
// something.
func TestEveryPacketArrivesAsItWas(t *testing.T) {
	for i, c := range scenarios() {
		t.Run(c.name, func(t *testing.T) { c.play(t, i%len(suites)) })
	}
}

// play has every suite's packets compared, and one suite's of real TCP and UDP.
func (c *scenario) play(t *testing.T, suite int) {
	if c.narrow {
		setMTU(t, 1280)
	}
	if c.office {
		makeOffice(t)
	}
	c.env = append([]string{"ADIT_CPU=" + c.tier}, c.env...)
	if !slices.Contains(tiersHere(), c.tier) {
		t.Logf("this CPU has no kernels %s: the server has to say so", c.tier)
		refuses(t, c.host, "ADIT_CPU")
		return
	}
	s := serve(t, c.host)
	if !s.run.Printed(`"kernels":"` + c.tier + `"`) {
		t.Errorf("the server does not say that it uses the kernels %s:\n%s", c.tier, s.run.Output())
	}
	x := newExam(t, s, c)
	x.run(t)
	for _, kind := range joinsAll {
		if n := x.tap.joined[kind]; slices.Contains(c.joins, kind) != (n > 0) {
			t.Errorf("%d packets came in super-packets of kind %d, want that kinds %d alone occur", n, kind, c.joins)
		}
	}
	if !c.office {
		stackExam(t, s, peer{suite: suite, noSums: c.noSums})
	}
	s.wantNoDrops(t)
	s.stop(t)
}

// tiersHere are the tiers of kernels that this CPU has. ADIT_CPU must not be set
// for the tests.
func tiersHere() []string {
	all := []string{"generic", "aesni", "avx512"}
	best, _ := ipsec.Kernels()
	return all[:slices.Index(all, best)+1]
}

// setMTU narrows the path between the server and the clients for the test.
func setMTU(t *testing.T, mtu int) {
	t.Helper()
	set := func(mtu int) {
		for _, ns := range []string{nsServer, nsClient} {
			if err := ip(fmt.Sprintf("-n %s link set eth0 mtu %d", ns, mtu)); err != nil {
				t.Error(err)
			}
		}
	}
	set(mtu)
	t.Cleanup(func() { set(1500) })
}

// exam is all clients of one server, and what is on its way to and from them.
type exam struct {
	seed     uint64
	tap      *wiretap
	students []*student
}

// student is one client.
type student struct {
	*tunnel
	device   *netdevtest.Device
	up, down *ledger
	dropped  map[string]uint64 // by the client, before
	ether    []byte            // what precedes packets to it, on an Ethernet
}

func newExam(t *testing.T, s *server, c *scenario) *exam {
	t.Helper()
	x := &exam{seed: c.seed}
	for i := range suites {
		one := &student{device: netdevtest.New("exam", 1400, 1), up: newLedger(false, roomUp), down: newLedger(true, roomDown)}
		one.tunnel = dial(t, s, peer{suite: i, device: one.device, noSums: c.noSums, six: !c.office})
		if c.office {
			one.meetNeighbour(t)
		}
		one.dropped = one.fleet.Drops()
		x.students = append(x.students, one)
	}
	x.tap = openTap(t, nsServer, "adit0", false)
	return x
}

// run sends everything and waits for it.
func (x *exam) run(t *testing.T) {
	x.tap.listen(func(b []byte) {
		if !inside(b, nearNets, farNets) {
			return
		}
		for _, one := range x.students {
			if src, _ := addresses(b); src == one.four || src == one.six {
				one.up.arrive(b)
			}
		}
	})
	var readers, senders sync.WaitGroup
	for i, one := range x.students {
		readers.Go(func() {
			for b := one.device.Read(); b != nil; b = one.device.Read() {
				if inside(b, farNets, nearNets) {
					one.down.arrive(b)
				}
			}
		})
		senders.Go(func() {
			rng := rand.New(rand.NewPCG(x.seed, uint64(2*i)))
			play(rng, streams(rng, one, false), func(s shot) bool {
				if !one.up.expect(s.want) {
					return false
				}
				one.device.Inject(0, s.b)
				return true
			})
		})
		senders.Go(func() {
			rng := rand.New(rand.NewPCG(x.seed, uint64(2*i+1)))
			play(rng, streams(rng, one, true), func(s shot) bool {
				if !one.down.expect(s.want) {
					return false
				}
				if err := x.tap.send(s.v, s.b, one.ether); err != nil {
					t.Errorf("sending to the device: %v", err)
					return false
				}
				return true
			})
		})
	}
	senders.Wait()
	for i, one := range x.students {
		for _, l := range []*ledger{one.up, one.down} {
			way := map[bool]string{false: "up", true: "down"}[l.back]
			if faults := l.finish(); len(faults) > 0 {
				t.Errorf("%v, %s:\n%s", suites[i], way, strings.Join(faults, "\n"))
			}
		}
		for reason, n := range one.fleet.Drops() {
			if n > one.dropped[reason] {
				t.Errorf("%v: the client dropped %d packets: %s", suites[i], n-one.dropped[reason], reason)
			}
		}
		one.Close()
		_ = one.device.Close() // ends the reader
	}
	readers.Wait()
	x.tap.close()
	if x.tap.err != nil {
		t.Error(x.tap.err)
	}
	up, down := 0, 0
	for _, one := range x.students {
		up, down = up+one.up.came, down+one.down.came
	}
	t.Logf("seed %d: %d packets up, of these in super-packets: %d of TCP, %d of TCP over IPv6, %d of UDP; %d packets down",
		x.seed, up, x.tap.joined[gsoTCP4], x.tap.joined[gsoTCP6], x.tap.joined[gsoUDP], down)
}

// streams is all that one client sends, or is sent.
func streams(rng *rand.Rand, one *student, back bool) (list []stream) {
	m := &maker{rng: rng, mtu: one.mtu, back: back, four: end{one.four, far4}, six: end{one.six, far6}}
	for _, e := range m.ends() {
		list = append(list, m.rawSizes(e), m.echoSizes(e), m.udpSizes(e), m.tcpSizes(e), m.fragments(e, 50), m.odd(e, 200),
			m.tcpBulk(e, 700), m.tcpBulk(e, 700), m.udpBulk(e, 500), m.udpBulk(e, 500))
		if back {
			list = append(list, m.supers(e, protoTCP, 40), m.supers(e, protoUDP, 40))
		}
	}
	return list
}

// play sends streams, some shots of one and some of another, until all are done
// or send says that it is no use.
func play(rng *rand.Rand, list []stream, send func(shot) bool) {
	for len(list) > 0 {
		i := rng.IntN(len(list))
		for range 1 + rng.IntN(30) {
			s, ok := list[i]()
			if !ok {
				list = slices.Delete(list, i, i+1)
				break
			}
			if !send(s) {
				return
			}
		}
	}
}
