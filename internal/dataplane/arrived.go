package dataplane

import (
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
)

// open decrypts what is queued and passes it on.
func (r *receiver) open() {
	if len(r.ins) == 0 {
		return
	}
	r.opener.Open(r.ins)
	at := 0
	for i := range r.runs {
		o := &r.runs[i]
		r.arrived(o, r.ins[at:at+o.n], r.sources[at:])
		at += o.n
	}
	r.settle(nil)
	r.write()
	r.reset()
}

// write passes what is queued to the device.
func (r *receiver) write() {
	if len(r.out) > 0 {
		n, _ := r.queue.WriteBatch(r.out) // a closed device ends its own worker
		r.tally.drop(DropWriteDevice, len(r.out)-n)
	}
	if len(r.beside.packets) > 0 {
		r.tally.drop(DropWriteDevice, r.beside.write())
	}
	r.out, r.used = r.out[:0], 0
}

func (r *receiver) reset() {
	r.ins, r.sources, r.runs, r.out, r.used = r.ins[:0], r.sources[:0], r.runs[:0], r.out[:0], 0
	r.beside.reset()
}

// arrived passes on what was in the packets of one SA.
func (r *receiver) arrived(o *arrivals, ins []ipsec.In, sources []*udp.Packet) {
	heard := false
	for i := range ins {
		p := &ins[i]
		if p.Drop != ipsec.DropNone {
			r.tally.drop(DropESP(p.Drop), 1)
			continue
		}
		if o.doubted && !r.passes(p, o) {
			r.tally.drop(DropDoubted, 1)
			continue
		}
		if !heard && !o.doubted {
			heard = true
			r.heard(o)
		}
		if p.Newest && !o.doubted {
			r.newest(o, sources[i])
		}
		if d, ok := r.inner(p, o, sources[i]); !ok {
			r.tally.drop(d, 1)
		}
	}
}

// heard draws conclusions from the fact that a packet is authentic, whatever
// is in it.
func (r *receiver) heard(o *arrivals) {
	sa, view, slot := o.sa, o.view, o.slot
	slot.lastIn.Store(r.now)
	if sa.UseNoted.Open() && slot.inbox.Deliver(Note{Kind: NoteFirstUse, SPI: sa.SPI()}) {
		sa.UseNoted.Close()
	}
	if sa.LimitNoted.Open() && sa.Exhausted() && slot.inbox.Deliver(Note{Kind: NoteKilobytes, SPI: sa.SPI()}) {
		sa.LimitNoted.Close()
	}
	if view.truncates && sa.Truncated() != view.Out.Truncated() {
		view.Out.SetTruncated(sa.Truncated())
	}
}

// newest moves the endpoint to where a packet came from that advances the
// newest SA that the peer has used. Others do not: a late packet, however
// authentic, may come from where the peer no longer is.
func (r *receiver) newest(o *arrivals, from *udp.Packet) {
	view := o.view
	if from.Remote == view.Remote && from.Local == view.Local || !view.leads(o.sa) {
		return
	}
	if view.kind() != r.socket.Kind {
		return // the encapsulation was negotiated, and does not change
	}
	if o.slot.moves.allow(r.now, moveEvery, moveBurst) {
		o.slot.inbox.Deliver(Note{Kind: NoteMoved, SPI: o.sa.SPI(), Local: from.Local, Remote: from.Remote})
	}
}

// carried counts a packet of a session.
func (r *receiver) carried(s *Session, octets int) {
	if r.counted.session != s {
		r.settle(s)
	}
	r.counted.packets++
	r.counted.octets += octets
}

// settle adds what was counted of one session, and begins with another.
func (r *receiver) settle(next *Session) {
	if c := r.counted; c.session != nil {
		c.session.in.add(c.packets, c.octets, r.now)
		r.tally.in.add(c.packets, c.octets, r.now)
	}
	r.counted = counted{session: next}
}
