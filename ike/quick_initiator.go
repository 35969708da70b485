package ike

import (
	"bytes"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// ChildRequest is what Negotiate asks for. The zero value asks for what the Policy
// says, for any UDP port of ours and port 1701 of the peer.
type ChildRequest struct {
	// IDi and IDr are the bodies of IDci (our end) and IDcr; both are set or
	// neither. To replace a child that the peer began, pass its IDr as IDi and its
	// IDi as IDr.
	IDi, IDr []byte

	// Without IDi and IDr, the identities are our addresses, UDP, and these ports.
	// PeerPort 0 means 1701. Where Protocol is not 0, they are our addresses and that
	// protocol, and there are no ports.
	Protocol            uint8
	LocalPort, PeerPort uint16

	Suites    []ESPSuite    // nil: Policy.ESP; the first 28 are offered
	Group     Group         // for PFS; 0: none
	Lifetime  time.Duration // 0: Policy.ChildLifetime, or 8 hours
	Kilobytes uint64        // 0: Policy.ChildKB

	MessageID uint32 // 0: random
}

// doneTime is how long the peer may ask for message 3 again.
const doneTime = 30 * time.Second

// Negotiate begins a Quick Mode as initiator. It fails with ErrUnexpected before
// phase 1 is complete, with ErrLimit, with ErrNoSPI, with ErrReplay for a message
// id that was used before, and if there is no randomness.
func (s *SA) Negotiate(now time.Time, r ChildRequest) error {
	st := &s.st
	if st.Step != stepUp {
		return ErrUnexpected
	}
	if err := s.admitQuick(); err != nil {
		return err
	}
	q := &quick{Initiator: true, Step: quickWait2, Offer: s.quickOffer(r)}
	var err error
	if q.NonceI, err = s.random(32); err != nil {
		return err
	}
	if r.Group != 0 {
		if q.DH, err = newDHKey(s.env.Rand, r.Group); err != nil {
			return err
		}
	}
	switch q.ID = r.MessageID; {
	case q.ID == 0:
		if q.ID, err = s.newMessageID(); err != nil {
			return err
		}
	case st.Used.has(q.ID):
		return ErrReplay
	default:
		st.Used.add(q.ID)
		st.Own.add(q.ID)
	}
	if q.InSPI = s.env.NewSPI(); q.InSPI == 0 {
		return ErrNoSPI
	}
	msg, next, err := s.sealHashed(st.Peer.Suite.iv2(st.IV, q.ID), s.header(ExchangeQuick, q.ID), nil, s.quickRequest(q)...)
	if err != nil {
		return err
	}
	q.IV, q.Sent = bytes.Clone(next), msg
	q.Retry = startRetry(now, requestWait, requestTimes)
	st.Quick = append(st.Quick, q)
	s.send(st.Path, msg)
	return nil
}

// quickOffer fills in what the request left unset.
func (s *SA) quickOffer(r ChildRequest) quickOffer {
	o := quickOffer{
		Suites: r.Suites, Group: r.Group, UDP: s.st.Peer.Encap,
		Lifetime: r.Lifetime, KB: r.Kilobytes, IDi: bytes.Clone(r.IDi), IDr: bytes.Clone(r.IDr),
	}
	if o.Suites == nil {
		o.Suites = s.env.Policy.ESP
	}
	o.Suites = o.Suites[:min(len(o.Suites), maxOffer)]
	if o.Lifetime <= 0 {
		o.Lifetime = s.env.Policy.ChildLifetime
	}
	if o.Lifetime <= 0 {
		o.Lifetime = defaultLifetime
	}
	if o.KB == 0 {
		o.KB = s.env.Policy.ChildKB
	}
	if o.IDi == nil || o.IDr == nil {
		protocol, own, port := r.Protocol, r.LocalPort, r.PeerPort
		switch {
		case protocol != 0 && protocol != protoUDP:
			own, port = 0, 0
		case port == 0:
			protocol, port = protoUDP, portL2TP
		default:
			protocol = protoUDP
		}
		o.IDi = isakmp.AddrID(s.st.Path.Local.Addr(), protocol, own).AppendBody(nil)
		o.IDr = isakmp.AddrID(s.st.Path.Remote.Addr(), protocol, port).AppendBody(nil)
	}
	return o
}

// quickRequest writes the payloads of message 1 after the HASH.
func (s *SA) quickRequest(q *quick) []isakmp.Payload {
	peer := s.st.Peer
	mode := uint16(encapTransport)
	switch {
	case q.Offer.UDP && peer.NATT.draft():
		mode = encapUDPTransportDraft
	case q.Offer.UDP:
		mode = encapUDPTransport
	}
	o := q.Offer
	list := []isakmp.Payload{offerESP(o.Suites, q.InSPI, o.Group, mode, o.Lifetime, o.KB), isakmp.Nonce(q.NonceI)}
	if o.Group != 0 {
		list = append(list, isakmp.KE(q.DH.Public))
	}
	list = append(list, isakmp.Raw{Kind: isakmp.PayloadID, Body: o.IDi}, isakmp.Raw{Kind: isakmp.PayloadID, Body: o.IDr})
	if o.UDP && peer.NATT != NATTNone {
		// RFC 3947, section 5.2: in transport mode with UDP both original
		// addresses are sent.
		path := s.st.Path
		list = append(list, natOA(peer.NATT, 2, path.Local.Addr(), path.Remote.Addr())...)
	}
	return list
}

// handleQuick2 takes HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr] and sends
// HDR*, HASH(3).
func (s *SA) handleQuick2(p packet, q *quick) error {
	c, iv, err := s.open(p, q.IV, q.NonceI)
	if err != nil {
		return err
	}
	s.fresh(p.path)
	s.noteIgnored(c)
	child, why, notify := s.acceptQuick(q, c)
	if why != 0 {
		s.drop(q)
		s.failQuick(p, ChildFailed{InSPI: q.InSPI, Initiator: true, Why: why}, notify)
		return nil
	}
	msg, _, err := s.seal(s.st.Keys, iv, s.header(ExchangeQuick, q.ID), isakmp.Hash(s.hash3(q)))
	if err != nil {
		return err
	}
	for _, n := range c.notifies {
		s.childNotify(&child, n)
	}
	q.Step, q.Ends = quickDone, p.now.Add(doneTime)
	q.Retry, q.Sent = retry{}, nil
	q.Reply = newReply(p.raw, msg)
	q.DH.Private.Zero()
	q.DH = dhKey{}
	s.events.Push(ChildReceiving{child})
	s.send(p.path, msg)
	s.events.Push(ChildSending{q.InSPI})
	return nil
}

// acceptQuick checks the responder's choice. With a failure it returns the notify
// that tells the peer.
func (s *SA) acceptQuick(q *quick, c contents) (child Child, why Failure, notify isakmp.NotifyType) {
	sa, err := c.proposals()
	if err != nil {
		return child, FailureMalformed, isakmp.NotifyPayloadMalformed
	}
	choice, ok := chooseESP(espWish{policy: q.Offer.Suites, public: q.Offer.Group.publicLen(), udp: q.Offer.UDP}, sa)
	if !ok || len(sa.Proposals) != 1 || len(sa.Proposals[0].Transforms) != 1 ||
		choice.offer.suite.Group != q.Offer.Group || choice.offer.udp != q.Offer.UDP {
		return child, FailureNoProposal, isakmp.NotifyNoProposalChosen
	}
	var shared []byte
	if q.Offer.Group != 0 {
		if shared, err = q.DH.shared(c.ke); err != nil {
			return child, FailureKeyExchange, isakmp.NotifyInvalidKeyInformation
		}
	}
	// The identities may come back narrower, or changed by a NAT. Those that we
	// asked for remain valid.
	idi, idr, err := idPair(q.Offer.IDi, q.Offer.IDr)
	if err != nil {
		return child, FailureID, isakmp.NotifyInvalidIDInformation
	}
	q.NonceR = bytes.Clone(c.nonce)
	child = s.child(q, choice, shared, idi, idr)
	child.Lifetime = min(child.Lifetime, q.Offer.Lifetime)
	child.IDi, child.IDr = q.Offer.IDi, q.Offer.IDr
	if n := len(c.natoa); n > 0 {
		child.PeerNATOA = bytes.Clone(c.natoa[n-1])
	}
	return child, 0, 0
}

// idPair reads the bodies of IDci and IDcr.
func idPair(i, r []byte) (idi, idr isakmp.ID, err error) {
	if idi, err = isakmp.ParseID(i); err != nil {
		return idi, idr, err
	}
	if idr, err = isakmp.ParseID(r); err != nil {
		return idi, idr, fmt.Errorf("IDcr: %w", err)
	}
	return idi, idr, nil
}

// childNotify obeys the shorter lifetime that a responder announces inside message
// 2 (RFC 2407, section 4.6.3.1).
func (s *SA) childNotify(c *Child, n isakmp.Notify) {
	attributes, err := isakmp.ParseAttributes(n.Data)
	if n.Message != isakmp.NotifyResponderLifetime || n.Protocol != isakmp.ProtocolESP || err != nil {
		s.note(NoteNotify, uint16(n.Message))
		return
	}
	life, kilobytes := lifetimes(attributes, attrESPLifeType, attrESPLife)
	c.Lifetime = min(c.Lifetime, life)
	if kilobytes > 0 && (c.Kilobytes == 0 || kilobytes < c.Kilobytes) {
		c.Kilobytes = kilobytes
	}
}
