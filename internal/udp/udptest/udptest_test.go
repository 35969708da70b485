package udptest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp"
)

func send(t *testing.T, c *Conn, to, data string) {
	t.Helper()
	if n, err := c.WriteBatch([]udp.Packet{{Data: []byte(data), Remote: netip.MustParseAddrPort(to)}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

// want reads one datagram and checks it.
func want(t *testing.T, c *Conn, data string) udp.Packet {
	t.Helper()
	p := []udp.Packet{{Data: make([]byte, 100)}}
	if n, err := c.Receive(p); n != 1 || err != nil || string(p[0].Data) != data {
		t.Fatalf("%d, %v, %q from %v; want %q", n, err, p[0].Data, p[0].Remote, data)
	}
	return p[0]
}

// wantNothing checks that nothing waits.
func wantNothing(t *testing.T, c *Conn, why string) {
	t.Helper()
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	if len(c.queue) > 0 {
		t.Errorf("%s, but %q came", why, c.queue[0].Data)
	}
}

func TestHostsTalk(t *testing.T) {
	n := New(1)
	server, client := n.Host("192.0.2.1", "192.0.2.2").Listen(4500), n.Host("198.51.100.7").Listen(4500)
	send(t, client, "192.0.2.2:4500", "hello")
	p := want(t, server, "hello")
	if p.Local.String() != "192.0.2.2:4500" || p.Remote.String() != "198.51.100.7:4500" {
		t.Errorf("from %v to %v", p.Remote, p.Local)
	}
	if _, err := server.WriteBatch([]udp.Packet{{Data: []byte("aabbc"), Segment: 2, Local: p.Local, Remote: p.Remote}}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"aa", "bb", "c"} {
		if p := want(t, client, s); p.Remote.String() != "192.0.2.2:4500" {
			t.Errorf("the reply left from %v", p.Remote)
		}
	}
	send(t, client, "192.0.2.1:500", "nobody listens there")
	send(t, client, "203.0.113.1:4500", "nobody lives there")
	if n, err := client.WriteBatch([]udp.Packet{{Data: []byte("spoofed"), Local: p.Local, Remote: p.Local}}); n != 0 || err != nil {
		t.Error(n, err)
	}
	wantNothing(t, server, "nothing more was sent to it")
}

func TestNAT(t *testing.T) {
	n := New(1)
	server, stranger := n.Host("192.0.2.1").Listen(4500), n.Host("192.0.2.9").Listen(4500)
	home, office := n.NAT("203.0.113.1"), n.NAT("203.0.113.2")
	a, b := home.Host("10.0.0.2").Listen(4500), home.Host("10.0.0.3").Listen(4500)
	c := office.Host("10.0.0.2").Listen(4500)

	seen := map[netip.AddrPort]bool{}
	for _, client := range []*Conn{a, b, c} {
		send(t, client, "192.0.2.1:4500", "hello")
		p := want(t, server, "hello")
		seen[p.Remote] = true
		send(t, stranger, p.Remote.String(), "let me in")
		wantNothing(t, client, "the NAT knows no such peer")
		send(t, server, p.Remote.String(), "welcome")
		if p := want(t, client, "welcome"); p.Remote.String() != "192.0.2.1:4500" {
			t.Errorf("from %v", p.Remote)
		}
	}
	if len(seen) != 3 {
		t.Errorf("three clients came from %v", seen)
	}
	send(t, a, "10.0.0.3:4500", "neighbour")
	if p := want(t, b, "neighbour"); p.Remote.String() != "10.0.0.2:4500" {
		t.Errorf("the neighbour is %v", p.Remote)
	}

	send(t, a, "192.0.2.1:4500", "before")
	before := want(t, server, "before").Remote
	home.Rebind()
	send(t, server, before.String(), "to the old port")
	wantNothing(t, a, "the mapping is forgotten")
	send(t, a, "192.0.2.1:4500", "after")
	if after := want(t, server, "after").Remote; after == before || after.Addr() != before.Addr() {
		t.Errorf("from %v, then from %v", before, after)
	}
	home.Move("203.0.113.77")
	send(t, a, "192.0.2.1:4500", "moved")
	if p := want(t, server, "moved"); p.Remote.Addr().String() != "203.0.113.77" {
		t.Errorf("from %v", p.Remote)
	}
}

func TestServerBehindNAT(t *testing.T) {
	n := New(1)
	nat := n.NAT("203.0.113.1")
	server, client := nat.Host("10.0.0.1").Listen(4500), n.Host("192.0.2.1").Listen(4500)
	nat.Forward(4500, "10.0.0.1:4500")
	send(t, client, "203.0.113.1:4500", "hello")
	p := want(t, server, "hello")
	send(t, server, p.Remote.String(), "welcome")
	if p := want(t, client, "welcome"); p.Remote.String() != "203.0.113.1:4500" {
		t.Errorf("from %v", p.Remote)
	}
}

func TestNATBehindNAT(t *testing.T) {
	n := New(1)
	server := n.Host("192.0.2.1").Listen(4500)
	carrier := n.NAT("203.0.113.1")
	one, two := carrier.NAT("100.64.0.2"), carrier.NAT("100.64.0.3")
	a, b := one.Host("192.168.1.10").Listen(4500), two.Host("192.168.1.10").Listen(4500)
	var seen []netip.AddrPort
	for _, client := range []*Conn{a, b} {
		send(t, client, "192.0.2.1:4500", "hello")
		p := want(t, server, "hello")
		seen = append(seen, p.Remote)
		send(t, server, p.Remote.String(), "welcome")
		if p := want(t, client, "welcome"); p.Local.String() != "192.168.1.10:4500" || p.Remote.String() != "192.0.2.1:4500" {
			t.Errorf("from %v to %v", p.Remote, p.Local)
		}
	}
	if seen[0].Addr().String() != "203.0.113.1" || seen[0].Addr() != seen[1].Addr() || seen[0] == seen[1] {
		t.Errorf("they came from %v", seen)
	}
	two.Rebind()
	send(t, b, "192.0.2.1:4500", "again")
	if p := want(t, server, "again"); p.Remote.Addr().String() != "203.0.113.1" || p.Remote == seen[1] {
		t.Errorf("from %v", p.Remote)
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1).Host("192.0.2.1").Listen(500)
		var err error
		go func() { _, err = c.Receive([]udp.Packet{{}}) }()
		synctest.Wait() // the reader is durably blocked, or this would not return
		_ = c.Close()
		synctest.Wait()
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
		if _, err := c.WriteBatch(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write: %v", err)
		}
	})
}

// run sends 1000 datagrams under a policy and returns them as they came.
func run(t *testing.T, seed uint64, p Policy) (got []string, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := New(seed)
		n.SetPolicy(p)
		server, client := n.Host("192.0.2.1").Listen(500), n.Host("192.0.2.2").Listen(500)
		begun := time.Now()
		go func() {
			for {
				p := []udp.Packet{{Data: make([]byte, 10)}}
				if _, err := server.Receive(p); err != nil {
					return
				}
				got = append(got, string(p[0].Data))
				took = time.Since(begun)
			}
		}()
		for i := range 1000 {
			send(t, client, "192.0.2.1:500", fmt.Sprintf("%04d", i))
		}
		time.Sleep(time.Minute) // of the bubble's virtual time
		_ = server.Close()
		synctest.Wait()
	})
	return got, took
}

func TestPolicy(t *testing.T) {
	got, took := run(t, 1, Policy{})
	if len(got) != 1000 || !slices.IsSorted(got) || took != 0 {
		t.Errorf("without a policy %d came, sorted %v, after %v", len(got), slices.IsSorted(got), took)
	}
	got, _ = run(t, 1, Policy{Loss: 0.3})
	if len(got) < 600 || len(got) > 800 || !slices.IsSorted(got) {
		t.Errorf("of 1000 with loss 0.3 %d came", len(got))
	}
	again, _ := run(t, 1, Policy{Loss: 0.3})
	other, _ := run(t, 2, Policy{Loss: 0.3})
	if !slices.Equal(got, again) || slices.Equal(got, other) {
		t.Error("the losses do not follow from the seed")
	}
	got, _ = run(t, 1, Policy{Duplicate: 0.5})
	if len(got) < 1400 || len(got) > 1600 {
		t.Errorf("of 1000 with duplication 0.5 %d came", len(got))
	}
	got, took = run(t, 1, Policy{Delay: 50 * time.Millisecond})
	if len(got) != 1000 || !slices.IsSorted(slices.Clone(got)) || took != 50*time.Millisecond {
		t.Errorf("delayed by 50 ms %d came, sorted %v, after %v", len(got), slices.IsSorted(got), took)
	}
	got, took = run(t, 1, Policy{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond})
	if len(got) != 1000 || slices.IsSorted(got) || took > 70*time.Millisecond {
		t.Errorf("with jitter %d came, sorted %v, after %v", len(got), slices.IsSorted(got), took)
	}
	got, _ = run(t, 1, Policy{Drop: func(d Datagram) bool { return d.Data[3] != '7' }})
	if len(got) != 100 {
		t.Errorf("of 1000, 100 of which are let through, %d came", len(got))
	}
}

// What is longer than its room lies in the long one, as in a real socket.
func TestLongRoom(t *testing.T) {
	n := New(1)
	server, client := n.Host("192.0.2.1").Listen(4500), n.Host("198.51.100.7").Listen(4500)
	for _, data := range []string{"short", "longer than its room", "longer than both of its rooms"} {
		send(t, client, "192.0.2.1:4500", data)
	}
	p := make([]udp.Packet, 3)
	for i := range p {
		p[i].Data, p[i].Long = make([]byte, 5), make([]byte, 20)
	}
	got, err := server.Receive(p)
	if got != 3 || err != nil || string(p[0].Data) != "short" || string(p[1].Data) != "longer than its room" || len(p[2].Data) != 0 {
		t.Errorf("%d, %v, %q", got, err, [][]byte{p[0].Data, p[1].Data, p[2].Data})
	}
}
