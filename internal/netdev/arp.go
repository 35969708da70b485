package netdev

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	etherLen  = 14
	arpLen    = 28
	arpFrame  = etherLen + arpLen
	etherIPv4 = 0x0800
	etherARP  = 0x0806

	arpRequest = 1
	arpReply   = 2

	arpConfirm  = 60 * time.Second // after which a neighbour is asked again
	arpExpire   = 3 * time.Minute  // after which it is forgotten
	arpRetry    = time.Second
	arpQueue    = 4    // packets that wait for one neighbour
	arpPending  = 128  // neighbours that are waited for
	arpCapacity = 4096 // neighbours in all
)

type mac [6]byte

var broadcastMAC = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// neighbours is ARP (RFC 826) for a station that has the addresses of the
// clients: it answers for them, and asks for those that they send to. It is a
// pure machine, not safe for concurrent use.
type neighbours struct {
	mac       mac
	lan       netip.Prefix
	broadcast netip.Addr // of the LAN
	gateway   netip.Addr // of everything else; the zero Addr: there is none
	own       map[netip.Addr]bool
	known     map[netip.Addr]*neighbour
	pending   int // of known, those without a MAC
}

type neighbour struct {
	mac   mac
	heard time.Time // zero: not yet
	asked time.Time
	queue [][]byte // frames that wait
}

func newNeighbours(m mac, lan netip.Prefix, gateway netip.Addr) *neighbours {
	last := lan.Masked().Addr().As4()
	binary.BigEndian.PutUint32(last[:], binary.BigEndian.Uint32(last[:])|(1<<(32-lan.Bits())-1))
	return &neighbours{
		mac: m, lan: lan.Masked(), broadcast: netip.AddrFrom4(last), gateway: gateway,
		own: map[netip.Addr]bool{}, known: map[netip.Addr]*neighbour{},
	}
}

// hop is whom a packet is handed to, the zero Addr if nobody.
func (t *neighbours) hop(dst netip.Addr) netip.Addr {
	if t.lan.Contains(dst) {
		return dst
	}
	return t.gateway
}

// route puts the Ethernet header in front of an IP packet: frame[:etherLen]. If
// the next hop is not known, the frame is copied and waits, or is lost where too
// much waits already. ask is a request to be sent, if there is one.
func (t *neighbours) route(frame []byte, src, dst netip.Addr, now time.Time) (ready bool, ask []byte) {
	if to, ok := t.groupMAC(dst); ok {
		putEther(frame, to, t.mac, etherIPv4)
		return true, nil
	}
	hop := t.hop(dst)
	if !hop.Is4() {
		return false, nil
	}
	n := t.known[hop]
	if n != nil && !n.heard.IsZero() && now.Sub(n.heard) > arpExpire {
		t.forget(hop)
		n = nil
	}
	if n == nil {
		if t.pending >= arpPending || len(t.known) >= arpCapacity && !t.prune(now) {
			return false, nil
		}
		n = &neighbour{}
		t.known[hop] = n
		t.pending++
	}
	if now.Sub(n.heard) > arpConfirm && now.Sub(n.asked) >= arpRetry {
		n.asked = now
		ask = t.message(arpRequest, broadcastMAC, mac{}, src, hop)
	}
	putEther(frame, n.mac, t.mac, etherIPv4)
	if n.heard.IsZero() {
		if len(n.queue) < arpQueue {
			n.queue = append(n.queue, append([]byte(nil), frame...))
		}
		return false, ask
	}
	return true, ask
}

// groupMAC is where a packet to everybody goes: RFC 1112, section 6.4, puts the
// low 23 bits of a multicast address into 01:00:5e:00:00:00.
func (t *neighbours) groupMAC(dst netip.Addr) (mac, bool) {
	a := dst.As4()
	switch {
	case dst == t.broadcast || a == [4]byte{255, 255, 255, 255}:
		return broadcastMAC, true
	case dst.IsMulticast():
		return mac{1, 0, 0x5e, a[1] & 0x7f, a[2], a[3]}, true
	}
	return mac{}, false
}

func (t *neighbours) forget(a netip.Addr) {
	if t.known[a].heard.IsZero() {
		t.pending--
	}
	delete(t.known, a)
}

// prune forgets whoever was not heard of lately, and reports whether there was
// anybody.
func (t *neighbours) prune(now time.Time) bool {
	was := len(t.known)
	for a, n := range t.known {
		if now.Sub(n.heard) > arpConfirm && now.Sub(n.asked) > arpRetry {
			t.forget(a)
		}
	}
	return len(t.known) < was
}

// receive handles an ARP frame. It returns frames to be sent: an answer, and
// what has waited for this one.
func (t *neighbours) receive(frame []byte, now time.Time) [][]byte {
	if len(frame) < arpFrame {
		return nil
	}
	b := frame[etherLen:]
	if binary.BigEndian.Uint64(b)>>16 != 0x000108000604 { // Ethernet, IPv4
		return nil
	}
	op := binary.BigEndian.Uint16(b[6:])
	from, sender := mac(b[8:14]), netip.AddrFrom4([4]byte(b[14:18]))
	target := netip.AddrFrom4([4]byte(b[24:28]))
	ours := t.own[target]
	if op == arpRequest && ours && sender.IsUnspecified() {
		// RFC 5227, section 2.1.1: somebody probes whether the address is free.
		return [][]byte{t.message(arpReply, from, from, target, sender)}
	}
	if from == t.mac || from[0]&1 != 0 || t.own[sender] || !t.lan.Contains(sender) {
		return nil
	}
	// RFC 826, "Packet Reception": an entry is updated whatever the message is,
	// and made if we are the target.
	var out [][]byte
	if n := t.known[sender]; n != nil {
		out = t.learn(n, from, now)
	} else if ours && len(t.known) < arpCapacity {
		t.known[sender] = &neighbour{mac: from, heard: now}
	}
	if op == arpRequest && ours {
		out = append(out, t.message(arpReply, from, from, target, sender))
	}
	return out
}

// learn notes where a neighbour is, and returns the frames that waited for it.
func (t *neighbours) learn(n *neighbour, at mac, now time.Time) [][]byte {
	if n.heard.IsZero() {
		t.pending--
	}
	n.mac, n.heard = at, now
	out := n.queue
	n.queue = nil
	for _, frame := range out {
		copy(frame, at[:])
	}
	return out
}

// message builds an ARP message from one of our addresses.
func (t *neighbours) message(op uint16, to, targetMAC mac, sender, target netip.Addr) []byte {
	b := make([]byte, arpFrame)
	putEther(b, to, t.mac, etherARP)
	copy(b[etherLen:], []byte{0, 1, 8, 0, 6, 4, byte(op >> 8), byte(op)})
	copy(b[22:], t.mac[:])
	s, d := sender.As4(), target.As4()
	copy(b[28:], s[:])
	copy(b[32:], targetMAC[:])
	copy(b[38:], d[:])
	return b
}

func putEther(b []byte, to, from mac, kind uint16) {
	copy(b, to[:])
	copy(b[6:], from[:])
	binary.BigEndian.PutUint16(b[12:], kind)
}
