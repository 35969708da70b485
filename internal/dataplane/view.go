package dataplane

import (
	"encoding/binary"
	"slices"

	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/ipsec"
)

// live is a published view and what follows from it.
type live struct {
	*View

	// The longest IP packet that needs no outer fragment, without and with
	// sequence numbers in L2TP.
	mtu, mtuSeq int
	room        int // the longest payload of ESP that needs none, at most MaxMTU and what L2TP takes

	sums      bool // inner UDP datagrams have a checksum
	truncates bool // ICVs may be truncated, or not
	holds     bool // packets of users wait in the slot: Out is muted, or earlier ones wait
}

// mtuOf is the longest IP packet for a session.
func (l *live) mtuOf(s *Session, n *network) int {
	if s.encap != nil {
		return min(n.mtu, l.room-s.encap.headLen())
	}
	if s.Sequencing {
		return min(n.mtu, l.mtuSeq) - n.overhead
	}
	return min(n.mtu, l.mtu) - n.overhead
}

// inbound returns the SA that receives on spi.
func (v *View) inbound(spi uint32) *ipsec.Inbound {
	for _, sa := range v.In {
		if sa.SPI() == spi {
			return sa
		}
	}
	return nil
}

// doubts reports whether the SA that receives on spi may be another peer's than the
// sessions'.
func (v *View) doubts(spi uint32) bool { return slices.Contains(v.Doubted, spi) }

// leads reports whether no newer SA than this one has received anything: one that
// was agreed on may wait for its first packet for a while.
func (v *View) leads(sa *ipsec.Inbound) bool {
	for _, newer := range v.In {
		if newer == sa {
			return true
		}
		if newer.Packets() > 0 {
			return false
		}
	}
	return false
}

// portOf is the peer's inner UDP port on an SA of In, 0 if that may be any. What
// is sent may still go by an older pair, which has another.
func (v *View) portOf(sa *ipsec.Inbound) uint16 {
	for i, port := range v.Ports {
		if v.In[i] == sa {
			return port
		}
	}
	return v.PeerPort
}

// session returns the session with our id.
func (v *View) session(local uint16) *Session {
	for _, s := range v.Sessions {
		if s.Local == local && s.encap == nil {
			return s
		}
	}
	return nil
}

// localPort is our inner UDP port.
func (v *View) localPort() uint16 {
	if v.LocalPort == 0 {
		return l2tpPort
	}
	return v.LocalPort
}

const l2tpPort = 1701

// putUDP writes the header of an inner UDP datagram of n bytes, without a
// checksum, into b.
func (v *View) putUDP(b []byte, peerPort uint16, n int) {
	binary.BigEndian.PutUint16(b, v.localPort())
	binary.BigEndian.PutUint16(b[2:], peerPort)
	binary.BigEndian.PutUint16(b[4:], uint16(n))
	binary.BigEndian.PutUint16(b[6:], 0)
}

// sumUDP puts the checksum into the inner UDP datagram b, where there is one.
// Over IPv4 it is 0, which the peer does not check: its NAT's address
// would be in it, and ESP has protected the datagram already (RFC 3948, section
// 3.1.2). Over IPv6 there must be one (RFC 8200, section 8.1).
func (l *live) sumUDP(b []byte) {
	if l.sums {
		packet.PutSum(b, 6, packet.UDP, l.Local.Addr(), l.Remote.Addr())
	}
}

// peerPort is the peer's inner UDP port: the negotiated one, else the one that
// it was last heard from.
func (s *Slot) peerPort(v *View) uint16 {
	if v.PeerPort != 0 {
		return v.PeerPort
	}
	if port := uint16(s.learntPort.Load()); port != 0 {
		return port
	}
	return l2tpPort
}
