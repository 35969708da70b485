package ike

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Retransmission of our requests: after 1, 3, 7 and 15 seconds; 16 seconds later
// we give up.
const (
	requestWait  = time.Second
	requestTimes = 4
)

// Initiate begins a Main Mode, or an Aggressive Mode, with Policy.Identity or
// Policy.PSKs[0] and the first of Policy.Suites: as many as fit into 28
// transforms. Message 1 is among the events. path may be a path of the NAT-T port
// from the start.
func Initiate(env Env, path Path, now time.Time) *SA {
	s := &SA{env: env, st: state{Initiator: true, Step: stepWait2, Path: path, exchange: new(exchange)}}
	st := &s.st
	cookie, err := s.random(len(st.Peer.Cookies.Initiator))
	if err != nil || len(env.Policy.methods()) == 0 {
		s.end(ReasonInternal)
		return s
	}
	copy(st.Peer.Cookies.Initiator[:], cookie)
	st.Peer.Lifetime = env.Policy.Lifetime
	if st.Peer.Lifetime <= 0 {
		st.Peer.Lifetime = defaultLifetime
	}
	st.Ends = now.Add(requestTime)
	if env.Policy.Aggressive {
		if err := s.initiateAggressive(now); err != nil {
			s.end(ReasonInternal)
		}
		return s
	}
	sa := offerPhase1(env.Policy.Suites, env.Policy.methods(), st.Peer.Lifetime)
	st.Offer = sa.AppendBody(nil)
	payloads := append([]isakmp.Payload{sa}, env.Policy.vendorIDs()...)
	s.request(now, isakmp.AppendMessage(nil, s.header(ExchangeMain, 0), payloads...))
	return s
}

// request sends a message of Main Mode and waits for its answer.
func (s *SA) request(now time.Time, msg []byte) {
	s.st.Sent = msg
	s.st.Retry = startRetry(now, requestWait, requestTimes)
	s.send(s.st.Path, msg)
}

// handle2 takes the responder's choice and sends HDR, KE, Ni, NAT-D, NAT-D.
func (s *SA) handle2(p packet) error {
	st := &s.st
	c := p.clear()
	if c.sa == nil || p.h.ResponderCookie == [8]byte{} {
		return fmt.Errorf("%w: no SA or no cookie", ErrMalformed)
	}
	offer, err := accepted(s.env.Policy.Suites, s.env.Policy.methods(), c.sa)
	if err != nil {
		return err
	}
	dh, err := newDHKey(s.env.Rand, offer.suite.Group)
	if err != nil {
		return err
	}
	ni, err := s.random(32)
	if err != nil {
		return err
	}
	st.Peer.Cookies.Responder = p.h.ResponderCookie
	st.Peer.Suite, st.Peer.Auth = offer.suite, offer.auth
	st.Peer.Lifetime = min(st.Peer.Lifetime, offer.lifetime)
	st.Peer.Kind = classify(c.vendor)
	agreed := agree(s.env.Policy.VendorIDs, c.vendor)
	st.Peer.NATT, st.Peer.DPD, st.Peer.Fragments = agreed.natt, agreed.dpd, agreed.fragments
	natd, err := s.ownNATD(p.path, nil)
	if err != nil {
		return err
	}
	st.DH, st.NonceI = dh, ni
	st.Step = stepWait4
	payloads := append([]isakmp.Payload{isakmp.KE(dh.Public), isakmp.Nonce(ni)}, natd...)
	msg := isakmp.AppendMessage(nil, s.header(ExchangeMain, 0), payloads...)
	s.request(p.now, msg)
	return nil
}

// handle4 takes HDR, KE, Nr, [NAT-D, NAT-D] and sends HDR*, IDii, HASH_I, on
// the NAT-T port if there is a NAT.
func (s *SA) handle4(p packet) error {
	st := &s.st
	c := p.clear()
	public, nr, err := s.keyExchange(c)
	if err != nil {
		return err
	}
	st.PeerPublic, st.NonceR = public, nr
	k, payloads, err := s.message5(p)
	if err != nil {
		return err
	}
	msg, next, err := s.seal(k, st.Peer.Suite.iv1(st.publics()), s.header(ExchangeMain, 0), payloads...)
	if err != nil {
		return err
	}
	s.judgeNAT(p.path, c.natd)
	st.Keys, st.IV = k, bytes.Clone(next)
	if st.Peer.Encap && !st.Path.Marker {
		st.Path = s.nattPath(st.Path)
	}
	st.Step = stepWait6
	s.request(p.now, msg)
	return nil
}

// message5 makes the keys, and proves who we are.
func (s *SA) message5(p packet) (keys, []isakmp.Payload, error) {
	st := &s.st
	if st.Peer.Auth.signs() {
		k, err := s.deriveSigned()
		if err != nil {
			return keys{}, nil, err
		}
		payloads, err := s.signed(k, st.hashI)
		return k, payloads, err
	}
	k, err := s.derive(s.env.Policy.PSKs[0])
	if err != nil {
		return keys{}, nil, err
	}
	id := isakmp.AddrID(p.path.Local.Addr(), 0, 0)
	return k, []isakmp.Payload{id, isakmp.Hash(st.hashI(k.SKEYID, id.AppendBody(nil)))}, nil
}

// nattPath is the path on which a negotiation continues once there is a NAT.
//
// RFC 3947, section 4: the initiator "MUST set both UDP source and destination
// ports to 4500".
func (s *SA) nattPath(path Path) Path {
	if s.env.NATTPorts != nil {
		return s.env.NATTPorts(path)
	}
	return Path{
		Local:  netip.AddrPortFrom(path.Local.Addr(), 4500),
		Remote: netip.AddrPortFrom(path.Remote.Addr(), 4500),
		Marker: true,
	}
}

// handle6 verifies HDR*, IDir, HASH_R, or SIG_R. With a pre-shared key any
// identification is accepted: a server behind NAT may identify itself by an
// address that we have never seen. With a certificate it must be one that the
// certificate names.
func (s *SA) handle6(p packet) error {
	st := &s.st
	if st.Peer.Auth.signs() {
		c, last, err := s.openSigned(p, st.Keys, st.IV)
		if err != nil {
			return err
		}
		who, err := s.judge(p, c, st.Keys, st.hashR)
		if err != nil {
			return err
		}
		s.establish(p, st.Keys, who, c, last)
		st.forget()
		return nil
	}
	c, last, err := s.openMain(p, st.Keys, st.IV, st.hashR)
	if err != nil {
		return err
	}
	s.establish(p, st.Keys, s.env.Policy.PSKs[0].proof(), c, last)
	st.forget()
	return nil
}
