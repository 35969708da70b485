package dataplane

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/ipsec"
)

// The IP protocols of tunnels that ESP protects in transport mode.
const (
	ProtocolIPv4 = 4  // IPv4 in IP (RFC 2003)
	ProtocolIPv6 = 41 // IPv6 in IP (RFC 4213, section 3)
	ProtocolGRE  = 47 // RFC 2784
)

// Encap is what a session has in place of UDP, L2TP and PPP: ESP carries it in transport
// mode. What follows Protocol is GRE's (RFC 2784, section 2; RFC 2890, section 2), and both
// ends have it or neither, but for checksums.
type Encap struct {
	Protocol uint8
	Keyed    bool // packets carry Key, and others are dropped
	Key      uint32
	Checksum bool // our packets carry one; the peer's are verified if they do
	Sequence bool // packets are numbered, and those that come late are dropped
}

// encapsulation is an Encap and its sequence numbers.
type encapsulation struct {
	Encap
	ns *atomic.Uint32 // of the next packet: the port's, once it is attached to one

	_    [64]byte      // the two directions run on different cores
	late atomic.Uint64 // the highest number received and one, 0: none yet
	_    [64]byte
}

// firstNumber is where a port's numbers begin: behind those that it has sent before this
// start, at a rate of some thousands a second. A peer drops what comes late, for as long as
// it takes, whether its end of the tunnel has stayed the same or not (RFC 2890, section 2.2).
func firstNumber(now time.Time) uint32 { return uint32(now.UnixMilli() * 10) }

// NewTunnel returns a session without L2TP, of which nothing passes before SetNetwork.
// It needs a Port: there is nobody beside the device to whom a packet could go.
func NewTunnel(e Encap) *Session {
	return &Session{encap: &encapsulation{Encap: e, ns: new(atomic.Uint32)}}
}

const (
	greChecksum = 0x8000
	greKey      = 0x2000
	greSequence = 0x1000
	// greRefused are bits that must be zero: those of RFC 1701 that nobody sends any more,
	// and the version.
	greRefused = 0xffff &^ (greChecksum | greKey | greSequence)

	greIPv4 = 0x0800
	greIPv6 = 0x86dd
)

// headLen is how long what stands in front of an IP packet is.
func (e *Encap) headLen() int {
	if e.Protocol != ProtocolGRE {
		return 0
	}
	n := 4
	for _, has := range []bool{e.Checksum, e.Keyed, e.Sequence} {
		if has {
			n += 4
		}
	}
	return n
}

// TunnelMTU is the largest IP packet of a session without L2TP that reaches the peer
// without outer fragmentation, whether ESP is in UDP or not; no more than MaxMTU.
func (s *Slot) TunnelMTU(remote netip.Addr, suite ipsec.Suite, e Encap) int {
	room := suite.MaxPayload(s.plane.cfg.PathMTU-udpHeaderLen-ipHeaderLen(remote)) - e.headLen()
	return max(0, min(room, MaxMTU))
}

// takes reports whether packets of an IP version go through.
func (e *Encap) takes(four bool) bool {
	return e.Protocol == ProtocolGRE || (e.Protocol == ProtocolIPv4) == four
}

// put writes what stands in front of b's IP packet, whose version four says: b begins with
// room for it.
func (e *encapsulation) put(b []byte, four bool) {
	if e.Protocol != ProtocolGRE {
		return
	}
	flags, kind := uint16(0), uint16(greIPv6)
	if four {
		kind = greIPv4
	}
	at := 4
	if e.Checksum {
		flags |= greChecksum
		binary.BigEndian.PutUint32(b[at:], 0)
		at += 4
	}
	if e.Keyed {
		flags |= greKey
		binary.BigEndian.PutUint32(b[at:], e.Key)
		at += 4
	}
	if e.Sequence {
		flags |= greSequence
		binary.BigEndian.PutUint32(b[at:], e.ns.Add(1)-1)
	}
	binary.BigEndian.PutUint16(b, flags)
	binary.BigEndian.PutUint16(b[2:], kind)
	if e.Checksum {
		binary.BigEndian.PutUint16(b[4:], packet.Checksum(b))
	}
}

// open returns where the IP packet begins in what a peer has sent, or why it is dropped.
func (e *encapsulation) open(b []byte) (int, Drop) {
	if e.Protocol != ProtocolGRE {
		return 0, 0
	}
	if len(b) < 4 {
		return 0, DropGRE
	}
	flags, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if flags&greRefused != 0 || kind != greIPv4 && kind != greIPv6 {
		return 0, DropGRE // RFC 2784, section 2.3: what is not understood must be discarded
	}
	if e.Keyed != (flags&greKey != 0) {
		return 0, DropGRE
	}
	at := 4
	if flags&greChecksum != 0 {
		if at += 4; len(b) < at || packet.Checksum(b) != 0 {
			return 0, DropGRE
		}
	}
	if e.Keyed {
		if at += 4; len(b) < at || binary.BigEndian.Uint32(b[at-4:]) != e.Key {
			return 0, DropGRE
		}
	}
	if flags&greSequence != 0 {
		if at += 4; len(b) < at {
			return 0, DropGRE
		}
		if !e.inOrder(binary.BigEndian.Uint32(b[at-4:])) {
			return 0, DropLate
		}
	}
	if len(b) > at && (b[at]>>4 == 4) != (kind == greIPv4) {
		return 0, DropGRE
	}
	return at, 0
}

// inOrder reports whether a number comes after those that have come, and notes it (RFC
// 2890, section 2.2). A peer that begins anew, more than half of all numbers behind, is in
// order. Where nobody asks for numbers, all are.
func (e *encapsulation) inOrder(n uint32) bool {
	if !e.Sequence {
		return true
	}
	for {
		was := e.late.Load()
		if was != 0 && int32(n-uint32(was)) < 0 { // was is one more than the last
			return false
		}
		if e.late.CompareAndSwap(was, 1<<32|uint64(n+1)) {
			return true
		}
	}
}

// tunnel returns the session of the protocol that an SA carries.
func (v *View) tunnel(sa *ipsec.Inbound) *Session {
	for _, s := range v.Sessions {
		if s.encap != nil && s.encap.Protocol == sa.Protocol() {
			return s
		}
	}
	return nil
}

// tunnelled passes on what was in a packet of an SA without L2TP, or says why not.
func (r *receiver) tunnelled(p *ipsec.In, o *arrivals) (Drop, bool) {
	s := o.view.tunnel(o.sa)
	if s == nil {
		return DropSession, false
	}
	at, d := s.encap.open(p.Buf[p.Off:p.End])
	if d != 0 {
		return d, false
	}
	off := p.Off + at
	if off >= p.End || !s.encap.takes(p.Buf[off]>>4 == 4) {
		return DropIP, false
	}
	if !s.open(p.Buf[off:p.End]) {
		return DropSource, false
	}
	off, end := withRoom(p.Buf, off, p.End)
	return r.ip(p.Buf, o, s, off, end)
}

// withRoom moves b[off:end] back by some bytes where there is less room in front of it than
// a device needs, as behind the shortest headers at the beginning of a buffer. What it
// overwrites is the packet's own padding and ICV.
func withRoom(b []byte, off, end int) (int, int) {
	if off >= netdev.HeadRoom {
		return off, end
	}
	return netdev.HeadRoom, netdev.HeadRoom + copy(b[netdev.HeadRoom:], b[off:end])
}
