//go:build real

package exact

import (
	"encoding/binary"
)

// tcpBulk is what a busy sender emits: bursts of equal segments in sequence, the
// last one shorter now and then, with everything between and within them that
// keeps segments from being joined, or must survive if they are.
func (m *maker) tcpBulk(e end, count int) stream {
	h := m.between(e, 3)
	h.protocol = protoTCP
	if m.rng.IntN(4) > 0 {
		h.fragment = dontFragment
	}
	from, to := m.ports()
	s := segment{from: from, to: to, seq: m.rng.Uint32(), ack: m.rng.Uint32(), flags: tcpACK, window: 501}
	var size, left int
	return func() (shot, bool) {
		if count--; count < 0 {
			return shot{}, false
		}
		if left == 0 {
			m.turn(&h, &s)
			left = 1 + m.rng.IntN(50)
			size = m.mtu - h.size() - 20 - len(s.options)
			if m.rng.IntN(2) == 0 {
				size = 1 + m.rng.IntN(size)
			}
		}
		if m.rng.IntN(60) == 0 {
			h.id++
			return whole(m.aside(h, s)), true
		}
		left--
		n := size
		if left == 0 && m.rng.IntN(2) == 0 {
			n = m.rng.IntN(size)
		}
		one, ip := s, h
		if left == 0 && m.rng.IntN(2) == 0 {
			one.flags |= tcpPSH
		}
		spoil := m.rng.IntN(40) == 0 && m.disturb(&ip, &one)
		n = min(n, m.mtu-ip.size()-20-len(one.options))
		b := one.with(ip, bytes(m.rng, n))
		if spoil { // a wrong checksum stays a wrong one
			b[16+m.rng.IntN(2)] ^= byte(1 + m.rng.IntN(255))
		}
		h.id++
		s.seq = one.seq + uint32(n)
		return whole(ip.packet(b)), true
	}
}

// aside is a packet in mid-flow that cannot be joined with others, and in whose
// place nothing is missing if it is overtaken: so that must not be.
func (m *maker) aside(h header, s segment) []byte {
	again := s
	again.seq -= 100
	b := again.with(h, bytes(m.rng, 100))
	switch {
	case m.rng.IntN(2) == 0: // cut off within the header
		return h.packet(b[:4+m.rng.IntN(16)])
	case h.src.Is4():
		h.options = []byte{1, 1, 1, 0}
		return h.packet(b)
	}
	h.protocol = protoDest
	return h.packet(append([]byte{protoTCP, 0, 1, 4, 0, 0, 0, 0}, b...)) // PadN
}

// turn changes something for all that follows.
func (m *maker) turn(h *header, s *segment) {
	switch m.rng.IntN(14) {
	case 0: // a gap
		s.seq += uint32(1 + m.rng.IntN(5000))
	case 1: // a retransmission
		s.seq -= uint32(1 + m.rng.IntN(5000))
	case 2:
		s.ack += uint32(m.rng.IntN(5000))
	case 3:
		s.window = uint16(m.rng.Uint32())
	case 4:
		h.tos = byte(m.rng.Uint32())
	case 5:
		h.ttl = byte(1 + m.rng.IntN(255))
	case 6:
		h.id = uint16(m.rng.Uint32())
	case 7:
		h.label = m.rng.Uint32()
	case 8: // flags that all have
		s.flags = tcpACK | byte(m.rng.Uint32())&(tcpFIN|tcpRST|tcpURG|tcpECE|tcpCWR)
	case 9:
		s.flags = tcpACK
	case 10: // around the end of the numbers
		s.seq = -uint32(m.rng.IntN(5000))
		h.id = -uint16(m.rng.IntN(5))
	default:
		s.options = options(m.rng, 4*m.rng.IntN(11))
	}
}

// disturb changes something for one packet, or says that its checksum shall be
// wrong.
func (m *maker) disturb(h *header, s *segment) (spoil bool) {
	switch m.rng.IntN(14) {
	case 0:
		s.flags |= tcpFIN
	case 1: // with a maximum that needs no lowering
		s.flags, s.options = tcpSYN, []byte{2, 4, 2, 24}
	case 2:
		s.flags |= tcpRST
	case 3:
		s.flags |= tcpPSH
	case 4:
		s.flags |= tcpURG
		s.urgent = 7
	case 5:
		s.flags |= tcpECE
	case 6:
		s.flags |= tcpCWR
	case 7:
		s.flags &^= tcpACK
	case 8:
		s.urgent = 9 // without its flag it says nothing, and is there
	case 9: // congestion experienced
		h.tos |= 3
	case 10:
		h.ttl--
	case 11:
		h.id += 3
	case 12: // the same header in other bytes
		if h.src.Is4() {
			h.options = []byte{1, 1, 1, 0}
			if len(s.options) >= 4 {
				s.options = s.options[: len(s.options)-4 : len(s.options)-4]
				break
			}
			h.options = nil
		}
	default:
		return true
	}
	return false
}

// udpBulk is bursts of datagrams of equal length, some without a checksum, some
// with a wrong one, of which the last may be shorter.
func (m *maker) udpBulk(e end, count int) stream {
	h := m.between(e, 3)
	h.protocol = protoUDP
	from, to := m.ports()
	var size, left int
	sums := true
	return func() (shot, bool) {
		if count--; count < 0 {
			return shot{}, false
		}
		if left == 0 {
			left, size = 1+m.rng.IntN(50), 1+m.rng.IntN(m.mtu-h.size()-8)
			sums = m.rng.IntN(4) > 0 || h.src.Is6()
			m.turn(&h, new(segment))
		}
		left--
		n := size
		if left == 0 {
			n = m.rng.IntN(size + 1)
		}
		h.id++
		b := datagram(h, from, to, bytes(m.rng, n))
		switch {
		case !sums:
			b[6], b[7] = 0, 0
		case m.rng.IntN(40) == 0:
			binary.BigEndian.PutUint16(b[6:], binary.BigEndian.Uint16(b[6:])^uint16(1+m.rng.IntN(65535)))
			if b[6] == 0 && b[7] == 0 {
				b[6] = 1
			}
		}
		return whole(h.packet(b)), true
	}
}

// supers are super-packets of TCP or UDP, and now and then an ordinary packet
// with a partial checksum, as a host hands them to a network card. Only behind
// the server are there such.
func (m *maker) supers(e end, protocol byte, count int) stream {
	h := m.between(e, 6)
	h.protocol = protocol
	from, to := m.ports()
	s := segment{from: from, to: to, seq: m.rng.Uint32(), ack: m.rng.Uint32(), flags: tcpACK, window: 501}
	return func() (shot, bool) {
		if count--; count < 0 {
			return shot{}, false
		}
		m.turn(&h, &s)
		v := vnet{flags: needsSum, gso: gsoUDP, sumOffset: 6, sumStart: uint16(h.size())}
		head := 8
		if protocol == protoTCP {
			v.gso, v.sumOffset, head = gsoTCP4, 16, 20+len(s.options)
			if h.src.Is6() {
				v.gso = gsoTCP6
			}
		}
		v.length = uint16(h.size() + head)
		size := 1 + m.rng.IntN(m.mtu-h.size()-head)
		if m.rng.IntN(2) == 0 {
			size = m.mtu - h.size() - head
		}
		v.size = uint16(size)
		n := min(size*(1+m.rng.IntN(60))+m.rng.IntN(size+1), 65000-int(v.length))
		if n <= size {
			v.gso, v.size = gsoNone, 0
		}
		var b []byte
		if protocol == protoTCP {
			s.flags = tcpACK | byte(m.rng.IntN(16))&tcpPSH
			if m.rng.IntN(8) == 0 {
				s.flags |= tcpFIN
			}
			if m.rng.IntN(8) == 0 && v.gso != gsoNone {
				s.flags |= tcpCWR
				v.gso |= gsoWithCW
			}
			b = s.with(h, bytes(m.rng, n))
			s.seq += uint32(n)
		} else {
			b = datagram(h, from, to, bytes(m.rng, n))
		}
		binary.BigEndian.PutUint16(b[v.sumOffset:], h.pseudo(len(b)))
		p := h.packet(b)
		h.id += uint16(n/size + 1)
		want, err := cut(v, p)
		if err != nil {
			panic(err) // this file's own mistake
		}
		return shot{v, p, want}, true
	}
}
