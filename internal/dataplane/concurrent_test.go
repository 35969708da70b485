package dataplane

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

// manySuites are what the SAs of a crowd have in turn.
var manySuites = []ipsec.Suite{
	testSuite,
	{Cipher: ipsec.AESCBC, KeyBits: 128, Auth: ipsec.HMACSHA256_128},
	{Cipher: ipsec.AESGCM16, KeyBits: 256},
	{Cipher: ipsec.AESCBC, KeyBits: 192, Auth: ipsec.HMACSHA512_256},
	{Cipher: ipsec.TripleDESCBC, Auth: ipsec.HMACSHA1_96},
}

// crowd is a rig on which everything happens at the same time.
type crowd struct {
	*rig
	ports []*udptest.Conn // of the client: each reaches another worker

	mu     sync.Mutex // the client's SAs, and what it opens
	sends  *ipsec.Outbound
	opens  map[uint32]*ipsec.Inbound
	opener *ipsec.Opener
	down   map[uint32]bool // numbers that came

	sent, twice atomic.Int64 // up: all packets, and those that were repeated
	up          []atomic.Bool
	came        atomic.Int64
}

const (
	crowdWorkers = 3
	crowdUp      = 2500 // packets
	crowdDown    = 120  // rounds a queue
	crowdAway    = 300  // packets up that may be on their way: fewer than a window has
)

// Three workers a direction carry packets and super-packets of one client, whose
// packets reach all of them in any order and some twice, while its SAs are
// replaced and retired, views published, other connections come and go, the
// control side sends, and everybody reads the counters: every packet is carried
// once, as it was, and each that is not is counted.
func TestEverythingAtTheSameTime(t *testing.T) {
	c := newCrowd(t)
	stop := make(chan struct{})
	var others, traffic sync.WaitGroup
	loop := func(f func(i int)) {
		others.Go(func() {
			// Pauses, or those who spin would have the cores to themselves.
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-tick.C:
					f(i)
				}
			}
		})
	}
	loop(func(i int) { c.replace(i + 1) })
	loop(func(int) { c.comeAndGo() })
	loop(func(int) {
		_, _ = c.plane.Stats(), c.plane.Drops()
		_, _, _ = c.session.Counters(), c.session.LastIn(), c.session.LastOut()
		_, _ = c.slot.LastIn(), c.slot.PeerPort()
	})
	traffic.Go(c.upload)
	for queue := range crowdWorkers {
		traffic.Go(func() { c.download(queue) })
	}
	traffic.Wait()
	close(stop)
	others.Wait()
	c.judge()
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{
		opens: map[uint32]*ipsec.Inbound{}, opener: ipsec.NewOpener(), down: map[uint32]bool{}, up: make([]atomic.Bool, crowdUp),
	}
	c.rig = startRig(t, crowdWorkers)
	host := c.net.Host("203.0.113.6")
	for i := range crowdWorkers {
		c.ports = append(c.ports, host.Listen(uint16(4500+i)))
	}
	c.net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
		if d.Src.Addr() != serverAddr {
			return false
		}
		c.receive(d.Data)
		return true
	}})
	c.replace(0)
	go func() {
		for b := c.device.Read(); b != nil; b = c.device.Read() {
			if n := binary.BigEndian.Uint32(b[28:]); n >= crowdUp || !bytes.Equal(b, crowdPacket(clientAddr, farAddr, n)) {
				t.Errorf("the device got %x", b)
			} else if c.up[n].Swap(true) {
				t.Errorf("packet %d reached the device twice", n)
			}
			c.came.Add(1)
		}
	}()
	return c
}

// crowdPacket has a number, and a length that follows from it.
func crowdPacket(src, dst netip.Addr, n uint32) []byte {
	b := udp4(src, dst, 1, 4+int(n)*31%1300)
	binary.BigEndian.PutUint32(b[28:], n)
	return b
}

// replace exchanges the pair of SAs. The old inbound one is retired, sooner or
// later, with packets on their way.
func (c *crowd) replace(i int) {
	suite := manySuites[i%len(manySuites)]
	v := *c.view
	in, sends := pair(c, c.slot.NewSPI(), suite)
	opens, out := pair(c, 0xc0000000+uint32(i), suite)
	c.mu.Lock()
	c.opens[out.SPI()] = opens
	c.mu.Unlock()
	old := v.Out
	v.In, v.Out = append([]*ipsec.Inbound{in}, v.In...), out
	var gone []*ipsec.Inbound
	if n := 1 + i%4; len(v.In) > n {
		v.In, gone = v.In[:n:n], v.In[n:]
	}
	c.publish(&v)
	c.mu.Lock()
	c.sends = sends
	c.mu.Unlock()
	old.Retire()
	for _, sa := range gone {
		sa.Retire()
	}
	if err := c.slot.SendL2TP([]byte{0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		c.Error(err)
	}
	c.session.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32)}, 1400-i%2)
}

// comeAndGo is another connection's life.
func (c *crowd) comeAndGo() {
	slot, err := c.plane.NewSlot(&inbox{})
	if err != nil {
		return // they rest for a minute: some lives are all there are
	}
	session := NewSession(1, 1, false)
	own := netip.MustParsePrefix("10.83.7.7/32")
	session.SetNetwork([]netip.Prefix{own}, 1400)
	in, out := pair(c, slot.NewSPI(), testSuite)
	slot.Publish(&View{In: []*ipsec.Inbound{in}, Out: out, Local: c.client.server, Remote: c.ports[0].Local(), Sessions: []*Session{session}})
	if err := c.plane.Route(own, slot, session); err != nil {
		c.Error(err)
	}
	c.plane.Unroute(own, session)
	slot.Publish(nil)
	slot.Free(time.Now())
	in.Retire()
	out.Retire()
}

// upload sends packets by all ports of the client, in sequence at each, some of
// them twice.
func (c *crowd) upload() {
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	sealer := ipsec.NewSealer(rand.Reader)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := range uint32(crowdUp) {
		for c.sent.Load()-c.came.Load()-c.dropped() > crowdAway {
			<-tick.C
		}
		c.mu.Lock()
		sa := c.sends
		c.mu.Unlock()
		ip := crowdPacket(clientAddr, farAddr, n)
		frame := append([]byte{0xff, 0x03, 0, pppIPv4}, ip...)
		message := append(l2tp.AppendDataHeader(nil, ourTunnel, ourSession, len(frame), nil), frame...)
		head := sa.Suite().HeadRoom()
		b := make([]byte, head+8+len(message)+sa.Suite().TailRoom())
		binary.BigEndian.PutUint32(b[head:], 1701<<16|1701)
		binary.BigEndian.PutUint16(b[head+4:], uint16(8+len(message)))
		copy(b[head+8:], message)
		out := []ipsec.Out{{SA: sa, Buf: b, Off: head, End: head + 8 + len(message)}}
		sa.Lock()
		sealer.Seal(out)
		sa.Unlock()
		copies := 1
		if rng.IntN(10) == 0 {
			copies = 2
			c.twice.Add(1)
		}
		for range copies {
			c.sent.Add(1)
			datagram := []udp.Packet{{Data: b[out[0].Off:out[0].End], Remote: c.client.server}}
			if n, err := c.ports[rng.IntN(len(c.ports))].WriteBatch(datagram); n != 1 || err != nil {
				c.Error(n, err)
			}
		}
	}
}

// dropped is how many packets of the client were refused.
func (c *crowd) dropped() (n int64) {
	drops := c.plane.Drops()
	for _, d := range []Drop{DropUnknownSPI, DropESP(ipsec.DropRetired), DropESP(ipsec.DropReplay)} {
		n += int64(drops[d])
	}
	return n
}

// crowdSegments is how many a super-packet of download has.
const crowdSegments = 40

// download has a queue of the device send packets and super-packets. Those of
// queue q have the numbers from q·10^8.
func (c *crowd) download(queue int) {
	number := uint32(queue) * 100_000_000
	for round := range crowdDown {
		if round%2 == queue%2 {
			n := crowdPacket(farAddr, clientAddr, number)
			c.device.Inject(queue, n)
			number++
			continue
		}
		// UDP, of which every segment has its number in front.
		const each = 600
		b := udp4(farAddr, clientAddr, 1, crowdSegments*each)
		for i := range crowdSegments {
			binary.BigEndian.PutUint32(b[28+i*each:], number)
			number++
		}
		binary.BigEndian.PutUint16(b[26:], ^packet.Fold(packet.PseudoSum(farAddr, clientAddr, packet.UDP, len(b)-20)))
		c.device.InjectSuper(queue, netdev.Packet{Buf: b, End: len(b), Segment: each, HeaderLen: 28, CsumStart: 20, CsumOffset: 6})
	}
}

// receive opens what came to the client. It is called in the order of the wire.
func (c *crowd) receive(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := []ipsec.In{{SA: c.opens[binary.BigEndian.Uint32(b)], Buf: bytes.Clone(b), End: len(b)}}
	if in[0].SA == nil {
		c.Errorf("SPI %x", b[:4])
		return
	}
	c.opener.Open(in)
	if in[0].Drop != ipsec.DropNone {
		c.Errorf("the client drops a packet: %v", in[0].Drop)
		return
	}
	inner := in[0].Buf[in[0].Off:in[0].End]
	if inner[8]&0x80 != 0 {
		return // control
	}
	h, err := l2tp.ParseData(inner[8:])
	if err != nil || h.End-h.Off < 4+32 {
		c.Errorf("%x: %v", inner, err)
		return
	}
	ip := inner[8+h.Off+4 : 8+h.End]
	number := binary.BigEndian.Uint32(ip[28:])
	if c.down[number] {
		c.Errorf("packet %d reached the client twice", number)
	}
	c.down[number] = true
}

// judge waits for what is on its way, and counts.
func (c *crowd) judge() {
	c.Helper()
	const down = crowdWorkers * crowdDown / 2 * (1 + crowdSegments)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-poll.C {
		c.mu.Lock()
		n := len(c.down)
		c.mu.Unlock()
		if n == down && c.came.Load()+c.dropped() == c.sent.Load() {
			break
		}
		if time.Now().After(end) {
			c.Fatalf("down %d packets came of %d; up %d came and %d were dropped of %d; drops %v", n, down, c.came.Load(), c.dropped(), c.sent.Load(), c.plane.Drops())
		}
	}
	drops := c.plane.Drops()
	replays := int64(drops[DropESP(ipsec.DropReplay)])
	c.Logf("up %d packets: %d came, %d were repeated, drops: %d replays, %d retired, %d unknown; down %d came; %d SAs",
		c.sent.Load(), c.came.Load(), c.twice.Load(), replays, drops[DropESP(ipsec.DropRetired)], drops[DropUnknownSPI], down, len(c.opens))
	if replays > c.twice.Load() {
		c.Errorf("%d packets were refused as replays, and %d were", replays, c.twice.Load())
	}
	if c.came.Load() < crowdUp/4 {
		c.Errorf("only %d packets came", c.came.Load())
	}
	for i, n := range drops {
		switch d := Drop(i); d {
		case DropUnknownSPI, DropESP(ipsec.DropRetired), DropESP(ipsec.DropReplay), DropInbox:
		default:
			if n > 0 {
				c.Errorf("%d packets were dropped: %v", n, d)
			}
		}
	}
	if got := c.session.Counters(); int64(got.InPackets) != c.came.Load() || got.OutPackets != down {
		c.Errorf("counted %d packets in and %d out, want %d and %d", got.InPackets, got.OutPackets, c.came.Load(), down)
	}
}
