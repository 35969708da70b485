package netdev

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/packet"
)

// TestMain runs the tests in a network namespace of their own, where they may
// make devices.
func TestMain(m *testing.M) {
	const inside = "NETDEV_TEST_INSIDE"
	if os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		if code := cmd.ProcessState.ExitCode(); code > 0 {
			os.Exit(code)
		}
		fmt.Fprintln(os.Stderr, "cannot enter a network namespace:", err)
		os.Exit(1)
	}
}

func openTest(t testing.TB, queues int, addr string) Device {
	t.Helper()
	return openWith(t, TUNConfig{MTU: 1400, Queues: queues}, addr)
}

func openWith(t testing.TB, c TUNConfig, addrs ...string) *device {
	t.Helper()
	opened, err := OpenTUN(c)
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*device)
	t.Cleanup(func() { _ = d.Close() })
	link, err := netlink.LinkByName(d.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range addrs {
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			t.Fatal(err)
		}
		a.Flags = unix.IFA_F_NODAD // IPv6 would take a second to look whether it is free
		if err := netlink.AddrAdd(link, a); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func buffers(n int) []Packet {
	p := make([]Packet, n)
	for i := range p {
		p[i] = Packet{Buf: make([]byte, 2048), Off: 64}
	}
	return p
}

// testRoom has place for some packets.
func testRoom() Room { return Room{Buf: make([]byte, 1<<17), Head: 64, Tail: 32} }

// once reads one batch, and returns how many packets there are.
func once(q Queue, room Room, packets []Packet) (n int, err error) {
	err = q.Read(room, packets, func(got int) bool {
		n = got
		return false
	})
	return n, err
}

// nextUDP reads from a queue until a UDP packet comes.
func nextUDP(t *testing.T, q Queue) []byte {
	t.Helper()
	for {
		packets := make([]Packet, 1)
		if n, err := once(q, testRoom(), packets); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		p := packets[0]
		b := p.Buf[p.Off:p.End]
		if p.CsumStart > 0 && !packet.CompleteChecksum(b, p.CsumStart, p.CsumOffset) {
			t.Fatalf("a partial checksum at %d+%d of %d bytes", p.CsumStart, p.CsumOffset, len(b))
		}
		if h, ok := packet.Parse(b); ok && h.Protocol == packet.UDP {
			return b[:h.Len]
		}
	}
}

func TestPacketsBothWays(t *testing.T) {
	d := openTest(t, 1, "10.99.0.1/24")
	if link, err := netlink.LinkByName(d.Name()); err != nil || link.Attrs().MTU != 1400 || d.MTU() != 1400 {
		t.Errorf("MTU %d, %v", link.Attrs().MTU, err)
	}
	local := netip.MustParseAddrPort("10.99.0.1:7000")
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.WriteToUDPAddrPort([]byte("to the client"), netip.MustParseAddrPort("10.99.0.2:7001")); err != nil {
		t.Fatal(err)
	}
	b := nextUDP(t, d.Queues()[0])
	h, _ := packet.Parse(b)
	body := b[h.HeaderLen:]
	if h.Src != local.Addr() || h.Dst.String() != "10.99.0.2" || string(body[8:]) != "to the client" {
		t.Errorf("%+v, %q", h, body)
	}
	if packet.Fold(packet.Sum(packet.PseudoSum(h.Src, h.Dst, packet.UDP, len(body)), body)) != 0 {
		t.Error("the checksum is incomplete")
	}

	// The same packet back, its addresses and ports swapped: the checksum stays.
	for _, p := range [][2][]byte{{b[12:16], b[16:20]}, {body[0:2], body[2:4]}} {
		for i := range p[0] {
			p[0][i], p[1][i] = p[1][i], p[0][i]
		}
	}
	out := buffers(1)
	out[0].End = out[0].Off + copy(out[0].Buf[out[0].Off:], b)
	if n, err := d.Queues()[0].WriteBatch(out); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	answer := make([]byte, 100)
	n, from, err := conn.ReadFromUDPAddrPort(answer)
	if err != nil || string(answer[:n]) != "to the client" || from.String() != "10.99.0.2:7001" {
		t.Errorf("%q from %v, %v", answer[:n], from, err)
	}
}

func TestEveryQueueCarries(t *testing.T) {
	d := openTest(t, 2, "10.99.1.1/24")
	if len(d.Queues()) != 2 {
		t.Fatalf("%d queues", len(d.Queues()))
	}
	got := make(chan int, 1)
	for i, q := range d.Queues() {
		go func() {
			_ = q.Read(testRoom(), make([]Packet, 8), func(int) bool { // until the device is closed
				select {
				case got <- i:
				default:
				}
				return true
			})
		}()
	}
	used := map[int]bool{}
	for port := uint16(10000); len(used) < 2 && port < 10200; port++ {
		conn, err := net.Dial("udp4", netip.AddrPortFrom(netip.MustParseAddr("10.99.1.2"), port).String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		used[<-got] = true
	}
	if len(used) < 2 {
		t.Error("200 flows used one queue")
	}
}

// Endless traffic does not keep a device open.
func TestCloseEndsReadUnderLoad(t *testing.T) {
	d := openTest(t, 1, "10.99.9.1/24")
	conn, err := net.Dial("udp4", "10.99.9.2:9")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	closeUnderLoad(t, d, func() { _, _ = conn.Write(make([]byte, 10)) })
}

// closeUnderLoad closes a device for whose queue send always has one more packet.
// It fails when the device is gone.
func closeUnderLoad(t *testing.T, d Device, send func()) {
	t.Helper()
	send()
	came := 0
	if err := d.Queues()[0].Read(testRoom(), make([]Packet, 1), func(int) bool {
		if came++; came == 10 {
			go func() { _ = d.Close() }()
		}
		if came == 1e6 {
			t.Error("closing did not end it")
			return false
		}
		send() // there is always one that waits
		return true
	}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// A packet that comes while another is handled is read without waiting for a
// third.
func TestReadForgetsNothing(t *testing.T) {
	d := openTest(t, 1, "10.99.8.1/24")
	conn, err := net.Dial("udp4", "10.99.8.2:9")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	send := func() {
		if _, err := conn.Write(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	send()
	packets, left := make([]Packet, 4), 50
	if err := d.Queues()[0].Read(testRoom(), packets, func(n int) bool {
		for _, p := range packets[:n] {
			if h, ok := packet.Parse(p.Buf[p.Off:p.End]); !ok || h.Protocol != packet.UDP {
				continue // the kernel's own
			}
			if left--; left > 0 {
				send()
			}
		}
		return left > 0
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCloseUnblocks(t *testing.T) {
	d := openTest(t, 2, "10.99.2.1/24")
	done := make(chan error)
	for _, q := range d.Queues() {
		go func() {
			done <- q.Read(testRoom(), make([]Packet, 1), func(int) bool { return true })
		}()
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range d.Queues() {
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
	}
	if _, err := d.Queues()[0].WriteBatch(buffers(1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if _, err := netlink.LinkByName(d.Name()); err == nil {
		t.Error("the device is still there")
	}
}

// Packets lie one behind another, each with its head room and its tail, until
// one as long as can be might not fit.
func TestReadsIntoTheRoom(t *testing.T) {
	d := openTest(t, 1, "10.99.5.1/24")
	q := d.Queues()[0]
	conn, err := net.Dial("udp4", "10.99.5.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, v := range []struct{ places, spare, most int }{{8, 1000, 8}, {2, 1000, 2}, {8, 0, 1}, {8, 150, 2}} {
		room := Room{Head: 100, Tail: 30}
		room.Buf = make([]byte, room.Len()+v.spare)
		for range 8 {
			if _, err := conn.Write(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		}
		for left := 8; left > 0; {
			packets := make([]Packet, v.places)
			n, err := once(q, room, packets)
			if err != nil || n > v.most {
				t.Fatalf("%d packets, %v; at most %d fit", n, err, v.most)
			}
			next := 0
			for _, p := range packets[:n] {
				if p.Off != 100 || len(p.Buf) != p.End+30 || cap(p.Buf) != len(p.Buf) || &p.Buf[0] != &room.Buf[next] {
					t.Fatalf("%d bytes at %d of %d, not %d bytes behind the last", p.End-p.Off, p.Off, len(p.Buf), next)
				}
				next += len(p.Buf)
				if h, ok := packet.Parse(p.Buf[p.Off:p.End]); ok && h.Protocol == packet.UDP {
					left--
				}
			}
		}
	}
	room := Room{Buf: make([]byte, 100+MaxPacket+29), Head: 100, Tail: 30}
	if _, err := once(q, room, make([]Packet, 1)); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("read into a room that is too small: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	d := openTest(t, 1, "10.99.3.1/24")
	for _, v := range []struct{ name, want string }{
		{d.Name(), "is in use by another program"},
		{"a-name-of-17-bytes", "at most 15 bytes"},
		{"lo", "lo"},
	} {
		if _, err := Open(v.name, 1400, 1); err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("Open(%q): %v", v.name, err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	d := openTest(t, 1, "10.99.4.1/24")
	q := d.Queues()[0]
	conn, err := net.Dial("udp4", "10.99.4.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	room, packets, payload := testRoom(), make([]Packet, 4), make([]byte, 100)
	got := 0
	once := func(n int) bool {
		got = n
		return false
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := conn.Write(payload); err != nil {
			t.Fatal(err)
		}
		if err := q.Read(room, packets, once); err != nil {
			t.Fatal(err)
		}
		if _, err := q.WriteBatch(packets[:got]); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A burst of more flows than Linux keeps packets for waits until it is read.
func TestABurstWaits(t *testing.T) {
	d := openTest(t, 1, "10.99.9.1/24")
	conn, err := net.Dial("udp4", "10.99.9.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const burst = 1500
	for i := range burst {
		if _, err := fmt.Fprint(conn, i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range burst {
		if i == burst/10 { // there is room again
			if _, err := fmt.Fprint(conn, burst); err != nil {
				t.Fatal(err)
			}
		}
		if got := string(nextUDP(t, d.Queues()[0])[28:]); got != fmt.Sprint(i) {
			t.Fatalf("packet %d is %q", i, got)
		}
	}
}
