package netdev

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/packet"
)

// mirror sends what comes from the queues of a device back to it with source
// and destination exchanged, cut into packets, as the data path would: the
// kernel then talks to itself by way of addresses that no device has.
type mirror struct {
	supers  atomic.Int64 // super-packets read
	packets atomic.Int64 // packets written
	partial atomic.Int64 // ordinary packets with partial checksums
	lose    func(n int64) bool
	bad     atomic.Int64
}

func (m *mirror) run(q Queue) {
	room := Room{Buf: make([]byte, 4*MaxPacket), Head: HeadRoom, Tail: 0}
	read, slab := make([]Packet, 64), make([]byte, 1<<20)
	var write []Packet
	_ = q.Read(room, read, func(n int) bool { // until the device is closed
		write = write[:0]
		used := 0
		for i := range read[:n] {
			p := &read[i]
			b := p.Buf[p.Off:p.End]
			if p.Segment == 0 {
				if p.CsumStart > 0 {
					m.partial.Add(1)
					if !packet.CompleteChecksum(b, p.CsumStart, p.CsumOffset) {
						m.bad.Add(1)
					}
				}
				write = m.push(write, Packet{Buf: p.Buf, Off: p.Off, End: p.End})
				continue
			}
			var c packet.Cutter
			if !c.Reset(b, p.Segment) || c.Len() > 1400 || p.HeaderLen+p.Segment < c.Len() {
				m.bad.Add(1)
				continue
			}
			m.supers.Add(1)
			for {
				buf := slab[used : used+HeadRoom+c.Len()]
				k := c.Next(buf[HeadRoom:])
				if k == 0 {
					break
				}
				write = m.push(write, Packet{Buf: buf, Off: HeadRoom, End: HeadRoom + k})
				used += len(buf)
			}
		}
		_, err := q.WriteBatch(write)
		return err == nil
	})
}

func (m *mirror) push(write []Packet, p Packet) []Packet {
	n := m.packets.Add(1)
	if m.lose != nil && m.lose(n) {
		return write
	}
	exchange(p.Buf[p.Off:p.End])
	return append(write, p)
}

// exchange swaps the addresses of a packet. All checksums stay right.
func exchange(b []byte) {
	from, to := b[12:16], b[16:20]
	if b[0]>>4 == 6 {
		from, to = b[8:24], b[24:40]
	}
	for i := range from {
		from[i], to[i] = to[i], from[i]
	}
}

// startMirror opens a device whose kernel has 10.99.x.1 and fd99:x::1, and
// reaches itself as 10.99.x.2 and fd99:x::2.
func startMirror(t *testing.T, c TUNConfig, x int, lose func(int64) bool) (*device, *mirror) {
	t.Helper()
	c.MTU = 1400
	d := openWith(t, c, fmt.Sprintf("10.99.%d.1/24", x), fmt.Sprintf("fd99:%d::1/64", x))
	m := &mirror{lose: lose}
	for _, q := range d.Queues() {
		go m.run(q)
	}
	t.Cleanup(func() {
		if n := m.bad.Load(); n > 0 {
			t.Errorf("%d packets make no sense", n)
		}
	})
	return d, m
}

// stream sends random bytes through a TCP connection and compares what arrives.
func stream(t *testing.T, listen, dial string, n int64) {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sums := make(chan [32]byte, 2)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		h := sha256.New()
		_, err = io.Copy(h, c)
		if err != nil {
			t.Error(err)
		}
		sums <- [32]byte(h.Sum(nil))
	}()
	c, err := net.Dial("tcp", dial)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	source := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), n), h)
	b := make([]byte, 200000)
	for {
		k, err := source.Read(b[:1+rand.IntN(len(b))])
		if err != nil {
			break
		}
		if _, err := c.Write(b[:k]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if <-sums != [32]byte(h.Sum(nil)) {
		t.Error("the stream arrived changed")
	}
	_ = c.Close()
}

// received is how many packets the kernel has counted from a device.
func received(t *testing.T, d *device) uint64 {
	t.Helper()
	link, err := netlink.LinkByName(d.Name())
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs().Statistics.RxPackets
}

// Every kind of device carries TCP, and those with offloads in few packets.
func TestStreams(t *testing.T) {
	for i, c := range []TUNConfig{
		{Queues: 1}, {Queues: 2}, {Queues: 1, Offloads: TCPOffloads}, {Queues: 1, Offloads: NoOffloads}, {Queues: 2, Offloads: NoOffloads},
		{Queues: 1, Offloads: NoHeaders}, {Queues: 2, Offloads: NoHeaders},
	} {
		t.Run(fmt.Sprintf("%v, queues %d", c.Offloads, c.Queues), func(t *testing.T) {
			x := 10 + i
			d, m := startMirror(t, c, x, nil)
			if got := OffloadsOf(d); got != c.Offloads {
				t.Errorf("this kernel has %q", got)
			}
			stream(t, fmt.Sprintf("10.99.%d.1:7000", x), fmt.Sprintf("10.99.%d.2:7000", x), 20e6)
			stream(t, fmt.Sprintf("[fd99:%d::1]:7000", x), fmt.Sprintf("[fd99:%d::2]:7000", x), 20e6)
			supers, written, got := m.supers.Load(), uint64(m.packets.Load()), received(t, d)
			if c.Offloads < NoOffloads {
				if supers < 100 || m.partial.Load() == 0 || got > written/3 {
					t.Errorf("%d super-packets read, %d partial checksums; %d packets became %d", supers, m.partial.Load(), written, got)
				}
			} else if supers != 0 || m.partial.Load() != 0 || got < written*9/10 { // the last are still on their way
				t.Errorf("%d super-packets read, %d partial checksums; %d packets became %d, without offloads", supers, m.partial.Load(), written, got)
			}
		})
	}
}

// Retransmissions, with selective acknowledgments, are no less bit-exact.
func TestStreamsWithLoss(t *testing.T) {
	_, m := startMirror(t, TUNConfig{Queues: 1}, 20, func(n int64) bool { return n%97 == 50 })
	stream(t, "10.99.20.1:7000", "10.99.20.2:7000", 5e6)
	stream(t, "[fd99:20::1]:7000", "[fd99:20::2]:7000", 5e6)
	if m.supers.Load() < 10 {
		t.Errorf("%d super-packets read", m.supers.Load())
	}
}

// Datagrams stay datagrams, in order, whether the sender makes a train of them
// or not.
func TestDatagrams(t *testing.T) {
	for i, o := range []Offloads{AllOffloads, TCPOffloads, NoOffloads, NoHeaders} {
		x := 30 + i
		for _, six := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, IPv6 %v", o, six), func(t *testing.T) {
				d, m := startMirror(t, TUNConfig{Offloads: o}, x, nil)
				local, remote := fmt.Sprintf("10.99.%d.1", x), fmt.Sprintf("10.99.%d.2:7000", x)
				if six {
					local, remote = fmt.Sprintf("fd99:%d::1", x), fmt.Sprintf("[fd99:%d::2]:7000", x)
				}
				conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(local), 7000)))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				awaitEcho(t, conn, netip.MustParseAddrPort(remote))
				got, written := received(t, d), uint64(m.packets.Load())
				for _, train := range []bool{true, false} {
					supers := m.supers.Load()
					carryDatagrams(t, conn, netip.MustParseAddrPort(remote), train)
					if got := m.supers.Load() > supers; got != (train && o == AllOffloads) {
						t.Errorf("train %v: super-packets %v", train, got)
					}
				}
				got, written = received(t, d)-got, uint64(m.packets.Load())-written
				if (got < written*3/4) != (o == AllOffloads) {
					t.Errorf("%d packets became %d", written, got)
				}
			})
		}
	}
}

// awaitEcho waits until the kernel takes packets for the address of conn: for
// IPv6 that is a while after it was given.
func awaitEcho(t *testing.T, conn *net.UDPConn, remote netip.AddrPort) {
	t.Helper()
	for probe := byte(0); ; probe++ {
		if _, err := conn.WriteToUDPAddrPort([]byte{probe}, remote); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for b := make([]byte, 10); ; {
			if _, _, err := conn.ReadFromUDPAddrPort(b); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if b[0] == probe {
				_ = conn.SetReadDeadline(time.Time{})
				return
			}
		}
	}
}

func carryDatagrams(t *testing.T, conn *net.UDPConn, remote netip.AddrPort, train bool) {
	t.Helper()
	const size, count = 500, 20
	data := make([]byte, size*count-99) // the last is shorter
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	if train {
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		set := func(n int) {
			if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, n) }); err != nil {
				t.Fatal(err)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		set(size)
		defer set(0)
		if _, err := conn.WriteToUDPAddrPort(data, remote); err != nil {
			t.Fatal(err)
		}
	} else {
		for b := data; len(b) > 0; b = b[min(size, len(b)):] {
			if _, err := conn.WriteToUDPAddrPort(b[:min(size, len(b))], remote); err != nil {
				t.Fatal(err)
			}
		}
	}
	for b := data; len(b) > 0; b = b[min(size, len(b)):] {
		got := make([]byte, 2000)
		n, from, err := conn.ReadFromUDPAddrPort(got)
		if err != nil || from != remote || string(got[:n]) != string(b[:min(size, len(b))]) {
			t.Fatalf("%d bytes from %v, %v: not the next datagram", n, from, err)
		}
	}
}

// A device that another program has open without vnet headers has none for us.
func TestJoinsADeviceWithoutHeaders(t *testing.T) {
	i, err := water.New(water.Config{
		DeviceType:             water.TUN,
		PlatformSpecificParams: water.PlatformSpecificParams{Name: "shared0", MultiQueue: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	d, err := Open("shared0", 1400, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := OffloadsOf(d); got != NoHeaders {
		t.Errorf("offloads: %v", got)
	}
	for _, q := range d.Queues() {
		if q.(*named).vnet != 0 {
			t.Error("a queue expects headers that nobody writes")
		}
	}
}

// What a kernel does not know is not asked for again and again.
func TestFewerOffloads(t *testing.T) {
	fd, err := unix.Open(tunFile, unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("")
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatal(err)
	}
	var asked []int
	for _, v := range []struct {
		known int
		want  Offloads
	}{{-1, AllOffloads}, {TCPOffloads.flags(), TCPOffloads}, {unix.TUN_F_CSUM, NoOffloads}, {0, NoOffloads}} {
		asked = nil
		got, err := lower(AllOffloads, func(flags int) error {
			if asked = append(asked, flags); flags&^v.known != 0 {
				return unix.EINVAL
			}
			return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, flags)
		})
		if got != v.want || err != nil {
			t.Errorf("a kernel that knows %#x: %v, %v", v.known, got, err)
		}
	}
	if len(asked) != 3 {
		t.Errorf("asked for %v", asked)
	}
	if _, err := lower(AllOffloads, func(int) error { return unix.EPERM }); !errors.Is(err, unix.EPERM) {
		t.Errorf("%v", err)
	}
	if _, err := lower(NoOffloads, func(int) error { return unix.EINVAL }); !errors.Is(err, unix.EINVAL) {
		t.Errorf("%v", err)
	}
}

func TestOffloadsAreNamed(t *testing.T) {
	for o, want := range map[Offloads]string{AllOffloads: "TCP and UDP", TCPOffloads: "TCP", NoOffloads: "none", 9: "Offloads(9)"} {
		if o.String() != want {
			t.Errorf("%v, want %s", o, want)
		}
	}
}

// Nothing is allocated both ways, for super-packets and for a batch of many
// flows.
func TestNoAllocationsForSuperPackets(t *testing.T) {
	d := openWith(t, TUNConfig{MTU: 1400}, "10.99.40.1/24")
	q := d.Queues()[0]
	conn, err := net.Dial("udp4", "10.99.40.2:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1000) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	room, packets, payload := testRoom(), make([]Packet, 4), make([]byte, 20000)
	slab, segments, supers := make([]byte, 1<<20), make([]Packet, 0, 100), 0
	got := 0
	once := func(n int) bool {
		got = n
		return false
	}
	if n := testing.AllocsPerRun(200, func() {
		if _, err := conn.Write(payload); err != nil {
			t.Fatal(err)
		}
		if err := q.Read(room, packets, once); err != nil {
			t.Fatal(err)
		}
		segments = segments[:0]
		for i := range packets[:got] {
			p := &packets[i]
			var c packet.Cutter
			if p.Segment == 0 || !c.Reset(p.Buf[p.Off:p.End], p.Segment) {
				continue
			}
			supers++
			for range c.Segments() {
				b := slab[len(segments)*2000:][:2000]
				segments = append(segments, Packet{Buf: b, Off: HeadRoom, End: HeadRoom + c.Next(b[HeadRoom:])})
			}
		}
		if k, err := q.WriteBatch(segments); err != nil || k != len(segments) {
			t.Fatal(k, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if supers < 200 {
		t.Errorf("%d super-packets", supers)
	}
}
