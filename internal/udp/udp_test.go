package udp

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func listenOne(t testing.TB, addr string) *Socket {
	t.Helper()
	sockets, err := Listen(netip.AddrPortFrom(netip.MustParseAddr(addr), 0), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sockets[0].Close() })
	return sockets[0]
}

func buffers(n int) []Packet {
	p := make([]Packet, n)
	for i := range p {
		p[i].Data = make([]byte, 1<<16)
	}
	return p
}

// once reads one batch, and returns how many packets came.
func once(s *Socket, packets []Packet) (n int, err error) {
	err = s.Read(packets, func(got int) []Packet {
		n = got
		return nil
	})
	return n, err
}

// enough is for a Read that ends with the first batch.
func enough(int) []Packet { return nil }

// readAll reads until it has n datagrams, trains cut.
func readAll(t *testing.T, s *Socket, n int) (all []Packet) {
	t.Helper()
	for len(all) < n {
		packets := buffers(8)
		got, err := once(s, packets)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets[:got] {
			for rest := p.Data; len(rest) > 0; {
				k := len(rest)
				if p.Segment > 0 {
					k = min(k, p.Segment)
				}
				all = append(all, Packet{Data: rest[:k], Local: p.Local, Remote: p.Remote})
				rest = rest[k:]
			}
		}
	}
	return all
}

func families(t *testing.T, f func(t *testing.T, wildcard, first, second string)) {
	t.Run("IPv4", func(t *testing.T) { f(t, "0.0.0.0", "127.0.0.1", "127.0.0.2") })
	t.Run("IPv6", func(t *testing.T) { f(t, "::", "::1", "::1") })
}

// A reply leaves from the address that received, not from the one that the
// route would choose.
func TestReplyFromTheAddressThatReceived(t *testing.T) {
	families(t, func(t *testing.T, wildcard, first, second string) {
		server, client := listenOne(t, wildcard), listenOne(t, first)
		to := netip.AddrPortFrom(netip.MustParseAddr(second), server.Bound().Port())
		if n, err := client.WriteBatch([]Packet{{Data: []byte("ping"), Remote: to}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		p := readAll(t, server, 1)[0]
		if string(p.Data) != "ping" || p.Local != to || p.Remote != client.Bound() {
			t.Fatalf("%q from %v to %v, want %v to %v", p.Data, p.Remote, p.Local, client.Bound(), to)
		}
		if n, err := server.WriteBatch([]Packet{{Data: []byte("pong"), Local: p.Local, Remote: p.Remote}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if p := readAll(t, client, 1)[0]; string(p.Data) != "pong" || p.Remote != to {
			t.Errorf("%q from %v, want it from %v", p.Data, p.Remote, to)
		}
	})
}

func TestManyDatagramsInOrder(t *testing.T) {
	families(t, func(t *testing.T, _, addr, _ string) {
		server, client := listenOne(t, addr), listenOne(t, addr)
		const n = 3*batchLen + 7
		var packets []Packet
		for i := range n {
			packets = append(packets, Packet{Data: fmt.Appendf(nil, "datagram %d", i), Remote: server.Bound()})
		}
		if sent, err := client.WriteBatch(packets); sent != n || err != nil {
			t.Fatal(sent, err)
		}
		for i, p := range readAll(t, server, n) {
			if want := fmt.Sprintf("datagram %d", i); string(p.Data) != want {
				t.Fatalf("got %q, want %q", p.Data, want)
			}
		}
	})
}

// train is one of n datagrams, the last of which is shorter.
func train(to netip.AddrPort, segment, n int) (Packet, [][]byte) {
	p := Packet{Segment: segment, Remote: to}
	var want [][]byte
	for i := range n {
		d := bytes.Repeat([]byte{byte(i + 1)}, segment)
		if i == n-1 {
			d = d[:segment/2]
		}
		want = append(want, d)
		p.Data = append(p.Data, d...)
	}
	return p, want
}

func checkTrain(t *testing.T, got []Packet, want [][]byte) {
	t.Helper()
	for i := range want {
		if !bytes.Equal(got[i].Data, want[i]) {
			t.Fatalf("datagram %d has %d bytes, want %d, or others", i, len(got[i].Data), len(want[i]))
		}
	}
}

func TestTrainsArriveAsDatagrams(t *testing.T) {
	families(t, func(t *testing.T, _, addr, _ string) {
		for _, noSegment := range []bool{false, true} {
			server, client := listenOne(t, addr), listenOne(t, addr)
			client.noSegment.Store(noSegment)
			p, want := train(server.Bound(), 1000, 40)
			if n, err := client.WriteBatch([]Packet{p}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			checkTrain(t, readAll(t, server, len(want)), want)
		}
	})
}

// A datagram that cannot be sent costs no other.
func TestOneBadDestination(t *testing.T) {
	server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
	good := Packet{Data: []byte("good"), Remote: server.Bound()}
	bad := Packet{Data: make([]byte, 65530), Remote: server.Bound()} // longer than UDP carries
	if n, err := client.WriteBatch([]Packet{good, bad, good}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, p := range readAll(t, server, 2) {
		if string(p.Data) != "good" {
			t.Errorf("got %q", p.Data)
		}
	}
}

func TestTooLongForItsBuffer(t *testing.T) {
	server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
	if _, err := client.WriteBatch([]Packet{{Data: make([]byte, 100), Remote: server.Bound()}}); err != nil {
		t.Fatal(err)
	}
	packets := []Packet{{Data: make([]byte, 50)}}
	if n, err := once(server, packets); n != 1 || err != nil || len(packets[0].Data) != 0 {
		t.Errorf("%d, %v, %d bytes; want one empty datagram", n, err, len(packets[0].Data))
	}
}

// What comes while a batch is handled is read without waiting for what comes
// after it, whatever that batch was: one datagram, fewer than there was room for,
// as many, or a train.
func TestReadForgetsNothing(t *testing.T) {
	for _, v := range []struct {
		name            string
		count, segments int
	}{{"one", 1, 0}, {"some", 3, 0}, {"as many as fit", 8, 0}, {"a train", 1, 20}} {
		t.Run(v.name, func(t *testing.T) {
			server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
			p := Packet{Data: []byte("x"), Remote: server.Bound()}
			if v.segments > 0 {
				p, _ = train(server.Bound(), 100, v.segments)
			}
			out := slices.Repeat([]Packet{p}, v.count)
			rooms := func() []Packet {
				p := make([]Packet, 8)
				for i := range p {
					p[i].Data, p[i].Long = make([]byte, 1000), make([]byte, 1<<16)
				}
				return p
			}
			send := func() {
				if n, err := client.WriteBatch(out); n != len(out) || err != nil {
					t.Fatal(n, err)
				}
			}
			send()
			got, rounds := 0, 0
			if err := server.Read(rooms(), func(n int) []Packet {
				if got += n; got%v.count > 0 {
					return rooms() // of a round that came in pieces
				}
				if rounds++; rounds == 50 {
					return nil
				}
				send() // and nothing else until it is handled
				return rooms()
			}); err != nil {
				t.Fatal(err)
			}
			if got != 50*v.count {
				t.Errorf("%d of %d", got, 50*v.count)
			}
		})
	}
}

// Rooms that were filled are renewed, all others stay, however many are wanted
// next.
func TestRoomsStayUntilTheyAreFilled(t *testing.T) {
	server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
	sent := 0
	send := func(n int) {
		for range n {
			p := Packet{Data: []byte(strings.Repeat("x", 1+sent%5) + strconv.Itoa(sent)), Remote: server.Bound()}
			if n, err := client.WriteBatch([]Packet{p}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			sent++
		}
	}
	rooms := buffers(16)
	wants, got := []int{16, 2, 16, 1, 3, 16, 8}, 0
	send(16)
	if err := server.Read(rooms, func(n int) []Packet {
		for i := range rooms[:n] {
			if want := strings.Repeat("x", 1+got%5) + strconv.Itoa(got); string(rooms[i].Data) != want {
				t.Errorf("%q came as %q, at %d of %d", want, rooms[i].Data, i, n)
			}
			got++
			rooms[i].Data = make([]byte, 100)
		}
		if got < sent {
			return rooms[:wants[got%len(wants)]]
		}
		if got > 500 {
			return nil
		}
		send(1 + got%11)
		return rooms[:wants[got%len(wants)]]
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	s := listenOne(t, "127.0.0.1")
	done := make(chan error)
	go func() {
		_, err := once(s, buffers(1))
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := s.WriteBatch([]Packet{{Data: []byte{1}, Remote: s.Bound()}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

// Endless traffic does not keep a socket open.
func TestCloseEndsReadUnderLoad(t *testing.T) {
	server, client := listenOne(t, "127.0.0.1"), listenOne(t, "127.0.0.1")
	send := func() {
		if n, err := client.WriteBatch([]Packet{{Data: []byte("x"), Remote: server.Bound()}}); n != 1 || err != nil {
			t.Error(n, err)
		}
	}
	send()
	rooms, came := buffers(1), 0
	if err := server.Read(rooms, func(int) []Packet {
		if came++; came == 10 {
			go func() { _ = server.Close() }()
		}
		if came == 1e6 {
			t.Error("closing did not end it")
			return nil
		}
		send() // there is always one that waits
		rooms[0].Data = rooms[0].Data[:cap(rooms[0].Data)]
		return rooms
	}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestSeveralSocketsShareAPort(t *testing.T) {
	families(t, func(t *testing.T, _, addr, _ string) {
		sockets, err := Listen(netip.AddrPortFrom(netip.MustParseAddr(addr), 0), 4)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			for _, s := range sockets {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}()
		got := make(chan int, 64)
		for i, s := range sockets {
			if s.Bound() != sockets[0].Bound() {
				t.Fatalf("bound to %v and %v", s.Bound(), sockets[0].Bound())
			}
			go func() {
				_ = s.Read(buffers(1), func(n int) []Packet { // until the socket is closed
					for range n {
						got <- i
					}
					return buffers(1)
				})
			}()
		}
		used := map[int]bool{}
		for range 64 {
			client := listenOne(t, addr)
			if _, err := client.WriteBatch([]Packet{{Data: []byte("x"), Remote: sockets[0].Bound()}}); err != nil {
				t.Fatal(err)
			}
			used[<-got] = true
		}
		if len(used) < 2 {
			t.Errorf("64 peers all came to %d socket", len(used))
		}
	})
}

func TestListenErrors(t *testing.T) {
	shared, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shared {
		defer func() { _ = s.Close() }()
	}
	for _, n := range []int{1, 2} {
		_, err = Listen(shared[0].Bound(), n)
		if want := fmt.Sprintf("UDP port %d on 127.0.0.1 is in use", shared[0].Bound().Port()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d more sockets on a shared port: %v", n, err)
		}
	}
	_, err = Listen(netip.MustParseAddrPort("192.0.2.1:0"), 1)
	if err == nil || !strings.Contains(err.Error(), "no interface of this machine has the address 192.0.2.1") {
		t.Errorf("an address that is not ours: %v", err)
	}
}

// The wildcards of both families can be open at once.
func TestBothWildcards(t *testing.T) {
	four := listenOne(t, "0.0.0.0")
	six, err := Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), four.Bound().Port()), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range six {
		_ = s.Close()
	}
}

func TestNoAllocations(t *testing.T) {
	families(t, func(t *testing.T, _, addr, _ string) {
		server, client := listenOne(t, addr), listenOne(t, addr)
		in := buffers(4)
		rooms := make([][]byte, len(in))
		for i := range in {
			rooms[i] = in[i].Data
		}
		p, _ := train(server.Bound(), 100, 3)
		out := []Packet{{Data: make([]byte, 500), Local: client.Bound(), Remote: server.Bound()}, p}
		if n := testing.AllocsPerRun(200, func() {
			if n, err := client.WriteBatch(out); n != len(out) || err != nil {
				t.Fatal(n, err)
			}
			for i := range in {
				in[i].Data = rooms[i]
			}
			if err := server.Read(in, enough); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func BenchmarkWriteBatch(b *testing.B) {
	server, client := listenOne(b, "127.0.0.1"), listenOne(b, "127.0.0.1")
	for _, segment := range []int{0, 1400} {
		b.Run(fmt.Sprintf("segment%d", segment), func(b *testing.B) {
			p := Packet{Data: make([]byte, 1400), Segment: segment, Local: client.Bound(), Remote: server.Bound()}
			batch := make([]Packet, 32)
			if segment > 0 {
				batch = batch[:1]
				p.Data = make([]byte, 32*1400)
			}
			for i := range batch {
				batch[i] = p
			}
			b.SetBytes(32 * 1400)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.WriteBatch(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
