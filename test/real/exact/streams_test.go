//go:build real

package exact

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// shot is one packet, or one super-packet, that is sent, and what has to come
// out at the other end.
type shot struct {
	v    vnet
	b    []byte
	want [][]byte
}

// whole is a shot of an ordinary packet.
func whole(b []byte) shot { return shot{b: b, want: [][]byte{b}} }

// stream makes one flow's shots, one after another; none when it is done.
type stream func() (shot, bool)

// maker makes streams from near to far. Every one has a far address or ports of
// its own.
type maker struct {
	rng  *rand.Rand
	four end
	six  end // none if there is no IPv6
	mtu  int
	back bool // from far to near
	port uint16
}

// end is an address of the client, and where the far ones begin.
type end struct{ near, far netip.Addr }

// between is the IP header to the nth far host. Those that send are others than
// those that are sent to: the kernel would move a flow to another queue of the
// device once it has seen packets the other way.
func (m *maker) between(e end, n int) header {
	far := e.far.As16()
	if far[15] = byte(n); m.back {
		far[15] += 100
	}
	h := header{src: e.near, dst: netip.AddrFrom16(far).Unmap(), ttl: 64, id: uint16(m.rng.Uint32()), label: m.rng.Uint32()}
	if m.back {
		h.src, h.dst = h.dst, h.src
	}
	return h
}

// ports are two that no other stream of the maker has.
func (m *maker) ports() (from, to uint16) {
	m.port++
	from, to = 10000+m.port, 20000+m.port
	if m.back {
		from, to = to, from
	}
	return from, to
}

// ends are those that there are.
func (m *maker) ends() []end {
	if m.six.near.IsValid() {
		return []end{m.four, m.six}
	}
	return []end{m.four}
}

// sizes are all lengths of IP packets from least to the MTU, in any order.
func (m *maker) sizes(least int) []int {
	list := make([]int, m.mtu-least+1)
	for i := range list {
		list[i] = least + i
	}
	m.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// each makes a stream of the packets that f makes of every size.
func each(sizes []int, f func(size int) []byte) stream {
	i := 0
	return func() (shot, bool) {
		if i == len(sizes) {
			return shot{}, false
		}
		i++
		return whole(f(sizes[i-1])), true
	}
}

// rawSizes has a packet of every length of a protocol that nobody knows.
func (m *maker) rawSizes(e end) stream {
	h := m.between(e, 1)
	h.protocol = protoTest
	return each(m.sizes(h.size()), func(n int) []byte {
		h.id++
		return h.packet(bytes(m.rng, n-h.size()))
	})
}

// echoSizes has an ICMP or ICMPv6 echo request of every length.
func (m *maker) echoSizes(e end) stream {
	h, kind := m.between(e, 2), byte(8)
	h.protocol = protoICMP
	if h.src.Is6() {
		h.protocol, kind = protoICMP6, 128
	}
	return each(m.sizes(h.size()+8), func(n int) []byte {
		h.id++
		b := bytes(m.rng, n-h.size())
		b[0], b[1], b[2], b[3] = kind, 0, 0, 0
		s := uint32(sum(b))
		if h.protocol == protoICMP6 {
			s += uint32(h.pseudo(len(b)))
		}
		binary.BigEndian.PutUint16(b[2:], ^fold(s))
		return h.packet(b)
	})
}

// udpSizes has a UDP datagram of every length.
func (m *maker) udpSizes(e end) stream {
	h := m.between(e, 3)
	h.protocol = protoUDP
	from, to := m.ports()
	return each(m.sizes(h.size()+8), func(n int) []byte {
		h.id++
		return h.packet(datagram(h, from, to, bytes(m.rng, n-h.size()-8)))
	})
}

// tcpSizes has a TCP segment of every length of the packet, in sequence, with
// options of any length.
func (m *maker) tcpSizes(e end) stream {
	h := m.between(e, 3)
	h.protocol, h.fragment = protoTCP, dontFragment
	from, to := m.ports()
	s := segment{from: from, to: to, seq: m.rng.Uint32(), ack: m.rng.Uint32(), flags: tcpACK, window: 501}
	return each(m.sizes(h.size()+20), func(n int) []byte {
		h.id++
		room := n - h.size() - 20
		s.options = options(m.rng, 4*m.rng.IntN(min(room, 40)/4+1))
		data := bytes(m.rng, room-len(s.options))
		p := h.packet(s.with(h, data))
		s.seq += uint32(len(data))
		return p
	})
}

// fragments are those of datagrams, of which the first has ports: IPv4's, and
// IPv6's with their own header (RFC 8200, section 4.5).
func (m *maker) fragments(e end, count int) stream {
	h := m.between(e, 4)
	var left []byte
	var at int
	return func() (shot, bool) {
		if len(left) == 0 {
			if count == 0 {
				return shot{}, false
			}
			count--
			h.id++
			h.protocol = protoUDP
			left, at = datagram(h, 7000, 7001, bytes(m.rng, 1400+m.rng.IntN(5000))), 0
		}
		n := min(len(left), (8+m.rng.IntN(m.mtu-h.size()-16))/8*8)
		field := uint16(at / 8)
		more := n < len(left)
		part := left[:n]
		left, at = left[n:], at+n
		if h.src.Is4() {
			if h.fragment = field; more {
				h.fragment |= 0x2000
			}
			return whole(h.packet(part)), true
		}
		head := make([]byte, 8, 8+n)
		head[0] = protoUDP
		if field <<= 3; more {
			field |= 1
		}
		binary.BigEndian.PutUint16(head[2:], field)
		binary.BigEndian.PutUint32(head[4:], uint32(h.id))
		h.protocol = protoFragment
		return whole(h.packet(append(head, part...))), true
	}
}

// odd are packets of TCP and UDP that no network card may touch: headers that
// are cut off or lie, extension headers, IPv4 options.
func (m *maker) odd(e end, count int) stream {
	h := m.between(e, 5)
	from, to := m.ports()
	seq := m.rng.Uint32()
	return func() (shot, bool) {
		if count--; count < 0 {
			return shot{}, false
		}
		h := h
		h.id = uint16(count)
		n := m.rng.IntN(1000)
		s := segment{from: from, to: to, seq: seq, flags: tcpACK, window: 100}
		tcp := func() []byte {
			h.protocol = protoTCP
			seq += uint32(n)
			return s.with(h, bytes(m.rng, n))
		}
		udp := func() []byte {
			h.protocol = protoUDP
			return datagram(h, from, to, bytes(m.rng, n))
		}
		switch m.rng.IntN(8) {
		case 0: // cut off within the header
			b := tcp()
			return whole(h.packet(b[:4+m.rng.IntN(16)])), true
		case 1:
			b := udp()
			return whole(h.packet(b[:4+m.rng.IntN(4)])), true
		case 2: // an offset into the header, or behind the end
			b := tcp()
			b[12] = byte(m.rng.IntN(5)) << 4
			if n < 40 {
				b[12] = 0xf0
			}
			return whole(h.packet(finish(h, b, 16))), true
		case 3: // UDP's length is not that of the packet
			b := udp()
			binary.BigEndian.PutUint16(b[4:], uint16(m.rng.IntN(len(b)+20)))
			return whole(h.packet(finish(h, b, 6))), true
		case 4: // more than one mark of congestion, all flags
			s.flags = byte(m.rng.Uint32()) &^ tcpSYN
			h.tos = byte(m.rng.Uint32())
			return whole(h.packet(tcp())), true
		case 5:
			s.urgent, s.flags = uint16(n), tcpACK|tcpURG
			return whole(h.packet(tcp())), true
		default:
			b := tcp()
			if h.src.Is4() {
				h.options = []byte{148, 4, 0, 0, 1, 1, 1, 0}[:4+4*m.rng.IntN(2)] // RFC 2113
				return whole(h.packet(b)), true
			}
			head := []byte{protoTCP, 0, 1, 4, 0, 0, 0, 0} // PadN
			h.protocol = protoDest
			return whole(h.packet(append(head, b...))), true
		}
	}
}
