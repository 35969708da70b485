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
	if o.sa.Protocol() != packet.UDP {
		return r.tunnelled(p, o)
	}
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
		return o.tell(Note{Kind: NoteControl, Late: o.late(p), SPI: p.SA.SPI(), Local: from.Local, Remote: from.Remote, Data: b})
	}
	return r.data(p, o, p.Off+udpHeaderLen, p.Off+n)
}

// passes reports whether a packet of a doubted SA passes. If it shows that its sender
// has the sessions, by their ids, the doubt ends; A message that begins a tunnel passes,
// but proves nothing. Ids are random and were agreed on inside ESP: the connection is
// told of wrong ones.
func (r *receiver) passes(p *ipsec.In, o *arrivals) bool {
	b := p.Buf[p.Off:p.End]
	if len(b) < udpHeaderLen+l2tpIDsEnd {
		return false
	}
	b = b[udpHeaderLen:]
	if b[0]&0x80 != 0 { // the T bit
		_, begins := l2tp.IsSCCRQ(b)
		return begins
	}
	h, err := l2tp.ParseData(b)
	if err == nil && h.Tunnel == o.view.Tunnel && o.view.session(h.Session) != nil {
		o.doubted = false
		o.slot.inbox.Deliver(Note{Kind: NoteShown, Session: h.Session, SPI: p.SA.SPI()})
		return true
	}
	o.slot.inbox.Deliver(Note{Kind: NoteWrong, SPI: p.SA.SPI()})
	return false
}

// late reports whether newer packets came before one.
func (o *arrivals) late(p *ipsec.In) bool { return !p.Newest || !o.view.leads(o.sa) }

// l2tpIDsEnd is where the session id of an L2TP control message ends (RFC 2661,
// section 3.1).
const l2tpIDsEnd = 8

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
	ip, protocol, ok := pppOffset(frame)
	if !ok || !isIP(protocol) {
		if s != nil {
			s.in.last.Store(r.now)
			if c := s.codecs.Load(); c != nil && ok {
				if protocol == pppCompressed && c.receive != nil {
					return r.compressed(o, s, c, frame[ip:], o.late(p))
				}
				c.uncompressed(frame, ip, protocol, o.late(p))
			}
		}
		// Also of a session that is not in the view yet: a client's first frame
		// comes right behind the message that establishes the session, and the
		// inbox keeps their order.
		return o.tell(Note{Kind: NoteFrame, Session: h.Session, Data: frame})
	}
	if s == nil {
		return DropSession, false
	}
	if c := s.codecs.Load(); c != nil {
		c.uncompressed(frame, ip, protocol, o.late(p))
	}
	if !s.open(p.Buf[off+ip : end]) {
		r.early(o, s, frame)
		return DropSource, false
	}
	return r.ip(p.Buf, o, s, off+ip, end)
}

// earlyBytes are as much of a packet as a link looks at: its addresses.
const earlyBytes = 64

// early tells the connection of an IP packet that comes while its network is not up here.
// At the client it may be up, if the packet that opens it here was lost.
func (r *receiver) early(o *arrivals, s *Session, frame []byte) {
	if o.slot.packets.allow(r.now, packetEvery, packetBurst) {
		o.slot.inbox.Deliver(Note{Kind: NoteFrame, Session: s.Local, Data: frame[:min(len(frame), earlyBytes)]})
	}
}

// pppOffset returns where the packet of a PPP frame begins, and its protocol: with or
// without address and control fields, and with one or two bytes of protocol (RFC 1661,
// sections 6.5 and 6.6), whatever was agreed.
func pppOffset(frame []byte) (at int, protocol uint16, ok bool) {
	if len(frame) >= 2 && frame[0] == 0xff && frame[1] == 0x03 {
		at = 2
	}
	if len(frame) > at && frame[at]&1 != 0 {
		return at + 1, uint16(frame[at]), true
	}
	if len(frame) < at+2 {
		return 0, 0, false
	}
	return at + 2, binary.BigEndian.Uint16(frame[at:]), true
}

const (
	pppIPv4 = 0x0021 // RFC 1332, section 2
	pppIPv6 = 0x0057 // RFC 5072, section 2
)

func isIP(protocol uint16) bool { return protocol == pppIPv4 || protocol == pppIPv6 }

// ip queues the IP packet buf[off:end] for the device, if the session may
// send it.
func (r *receiver) ip(buf []byte, o *arrivals, s *Session, off, end int) (Drop, bool) {
	b := buf[off:end]
	h, ok := packet.Parse(b)
	if !ok {
		return DropIP, false
	}
	net := s.network.Load()
	if net == nil {
		return DropSource, false
	}
	router := net.port != nil && net.port.cfg.Router
	if !router {
		if r.plane.cfg.Multicast && r.plane.isGroup(h.Dst) && net.allows(h.Src) && floods(&h, b) {
			if d := net.fromClient(r.now, b, &h); d != 0 {
				return d, false
			}
			return r.group(buf, o, s, off, &h)
		}
		if forControl(&h, b) {
			if !o.slot.packets.allow(r.now, packetEvery, packetBurst) {
				return DropRate, false
			}
			return o.tell(Note{Kind: NotePacket, Session: s.Local, Data: b[:h.Len]})
		}
	}
	if !net.allows(h.Src) {
		return DropSource, false
	}
	if !router && r.plane.apart(h.Dst) {
		return DropClient, false
	}
	if net.limits != nil {
		if d, passes := r.limit(o, s, net, b, &h); !passes {
			return d, d == 0
		}
	}
	packet.ClampMSS(b, &h, o.view.mtuOf(s, net), false)
	r.carried(s, h.Len)
	out := netdev.Packet{Buf: buf, Off: off, End: off + h.Len}
	if net.port != nil {
		r.beside.push(r.to(net), out)
		return 0, true
	}
	r.out = append(r.out, out)
	return 0, true
}

// apart reports whether clients are kept from an address because it is a client's, or
// of a network behind one. Packets from clients are judged by their destination, and
// packets from the device by their source: the host, or a router beyond it, may have sent
// a client's packet back here, by address translation or by an unexpected route.
func (p *Plane) apart(a netip.Addr) bool {
	return !p.cfg.ClientToClient && p.routes.lookup(a) != nil
}

// forControl reports whether a packet is for the control plane: one that is not for a
// single host beyond the link, or DHCP, which the device would swallow. DHCPINFORM
// carries the leased source, but no server beyond the device could answer it.
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
