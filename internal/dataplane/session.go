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

	headLenL2TP = udpHeaderLen + l2tpHeaderLen + pppHeaderLen
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

// Session is one PPP session as the data path sees it. It outlives the views
// that it appears in. Its methods may be called from any goroutine.
type Session struct {
	Local, Remote uint16 // L2TP session ids: ours, and the peer's
	Sequencing    bool   // number data messages (RFC 2661, section 5.4)

	encap   *encapsulation          // in place of L2TP; nil: L2TP
	network atomic.Pointer[network] // nil: no traffic
	port    atomic.Pointer[Port]    // for the next network; nil: the common device
	limits  atomic.Pointer[limits]  // for the next network; nil: none
	codecs  atomic.Pointer[codecs]  // nil: nothing is compressed

	_      [48]byte // the two directions run on different cores
	in     direction
	groups limiter // packets to everybody
	_      [64]byte
	out    direction
	ns     atomic.Uint32 // of the next data message
	_      [64]byte
}

// network is what may pass.
type network struct {
	sources  []netip.Prefix
	mtu      int
	overhead int   // of packets that are compressed in vain
	port     *Port // where its packets go; nil: to the common device
	limits   *limits
}

// has reports whether the client has addresses of a family.
func (n *network) has(four bool) bool {
	for _, p := range n.sources {
		if p.Addr().Is4() == four {
			return true
		}
	}
	return false
}

// open reports whether the network is up that an IP packet is of.
func (s *Session) open(ip []byte) bool {
	n := s.network.Load()
	return n != nil && (len(ip) == 0 || n.has(ip[0]>>4 == 4))
}

// direction counts IP packets one way.
type direction struct {
	packets, octets atomic.Uint64
	last            atomic.Int64 // Unix nanoseconds
}

func (d *direction) add(packets, octets int, now int64) {
	if packets == 0 {
		return
	}
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

// NewSession returns a session through which nothing passes before SetNetwork:
// PPP frames other than IP do.
func NewSession(local, remote uint16, sequencing bool) *Session {
	return &Session{Local: local, Remote: remote, Sequencing: sequencing}
}

// SetNetwork lets IP pass. From the peer, packets pass whose source is in one of these
// prefixes, which are its address and its routes. To the peer, packets pass that have at
// most mtu bytes (0: MaxMTU), or are fragmented to that. A client allows 0.0.0.0/0.
// Without prefixes nothing passes. The prefixes are copied.
func (s *Session) SetNetwork(sources []netip.Prefix, mtu int) {
	if len(sources) == 0 {
		s.network.Store(nil)
		return
	}
	if mtu <= 0 || mtu > MaxMTU {
		mtu = MaxMTU
	}
	port := s.port.Load()
	if port != nil && port.cfg.AnySource {
		sources = anySource
	}
	s.network.Store(&network{append([]netip.Prefix(nil), sources...), mtu, s.overhead(), port, s.limits.Load()})
}

var anySource = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}

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

// allows reports whether the peer may send from that address.
func (n *network) allows(from netip.Addr) bool {
	for _, p := range n.sources {
		if p.Contains(from) {
			return true
		}
	}
	return false
}
