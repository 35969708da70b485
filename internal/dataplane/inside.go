package dataplane

import (
	"encoding/binary"
	"net/netip"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

// inner passes on what was in a packet, or says why not.
func (r *receiver) inner(p *ipsec.In, o *arrivals, from *udp.Packet) (Drop, bool) {
	b := p.Buf[p.Off:p.End]
	if len(b) < udpHeaderLen {
		return DropInnerUDP, false
	}
	// The length cuts TFC padding off. The checksum is over addresses that a NAT
	// has changed since, and says nothing that the ICV has not said.
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < udpHeaderLen || n > len(b) {
		return DropInnerUDP, false
	}
	src, dst := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if dst != o.view.localPort() || o.port != 0 && src != o.port {
		return DropInnerUDP, false
	}
	if o.slot.learntPort.Load() != uint32(src) {
		o.slot.learntPort.Store(uint32(src))
	}
	b = b[udpHeaderLen:n]
	if len(b) < 2 {
		return DropL2TP, false
	}
	if b[0]&0x80 != 0 { // the T bit: a control message
		return o.tell(Note{Kind: NoteControl, Late: !p.Newest || !o.view.leads(o.sa), SPI: p.SA.SPI(), Local: from.Local, Remote: from.Remote, Data: b})
	}
	return r.data(p, o, p.Off+udpHeaderLen, p.Off+n)
}

// tell delivers a note that a full inbox loses.
func (o *arrivals) tell(n Note) (Drop, bool) { return DropInbox, o.slot.inbox.Deliver(n) }

// data handles the L2TP data message p.Buf[off:end].
func (r *receiver) data(p *ipsec.In, o *arrivals, off, end int) (Drop, bool) {
	h, err := l2tp.ParseData(p.Buf[off:end])
	if err != nil {
		return DropL2TP, false
	}
	if h.Tunnel != o.view.Tunnel {
		return DropTunnel, false
	}
	s := o.view.session(h.Session)
	off, end = off+h.Off, off+h.End
	frame := p.Buf[off:end]
	ip, ok := ipOffset(frame)
	if !ok {
		if s != nil {
			s.in.last.Store(r.now)
		}
		// Also of a session that is not in the view yet: a client's first frame
		// comes right behind the message that establishes the session, and the
		// inbox keeps their order.
		return o.tell(Note{Kind: NoteFrame, Session: h.Session, Data: frame})
	}
	if s == nil {
		return DropSession, false
	}
	if !s.open(p.Buf[off+ip : end]) {
		r.early(o, s, frame)
		return DropSource, false
	}
	return r.ip(p, o, s, off+ip, end)
}

// earlyBytes are as much of a packet as a link looks at: its addresses.
const earlyBytes = 64

// early tells the connection of an IP packet that comes while its network is not
// up: the client's may be, if what opens ours was lost.
func (r *receiver) early(o *arrivals, s *Session, frame []byte) {
	if o.slot.packets.allow(r.now, packetEvery, packetBurst) {
		o.slot.inbox.Deliver(Note{Kind: NoteFrame, Session: s.Local, Data: frame[:min(len(frame), earlyBytes)]})
	}
}

// ipOffset returns where the IP packet of a PPP frame begins, if that is what
// it carries: with or without address and control fields, and with one or two
// bytes of protocol (RFC 1661, sections 6.5 and 6.6), whatever was agreed.
func ipOffset(frame []byte) (int, bool) {
	at := 0
	if len(frame) >= 2 && frame[0] == 0xff && frame[1] == 0x03 {
		at = 2
	}
	if len(frame) > at && frame[at]&1 != 0 {
		return at + 1, isIP(uint16(frame[at]))
	}
	if len(frame) < at+2 {
		return 0, false
	}
	return at + 2, isIP(binary.BigEndian.Uint16(frame[at:]))
}

const (
	pppIPv4 = 0x0021 // RFC 1332, section 2
	pppIPv6 = 0x0057 // RFC 5072, section 2
)

func isIP(protocol uint16) bool { return protocol == pppIPv4 || protocol == pppIPv6 }

// ip queues the IP packet p.Buf[off:end] for the device, if the session may
// send it.
func (r *receiver) ip(p *ipsec.In, o *arrivals, s *Session, off, end int) (Drop, bool) {
	b := p.Buf[off:end]
	h, ok := packet.Parse(b)
	if !ok {
		return DropIP, false
	}
	net := s.network.Load()
	if net == nil {
		return DropSource, false
	}
	if r.plane.cfg.Multicast && r.plane.isGroup(h.Dst) && net.allows(h.Src) && floods(&h, b) {
		return r.group(p.Buf, o, s, off, &h)
	}
	if forControl(&h, b) {
		if !o.slot.packets.allow(r.now, packetEvery, packetBurst) {
			return DropRate, false
		}
		return o.tell(Note{Kind: NotePacket, Session: s.Local, Data: b[:h.Len]})
	}
	if !net.allows(h.Src) {
		return DropSource, false
	}
	if !r.plane.cfg.ClientToClient && r.plane.routes.lookup(h.Dst) != nil {
		return DropClient, false
	}
	packet.ClampMSS(b, &h, o.view.mtuOf(s, net), false)
	r.carried(s, h.Len)
	r.out = append(r.out, netdev.Packet{Buf: p.Buf, Off: off, End: off + h.Len})
	return 0, true
}

// forControl reports whether a packet is for the control plane: what is not
// for one far host, and DHCP, which a device would swallow. DHCPINFORM carries
// the leased source, but no server beyond the device could answer it.
func forControl(h *packet.IP, b []byte) bool {
	if h.Dst.IsMulticast() || h.Dst.IsLinkLocalUnicast() || h.Src.IsLinkLocalUnicast() || h.Dst == broadcast {
		return true
	}
	if h.Protocol != packet.UDP || h.Offset != 0 || h.Len < h.HeaderLen+udpHeaderLen {
		return false
	}
	port := binary.BigEndian.Uint16(b[h.HeaderLen+2:])
	return port == dhcpServer && h.Is4() || port == dhcp6Server && !h.Is4()
}

const (
	dhcpServer  = 67
	dhcpClient  = 68
	dhcp6Client = 546
	dhcp6Server = 547
)

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
