package dataplane

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

const (
	readBatch = 64
	openBatch = 128
	bufferLen = 1 << 16 // of one read: a train of datagrams comes in one

	// What a peer may ask of the control plane by packets of its user.
	packetEvery, packetBurst = 50 * time.Millisecond, 20
	moveEvery, moveBurst     = 100 * time.Millisecond, 2
)

// receiver is the worker of one socket. Everything in it is its own.
type receiver struct {
	plane  *Plane
	socket *Socket
	queue  netdev.Queue
	tally  *tally
	opener *ipsec.Opener
	now    int64 // of this batch, Unix nanoseconds

	packets []udp.Packet
	buffers []byte
	ins     []ipsec.In
	origins []origin // of ins
	out     []netdev.Packet
}

// origin is where a packet came from, and where it belongs.
type origin struct {
	slot   *Slot
	view   *live
	packet *udp.Packet
}

func newReceiver(p *Plane, s *Socket, q netdev.Queue, t *tally) *receiver {
	return &receiver{
		plane: p, socket: s, queue: q, tally: t,
		opener:  ipsec.NewOpener(),
		packets: make([]udp.Packet, readBatch),
		buffers: make([]byte, readBatch*bufferLen),
		ins:     make([]ipsec.In, 0, openBatch),
		origins: make([]origin, 0, openBatch),
		out:     make([]netdev.Packet, 0, openBatch),
	}
}

// run reads until the socket is closed, and returns why it ended.
func (r *receiver) run() error {
	for {
		for i := range r.packets {
			r.packets[i].Data = r.buffers[i*bufferLen : (i+1)*bufferLen]
		}
		n, err := r.socket.Conn.ReadBatch(r.packets)
		if err != nil {
			return err
		}
		r.handle(n)
	}
}

// handle takes the first n packets all the way to the device.
func (r *receiver) handle(n int) {
	defer r.rescue(n)
	r.now = time.Now().UnixNano()
	for i := range r.packets[:n] {
		p := &r.packets[i]
		if p.Segment == 0 {
			r.demux(p, p.Data)
			continue
		}
		for rest := p.Data; len(rest) > 0; {
			k := min(p.Segment, len(rest))
			r.demux(p, rest[:k:k])
			rest = rest[k:]
		}
	}
	r.open()
}

func (r *receiver) rescue(n int) {
	if v := recover(); v != nil {
		r.ins, r.origins, r.out = r.ins[:0], r.origins[:0], r.out[:0]
		r.plane.panicked(r.tally, v, n)
	}
}

// demux tells ISAKMP, keepalives and ESP apart (RFC 3948, section 2).
func (r *receiver) demux(p *udp.Packet, b []byte) {
	switch {
	case r.socket.Kind == SocketESP:
		if len(b) < 8 {
			r.tally.drop(DropShort, 1)
			return
		}
		r.queueESP(p, b)
	case r.socket.Kind == SocketIKE:
		r.tally.ike.Add(1)
		r.plane.cfg.Control.IKE(p.Local, p.Remote, false, b)
	case len(b) == 1 && b[0] == natKeepalive:
		r.tally.keepalives.Add(1)
	case len(b) < 8:
		r.tally.drop(DropShort, 1)
	case binary.BigEndian.Uint32(b) == 0:
		r.tally.ike.Add(1)
		r.plane.cfg.Control.IKE(p.Local, p.Remote, true, b[markerLen:])
	default:
		r.queueESP(p, b)
	}
}

func (r *receiver) queueESP(p *udp.Packet, b []byte) {
	spi := binary.BigEndian.Uint32(b)
	o := origin{slot: r.plane.slot(spi), packet: p}
	if o.slot != nil {
		o.view = o.slot.view.Load()
	}
	if o.view == nil {
		r.tally.drop(DropUnknownSPI, 1)
		return
	}
	sa := o.view.inbound(spi)
	if sa == nil {
		r.tally.drop(DropUnknownSPI, 1)
		return
	}
	if len(r.ins) == openBatch {
		r.open()
	}
	r.ins = append(r.ins, ipsec.In{SA: sa, Buf: b, End: len(b)})
	r.origins = append(r.origins, o)
}

// open decrypts what is queued and passes it on.
func (r *receiver) open() {
	if len(r.ins) == 0 {
		return
	}
	r.opener.Open(r.ins)
	for i := range r.ins {
		p, o := &r.ins[i], &r.origins[i]
		if p.Drop != ipsec.DropNone {
			r.tally.drop(DropESP(p.Drop), 1)
			continue
		}
		r.heard(p, o)
		if d, ok := r.inner(p, o); !ok {
			r.tally.drop(d, 1)
		}
	}
	if len(r.out) > 0 {
		n, _ := r.queue.WriteBatch(r.out) // a closed device ends its own worker
		r.tally.drop(DropWriteDevice, len(r.out)-n)
	}
	r.ins, r.origins, r.out = r.ins[:0], r.origins[:0], r.out[:0]
}

// heard draws conclusions from the fact that a packet is authentic, whatever
// is in it.
func (r *receiver) heard(p *ipsec.In, o *origin) {
	sa, view, slot := p.SA, o.view, o.slot
	slot.lastIn.Store(r.now)
	if sa.UseNoted.Open() && slot.inbox.Deliver(Note{Kind: NoteFirstUse, SPI: sa.SPI()}) {
		sa.UseNoted.Close()
	}
	if sa.LimitNoted.Open() && sa.Exhausted() && slot.inbox.Deliver(Note{Kind: NoteKilobytes, SPI: sa.SPI()}) {
		sa.LimitNoted.Close()
	}
	if view.Out != nil && sa.Truncated() != view.Out.Truncated() {
		view.Out.SetTruncated(sa.Truncated())
	}
	// Endpoints follow only what advances the newest SA: a late packet, however
	// authentic, may come from where the peer no longer is.
	if !p.Newest || sa != view.In[0] || o.packet.Remote == view.Remote && o.packet.Local == view.Local {
		return
	}
	if view.kind() != r.socket.Kind {
		return // the encapsulation was negotiated, and does not change
	}
	if slot.moves.allow(r.now, moveEvery, moveBurst) {
		slot.inbox.Deliver(Note{Kind: NoteMoved, SPI: sa.SPI(), Local: o.packet.Local, Remote: o.packet.Remote})
	}
}

// inner passes on what was in a packet, or says why not.
func (r *receiver) inner(p *ipsec.In, o *origin) (Drop, bool) {
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
	from, to := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if to != o.view.localPort() || o.view.PeerPort != 0 && from != o.view.PeerPort {
		return DropInnerUDP, false
	}
	if o.slot.learntPort.Load() != uint32(from) {
		o.slot.learntPort.Store(uint32(from))
	}
	b = b[udpHeaderLen:n]
	if len(b) < 2 {
		return DropL2TP, false
	}
	if b[0]&0x80 != 0 { // the T bit: a control message
		return o.tell(Note{Kind: NoteControl, SPI: p.SA.SPI(), Local: o.packet.Local, Remote: o.packet.Remote, Data: b})
	}
	return r.data(p, o, p.Off+udpHeaderLen, p.Off+n)
}

// tell delivers a note that a full inbox loses.
func (o *origin) tell(n Note) (Drop, bool) { return DropInbox, o.slot.inbox.Deliver(n) }

// data handles the L2TP data message p.Buf[off:end].
func (r *receiver) data(p *ipsec.In, o *origin, off, end int) (Drop, bool) {
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
	return r.ip(p, o, s, off+ip, end)
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
func (r *receiver) ip(p *ipsec.In, o *origin, s *Session, off, end int) (Drop, bool) {
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
	s.in.add(1, h.Len, r.now)
	r.tally.in.add(1, h.Len, r.now)
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
