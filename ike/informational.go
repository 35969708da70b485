package ike

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// inform sends one Informational message (RFC 2409, section 5.7), and returns it.
// The peer does not answer it, and it is not sent again.
func (s *SA) inform(payload isakmp.Payload) []byte {
	if s.st.Step != stepUp {
		return nil
	}
	id, err := s.newMessageID()
	if err != nil {
		return nil
	}
	msg, _, err := s.sealHashed(s.st.Peer.Suite.iv2(s.st.IV, id), s.header(ExchangeInformational, id), nil, payload)
	if err != nil {
		return nil
	}
	s.send(s.st.Path, msg)
	return msg
}

// handleInformational takes HDR*, HASH(1), N/D. A message whose hash does not
// verify has no effect.
func (s *SA) handleInformational(p packet) error {
	st := &s.st
	switch {
	case st.Step != stepUp && (st.Initiator || st.Step == stepWaitA3) && !p.encrypted():
		return s.handleRefusal(p)
	case st.Step == stepWaitA3 && p.h.MessageID != 0:
		return s.handleRefusalOfA2()
	case st.Step == stepWait6 && p.encrypted() && p.h.MessageID != 0:
		return s.handleRefusalOf5(p)
	case st.Step != stepUp || !p.encrypted() || p.h.MessageID == 0:
		return p.misplaced()
	}
	c, _, err := s.openFirst(p)
	if err != nil {
		return err
	}
	s.fresh(p.path)
	for _, n := range c.notifies {
		s.handleNotify(p, n)
	}
	for _, d := range c.deletes {
		if st.Step == stepUp {
			s.handleDelete(d)
		}
	}
	s.noteIgnored(c)
	return nil
}

// handleRefusalOf5 takes a notify under the keys of message 5, from a peer that
// has agreed on them with us but is not authenticated. Like a notify in clear, it
// only names the reason if no answer comes.
func (s *SA) handleRefusalOf5(p packet) error {
	c, _, err := s.open(p, s.st.Peer.Suite.iv2(s.st.IV, p.h.MessageID), nil)
	if err != nil {
		return err
	}
	for _, n := range c.notifies {
		if n.Message.IsError() {
			s.st.Refused = uint16(n.Message)
		}
		s.note(NoteUnverified, uint16(n.Message))
	}
	return nil
}

// handleRefusalOfA2 records a notify that we cannot read: a client that finds
// HASH_R wrong has other keys than we, and some clients encrypt the refusal under
// those keys. The message may as well be under our keys and have overtaken message
// 3, so it only names the reason if message 3 never comes.
func (s *SA) handleRefusalOfA2() error {
	s.st.Refused = uint16(isakmp.NotifyAuthenticationFailed)
	return fmt.Errorf("%w: an encrypted notify before message 3 of Aggressive Mode", ErrUnexpected)
}

// handleRefusal takes a notify in clear while we wait for an answer in phase 1.
// Anybody may have sent it, so it only names the reason if no answer comes.
func (s *SA) handleRefusal(p packet) error {
	c := p.clear()
	for _, n := range c.notifies {
		if n.Message.IsError() {
			s.st.Refused = uint16(n.Message)
		}
		s.note(NoteUnverified, uint16(n.Message))
	}
	if s.st.Refused != 0 && s.st.Step == stepWaitA3 {
		// In Aggressive Mode the client is the first to find out.
		return fmt.Errorf("%w: the client answered %v", ErrUndecryptable, isakmp.NotifyType(s.st.Refused))
	}
	return nil
}

func (s *SA) handleNotify(p packet, n isakmp.Notify) {
	switch {
	case n.Message == isakmp.NotifyInitialContact:
		s.events.Push(InitialContact{})
	case n.Message == isakmp.NotifyRUThere:
		s.handleProbe(p, n)
	case n.Message == isakmp.NotifyRUThereAck:
		s.handleProbeAck(n)
	case n.Message == isakmp.NotifyResponderLifetime:
		s.shorten(p.now, n)
	case n.Message.IsError():
		s.handleError(n)
	default:
		s.note(NoteNotify, uint16(n.Message))
	}
}

// handleError takes a verified error notify. It ends our Quick Mode whose SPI the
// notify names, or else the oldest one.
func (s *SA) handleError(n isakmp.Notify) {
	var refused *quick
	for _, q := range s.st.Quick {
		if q.Step != quickWait2 {
			continue
		}
		if named := len(n.SPI) == 4 && binary.BigEndian.Uint32(n.SPI) == q.InSPI; named || refused == nil {
			refused = q
			if named {
				break
			}
		}
	}
	if refused == nil {
		s.note(NoteNotify, uint16(n.Message))
		return
	}
	s.drop(refused)
	s.events.Push(ChildFailed{InSPI: refused.InSPI, Initiator: true, Why: FailureRefused, Notify: uint16(n.Message)})
}

// names reports whether an SPI means this ISAKMP SA: it may be both of its
// cookies, one of them in either place, or empty. Some peers swap the cookies,
// name only one, or none. An SPI of two other cookies means another SA.
func (c Cookies) names(spi []byte) bool {
	if len(bytes.Trim(spi, "\x00")) == 0 {
		return true
	}
	for ; len(spi) >= 8; spi = spi[8:] {
		if half := [8]byte(spi); half == c.Initiator || half == c.Responder {
			return true
		}
	}
	return false
}

// handleDelete takes a verified Delete. The peer names SPIs of its own inbound
// SAs, or this ISAKMP SA. It cannot delete any other SA here.
func (s *SA) handleDelete(d isakmp.Delete) {
	for _, spi := range d.SPIs {
		switch {
		case d.Protocol == isakmp.ProtocolESP && len(spi) == 4:
			s.childDeleted(binary.BigEndian.Uint32(spi))
		case d.Protocol == isakmp.ProtocolISAKMP && s.st.Peer.Cookies.names(spi):
			s.end(ReasonDeleted)
			return
		default:
			s.note(NoteOtherDelete, uint16(d.Protocol))
		}
	}
}

// childDeleted reports that the peer deleted its inbound SA, and abandons the
// Quick Mode that waits for message 3 of that child.
func (s *SA) childDeleted(outSPI uint32) {
	s.events.Push(ChildDeleted{outSPI})
	for _, q := range s.st.Quick {
		if q.Step == quickWait3 && q.OutSPI == outSPI {
			s.drop(q)
			s.events.Push(ChildFailed{InSPI: q.InSPI, Why: FailureDeleted})
			return
		}
	}
}

// DeleteChildren tells the peer that these inbound SAs of ours are gone, and
// abandons a Quick Mode that was to make one of them.
func (s *SA) DeleteChildren(_ time.Time, inSPIs []uint32) {
	const most = 64 // SPIs in one message
	for len(inSPIs) > 0 {
		n := min(len(inSPIs), most)
		d := isakmp.Delete{Protocol: isakmp.ProtocolESP}
		for _, spi := range inSPIs[:n] {
			d.SPIs = append(d.SPIs, binary.BigEndian.AppendUint32(nil, spi))
			s.abandon(spi)
		}
		s.inform(d)
		inSPIs = inSPIs[n:]
	}
}

func (s *SA) abandon(inSPI uint32) {
	for _, q := range s.st.Quick {
		if q.InSPI == inSPI {
			s.drop(q)
			if !q.complete() {
				s.events.Push(ChildFailed{InSPI: inSPI, Initiator: q.Initiator, Why: FailureDeleted})
			}
			return
		}
	}
}
