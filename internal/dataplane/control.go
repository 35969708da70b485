package dataplane

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

var (
	// ErrNoPath says that there is nothing to send with: no view, no outbound
	// SA, or no socket for the local address.
	ErrNoPath = errors.New("dataplane: no path to the peer")

	// ErrDropped says that a packet was not sent, and wraps why.
	ErrDropped = errors.New("dataplane: packet dropped")
)

const (
	markerLen    = 4 // the non-ESP marker (RFC 3948, section 2.2)
	maxDatagram  = 65535
	natKeepalive = 0xff // RFC 3948, section 2.3
)

// sender is the scratch space for one packet that the control side sends.
type sender struct {
	sealer *ipsec.Sealer
	out    [1]ipsec.Out
	packet [1]udp.Packet
	buf    []byte
}

func (s *sender) room(n int) []byte {
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	return s.buf[:n]
}

// socket returns the socket of a worker that sends from local. The first worker
// has one of each kind and address; others need not.
func (p *Plane) socket(worker int, local netip.AddrPort, kind SocketKind) *Socket {
	for i := range p.cfg.Workers[worker] {
		s := &p.cfg.Workers[worker][i]
		if s.Kind == kind && s.sends(local) {
			return s
		}
	}
	if worker != 0 {
		return p.socket(0, local, kind)
	}
	return nil
}

// SendsESP reports whether ESP without UDP can leave from local.
func (p *Plane) SendsESP(local netip.Addr) bool {
	return p.socket(0, netip.AddrPortFrom(local, 0), SocketESP) != nil
}

// kind is what a view's ESP is sent by.
func (v *View) kind() SocketKind {
	if v.Remote.Port() == 0 {
		return SocketESP
	}
	return SocketNATT
}

// sends reports whether packets from local leave through the socket.
func (s *Socket) sends(local netip.AddrPort) bool {
	bound, addr := s.Bound.Addr(), local.Addr().Unmap()
	if s.Bound.Port() != local.Port() || bound.Is4() != addr.Is4() {
		return false
	}
	return bound.IsUnspecified() || bound == addr
}

// SendIKE sends an ISAKMP message, behind a non-ESP marker where marker says
// so. The message is borrowed for the call.
func (p *Plane) SendIKE(local, remote netip.AddrPort, marker bool, msg []byte) error {
	kind := SocketIKE
	if marker {
		kind = SocketNATT
	}
	socket := p.socket(0, local, kind)
	if socket == nil {
		return fmt.Errorf("%w: from %v", ErrNoPath, local)
	}
	s, _ := p.senders.Get().(*sender)
	defer p.senders.Put(s)
	b := s.room(markerLen + len(msg))
	clear(b[:markerLen])
	copy(b[markerLen:], msg)
	if !marker {
		b = b[markerLen:]
	}
	return p.write(s, socket, udp.Packet{Data: b, Local: local, Remote: remote})
}

// SendKeepalive sends a NAT keepalive (RFC 3948, section 4) over the view's
// path.
func (s *Slot) SendKeepalive() error {
	p, v := s.plane, s.view.Load()
	if v == nil {
		return ErrNoPath
	}
	socket := p.socket(0, v.Local, v.kind())
	if socket == nil {
		return fmt.Errorf("%w: from %v", ErrNoPath, v.Local)
	}
	scratch, _ := p.senders.Get().(*sender)
	defer p.senders.Put(scratch)
	b := scratch.room(1)
	b[0] = natKeepalive
	return p.write(scratch, socket, udp.Packet{Data: b, Local: v.Local, Remote: v.Remote})
}

// SendL2TP sends one L2TP message, control or data, to the peer: in an inner
// UDP datagram, sealed by the view's outbound SA. The message is borrowed for
// the call.
func (s *Slot) SendL2TP(msg []byte) error {
	return s.send(udpHeaderLen+len(msg), func(b []byte, v *live) {
		copy(b[udpHeaderLen:], msg)
		s.wrapUDP(b, v)
	})
}

// SendFrame sends one PPP frame of a session, in an L2TP data message that is
// numbered where the session's are. The frame is borrowed for the call.
func (s *Slot) SendFrame(x *Session, frame []byte) error {
	headLen := l2tp.DataHeaderLen
	if x.Sequencing {
		headLen = l2tp.SequencedDataHeaderLen
	}
	return s.send(udpHeaderLen+headLen+len(frame), func(b []byte, v *live) {
		var sequence *l2tp.Sequence
		if x.Sequencing {
			sequence = &l2tp.Sequence{Ns: uint16(x.ns.Add(1) - 1)}
		}
		l2tp.AppendDataHeader(b[:udpHeaderLen], v.PeerTunnel, x.Remote, len(frame), sequence)
		copy(b[udpHeaderLen+headLen:], frame)
		x.sent(frame)
		s.wrapUDP(b, v)
	})
}

// wrapUDP writes the header of the inner UDP datagram b.
func (s *Slot) wrapUDP(b []byte, v *live) {
	v.putUDP(b, s.peerPort(v.View), len(b))
	v.sumUDP(b)
}

// sendBare sends one IP packet of a session without L2TP.
func (s *Slot) sendBare(x *Session, ip []byte) error {
	n := x.encap.headLen()
	return s.send(n+len(ip), func(b []byte, _ *live) {
		copy(b[n:], ip)
		x.encap.put(b, ip[0]>>4 == 4)
	})
}

// send seals and sends n bytes, which fill writes under the lock of the outbound SA.
func (s *Slot) send(n int, fill func([]byte, *live)) error {
	p, v := s.plane, s.view.Load()
	if v == nil || v.Out == nil {
		return ErrNoPath
	}
	socket := p.socket(0, v.Local, v.kind())
	if socket == nil {
		return fmt.Errorf("%w: from %v", ErrNoPath, v.Local)
	}
	if n > maxDatagram {
		return fmt.Errorf("%w: %d bytes", ErrDropped, n)
	}
	scratch, _ := p.senders.Get().(*sender)
	defer p.senders.Put(scratch)
	v = s.lock()
	if v == nil {
		return ErrNoPath
	}
	defer v.Out.Unlock()

	suite := v.Out.Suite()
	head := suite.HeadRoom()
	b := scratch.room(head + n + suite.TailRoom())
	inner := b[head : head+n]
	fill(inner, v)

	out := scratch.out[:]
	out[0] = ipsec.Out{SA: v.Out, Buf: b, Off: head, End: head + len(inner)}
	scratch.sealer.Seal(out)
	if out[0].Drop != ipsec.DropNone {
		p.control.drop(DropESP(out[0].Drop), 1)
		return fmt.Errorf("%w: %v", ErrDropped, out[0].Drop)
	}
	return p.write(scratch, socket, udp.Packet{Data: b[out[0].Off:out[0].End], Local: v.Local, Remote: v.Remote})
}

func (p *Plane) write(s *sender, socket *Socket, packet udp.Packet) error {
	s.packet[0] = packet
	n, err := socket.Conn.WriteBatch(s.packet[:])
	s.packet[0] = udp.Packet{}
	if err == nil && n == 1 {
		return nil
	}
	p.control.drop(DropWriteUDP, 1)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDropped, err)
	}
	return fmt.Errorf("%w: the socket took no more", ErrDropped)
}
