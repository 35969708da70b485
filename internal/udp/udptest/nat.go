package udptest

import (
	"fmt"
	"net/netip"
)

// firstPort is the first port that a NAT maps to.
const firstPort = 20000

// NAT translates the addresses of the hosts behind it to its public one. A
// mapping depends on the inside address and port alone, and lets in only datagrams from
// peers that were sent to (RFC 4787: endpoint-independent mapping, address- and
// port-dependent filtering).
type NAT struct {
	net      *Net
	outer    *NAT // nil: its public address is on the network itself
	nats     map[netip.Addr]*NAT
	public   netip.Addr
	hosts    map[netip.Addr]*Host
	next     uint16
	byInside map[netip.AddrPort]*mapping
	byPort   map[uint16]*mapping
	forwards map[uint16]netip.AddrPort
	others   map[uint16]netip.Addr // public addresses of some inside ports
}

type mapping struct {
	inside netip.AddrPort
	public netip.Addr
	port   uint16
	sentTo map[netip.AddrPort]bool
}

// NAT adds a NAT with a public address.
func (n *Net) NAT(public string) *NAT {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newNAT(nil, public)
}

// NAT adds a NAT behind this one: its public address is a host's address here.
func (t *NAT) NAT(public string) *NAT {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	return t.net.newNAT(t, public)
}

func (n *Net) newNAT(outer *NAT, public string) *NAT {
	nat := &NAT{
		net: n, outer: outer, public: netip.MustParseAddr(public), hosts: map[netip.Addr]*Host{}, nats: map[netip.Addr]*NAT{},
		next: firstPort, forwards: map[uint16]netip.AddrPort{}, others: map[uint16]netip.Addr{},
	}
	hosts, nats := n.hosts, n.nats
	if outer != nil {
		hosts, nats = outer.hosts, outer.nats
	}
	if hosts[nat.public] != nil || nats[nat.public] != nil {
		panic(fmt.Sprintf("udptest: %v is taken", public))
	}
	nat.forget()
	nats[nat.public] = nat
	return nat
}

// Host adds a host behind the NAT. Hosts behind different NATs may have the
// same address.
func (t *NAT) Host(addr string) *Host {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	h := &Host{net: t.net, nat: t, addrs: []netip.Addr{netip.MustParseAddr(addr)}}
	if t.hosts[h.addrs[0]] != nil || t.nats[h.addrs[0]] != nil {
		panic(fmt.Sprintf("udptest: %v is taken", addr))
	}
	t.hosts[h.addrs[0]] = h
	return h
}

// Forward lets anybody reach an inside address through a public port, which
// is also the port that its datagrams leave from.
func (t *NAT) Forward(port uint16, inside string) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.forwards[port] = netip.MustParseAddrPort(inside)
}

// Split has datagrams from an inside port leave from another public address from
// now on, as where a NAT has several and does not pair them (RFC 4787, section
// 4.1).
func (t *NAT) Split(port uint16, public string) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	nats := t.net.nats
	if t.outer != nil {
		nats = t.outer.nats
	}
	a := netip.MustParseAddr(public)
	if nats[a] != nil && nats[a] != t {
		panic(fmt.Sprintf("udptest: %v is taken", a))
	}
	nats[a], t.others[port] = t, a
	for inside, m := range t.byInside {
		if inside.Port() == port {
			delete(t.byInside, inside)
			delete(t.byPort, m.port)
		}
	}
}

// Rebind forgets every mapping: the next datagrams leave from other ports.
func (t *NAT) Rebind() {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.forget()
}

// Move gives the NAT another public address and forgets every mapping.
func (t *NAT) Move(public string) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	nats := t.net.nats
	if t.outer != nil {
		nats = t.outer.nats
	}
	delete(nats, t.public)
	t.public = netip.MustParseAddr(public)
	nats[t.public] = t
	t.forget()
}

func (t *NAT) forget() {
	t.byInside, t.byPort = map[netip.AddrPort]*mapping{}, map[uint16]*mapping{}
}

func (t *NAT) inside(a netip.Addr) bool { return t.hosts[a] != nil || t.nats[a] != nil }

// outbound returns what the source of a datagram is translated to.
func (t *NAT) outbound(src, dst netip.AddrPort) netip.AddrPort {
	for port, inside := range t.forwards {
		if inside == src {
			return netip.AddrPortFrom(t.public, port)
		}
	}
	m := t.byInside[src]
	if m == nil {
		public, ok := t.others[src.Port()]
		if !ok {
			public = t.public
		}
		m = &mapping{src, public, t.next, map[netip.AddrPort]bool{}}
		t.next++
		t.byInside[src], t.byPort[m.port] = m, m
	}
	m.sentTo[dst] = true
	return netip.AddrPortFrom(m.public, m.port)
}

func (t *NAT) arrive(d Datagram) {
	inside, ok := t.forwards[d.Dst.Port()]
	if !ok {
		m := t.byPort[d.Dst.Port()]
		if m == nil || m.public != d.Dst.Addr() || !m.sentTo[d.Src] {
			return
		}
		inside = m.inside
	}
	d.Dst = inside
	t.inward(d)
}

// inward hands a datagram to the host that has its destination behind the NAT.
func (t *NAT) inward(d Datagram) {
	if h := t.hosts[d.Dst.Addr()]; h != nil {
		h.deliver(d)
	}
	if nat := t.nats[d.Dst.Addr()]; nat != nil {
		nat.arrive(d)
	}
}
