package ike

import (
	"crypto/hmac"
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Quick Mode (RFC 2409, section 5.5):
//
//	Initiator                                         Responder
//	1  HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] -->
//	   <--                                            2  HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr]
//	3  HDR*, HASH(3)                               -->
//
// with the NAT-OA payloads of RFC 3947 at the end of messages 1 and 2. Several
// Quick Modes may be in progress at once; the message id tells them apart.

type quickStep uint8

const (
	quickWait2 quickStep = iota + 1 // initiator
	quickWait3                      // responder
	quickDone                       // initiator: kept to repeat message 3
)

// quick is one Quick Mode in progress.
type quick struct {
	ID        uint32
	Initiator bool
	Step      quickStep
	IV        []byte
	NonceI    []byte
	NonceR    []byte
	DH        dhKey // PFS, as initiator
	InSPI     uint32
	OutSPI    uint32 // once it is known
	Confirmed bool   // the peer used the child, which is as good as message 3
	Offer     quickOffer
	Sent      []byte // our last message
	Retry     retry
	Reply     reply
	Ends      time.Time // of quickDone
}

// quickOffer is what we asked for as initiator.
type quickOffer struct {
	Suites   []ESPSuite
	Group    Group
	UDP      bool
	Lifetime time.Duration
	KB       uint64
	IDi, IDr []byte
}

func (q *quick) deadline() time.Time {
	if q.Step == quickDone {
		return q.Ends
	}
	return q.Retry.At
}

// complete reports whether both ends have the child.
func (q *quick) complete() bool { return q.Step == quickDone || q.Confirmed }

func (s *SA) findQuick(id uint32) *quick {
	for _, q := range s.st.Quick {
		if q.ID == id {
			return q
		}
	}
	return nil
}

// drop removes a Quick Mode.
func (s *SA) drop(q *quick) {
	q.DH.Private.Zero()
	s.st.Quick = slices.DeleteFunc(s.st.Quick, func(other *quick) bool { return other == q })
}

// admitQuick makes room for one more Quick Mode.
func (s *SA) admitQuick() error {
	if len(s.st.Quick) < maxQuick {
		return nil
	}
	for _, q := range s.st.Quick {
		if q.complete() {
			s.drop(q)
			return nil
		}
	}
	return ErrLimit
}

// handleQuick passes a message to its Quick Mode.
func (s *SA) handleQuick(p packet) error {
	switch {
	case s.st.Step != stepUp || !p.encrypted() || p.h.MessageID == 0:
		return p.misplaced()
	case len(p.body) == 0 || len(p.body)%s.st.Peer.Suite.blockLen() != 0:
		return fmt.Errorf("%w: %d encrypted bytes are not a whole number of blocks", ErrMalformed, len(p.body))
	}
	q := s.findQuick(p.h.MessageID)
	refused := s.refused(p)
	switch {
	case refused != nil:
		return s.repeat(p, refused)
	case q == nil:
		return s.handleQuick1(p)
	case q.Reply.is(p.raw):
		err := s.repeat(p, &q.Reply)
		if err == nil && q.Step == quickDone {
			s.events.Push(ChildAsked{q.InSPI})
		}
		return err
	case q.Step == quickWait2:
		return s.handleQuick2(p, q)
	case q.Step == quickWait3:
		err := s.handleQuick3(p, q)
		if err != nil && s.handleQuick1(p) == nil {
			return nil // the peer gave up the other one, and has begun a new one with the same id
		}
		return err
	default:
		// Windows as responder sends a fourth message.
		return p.misplaced()
	}
}

// handleQuick3 takes HDR*, HASH(3).
func (s *SA) handleQuick3(p packet, q *quick) error {
	plain, _, err := s.st.Peer.Suite.decrypt(s.st.Keys.Cipher, q.IV, p.body)
	if err != nil {
		return err
	}
	raws, _, _ := isakmp.Chain(p.h.Next, plain) // HASH(3) does not cover anything that follows it
	if len(raws) == 0 || raws[0].Kind != isakmp.PayloadHash {
		return fmt.Errorf("%w: it does not begin with a hash", ErrHash)
	}
	if !hmac.Equal(raws[0].Body, s.hash3(q)) {
		return ErrHash
	}
	s.fresh(p.path)
	s.drop(q)
	s.events.Push(ChildSending{q.InSPI})
	return nil
}

// hash3 is HASH(3): the PRF of a zero byte, the message id and both nonces.
func (s *SA) hash3(q *quick) []byte {
	id := q.ID
	return s.st.Peer.Suite.Hash.prf(s.st.Keys.A.Reveal(),
		[]byte{0, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}, q.NonceI, q.NonceR)
}

// expireQuick sends unanswered messages again, and gives up on those that were
// never answered.
func (s *SA) expireQuick(now time.Time) {
	for _, q := range slices.Clone(s.st.Quick) {
		switch {
		case q.Step == quickDone:
			if !now.Before(q.Ends) {
				s.drop(q)
			}
		case !q.Retry.due(now):
		case q.Retry.again(now):
			s.send(s.st.Path, q.Sent)
		default:
			s.drop(q)
			if !q.Confirmed {
				s.events.Push(ChildFailed{InSPI: q.InSPI, Initiator: q.Initiator, Why: FailureTimeout})
			}
		}
	}
}

// Confirm says that the peer uses the child of this inbound SPI, because an
// authenticated ESP packet came on it. This replaces a message 3 that is late or
// lost, so that no ChildFailed follows. If message 3 comes after all, so does
// ChildSending.
func (s *SA) Confirm(inSPI uint32) {
	for _, q := range s.st.Quick {
		if q.InSPI == inSPI {
			q.Confirmed = true
		}
	}
}

// failQuick reports a Quick Mode that we refuse, and tells the peer. If the peer
// asks again, it is told again: a notify is not acknowledged, and a client that
// receives none takes the server for dead.
func (s *SA) failQuick(p packet, f ChildFailed, notify isakmp.NotifyType) {
	f.Notify = uint16(notify)
	s.events.Push(f)
	if notify == 0 {
		return
	}
	msg := s.inform(isakmp.Notify{Protocol: isakmp.ProtocolESP, Message: notify})
	if msg == nil {
		return
	}
	list := s.st.Refusals
	if len(list) == maxQuick {
		list = slices.Delete(list, 0, 1)
	}
	s.st.Refusals = append(list, newReply(p.raw, msg))
}

// refused is the answer to a message 1 that was refused before. It is nil for
// every other message.
func (s *SA) refused(p packet) *reply {
	for i := range s.st.Refusals {
		if r := &s.st.Refusals[i]; r.is(p.raw) {
			return r
		}
	}
	return nil
}

// ports are the inner UDP ports of both ends, from IDci and IDcr.
func ports(idi, idr isakmp.ID, initiator bool) (local, peer uint16) {
	if initiator {
		return idi.Port, idr.Port
	}
	return idr.Port, idi.Port
}
