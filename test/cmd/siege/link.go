package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// link is a holder's tunnel, session and PPP link.
type link struct {
	ns, nr          uint16
	tunnel, session uint16 // ids that the server assigned
	own             uint16 // the id that we assigned to the tunnel
	id              byte   // of LCP packets
}

// l2tp sends an L2TP packet in ESP.
func (h *holder) l2tp(b []byte) {
	at := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 1701) }
	sealed, err := h.out.Seal(wire.UDP{Src: at(h.local), Dst: at(h.s.a.server), Payload: b}.Segment(false), 17)
	if err == nil {
		h.s.send(h.local, 4500, sealed)
	}
}

// control sends a control message once. On this path no packets are lost for long,
// and a holder that gets no answer starts again from the beginning.
func (h *holder) control(session uint16, kind uint16, avps ...wire.AVP) {
	m := wire.Control{Tunnel: h.tunnel, Session: session, Ns: h.ns, Nr: h.nr}
	if kind != wire.ZLB {
		m.AVPs = append([]wire.AVP{wire.M(0, wire.U16(kind)...)}, avps...)
		h.ns++
	}
	h.l2tp(m.Marshal())
}

// hear waits for a message in an ESP packet: a new control message, or a PPP
// frame.
func (h *holder) hear(d time.Duration) (c *wire.Control, protocol uint16, p wire.CP, ok bool) {
	for over := time.After(d); ; {
		select {
		case b := <-h.esp:
			_, inner, _, err := h.in.Open(b)
			if err != nil || len(inner) < 10 {
				continue
			}
			inner = inner[8:]
			if wire.IsControl(inner) {
				c, err := wire.ParseControl(inner)
				if err != nil || c.Type() == wire.ZLB || c.Ns != h.nr || c.Tunnel != h.own {
					continue
				}
				h.nr++
				return c, 0, p, true
			}
			d, err := wire.ParseData(inner)
			if err != nil {
				continue
			}
			protocol, body, _, err := wire.ParseFrame(d.Payload)
			if err != nil {
				continue
			}
			if p, err = wire.ParseCP(body); err == nil {
				return nil, protocol, p, true
			}
		case <-over:
			return nil, 0, p, false
		}
	}
}

// reply waits for a control message of a type.
func (h *holder) reply(kind int) (*wire.Control, error) {
	for until := time.Now().Add(2 * time.Second); ; {
		c, _, _, ok := h.hear(time.Until(until))
		if !ok || c != nil && c.Type() == wire.StopCCN { // a CDN may belong to the previous session
			return nil, errSilent
		}
		if c != nil && c.Type() == kind {
			return c, nil
		}
	}
}

// open opens a tunnel (RFC 2661 section 5.1).
func (h *holder) open() error {
	h.link = link{own: uint16(rand.IntN(1<<16-1) + 1)}
	h.control(0, wire.SCCRQ, wire.M(2, 1, 0), wire.M(3, wire.U32(3)...), wire.M(7, []byte("siege")...), wire.M(9, wire.U16(h.own)...), wire.M(10, wire.U16(8)...))
	m, err := h.reply(wire.SCCRP)
	if err != nil {
		return err
	}
	if id := m.Find(9); len(id) == 2 {
		h.tunnel = binary.BigEndian.Uint16(id)
	}
	h.control(0, wire.SCCCN)
	return nil
}

// call opens a session (section 5.2).
func (h *holder) call() error {
	h.control(0, wire.ICRQ, wire.M(14, wire.U16(1)...), wire.M(15, wire.U32(rand.Uint32())...))
	m, err := h.reply(wire.ICRP)
	if err != nil {
		return err
	}
	if id := m.Find(14); len(id) == 2 {
		h.session = binary.BigEndian.Uint16(id)
	}
	h.control(h.session, wire.ICCN, wire.M(24, wire.U32(1000000)...), wire.M(19, wire.U32(1)...))
	return nil
}

// end closes the tunnel.
func (h *holder) end() {
	h.control(0, wire.StopCCN, wire.M(9, wire.U16(h.own)...), wire.M(1, 0, 1, 0, 0))
}

func (h *holder) ppp(protocol uint16, p wire.CP) {
	d := wire.Data{Tunnel: h.tunnel, Session: h.session, Payload: wire.Frame(protocol, p.Marshal())}
	h.l2tp(d.Marshal())
}

// lcp asks for the link without changes to its options.
func (h *holder) lcp() {
	h.id++
	h.ppp(wire.LCP, wire.CP{Code: wire.ConfReq, ID: h.id})
}

// login brings the link up as a user. told reports whether the server gave a
// verdict.
func (h *holder) login(name, secret string) (accepted, told bool) {
	h.lcp()
	for until := time.Now().Add(2 * time.Second); ; {
		c, protocol, p, ok := h.hear(time.Until(until))
		switch {
		case !ok || c != nil && (c.Type() == wire.StopCCN || c.Type() == wire.CDN):
			return false, false
		case protocol == wire.LCP && p.Code == wire.ConfReq:
			p.Code = wire.ConfAck
			h.ppp(wire.LCP, p)
		case protocol == wire.CHAP && p.Code == 1 && len(p.Body) >= 17:
			var peer [16]byte
			random(peer[:])
			m := wire.NewMSCHAPv2(name, secret, [16]byte(p.Body[1:17]), peer)
			answer := append(append(peer[:], make([]byte, 8)...), append(m.Response[:], 0)...)
			h.ppp(wire.CHAP, wire.CP{Code: 2, ID: p.ID, Body: append(append([]byte{byte(len(answer))}, answer...), name...)})
		case protocol == wire.CHAP && p.Code == 3:
			return true, true
		case protocol == wire.CHAP && p.Code == 4:
			return false, true
		}
	}
}
