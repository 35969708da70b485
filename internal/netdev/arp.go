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
	arpCapacity = 4096 // neighbours that are known
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
	waiting   questions // for those that are not
	pruned    time.Time // when known was last searched for neighbours that are gone
}

type neighbour struct {
	mac   mac
	heard time.Time
	asked time.Time
}

func newNeighbours(m mac, lan netip.Prefix, gateway netip.Addr) *neighbours {
	last := lan.Masked().Addr().As4()
	binary.BigEndian.PutUint32(last[:], binary.BigEndian.Uint32(last[:])|(1<<(32-lan.Bits())-1))
	return &neighbours{
		mac: m, lan: lan.Masked(), broadcast: netip.AddrFrom4(last), gateway: gateway,
		own: map[netip.Addr]bool{}, known: map[netip.Addr]*neighbour{}, waiting: newQuestions(),
	}
}

// hop is the next hop of a packet, the zero Addr if there is none.
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
	if n != nil && now.Sub(n.heard) > arpExpire {
		delete(t.known, hop)
		n = nil
	}
	if n == nil {
		putEther(frame, mac{}, t.mac, etherIPv4)
		return false, t.ask(frame, src, hop, now)
	}
	if now.Sub(n.heard) > arpConfirm && now.Sub(n.asked) >= arpRetry {
		n.asked = now
		ask = t.message(arpRequest, broadcastMAC, mac{}, src, hop)
	}
	putEther(frame, n.mac, t.mac, etherIPv4)
	return true, ask
}

// ask keeps a frame until the neighbour has answered, and returns a question if it is
// time for one. All senders whose addresses are not clients', but of networks behind
// clients, count as one asker.
func (t *neighbours) ask(frame []byte, src, hop netip.Addr, now time.Time) []byte {
	asker := src
	if !t.own[src] {
		asker = netip.Addr{}
	}
	t.waiting.expire(now)
	q := t.waiting.by[hop]
	if q == nil {
		if q = t.waiting.add(hop, asker, now); q == nil {
			return nil
		}
	}
	if len(q.queue) < arpQueue {
		q.queue = append(q.queue, append([]byte(nil), frame...))
	}
	if now.Sub(q.asked) < arpRetry {
		return nil
	}
	q.asked = now
	return t.message(arpRequest, broadcastMAC, mac{}, src, hop)
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

// room makes room for one more neighbour, by forgetting those that have been silent for a
// while. If there are none, a neighbour that has answered a question replaces the one
// that has been silent longest. So others on the LAN can fill the table, but cannot keep
// out a neighbour that a client needs.
func (t *neighbours) room(answered bool, now time.Time) bool {
	if len(t.known) < arpCapacity {
		return true
	}
	if now.Sub(t.pruned) >= time.Second { // looking through all of them takes a while
		t.pruned = now
		for a, n := range t.known {
			if now.Sub(n.heard) > arpConfirm && now.Sub(n.asked) > arpRetry {
				delete(t.known, a)
			}
		}
	}
	if len(t.known) < arpCapacity || !answered {
		return len(t.known) < arpCapacity
	}
	var oldest netip.Addr
	for a, n := range t.known {
		if o := t.known[oldest]; o == nil || n.heard.Before(o.heard) {
			oldest = a
		}
	}
	delete(t.known, oldest)
	return true
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
	t.waiting.expire(now)
	q := t.waiting.take(sender)
	if n := t.known[sender]; n != nil {
		n.mac, n.heard = from, now
	} else if (q != nil || ours) && t.room(q != nil, now) {
		t.known[sender] = &neighbour{mac: from, heard: now}
	}
	var out [][]byte
	if q != nil {
		out = q.queue
		for _, frame := range out { // what has waited for this one
			copy(frame, from[:])
		}
	}
	if op == arpRequest && ours {
		out = append(out, t.message(arpReply, from, from, target, sender))
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
