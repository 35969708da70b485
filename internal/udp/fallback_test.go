package udp

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setOption sets an option of a socket.
func setOption(t *testing.T, s *Socket, level, option, value int) {
	t.Helper()
	if err := s.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), level, option, value); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// wantTrain sends a train with a datagram behind it, and wants all of it, in
// order.
func wantTrain(t *testing.T, client, server *Socket, segment, n int) {
	t.Helper()
	p, want := train(server.Bound(), segment, n)
	last := Packet{Data: []byte("last"), Remote: server.Bound()}
	if n, err := client.WriteBatch([]Packet{p, last}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	checkTrain(t, readAll(t, server, len(want)+1), append(want, last.Data))
}

// A train that the kernel does not cut, here because SO_NO_CHECK forbids it,
// goes out as datagrams, and so does what follows it.
func TestRefusedTrainIsSplit(t *testing.T) {
	server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
	setOption(t, client, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	wantTrain(t, client, server, 1000, 5)
	if client.noSegment.Load() {
		t.Error("EINVAL says nothing of other trains, but no more are tried")
	}
}

// More segments than any kernel cuts.
func TestTooManySegments(t *testing.T) {
	families(t, func(t *testing.T, _, addr, _ string) {
		server, client := listenOne(t, addr), listenOne(t, addr)
		wantTrain(t, client, server, 10, 300)
	})
}

// A way out that is narrower than the segments: they go out in fragments.
func TestSegmentsLongerThanThePath(t *testing.T) {
	runtime.LockOSThread() // the thread ends with its namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetMTU(lo, 1280); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"127.0.0.1", "::1"} {
		server, client := listenOne(t, addr), listenOne(t, addr)
		wantTrain(t, client, server, 1400, 20)
	}
}

// EIO says that the way out has no checksum offload: the datagrams of the train
// go out, and trains are not tried again.
func TestNoChecksumOffload(t *testing.T) {
	server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
	p, want := train(server.Bound(), 1000, 5)
	w := client.writer([]Packet{p})
	if err := w.add(0); err != nil || !w.train[0] {
		t.Fatal(err)
	}
	w.errno = unix.EIO // as the kernel would answer
	if err := w.refused(0); err != nil || w.lost != 0 {
		t.Fatalf("%v, %d lost", err, w.lost)
	}
	w.done()
	checkTrain(t, readAll(t, server, len(want)), want)
	if !client.noSegment.Load() {
		t.Error("trains are still tried")
	}
	wantTrain(t, client, server, 1000, batchLen+5)
}

// A socket that knows no trains, here one without UDP, is never given one.
func TestKernelWithoutTrains(t *testing.T) {
	if s := oneESP(t, "127.5.0.6"); !s.noSegment.Load() {
		t.Error("trains would be sent as one datagram")
	}
	if s := listenOne(t, "127.0.0.1"); s.noSegment.Load() {
		t.Error("this kernel has trains, and they are not used")
	}
}

// Without UDP_GRO a train arrives as datagrams.
func TestKernelWithoutGRO(t *testing.T) {
	server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
	setOption(t, server, unix.IPPROTO_UDP, unix.UDP_GRO, 0)
	p, want := train(server.Bound(), 1000, 40)
	if n, err := client.WriteBatch([]Packet{p}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	packets := buffers(64)
	got, err := once(server, packets)
	if err != nil || got != len(want) {
		t.Fatalf("%d datagrams in one call, %v; want %d", got, err, len(want))
	}
	checkTrain(t, packets, want)
}

// What is longer than its room lies whole in the long one.
func TestLongRoom(t *testing.T) {
	families(t, func(t *testing.T, _, addr, _ string) {
		server, client := listenOne(t, addr), listenOne(t, addr)
		rooms := func() []Packet {
			p := make([]Packet, 4)
			for i := range p {
				p[i].Data, p[i].Long = make([]byte, 100), make([]byte, 1<<16)
			}
			return p
		}
		p, want := train(server.Bound(), 99, 50)
		datagrams := [][]byte{
			bytes.Repeat([]byte{1}, 99), bytes.Repeat([]byte{2}, 100), bytes.Repeat([]byte{3}, 101), bytes.Repeat([]byte{4}, 60000),
		}
		var out []Packet
		for _, d := range datagrams {
			out = append(out, Packet{Data: d, Remote: server.Bound()})
		}
		for _, batch := range [][]Packet{out, {p}} {
			if n, err := client.WriteBatch(batch); n != len(batch) || err != nil {
				t.Fatal(n, err)
			}
		}
		in := rooms()
		if n, err := once(server, in); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		for i, d := range datagrams {
			if !bytes.Equal(in[i].Data, d) || (cap(in[i].Data) > 100) != (len(d) > 100) {
				t.Errorf("%d bytes came as %d, with room for %d", len(d), len(in[i].Data), cap(in[i].Data))
			}
		}
		in = rooms()
		if n, err := once(server, in); n != 1 || err != nil || in[0].Segment != 99 {
			t.Fatalf("%d datagrams, %v, segments of %d", n, err, in[0].Segment)
		}
		if !bytes.Equal(in[0].Data, bytes.Join(want, nil)) {
			t.Error("the train is another")
		}
		in = rooms()
		in[0].Long = make([]byte, 50000)
		if _, err := client.WriteBatch([]Packet{{Data: datagrams[3], Remote: server.Bound()}}); err != nil {
			t.Fatal(err)
		}
		if n, err := once(server, in); n != 1 || err != nil || len(in[0].Data) != 0 {
			t.Errorf("what fits nowhere came with %d bytes, %v", len(in[0].Data), err)
		}
	})
}
