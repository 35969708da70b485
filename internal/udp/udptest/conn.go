package udptest

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/adit-vpn/adit/internal/udp"
)

// queueLen is how many datagrams wait in a socket before more are lost.
const queueLen = 4096

// Host has addresses and sockets.
type Host struct {
	net   *Net
	nat   *NAT // nil: the host has public addresses
	addrs []netip.Addr
	conns []*Conn
}

// Conn is a socket on every address of its host. Several on one port share the
// peers among them.
type Conn struct {
	host  *Host
	port  uint16
	ready *sync.Cond
	queue []Datagram
	done  bool
}

var _ udp.Conn = (*Conn)(nil)

// Addr is the host's first address.
func (h *Host) Addr() netip.Addr { return h.addrs[0] }

// Listen opens a socket.
func (h *Host) Listen(port uint16) *Conn {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	c := &Conn{host: h, port: port, ready: sync.NewCond(&h.net.mu)}
	h.conns = append(h.conns, c)
	return c
}

// SetAddr gives a host that has a public address another one, as a client that
// changes networks. Its sockets stay.
func (h *Host) SetAddr(addr string) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.nat != nil {
		panic("udptest: SetAddr of a host behind a NAT")
	}
	for _, a := range h.addrs {
		delete(h.net.hosts, a)
	}
	a := netip.MustParseAddr(addr)
	if h.net.hosts[a] != nil || h.net.nats[a] != nil {
		panic(fmt.Sprintf("udptest: %v is taken", a))
	}
	h.addrs = []netip.Addr{a}
	h.net.hosts[a] = h
}

// deliver queues a datagram at the socket of its port. The network's lock is
// held.
func (h *Host) deliver(d Datagram) {
	var conns []*Conn
	for _, c := range h.conns {
		if c.port == d.Dst.Port() && !c.done {
			conns = append(conns, c)
		}
	}
	if len(conns) == 0 {
		return
	}
	src := d.Src.Addr().As16()
	i := (int(src[15]) + int(d.Src.Port())) % len(conns)
	if c := conns[i]; len(c.queue) < queueLen {
		c.queue = append(c.queue, d)
		c.ready.Signal()
	}
}

// Local is the address and port that datagrams leave from where none is named.
func (c *Conn) Local() netip.AddrPort {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	return netip.AddrPortFrom(c.host.addrs[0], c.port)
}

// Read implements udp.Conn.
func (c *Conn) Read(packets []udp.Packet, handle func(n int) []udp.Packet) error {
	for len(packets) > 0 {
		n, err := c.Receive(packets)
		if err != nil {
			return err
		}
		packets = handle(n)
	}
	return nil
}

// Receive waits for datagrams, and returns how many packets it filled.
func (c *Conn) Receive(packets []udp.Packet) (int, error) {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(c.queue) == 0 {
		if c.done {
			return 0, net.ErrClosed
		}
		c.ready.Wait()
	}
	got := min(len(packets), len(c.queue))
	for i, d := range c.queue[:got] {
		p := &packets[i]
		p.Local, p.Remote, p.Segment = d.Dst, d.Src, 0
		if len(d.Data) > len(p.Data) {
			p.Data = p.Long
		}
		if len(d.Data) > len(p.Data) {
			p.Data = p.Data[:0]
			continue
		}
		p.Data = p.Data[:copy(p.Data, d.Data)]
	}
	c.queue = slices.Delete(c.queue, 0, got)
	return got, nil
}

// WriteBatch implements udp.Conn. A datagram from an address that the host
// does not have is not sent.
func (c *Conn) WriteBatch(packets []udp.Packet) (int, error) {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.done {
		return 0, net.ErrClosed
	}
	sent := 0
	for _, p := range packets {
		src, ok := c.source(p)
		if !ok {
			continue
		}
		sent++
		for rest := p.Data; ; {
			k := len(rest)
			if p.Segment > 0 {
				k = min(k, p.Segment)
			}
			n.send(c.host, Datagram{src, p.Remote, rest[:k]})
			if rest = rest[k:]; len(rest) == 0 {
				break
			}
		}
	}
	return sent, nil
}

// source is where a packet leaves from.
func (c *Conn) source(p udp.Packet) (netip.AddrPort, bool) {
	addr := p.Local.Addr()
	if addr.IsValid() && !addr.IsUnspecified() {
		return netip.AddrPortFrom(addr, c.port), slices.Contains(c.host.addrs, addr)
	}
	for _, a := range c.host.addrs {
		if a.Is4() == p.Remote.Addr().Is4() {
			return netip.AddrPortFrom(a, c.port), true
		}
	}
	return netip.AddrPort{}, false
}

// Close implements udp.Conn.
func (c *Conn) Close() error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.done = true
	c.ready.Broadcast()
	return nil
}
