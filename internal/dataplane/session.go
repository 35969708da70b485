package dataplane

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/ipsec"
)

const (
	// MaxMTU is the ceiling of a session's MTU, whatever the path allows.
	MaxMTU = 1400

	// DefaultPathMTU is what a path is taken to carry where nobody knows.
	DefaultPathMTU = 1500

	udpHeaderLen  = 8
	l2tpHeaderLen = 8 // flags, length, tunnel, session (RFC 2661, section 3.1)
	l2tpSeqLen    = 4 // Ns and Nr
	pppHeaderLen  = 4 // FF03 and a two-byte protocol
)

// InnerMTU is the largest IP packet in bytes that reaches the peer without
// outer fragmentation, over a path of so many bytes: what PPP, L2TP, the inner
// UDP, ESP, and the outer UDP and IP headers leave of it, no more than MaxMTU.
func InnerMTU(path int, remote netip.Addr, s ipsec.Suite, sequencing bool) int {
	room := path - udpHeaderLen - ipHeaderLen(remote)
	mtu := s.MaxPayload(room) - udpHeaderLen - l2tpHeaderLen - pppHeaderLen
	if sequencing {
		mtu -= l2tpSeqLen
	}
	return max(0, min(mtu, MaxMTU))
}

func ipHeaderLen(a netip.Addr) int {
	if a.Unmap().Is4() {
		return 20
	}
	return 40
}

// SessionConfig is what a Session begins with.
type SessionConfig struct {
	Local, Remote uint16         // L2TP session ids: ours, and the peer's
	Sources       []netip.Prefix // what the peer may send from: its address and its routes
	MTU           int            // of the IP packets to the peer, in bytes; 0 for MaxMTU
	Sequencing    bool           // number data messages (RFC 2661, section 5.4)
}

// Session is one PPP session as the data path sees it. It outlives the views
// that it appears in, and its counters may be read at any time.
type Session struct {
	SessionConfig

	ns atomic.Uint32 // of the next data message, under the Outbound's lock

	_   [64]byte // the two directions run on different cores
	in  direction
	_   [64]byte
	out direction
	_   [64]byte
}

// direction counts IP packets one way.
type direction struct {
	packets, octets atomic.Uint64
	last            atomic.Int64 // Unix nanoseconds
}

func (d *direction) add(packets, octets int, now int64) {
	d.packets.Add(uint64(packets))
	d.octets.Add(uint64(octets))
	d.last.Store(now)
}

// Counters are what a session carried: IP packets and their bytes, In from the
// peer and Out to it.
type Counters struct {
	InPackets, InOctets   uint64
	OutPackets, OutOctets uint64
}

// NewSession returns a session. It copies c.Sources.
func NewSession(c SessionConfig) *Session {
	c.Sources = append([]netip.Prefix(nil), c.Sources...)
	if c.MTU <= 0 || c.MTU > MaxMTU {
		c.MTU = MaxMTU
	}
	return &Session{SessionConfig: c}
}

// Counters returns what the session has carried so far.
func (s *Session) Counters() Counters {
	return Counters{
		InPackets: s.in.packets.Load(), InOctets: s.in.octets.Load(),
		OutPackets: s.out.packets.Load(), OutOctets: s.out.octets.Load(),
	}
}

// LastIn is when the last data message came from the peer, and the zero time
// if none did.
func (s *Session) LastIn() time.Time { return unixNano(s.in.last.Load()) }

// LastOut is when the last data message went to the peer, and the zero time if
// none did.
func (s *Session) LastOut() time.Time { return unixNano(s.out.last.Load()) }

func unixNano(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// mayCome reports whether the peer may send from that address.
func (s *Session) mayCome(from netip.Addr) bool {
	for _, p := range s.Sources {
		if p.Contains(from) {
			return true
		}
	}
	return false
}
