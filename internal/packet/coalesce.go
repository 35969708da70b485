package packet

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

const (
	// MaxJoined is how many packets one batch of a Coalescer has, and more than
	// a super-packet ever consists of.
	MaxJoined = 512

	maxSuper    = 65535 // bytes
	maxSuperUDP = 64    // datagrams: what kernels join themselves
	flowTable   = 2048  // a power of 2

	flagACK = 0x10
)

// Coalescer joins TCP segments, and UDP datagrams if it shall, of a batch of IP
// packets into super-packets, as generic receive offload of a kernel does. What
// Cutter makes of a super-packet is what was pushed, byte for byte, but for the
// identifications of IPv4 packets that must not be fragmented and the checksums
// over them (RFC 6864, section 4.1: they mean nothing).
//
// So only packets without IP options, fragmentation or extension headers are
// joined, with all checksums right, that follow each other in a flow and differ
// in sequence number, PSH and identification alone; IPv4 packets that may be
// fragmented must have consecutive identifications. All have as much payload as
// the first, the last may have less. Of TCP's flags they have ACK alone; PSH is
// on the last. Multicast stays as it is. No packet overtakes another one of its flow.
//
// A Coalescer is for one goroutine. It borrows what is pushed until Reset.
type Coalescer struct {
	udp   bool
	seed  uint64
	time  uint64 // counts packets, of all batches
	packs [][]byte
	next  []int32 // of a packet, the one that was joined to it
	runs  []run

	// Both tables are never cleared: what they say is checked. A collision of
	// two flows ends super-packets early and does no other harm.
	flows    [flowTable]int32      // the newest run of a flow
	barriers [flowTable / 8]uint64 // when something of two addresses came whose flow is not known
}

// run is a packet, or several that will be one.
type run struct {
	head
	first, last int32
	count       int
	total       int // bytes, of everything
	segment     int // of payload
	newest      uint64
	open        bool
	verified    bool // the checksums of the first are right
}

// head is what one packet's headers say.
type head struct {
	hash    uint64 // of the flow
	pair    uint64 // of the addresses; 0: it concerns nothing that is joined
	ip, all int    // lengths, of the IP header and of all headers
	seq     uint32 // of what comes next
	id      uint16 // of the last
	udp, df bool
}

// NewCoalescer returns one. udp says that datagrams are joined, too.
func NewCoalescer(udp bool) *Coalescer {
	return &Coalescer{
		udp: udp, seed: rand.Uint64() | 1,
		packs: make([][]byte, 0, MaxJoined),
		next:  make([]int32, MaxJoined),
		runs:  make([]run, 0, MaxJoined),
	}
}

// Reset begins a batch.
func (c *Coalescer) Reset() {
	clear(c.packs)
	c.packs, c.runs = c.packs[:0], c.runs[:0]
}

// Full reports whether the batch has MaxJoined packets: no more may be pushed.
func (c *Coalescer) Full() bool { return len(c.packs) == MaxJoined }

// Len is how many packets and super-packets the batch has become.
func (c *Coalescer) Len() int { return len(c.runs) }

// Push adds an IP packet to the batch.
func (c *Coalescer) Push(b []byte) {
	h, joinable := c.read(b)
	c.add(b, &h, joinable)
}

// PushAlone adds a packet that must not be joined with others, such as one that
// is a super-packet already.
func (c *Coalescer) PushAlone(b []byte) {
	h, _ := c.read(b)
	h.all = 0
	c.add(b, &h, false)
}

func (c *Coalescer) add(b []byte, h *head, joinable bool) {
	i := int32(len(c.packs))
	c.packs = append(c.packs, b)
	c.time++
	if h.all == 0 {
		if h.pair != 0 {
			c.barriers[h.pair%uint64(len(c.barriers))] = c.time
		}
		c.runs = append(c.runs, run{first: i, last: i, count: 1})
		return
	}
	slot := &c.flows[h.hash%flowTable]
	if r := c.lookup(*slot, b, h); r != nil {
		if joinable && c.join(r, b, h, i) {
			return
		}
		r.open = false
	}
	*slot = int32(len(c.runs))
	payload := len(b) - h.all
	c.runs = append(c.runs, run{
		head: *h, first: i, last: i, count: 1, total: len(b), segment: payload, newest: c.time,
		open: joinable && !pushes(b, h),
	})
}

// lookup returns the run that a table has for a packet, if it is one of its
// flow that can be joined.
func (c *Coalescer) lookup(i int32, b []byte, h *head) *run {
	if int(i) >= len(c.runs) {
		return nil
	}
	r := &c.runs[i]
	if !r.open || r.hash != h.hash || r.udp != h.udp || r.ip != h.ip {
		return nil
	}
	f := c.packs[r.first]
	if !bytes.Equal(f[addresses(h.ip):h.ip+4], b[addresses(h.ip):h.ip+4]) {
		return nil
	}
	if c.barriers[h.pair%uint64(len(c.barriers))] > r.newest {
		return nil
	}
	return r
}

// join adds packet i to a run of its flow, if it may.
func (c *Coalescer) join(r *run, b []byte, h *head, i int32) bool {
	payload := len(b) - h.all
	if h.all != r.all || payload > r.segment || r.total+payload > maxSuper || r.count == MaxJoined || h.udp && r.count == maxSuperUDP {
		return false
	}
	f := c.packs[r.first]
	if !sameIP(f, b, r, h) || !h.udp && !sameTCP(f[r.ip:r.all], b[h.ip:h.all], r.seq) {
		return false
	}
	if !r.verified && !verify(f, r.ip) || !verify(b, h.ip) {
		return false
	}
	r.verified = true
	c.next[r.last] = i
	r.last, r.newest = i, c.time
	r.seq, r.id = h.seq, h.id
	r.count++
	r.total += payload
	r.open = payload == r.segment && !pushes(b, h)
	return true
}

// sameIP compares what must be the same in two IP headers of one flow.
func sameIP(f, b []byte, r *run, h *head) bool {
	if h.ip == header6 { // version, traffic class, flow label; hop limit
		return binary.NativeEndian.Uint32(f) == binary.NativeEndian.Uint32(b) && f[7] == b[7]
	}
	if !r.df && r.id != h.id-1 {
		return false
	}
	return f[1] == b[1] && f[6] == b[6] && f[8] == b[8] // type of service, flags, time to live
}

// sameTCP compares two TCP headers of the same length. t must begin at seq.
func sameTCP(f, t []byte, seq uint32) bool {
	const push = uint64(flagPSH) << 16 // in what lies from 8 to 16
	differ := binary.BigEndian.Uint64(f[8:]) ^ binary.BigEndian.Uint64(t[8:])
	if seq != binary.BigEndian.Uint32(t[4:]) || differ&^push != 0 || f[18] != t[18] || f[19] != t[19] {
		return false
	}
	return bytes.Equal(f[minHeaderTCP:], t[minHeaderTCP:])
}

// pushes reports whether a TCP segment has PSH.
func pushes(b []byte, h *head) bool { return !h.udp && b[h.ip+13]&flagPSH != 0 }

// verify reports whether the checksums of a packet are right, and written as
// Cutter writes them. The addresses of the pseudo-header lie in front of the
// transport header.
func verify(b []byte, ip int) bool {
	at, protocol := 16, uint64(TCP)
	if ip == header6 && b[6] == UDP || ip == minHeader4 && b[9] == UDP {
		at, protocol = 6, UDP
	}
	if field := binary.BigEndian.Uint16(b[ip+at:]); protocol == TCP && field == 0xffff || protocol == UDP && field == 0 {
		return false
	}
	if ip == minHeader4 && (Checksum(b[:minHeader4]) != 0 || b[10] == 0xff && b[11] == 0xff) {
		return false
	}
	return Fold(Sum(protocol+uint64(len(b)-ip), b[addresses(ip):])) == 0
}

// addresses is where the addresses begin in a header of that length.
func addresses(ip int) int {
	if ip == header6 {
		return 8
	}
	return 12
}

// read reads a packet's headers, and says whether it may be joined with others.
// Without a length of all headers its flow is not known.
func (c *Coalescer) read(b []byte) (h head, joinable bool) {
	var protocol byte
	switch {
	case len(b) >= minHeader4 && b[0]>>4 == 4:
		h.pair = c.mix(c.seed, binary.NativeEndian.Uint64(b[12:]))
		fragment := binary.BigEndian.Uint16(b[6:])
		if b[0] != 0x45 || fragment&^flagDF != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
			return h, false
		}
		h.ip, h.df, h.id, protocol = minHeader4, fragment != 0, binary.BigEndian.Uint16(b[4:]), b[9]
	case len(b) >= header6 && b[0]>>4 == 6:
		h.pair = c.mix(c.mix(c.seed, binary.NativeEndian.Uint64(b[8:])), binary.NativeEndian.Uint64(b[16:]))
		h.pair = c.mix(c.mix(h.pair, binary.NativeEndian.Uint64(b[24:])), binary.NativeEndian.Uint64(b[32:]))
		if header6+int(binary.BigEndian.Uint16(b[4:])) != len(b) {
			return h, false
		}
		h.ip, protocol = header6, b[6]
	default:
		return h, false
	}
	t := b[h.ip:]
	switch {
	case protocol == TCP && len(t) >= minHeaderTCP:
		n := int(t[12]>>4) * 4
		if n < minHeaderTCP || n > len(t) {
			return h, false
		}
		h.all = h.ip + n
		h.seq = binary.BigEndian.Uint32(t[4:]) + uint32(len(t)-n)
		joinable = len(t) > n && t[12]&15 == 0 && t[13]&^flagPSH == flagACK
	case protocol == UDP && c.udp && len(t) >= headerUDP:
		h.udp = true
		h.all = h.ip + headerUDP
		joinable = len(t) > headerUDP && int(binary.BigEndian.Uint16(t[4:])) == len(t) && !toMany(b)
	case protocol == UDP || protocol == ICMPv6 || h.ip == minHeader4 && protocol != TCP:
		h.pair = 0
		return h, false
	default: // cut short, or with IPv6 extension headers
		return h, false
	}
	h.hash = c.mix(h.pair, uint64(binary.NativeEndian.Uint32(t))|uint64(protocol)<<32)
	return h, joinable
}

// toMany reports whether an IP packet goes to a group of hosts, or to all. Linux hands on
// multicast by the length of what it has, and drops super-packets as too long.
func toMany(b []byte) bool {
	if b[0]>>4 == 6 {
		return b[24] == 0xff
	}
	return b[16] >= 224
}

// mix is a hash that whoever does not know the seed cannot make collide.
func (c *Coalescer) mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^c.seed)
	return hi ^ lo
}

// Joined is a packet of a batch as it is to be handed over.
type Joined struct {
	First   int // which of the pushed packets it begins with, from 0
	Count   int // of how many it consists
	Segment int // payload bytes of each but the last; 0: it is an ordinary packet

	HeaderLen             int // of all headers, of a super-packet
	CsumStart, CsumOffset int // where its partial checksum is
	UDP                   bool
}

// Joined returns packet i of the Len that the batch has become. The headers of a
// super-packet are written over those of its first packet, and so this is
// called once for each. Its payload goes on in the Rest.
func (c *Coalescer) Joined(i int) Joined {
	r := &c.runs[i]
	j := Joined{First: int(r.first), Count: r.count}
	if r.count == 1 {
		return j
	}
	j.Segment, j.HeaderLen, j.CsumStart, j.UDP = r.segment, r.all, r.ip, r.udp
	b := c.packs[r.first]
	protocol, length := uint64(TCP), r.total-r.ip
	if r.ip == minHeader4 {
		binary.BigEndian.PutUint16(b[2:], uint16(r.total))
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], Checksum(b[:minHeader4]))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(length))
	}
	t := b[r.ip:]
	if r.udp {
		protocol, j.CsumOffset = UDP, 6
		binary.BigEndian.PutUint16(t[4:], uint16(length))
	} else {
		j.CsumOffset = 16
		t[13] |= c.packs[r.last][r.ip+13] & flagPSH
	}
	sum := Sum(protocol+uint64(length), b[addresses(r.ip):r.ip])
	binary.BigEndian.PutUint16(t[j.CsumOffset:], ^Fold(sum))
	return j
}

// Rest calls f for the payload of each packet that was joined to the first of
// the super-packet i, in order.
func (c *Coalescer) Rest(i int, f func([]byte)) {
	r := &c.runs[i]
	for k, p := 1, r.first; k < r.count; k++ {
		p = c.next[p]
		f(c.packs[p][r.all:])
	}
}
