package ike

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// probe is dead peer detection (RFC 3706).
type probe struct {
	Seq     uint32    // of our last R-U-THERE
	Peer    uint32    // of the peer's last
	Heard   bool      // Peer is set
	Resend  time.Time // zero: none outstanding
	GivenUp time.Time
}

// next is the probe's deadline.
func (p *probe) next() time.Time {
	if !p.Resend.IsZero() && p.GivenUp.Before(p.Resend) {
		return p.GivenUp
	}
	return p.Resend
}

// Defaults and bounds of probing.
const (
	defaultDPDTimeout = 30 * time.Second
	probeInterval     = 5 * time.Second
)

// Probe asks the peer whether it is alive, if the peer offered dead peer detection
// and no probe is outstanding. The answer yields Alive. If none comes within patience (0:
// Policy.DPDTimeout, or 30 seconds if that is not set), the SA closes.
func (s *SA) Probe(now time.Time, patience time.Duration) {
	st := &s.st
	if st.Step != stepUp || !st.Peer.DPD || !st.Probe.Resend.IsZero() {
		return
	}
	if st.Probe.Seq == 0 {
		// The first is random, its highest bit zero (RFC 3706, section 6.2).
		b, err := s.random(4)
		if err != nil {
			return
		}
		st.Probe.Seq = binary.BigEndian.Uint32(b) >> 1
	}
	st.Probe.Seq++
	timeout := cmp.Or(patience, s.env.Policy.DPDTimeout)
	if timeout <= 0 {
		timeout = defaultDPDTimeout
	}
	st.Probe.GivenUp = now.Add(timeout)
	s.sendProbe(now)
}

func (s *SA) sendProbe(now time.Time) {
	s.st.Probe.Resend = now.Add(probeInterval)
	s.inform(s.probeNotify(isakmp.NotifyRUThere, s.st.Probe.Seq))
}

// expireProbe repeats a probe, with the same number, or gives up on the peer.
func (s *SA) expireProbe(now time.Time) {
	pr := &s.st.Probe
	switch {
	case s.st.Step != stepUp || pr.Resend.IsZero():
	case !now.Before(pr.GivenUp):
		s.end(ReasonDead)
	case !now.Before(pr.Resend):
		s.sendProbe(now)
	}
}

// probeNotify writes R-U-THERE or its answer: the SPI is both cookies (RFC
// 3706, section 5.3).
func (s *SA) probeNotify(t isakmp.NotifyType, seq uint32) isakmp.Notify {
	c := s.st.Peer.Cookies
	return isakmp.Notify{
		Protocol: isakmp.ProtocolISAKMP, SPI: append(append([]byte(nil), c.Initiator[:]...), c.Responder[:]...),
		Message: t, Data: binary.BigEndian.AppendUint32(nil, seq),
	}
}

// sequence reads the number of a probe. The probe concerns the SA under which it
// came, whatever cookies it names and however many bytes they have: some routers
// swap the cookies or leave them out. If their length is wrong, the number is the
// last four bytes of the notification.
func (s *SA) sequence(n isakmp.Notify) (seq uint32, ok bool) {
	cookies := s.probeNotify(0, 0).SPI
	if len(n.SPI) == len(cookies) && len(n.Data) >= 4 {
		return binary.BigEndian.Uint32(n.Data), true
	}
	all := slices.Concat(n.SPI, n.Data)
	if len(all) < 4 || bytes.HasPrefix(all, cookies) && len(all) < len(cookies)+4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(all[len(all)-4:]), true
}

// handleProbe answers R-U-THERE. A number lower than the last one is a replay that
// the check of message ids cannot detect.
func (s *SA) handleProbe(p packet, n isakmp.Notify) {
	seq, ok := s.sequence(n)
	pr := &s.st.Probe
	if !ok || pr.Heard && int32(seq-pr.Peer) < 0 {
		s.note(NoteProbe, uint16(n.Message))
		return
	}
	pr.Peer, pr.Heard = seq, true
	s.st.Path = p.path
	s.inform(s.probeNotify(isakmp.NotifyRUThereAck, seq))
	s.events.Push(Alive{})
}

// handleProbeAck takes only the answer to our last probe (RFC 3706, section 6.2).
func (s *SA) handleProbeAck(n isakmp.Notify) {
	seq, ok := s.sequence(n)
	pr := &s.st.Probe
	if !ok || pr.Resend.IsZero() || seq != pr.Seq {
		s.note(NoteProbe, uint16(n.Message))
		return
	}
	pr.Resend, pr.GivenUp = time.Time{}, time.Time{}
	s.events.Push(Alive{})
}
