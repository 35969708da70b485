package dataplane

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
)

const (
	// What one session may send to everybody, and how many copies all of it,
	// from sessions and from the device, may become.
	groupEvery, groupBurst = 20 * time.Millisecond, 100
	copyEvery, copyBurst   = 50 * time.Microsecond, 20000

	// The most datagrams in a super-packet to everybody: what Linux makes of a
	// write with UDP_SEGMENT. Each becomes a copy for every session before the rate
	// is looked at again.
	maxGroupCut = 128
)

// isGroup reports whether a destination is everybody: broadcast or multicast.
func (p *Plane) isGroup(dst netip.Addr) bool {
	return dst.IsMulticast() || dst == broadcast || slices.Contains(p.cfg.Broadcasts, dst)
}

// floods reports whether a packet to everybody is passed on to everybody. Packets between
// a host and its router alone are not. DHCP would lease a client addresses of the office;
// neighbour discovery and all else that is link-local has a link of two.
func floods(h *packet.IP, b []byte) bool {
	if h.Src.IsUnspecified() || h.Src.IsLinkLocalUnicast() || h.Dst.IsInterfaceLocalMulticast() {
		return false
	}
	if !h.Is4() && h.Protocol != packet.UDP && (h.Protocol != packet.ICMPv6 || h.Dst.IsLinkLocalMulticast()) {
		return false // also what hides behind another header, or in fragments
	}
	if h.Protocol != packet.UDP || h.Offset != 0 || h.Len < h.HeaderLen+udpHeaderLen {
		return true
	}
	switch port := binary.BigEndian.Uint16(b[h.HeaderLen+2:]); port {
	case dhcpServer, dhcpClient, dhcp6Server, dhcp6Client:
		return false
	}
	return true
}

// group takes a session's packet to everybody: to the device here, to the other
// sessions by way of the connection, which has time for that.
func (r *receiver) group(buf []byte, o *arrivals, s *Session, off int, h *packet.IP) (Drop, bool) {
	if !s.groups.allow(r.now, groupEvery, groupBurst) {
		return DropRate, false
	}
	r.carried(s, h.Len)
	r.out = append(r.out, netdev.Packet{Buf: buf, Off: off, End: off + h.Len})
	if !r.plane.cfg.ClientToClient {
		return 0, true
	}
	return o.tell(Note{Kind: NoteGroup, Session: s.Local, Data: buf[off : off+h.Len]})
}

// Flood sends an IP packet to every session but one, as far as the rate of all
// such copies allows. It may be called from any goroutine.
func (p *Plane) Flood(from *Session, b []byte) {
	h, ok := packet.Parse(b)
	now := time.Now().UnixNano()
	if !ok || !p.copies.allow(now, copyEvery, copyBurst) {
		p.control.drop(DropRate, 1)
		return
	}
	protocol := byte(pppIPv4)
	if !h.Is4() {
		protocol = pppIPv6
	}
	head := []byte{0xff, 0x03, 0, protocol}
	frame := append(head, b[:h.Len]...)
	p.everybody(func(slot *Slot, view *live, s *Session, net *network) {
		if s == from || !net.has(h.Is4()) {
			return
		}
		if pass, d := net.toClient(now, b[:h.Len], &h, 0, h.Len, 1); pass == 0 {
			p.control.drop(d, 1)
			return
		}
		p.copies.charge(copyEvery)
		mtu := view.mtuOf(s, net)
		switch {
		case h.Len <= mtu:
			p.copy(slot, s, frame, now)
		case h.DF:
			p.control.drop(DropTooBig, 1)
		default:
			piece := append(make([]byte, 0, len(head)+mtu), head...)
			for at, more := 0, true; more; more = at > 0 {
				var n int
				n, at = packet.Fragment(piece[len(head):cap(piece)], b, &h, mtu, at)
				p.copy(slot, s, piece[:len(head)+n], now)
			}
		}
	})
}

// copy sends one copy of a packet to everybody, in its PPP frame.
func (p *Plane) copy(slot *Slot, s *Session, frame []byte, now int64) {
	if slot.SendFrame(s, frame) == nil {
		s.out.add(1, len(frame)-pppHeaderLen, now)
		p.control.out.add(1, len(frame)-pppHeaderLen, now)
	}
}

// SendPacket sends an IP packet that was held.
func (s *Slot) SendPacket(to *Session, b []byte) {
	if to.encap != nil {
		if s.sendBare(to, b) == nil {
			now := time.Now().UnixNano()
			to.out.add(1, len(b), now)
			s.plane.control.out.add(1, len(b), now)
		}
		return
	}
	protocol := byte(pppIPv4)
	if b[0]>>4 == 6 {
		protocol = pppIPv6
	}
	s.plane.copy(s, to, append([]byte{0xff, 0x03, 0, protocol}, b...), time.Now().UnixNano())
}

// everybody calls f for each session that has a network.
func (p *Plane) everybody(f func(*Slot, *live, *Session, *network)) {
	for i := range p.slots[:p.used.Load()] {
		slot := p.slots[i].Load()
		if slot == nil {
			continue
		}
		view := slot.view.Load()
		if view == nil || view.Out == nil || view.Muted {
			continue
		}
		for _, s := range view.Sessions {
			if net := s.network.Load(); net != nil {
				f(slot, view, s, net)
			}
		}
	}
}

// flood queues a packet from the device for every session. Each gets a copy of
// its own when it is sent.
func (x *transmitter) flood(b []byte, segment int, h *packet.IP) (Drop, bool) {
	if !floods(h, b) {
		return DropNoRoute, false
	}
	length, copies := x.cut(b, segment)
	if length == 0 || copies > maxGroupCut {
		return DropIP, false
	}
	if !x.plane.copies.allow(x.now, copyEvery, copyBurst) {
		return DropRate, false
	}
	for i := range x.plane.slots[:x.plane.used.Load()] {
		slot := x.plane.slots[i].Load()
		if slot == nil {
			continue
		}
		view := slot.view.Load()
		if view == nil || view.Out == nil {
			continue
		}
		for _, s := range view.Sessions {
			net := s.network.Load()
			if net == nil || !net.has(h.Is4()) || net.allows(h.Src) { // its own come back to nobody
				continue
			}
			x.plane.copies.charge(time.Duration(copies) * copyEvery)
			pass, d := net.toClient(x.now, b, h, segment, length, copies)
			x.tally.drop(d, copies-pass)
			if pass == 0 {
				continue
			}
			it := item{slot: slot, session: s, b: b, segment: segment, packets: pass}
			if mtu := view.mtuOf(s, net); length > mtu {
				if h.DF { // no ICMP error answers a packet to everybody
					x.tally.drop(DropTooBig, copies)
					continue
				}
				it.mtu = mtu
			}
			x.push(it)
		}
	}
	return 0, true
}
