package dataplane

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/ipsec"
)

// cores is a plane with several workers, each of which has a socket, a queue and
// a client of its own.
type cores struct {
	outs  []*transmitter
	ins   []*receiver
	peers []*ipsec.Outbound // what the clients seal with
	conns []*sinkConn
	sinks []*sinkDevice
}

type coresDevice struct {
	sinkDevice
	queues []netdev.Queue
}

func (d *coresDevice) Queues() []netdev.Queue { return d.queues }

func coreAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 83, 0, byte(1 + i)}) }

func newCores(t testing.TB, n int) *cores {
	t.Helper()
	c, device := &cores{}, &coresDevice{}
	cfg := Config{Device: device, Control: &recorder{}, Slots: n, Pools: []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16")}}
	for range n {
		conn, queue := new(sinkConn), new(sinkDevice)
		c.conns, c.sinks, device.queues = append(c.conns, conn), append(c.sinks, queue), append(device.queues, queue)
		cfg.Workers = append(cfg.Workers, []Socket{{Conn: conn, Bound: walkLocal, Kind: SocketNATT}})
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range p.workers {
		switch w := w.(type) {
		case *transmitter:
			c.outs = append(c.outs, w)
		case *receiver:
			c.ins = append(c.ins, w)
		}
	}
	for i := range n {
		slot, err := p.NewSlot(&inbox{})
		if err != nil {
			t.Fatal(err)
		}
		own := netip.PrefixFrom(coreAddr(i), 32)
		session := NewSession(ourSession, peerSession, false)
		session.SetNetwork([]netip.Prefix{own}, 0)
		if err := p.Route(own, slot, session); err != nil {
			t.Fatal(err)
		}
		in, peer := pair(t, slot.NewSPI(), testSuite)
		_, out := pair(t, 0xc0ffee01, testSuite)
		c.peers = append(c.peers, peer)
		slot.Publish(&View{
			In: []*ipsec.Inbound{in}, Out: out, Local: walkLocal, Remote: walkRemote,
			PeerPort: 1701, Tunnel: ourTunnel, PeerTunnel: peerTunnel, Sessions: []*Session{session},
		})
	}
	return c
}

// Workers share nothing that they write: with two cores, as -cpu 1,2 shows,
// twice as much is carried, and no more CPU time spent on each byte.
func BenchmarkEveryCoreOut(b *testing.B) {
	c := newCores(b, runtime.GOMAXPROCS(0))
	var next atomic.Int32
	b.SetBytes(2 * 48 * 1400)
	b.ReportAllocs()
	defer cpuTime(b)()
	b.RunParallel(func(pb *testing.PB) {
		i := int(next.Add(1)) - 1
		p := super(tcp4(farAddr, coreAddr(i), 48*1348), 1348)
		for pb.Next() {
			c.outs[i].packets[0], c.outs[i].packets[1] = p, p
			c.outs[i].handle(2)
		}
	})
}

// The same inbound, the clients' sealing included.
func BenchmarkEveryCoreIn(b *testing.B) {
	c := newCores(b, runtime.GOMAXPROCS(0))
	var next atomic.Int32
	b.SetBytes(readBatch * walkLen)
	b.ReportAllocs()
	defer cpuTime(b)()
	b.RunParallel(func(pb *testing.PB) {
		i := int(next.Add(1)) - 1
		w := &walks{in: c.ins[i], sealer: ipsec.NewSealer(zeros{})}
		for j := range readBatch {
			w.prepareIn(c.peers[i], j, udp4(coreAddr(i), farAddr, 53, walkLen-28))
		}
		for pb.Next() {
			w.receive()
			w.in.handle(readBatch)
		}
	})
	carried := 0
	for _, s := range c.sinks {
		carried += s.packets
	}
	if carried < b.N*readBatch {
		b.Errorf("%d packets reached the device of %d", carried, b.N*readBatch)
	}
}

// cpuTime reports the CPU time of each operation, which does not depend on who else used
// the cores.
func cpuTime(b *testing.B) func() {
	spent := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := spent()
	return func() { b.ReportMetric(float64(spent()-before)/float64(b.N), "cpu-ns/op") }
}

// zeros is a source of randomness that costs nothing.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// Several workers at once, each with a client of its own, as in the benchmarks:
// all of it arrives, and is counted.
func TestEveryWorkerCarriesItsOwn(t *testing.T) {
	const workers, rounds = 4, 20
	c := newCores(t, workers)
	done := make(chan struct{})
	for i := range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			p := super(tcp4(farAddr, coreAddr(i), 48*1348), 1348)
			for range rounds {
				c.outs[i].packets[0], c.outs[i].packets[1] = p, p
				c.outs[i].handle(2)
			}
		}()
	}
	for range workers {
		<-done
	}
	for i, conn := range c.conns {
		if conn.packets != rounds*96 {
			t.Errorf("worker %d sent %d packets, want %d", i, conn.packets, rounds*96)
		}
	}
	if n := c.outs[0].plane.Stats().OutPackets; n != workers*rounds*96 {
		t.Errorf("%d were counted", n)
	}
}
