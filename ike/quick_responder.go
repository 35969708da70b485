package ike

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Message 2 is sent again after 2, 6 and 14 seconds, and given up after 30.
const (
	answerWait  = 2 * time.Second
	answerTimes = 3
)

const (
	protoUDP = 17
	portL2TP = 1701
)

// handleQuick1 answers HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] [, NAT-OA,
// NAT-OA]. If the message verifies but is not acceptable, it is refused with a
// notify.
func (s *SA) handleQuick1(p packet) error {
	st := &s.st
	if err := s.admitQuick(); err != nil {
		return err
	}
	id := p.h.MessageID
	c, iv, err := s.openFirst(p)
	if err != nil {
		return err
	}
	if old := s.findQuick(id); old != nil {
		s.drop(old)
		if !old.Confirmed {
			s.events.Push(ChildFailed{InSPI: old.InSPI, Why: FailureTimeout})
		}
	}
	s.fresh(p.path)
	s.noteIgnored(c)
	sa, err := c.proposals()
	if err != nil {
		s.failQuick(p, ChildFailed{Why: FailureMalformed, Detail: err.Error()}, isakmp.NotifyPayloadMalformed)
		return nil
	}
	idi, idr, err := s.quickIDs(c.ids)
	if err != nil {
		s.failQuick(p, ChildFailed{Why: FailureID, Detail: err.Error()}, isakmp.NotifyInvalidIDInformation)
		return nil
	}
	wish := espWish{
		policy: s.env.Policy.ESP, pfs: s.env.Policy.PFS, public: len(c.ke), udp: st.Peer.Encap,
		shunSHA256: s.looksLikeAndroid(idi, c),
	}
	choice, ok := chooseESP(wish, sa)
	if !ok {
		s.failQuick(p, ChildFailed{Why: FailureNoProposal, Offered: describeOffer(sa), Detail: wish.detail(sa)}, isakmp.NotifyNoProposalChosen)
		return nil
	}
	return s.answerQuick(p, c, iv, choice, idi, idr)
}

// proposals reads the payloads that message 1 or 2 of a Quick Mode must have.
func (c *contents) proposals() (isakmp.SA, error) {
	switch {
	case c.sa == nil || c.nonce == nil || c.ambiguous(isakmp.PayloadSA, isakmp.PayloadNonce, isakmp.PayloadKE):
		return isakmp.SA{}, fmt.Errorf("%w: Quick Mode without one SA payload, one nonce of 8 to 256 bytes and at most one key exchange", ErrMalformed)
	case len(c.ids) == 1 || len(c.ids) > 2:
		return isakmp.SA{}, fmt.Errorf("%w: Quick Mode with %d identifications: both ends have one, or neither", ErrMalformed, len(c.ids))
	}
	return isakmp.ParseSA(c.sa)
}

// quickIDs checks IDci and IDcr. The peer may see us under any address, because a
// NAT may be in between.
//
// RFC 3193, section 4: L2TP is UDP, the port of the end that was dialled is 1701,
// and the other end's port is any.
func (s *SA) quickIDs(ids [][]byte) (idi, idr isakmp.ID, err error) {
	if len(ids) == 0 {
		idi = isakmp.ID{Protocol: protoUDP}
		idr = isakmp.ID{Protocol: protoUDP, Port: portL2TP}
		return idi, idr, nil
	}
	if idi, err = isakmp.ParseID(ids[0]); err != nil {
		return idi, idr, err
	}
	if idr, err = isakmp.ParseID(ids[1]); err != nil {
		return idi, idr, err
	}
	server, client := idr, idi
	if s.st.Initiator {
		server, client = idi, idr
	}
	// RFC 2407, section 4.6.2: "A value of zero means that the Protocol ID field
	// should be ignored." NetworkManager leaves the client's protocol and port
	// open if another program uses port 1701, and strongSwan and libreswan leave
	// all four open unless they are configured with ports. Whatever is agreed,
	// only UDP of port 1701 passes in the end.
	if client.Protocol == server.Protocol && client.Port == 0 && server.Port == 0 && s.carries(client.Protocol) {
		return idi, idr, nil
	}
	mine := (server.Protocol == protoUDP || server.Protocol == 0) && (server.Port == 0 || server.Port == portL2TP)
	if !mine || client.Protocol != protoUDP && (client.Protocol != 0 || client.Port != 0) {
		return idi, idr, fmt.Errorf("%w: neither L2TP, which is UDP to port %d, nor a tunnel that this peer may have, but %s, and %s", ErrUnexpected, portL2TP,
			describeSelector("IDci", idi), describeSelector("IDcr", idr))
	}
	return idi, idr, nil
}

// carries reports whether ESP with this peer may carry another protocol than UDP.
func (s *SA) carries(protocol uint8) bool {
	return protocol != 0 && protocol != protoUDP && s.env.Carries != nil && s.env.Carries(protocol)
}

// describeSelector names one of the two identities of a Quick Mode.
func describeSelector(which string, id isakmp.ID) string {
	return fmt.Sprintf("%s of protocol %d, port %d", which, id.Protocol, id.Port)
}

// looksLikeAndroid recognises clients that cut SHA2-256 to 96 bits.
func (s *SA) looksLikeAndroid(idi isakmp.ID, c contents) bool {
	k := s.st.Peer.Kind
	return k == ClientAndroid || k == ClientUnknown && idi.Port == 0 && len(c.ids) > 0 && len(c.natoa) == 0
}

// answerQuick makes the child and sends message 2.
func (s *SA) answerQuick(p packet, c contents, iv []byte, choice espChoice, idi, idr isakmp.ID) error {
	st := &s.st
	q := &quick{ID: p.h.MessageID, Step: quickWait3, NonceI: bytes.Clone(c.nonce)}
	var err error
	if q.NonceR, err = s.random(32); err != nil {
		return err
	}
	group := choice.offer.suite.Group
	var shared []byte
	if group != 0 {
		if err = checkPublic(group, c.ke); err == nil {
			if q.DH, err = newDHKey(s.env.Rand, group); err == nil {
				shared, err = q.DH.shared(c.ke)
			}
		}
		q.DH.Private.Zero()
		if err != nil {
			s.failQuick(p, ChildFailed{Why: FailureKeyExchange, Detail: err.Error()}, isakmp.NotifyInvalidKeyInformation)
			return nil
		}
	}
	if q.InSPI = s.env.NewSPI(); q.InSPI == 0 {
		s.failQuick(p, ChildFailed{Why: FailureNoSPI}, 0)
		return ErrNoSPI
	}
	q.OutSPI = choice.spi
	choice.proposal.SPI = binary.BigEndian.AppendUint32(nil, q.InSPI)
	payloads := []isakmp.Payload{isakmp.SA{Proposals: []isakmp.Proposal{choice.proposal}}, isakmp.Nonce(q.NonceR)}
	if group != 0 {
		payloads = append(payloads, isakmp.KE(q.DH.Public))
	}
	for _, id := range c.ids { // echoed unchanged
		payloads = append(payloads, isakmp.Raw{Kind: isakmp.PayloadID, Body: id})
	}
	payloads = append(payloads, s.answerNATOA(p.path, c, idr)...)
	msg, next, err := s.sealHashed(iv, s.header(ExchangeQuick, q.ID), q.NonceI, payloads...)
	if err != nil {
		return err
	}
	q.IV, q.Sent = bytes.Clone(next), msg
	q.DH = dhKey{}
	q.Retry = startRetry(p.now, answerWait, answerTimes)
	q.Reply = newReply(p.raw, msg)
	st.Quick = append(st.Quick, q)

	child := s.child(q, choice, shared, idi, idr)
	if len(c.ids) == 2 {
		child.IDi, child.IDr = bytes.Clone(c.ids[0]), bytes.Clone(c.ids[1])
	}
	if len(c.natoa) > 0 {
		child.PeerNATOA = bytes.Clone(c.natoa[0])
	}
	s.events.Push(ChildReceiving{child})
	s.send(p.path, msg)
	return nil
}

// child describes what was agreed.
func (s *SA) child(q *quick, choice espChoice, shared []byte, idi, idr isakmp.ID) Child {
	st := &s.st
	o := choice.offer
	c := Child{
		InSPI: q.InSPI, OutSPI: choice.spi, Suite: o.suite,
		In:    childKeys(st.Peer.Suite.Hash, st.Keys.D, o.suite, shared, q.InSPI, q.NonceI, q.NonceR),
		Out:   childKeys(st.Peer.Suite.Hash, st.Keys.D, o.suite, shared, choice.spi, q.NonceI, q.NonceR),
		Encap: st.Peer.Encap || o.udp, Lifetime: o.lifetime, Kilobytes: o.kilobytes,
		Initiator: q.Initiator, MessageID: q.ID,
	}
	c.Protocol = protoUDP
	if p := idi.Protocol; p != 0 && p == idr.Protocol && (q.Initiator || s.carries(p)) {
		c.Protocol = p
	}
	c.LocalPort, c.PeerPort = ports(idi, idr, q.Initiator)
	if c.LocalPort == 0 && !st.Initiator && c.Protocol == protoUDP {
		c.LocalPort = portL2TP
	}
	c.LocalID = idr.Addr()
	if q.Initiator {
		c.LocalID = idi.Addr()
	}
	clear(shared)
	return c
}

// answerNATOA writes as many NAT-OA payloads as came, at most two: the client's
// address as we see it, and our own (RFC 3947, section 5.2). In the drafts each
// end sends only its own.
//
// Deviation: if we identified ourselves in NAT-D by the address that the peer uses
// for us, we do so here, too.
func (s *SA) answerNATOA(path Path, c contents, idr isakmp.ID) []isakmp.Payload {
	if len(c.natoa) == 0 {
		return nil
	}
	own := s.identity(path)
	if dialled := idr.Addr(); s.st.Peer.Kind == ClientWindows && dialled.IsValid() {
		own = dialled
	}
	return natOA(s.st.Peer.NATT, len(c.natoa), path.Remote.Addr(), own)
}

// natOA writes the initiator's and the responder's address as the sender sees
// them. If there is to be only one, it is the responder's, who is the sender.
func natOA(v NATTVersion, n int, initiator, responder netip.Addr) []isakmp.Payload {
	list := []isakmp.Payload{
		isakmp.NATOA{Addr: initiator.Unmap(), Draft: v.draft()},
		isakmp.NATOA{Addr: responder.Unmap(), Draft: v.draft()},
	}
	if n == 1 {
		return list[1:]
	}
	return list
}
