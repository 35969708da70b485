package ppp

import (
	"encoding/hex"
	"net/netip"
	"time"
)

// ipv6cpInterfaceID is the only option of IPV6CP that is accepted (RFC 5072, section
// 4.1). Compression (2) is rejected like every unknown option.
const ipv6cpInterfaceID = 1

// InterfaceID is the lower half of a link-local address; zero: unknown.
type InterfaceID [8]byte

// LinkLocal is the address in fe80::/64 that has this interface identifier.
func (id InterfaceID) LinkLocal() netip.Addr {
	b := [16]byte{0: 0xfe, 1: 0x80}
	copy(b[8:], id[:])
	return netip.AddrFrom16(b)
}

// String returns the identifier as hex digits.
func (id InterfaceID) String() string { return hex.EncodeToString(id[:]) }

// Network6 is a link's IPv6 configuration, from the server's point of view in both roles.
// IPV6CP negotiates no addresses other than link-local ones.
type Network6 struct {
	On          bool        // IPV6CP is negotiated; otherwise it is rejected
	Local, Peer InterfaceID // the server's and the client's; zero for Peer: the client chooses
}

// DefaultInterfaceID is the server's identifier where none is configured: fe80::1.
var DefaultInterfaceID = InterfaceID{7: 1}

// ipv6cpState is what IPV6CP negotiates.
type ipv6cpState struct {
	ncpState
	network Network6    // as authenticator: what is granted; as client: what is learnt
	agreed  InterfaceID // the peer's identifier; as authenticator that is the client's
	no      bool        // the peer rejected our identifier
	naked   unheeded
	asked   bool // the peer was asked for its identifier
}

// ipv6cp is the IPV6CP layer of a link.
type ipv6cp struct{ *Link }

func (y ipv6cp) protocol() uint16  { return ProtocolIPV6CP }
func (y ipv6cp) auto() *automaton  { return &y.s.ipv6cp.automaton }
func (y ipv6cp) common() *ncpState { return &y.s.ipv6cp.ncpState }

// begin clears what an earlier negotiation agreed.
func (y ipv6cp) begin() {
	s := &y.s.ipv6cp
	s.no, s.naked, s.asked, s.agreed = false, unheeded{}, false, InterfaceID{}
	if !y.env.Config.Client && s.network.Local == (InterfaceID{}) {
		s.network.Local = DefaultInterfaceID
	}
	if y.env.Config.Client && s.on && s.network.Peer == (InterfaceID{}) {
		s.network.Peer = y.randomID(InterfaceID{})
	}
}

// own points to our identifier: as client it is Peer of the network, as server Local.
func (y ipv6cp) own() *InterfaceID {
	if y.env.Config.Client {
		return &y.s.ipv6cp.network.Peer
	}
	return &y.s.ipv6cp.network.Local
}

// options composes our Configure-Request.
func (y ipv6cp) options() []byte {
	if y.s.ipv6cp.no {
		return []byte{}
	}
	return appendOption([]byte{}, ipv6cpInterfaceID, y.own()[:]...)
}

// judge decides about the peer's Configure-Request. RFC 5072, section 4.1: an identifier
// that is zero or equals ours is answered with another one, "a non-zero value that is
// different". An identifier that was not granted to the client is answered the same way.
func (y ipv6cp) judge(opts []option) (byte, []byte) {
	s := &y.s.ipv6cp
	v := newVerdict(y.Link, y)
	named := false
	for _, o := range opts {
		if o.kind != ipv6cpInterfaceID || len(o.data) != len(InterfaceID{}) {
			v.reject(o)
			continue
		}
		named = true
		id := InterfaceID(o.data)
		switch {
		case !y.env.Config.Client && s.network.Peer != (InterfaceID{}):
			if id != s.network.Peer {
				v.nak(o, appendOption(nil, ipv6cpInterfaceID, s.network.Peer[:]...))
			}
		case id == (InterfaceID{}) || id == *y.own():
			want := y.randomID(*y.own())
			v.nak(o, appendOption(nil, ipv6cpInterfaceID, want[:]...))
		}
	}
	// "If negotiation of the interface identifier is required, and the peer did
	// not provide the option in its Configure-Request, the option SHOULD be
	// appended to a Configure-Nak."
	if !named && !y.env.Config.Client && !s.asked && v.rejects == nil {
		s.asked = true
		want := s.network.Peer
		if want == (InterfaceID{}) {
			want = y.randomID(*y.own())
		}
		v.add(ipv6cpInterfaceID, appendOption(nil, ipv6cpInterfaceID, want[:]...))
	}
	return v.result()
}

// randomID returns an identifier that is not zero and not avoid. RFC 5072,
// section 4.1: of a random one "the u bit ... MUST be set to zero".
func (y ipv6cp) randomID(avoid InterfaceID) InterfaceID {
	var id InterfaceID
	for range 4 {
		if err := y.random(id[:]); err != nil {
			return InterfaceID{7: 2}
		}
		if id[0] &^= 2; id != (InterfaceID{}) && id != avoid {
			break
		}
	}
	return id
}

// accept applies the peer's options that we acknowledge.
func (y ipv6cp) accept(opts []option) {
	y.s.ipv6cp.agreed = InterfaceID{}
	for _, o := range opts {
		if o.kind == ipv6cpInterfaceID && len(o.data) == len(InterfaceID{}) {
			y.s.ipv6cp.agreed = InterfaceID(o.data)
		}
	}
}

// naked adopts the identifier that the peer suggests for us, if that is possible.
func (y ipv6cp) naked(_ time.Time, opts []option) {
	s := &y.s.ipv6cp
	for _, o := range opts {
		if o.kind != ipv6cpInterfaceID {
			continue
		}
		var id InterfaceID
		if len(o.data) == len(id) {
			id = InterfaceID(o.data)
		}
		taken := id != (InterfaceID{}) && id != s.agreed && id != *y.own()
		if !taken {
			id = y.randomID(s.agreed)
		}
		*y.own() = id
		s.no = s.naked.spent(taken) || s.no
	}
}

// rejected leaves our identifier out: the peer then does not need to know our link-local
// address.
func (y ipv6cp) rejected(_ time.Time, opts []option) {
	for _, o := range opts {
		y.s.ipv6cp.no = y.s.ipv6cp.no || o.kind == ipv6cpInterfaceID
	}
}

// opened returns the event that tells the driver that IPV6CP is open.
func (y ipv6cp) opened() Event {
	n := y.s.ipv6cp.network
	if y.env.Config.Client {
		n.Local = y.s.ipv6cp.agreed
	} else {
		n.Peer = y.s.ipv6cp.agreed
	}
	return Network6Up{Network: n, MTU: min(y.mru(), y.s.lcp.peerMRU)}
}

func (y ipv6cp) closed() Event { return Network6Down{} }

// carries tells whether a packet is from the peer's link-local address.
func (y ipv6cp) carries(ip []byte) bool {
	return len(ip) >= 40 && ip[0]>>4 == 6 && [16]byte(ip[8:24]) == y.s.ipv6cp.agreed.LinkLocal().As16()
}

func (y ipv6cp) up(_ time.Time)                    { y.ncpUp(y) }
func (y ipv6cp) down(now time.Time)                { y.ncpDown(now, y) }
func (y ipv6cp) finished(now time.Time, t trigger) { y.ncpFinished(now, y, t) }
