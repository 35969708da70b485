package dataplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

var (
	serverAddr = netip.MustParseAddr("192.0.2.1")
	clientAddr = netip.MustParseAddr("10.83.0.10") // inner
	farAddr    = netip.MustParseAddr("198.51.100.80")
	testSuite  = ipsec.Suite{Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA1_96}
)

const (
	ourTunnel, peerTunnel   = 0x4711, 1
	ourSession, peerSession = 0x2342, 1
)

// rig is a plane with one connection, whose client is the test.
type rig struct {
	*testing.T
	net     *udptest.Net
	plane   *Plane
	device  *netdevtest.Device
	control *recorder
	inbox   *inbox
	slot    *Slot
	session *Session
	view    *View
	client  *client
}

// recorder is a Control that keeps what it is told.
type recorder struct {
	mu   sync.Mutex
	got  []string
	hook func() // called first
}

func (r *recorder) IKE(reply []byte, _, remote netip.AddrPort, marker bool, msg []byte) []byte {
	if r.hook != nil {
		r.hook()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := "500 "
	if marker {
		kind = "4500 "
	}
	r.got = append(r.got, kind+string(msg))
	if string(msg) == "hello" {
		reply = append(reply, "you are known"...)
	}
	return reply
}

// inbox is an Inbox that keeps what it is told, unless it is full.
type inbox struct {
	mu    sync.Mutex
	full  bool
	notes []Note
}

func (b *inbox) Deliver(n Note) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return false
	}
	n.Data = bytes.Clone(n.Data)
	b.notes = append(b.notes, n)
	return true
}

func (b *inbox) setFull(full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = full
}

// take returns the notes of a kind, and forgets all.
func (b *inbox) take(kind NoteKind) (of []Note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.notes {
		if n.Kind == kind {
			of = append(of, n)
		}
	}
	b.notes = nil
	return of
}

// client is the other end of the SAs.
type client struct {
	testing.TB
	conn   *udptest.Conn
	server netip.AddrPort
	out    *ipsec.Outbound
	in     *ipsec.Inbound
}

// inRig runs a test in a bubble, with a running plane of one worker.
func inRig(t *testing.T, c Config, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, c, testSuite, 1, "203.0.113.5")
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		done := make(chan struct{})
		go func() {
			err = r.plane.Run(ctx)
			close(done)
		}()
		synctest.Wait()
		f(r)
		cancel()
		<-done
		if err != nil {
			t.Error(err)
		}
	})
}

func newRig(t *testing.T, c Config, s ipsec.Suite, workers int, from string) *rig {
	t.Helper()
	r := &rig{
		T: t, net: udptest.New(1), control: &recorder{}, inbox: &inbox{},
		device: netdevtest.New("test0", 1400, workers),
	}
	local := serverAddr
	if netip.MustParseAddr(from).Is6() {
		local = netip.MustParseAddr("2001:db8::1")
	}
	host := r.net.Host(local.String())
	for range workers {
		c.Workers = append(c.Workers, []Socket{
			{Conn: host.Listen(500), Bound: netip.MustParseAddrPort("0.0.0.0:500")},
			{Conn: host.Listen(4500), Bound: netip.MustParseAddrPort("0.0.0.0:4500"), Kind: SocketNATT},
			{Conn: host.Listen(4500), Bound: netip.MustParseAddrPort("[::]:4500"), Kind: SocketNATT},
		})
	}
	c.Device, c.Control, c.Slots = r.device, r.control, 100
	c.Pools = []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16")}
	var err error
	if r.plane, err = New(c); err != nil {
		t.Fatal(err)
	}
	if r.slot, err = r.plane.NewSlot(r.inbox); err != nil {
		t.Fatal(err)
	}
	r.client = &client{TB: t, conn: r.net.Host(from).Listen(4500), server: netip.AddrPortFrom(local, 4500)}
	r.session = NewSession(ourSession, peerSession, false)
	r.session.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32)}, 1400)
	if err := r.plane.Route(netip.PrefixFrom(clientAddr, 32), r.slot, r.session); err != nil {
		t.Fatal(err)
	}
	r.view = &View{
		Local: r.client.server, Remote: r.client.conn.Local(),
		LocalPort: 1701, PeerPort: 1701, Tunnel: ourTunnel, PeerTunnel: peerTunnel,
		Sessions: []*Session{r.session},
	}
	r.rekey(s)
	return r
}

// rekey publishes a view with a new pair of SAs in front of the old ones.
func (r *rig) rekey(s ipsec.Suite) {
	r.Helper()
	v := *r.view
	spi := r.slot.NewSPI()
	in, out := pair(r, spi, s)
	peerIn, peerOut := pair(r, 0xc0ffee00+r.slot.gen, s)
	v.In, v.Out = append([]*ipsec.Inbound{in}, v.In...), peerOut
	r.client.out, r.client.in = out, peerIn
	r.publish(&v)
}

// publish makes a changed view the rig's.
func (r *rig) publish(v *View) {
	r.view = v
	r.slot.Publish(v)
}

func pair(t testing.TB, spi uint32, s ipsec.Suite) (*ipsec.Inbound, *ipsec.Outbound) {
	t.Helper()
	enc, auth := s.KeyLen()
	b := make([]byte, enc+auth)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	k := ipsec.Keys{Enc: secret.New(b[:enc]), Auth: secret.New(b[enc:])}
	in, err := ipsec.NewInbound(spi, s, k, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ipsec.NewOutbound(spi, s, k)
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

// seal returns the ESP packet of a payload.
func seal(t testing.TB, sa *ipsec.Outbound, payload []byte) []byte {
	t.Helper()
	head := sa.Suite().HeadRoom()
	b := make([]byte, head+len(payload)+sa.Suite().TailRoom())
	copy(b[head:], payload)
	out := []ipsec.Out{{SA: sa, Buf: b, Off: head, End: head + len(payload)}}
	sa.Lock()
	defer sa.Unlock()
	ipsec.NewSealer(rand.Reader).Seal(out)
	if out[0].Drop != ipsec.DropNone {
		t.Fatal(out[0].Drop)
	}
	return b[out[0].Off:out[0].End]
}

// raw sends a datagram to the server.
func (c *client) raw(b []byte) {
	c.Helper()
	if n, err := c.conn.WriteBatch([]udp.Packet{{Data: b, Remote: c.server}}); n != 1 || err != nil {
		c.Fatal(n, err)
	}
}

// udp sends an inner datagram, with a checksum as wrong as behind a NAT.
func (c *client) udp(from, to uint16, b []byte) {
	c.Helper()
	c.raw(c.sealed(from, to, b))
}

// sealed is the ESP packet of an inner datagram.
func (c *client) sealed(from, to uint16, b []byte) []byte {
	c.Helper()
	h := binary.BigEndian.AppendUint16(nil, from)
	h = binary.BigEndian.AppendUint16(h, to)
	h = binary.BigEndian.AppendUint16(h, uint16(8+len(b)))
	return seal(c, c.out, append(append(h, 0xba, 0xad), b...))
}

// frame sends a PPP frame.
func (c *client) frame(b []byte) {
	c.Helper()
	c.udp(1701, 1701, append(l2tp.AppendDataHeader(nil, ourTunnel, ourSession, len(b), nil), b...))
}

// ip sends an IP packet.
func (c *client) ip(b []byte) {
	c.Helper()
	protocol := byte(pppIPv4)
	if b[0]>>4 == 6 {
		protocol = pppIPv6
	}
	c.frame(append([]byte{0xff, 0x03, 0, protocol}, b...))
}

// next waits for a datagram and returns the inner one, if it is ESP.
func (c *client) next() []byte {
	c.Helper()
	p := []udp.Packet{{Data: make([]byte, 2000)}}
	if _, err := c.conn.Receive(p); err != nil {
		c.Fatal(err)
	}
	if p[0].Remote != c.server {
		c.Fatalf("it came from %v", p[0].Remote)
	}
	return c.open(p[0].Data)
}

func (c *client) open(b []byte) []byte {
	c.Helper()
	in := []ipsec.In{{SA: c.in, Buf: b, End: len(b)}}
	ipsec.NewOpener().Open(in)
	if in[0].Drop != ipsec.DropNone {
		c.Fatalf("the client drops a packet: %v", in[0].Drop)
	}
	return b[in[0].Off:in[0].End]
}

// nextIP waits for a data message and returns the IP packet in it.
func (c *client) nextIP() []byte {
	c.Helper()
	inner := c.next()
	h, err := l2tp.ParseData(inner[8:])
	if err != nil || h.Tunnel != peerTunnel || h.Session != peerSession {
		c.Fatalf("%+v, %v", h, err)
	}
	frame := inner[8+h.Off : 8+h.End]
	if frame[0] != 0xff || frame[1] != 0x03 || frame[2] != 0 {
		c.Fatalf("the frame begins with %x", frame[:4])
	}
	return frame[4:]
}

// wantDrop checks that exactly n packets were dropped, for one reason.
func (r *rig) wantDrop(d Drop, n uint64, why string) {
	r.Helper()
	synctest.Wait()
	for i, got := range r.plane.Drops() {
		want := uint64(0)
		if i == int(d) {
			want = n
		}
		if got != want {
			r.Errorf("%s: %d dropped as %v, want %d", why, got, Drop(i), want)
		}
	}
}

// udp4 is an IPv4 packet with a UDP datagram of n bytes of payload.
func udp4(src, dst netip.Addr, port uint16, n int) []byte {
	b := ip4(src, dst, packet.UDP, 8+n)
	binary.BigEndian.PutUint16(b[20:], 40000)
	binary.BigEndian.PutUint16(b[22:], port)
	binary.BigEndian.PutUint16(b[24:], uint16(8+n))
	return b
}

func ip4(src, dst netip.Addr, protocol byte, n int) []byte {
	b := make([]byte, 20+n)
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint16(b[10:], packet.Checksum(b[:20]))
	return b
}

// syn4 is a TCP SYN with an MSS of 1460.
func syn4(src, dst netip.Addr) []byte {
	b := ip4(src, dst, packet.TCP, 24)
	b[32], b[33] = 6<<4, 0x02
	copy(b[40:], []byte{2, 4, 0x05, 0xb4})
	binary.BigEndian.PutUint16(b[36:], packet.Fold(packet.Sum(packet.PseudoSum(src, dst, packet.TCP, 24), b[20:])))
	return b
}
