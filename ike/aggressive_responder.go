package ike

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// answerAggressive answers HDR, SA, KE, Ni, IDii. It computes its Diffie-Hellman
// exchange after all checks that do not need it.
func answerAggressive(env Env, path Path, h isakmp.Header, c contents, msg []byte, now time.Time) (e Embryo, reply []byte, err error) {
	if !env.Policy.Aggressive {
		// RFC 2408, section 5.2: a notify with INVALID-EXCHANGE-TYPE "MAY be
		// sent". A client that understands it does not have to wait for a timeout.
		err := ErrAggressive
		if sa, broken := isakmp.ParseSA(c.sa); broken == nil && onlyXAUTH(sa) {
			// No setting of ours would make this offer acceptable.
			err = refusedOffer(env.Policy.Suites, env.Policy.aggressiveMethods(), sa)
		}
		return Embryo{}, refuse(h, isakmp.NotifyInvalidExchangeType, len(msg)), err
	}
	if c.ke == nil || c.nonce == nil || len(c.ids) != 1 || c.ambiguous(isakmp.PayloadKE, isakmp.PayloadNonce) {
		return Embryo{}, nil, fmt.Errorf("%w: Aggressive Mode without one key exchange, one nonce of 8 to 256 bytes and one identification", ErrMalformed)
	}
	id, err := isakmp.ParseID(c.ids[0])
	if err != nil {
		return Embryo{}, nil, err
	}
	if len(id.Data) > maxGroupName {
		return Embryo{}, nil, fmt.Errorf("%w: identification of %d bytes", ErrMalformed, len(id.Data))
	}
	sa, err := isakmp.ParseSA(c.sa)
	if err != nil {
		return Embryo{}, nil, err
	}
	// The public value belongs to one group, whatever groups the offer has.
	var suites []Suite
	for _, s := range env.Policy.Suites {
		if s.Group.publicLen() == len(c.ke) {
			suites = append(suites, s)
		}
	}
	chosen, offer, err := choosePhase1(suites, env.Policy.aggressiveMethods(), sa)
	if err != nil {
		if _, o, other := choosePhase1(env.Policy.Suites, env.Policy.aggressiveMethods(), sa); other == nil {
			err = fmt.Errorf("%w: %v, which is accepted, takes a public value of %d bytes, and one of %d came", ErrNoProposal, o.suite, o.suite.Group.publicLen(), len(c.ke))
		} else {
			err = other
		}
		return Embryo{}, refuse(h, isakmp.NotifyNoProposalChosen, len(msg)), err
	}
	a := answer2{env: env, path: path, h: h, c: c, chosen: chosen, offer: offer, limit: min(len(msg), maxAggressive2)}
	a.psk, a.decoy = env.selectPSK(id)
	a.agreed = agree(env.Policy.VendorIDs, c.vendor)
	early, reply, err := a.write()
	if err != nil {
		return Embryo{}, nil, err
	}
	return Embryo{
		Cookies: Cookies{h.InitiatorCookie, h.ResponderCookie}, Path: path,
		Suite: offer.suite, Auth: offer.auth, Kind: classify(c.vendor),
		NATT: a.agreed.natt, DPD: a.agreed.dpd, Fragments: a.agreed.fragments, Lifetime: offer.lifetime,
		Reply: reply, In: len(msg), Out: len(reply), Began: now, first: sha256.Sum256(msg),
		early: early,
	}, reply, nil
}

// answer2 is a message 2 of Aggressive Mode while it is being made.
type answer2 struct {
	env    Env
	path   Path
	h      isakmp.Header
	c      contents
	chosen isakmp.SA
	offer  phase1Offer
	psk    PSK
	decoy  bool
	agreed agreement
	limit  int // bytes
}

// write makes HDR, SA, KE, Nr, IDir, HASH_R, and the state that awaits message 3.
func (a *answer2) write() (*aggressive, []byte, error) {
	suite := a.offer.suite
	if err := checkPublic(suite.Group, a.c.ke); err != nil {
		return nil, nil, err
	}
	// A temporary SA lends its methods for the same values.
	s := &SA{env: a.env}
	st := &s.st
	st.exchange = new(exchange)
	st.Peer = Peer{Cookies: Cookies{a.h.InitiatorCookie, a.h.ResponderCookie}, Suite: suite, Auth: AuthPSK, NATT: a.agreed.natt}
	nonce, natd, err := a.fit(s)
	if err != nil {
		return nil, nil, err
	}
	if st.DH, err = newDHKey(a.env.Rand, suite.Group); err != nil {
		return nil, nil, err
	}
	st.Offer, st.PeerPublic, st.NonceI, st.NonceR = a.c.sa, a.c.ke, a.c.nonce, nonce
	k, err := s.derive(a.psk)
	if err != nil {
		return nil, nil, err
	}
	defer st.forget()
	id := isakmp.AddrID(a.env.Policy.ownAddress(a.path), 0, 0)
	payloads := []isakmp.Payload{
		a.chosen, isakmp.KE(st.DH.Public), isakmp.Nonce(nonce), id, isakmp.Hash(st.hashR(k.SKEYID, id.AppendBody(nil))),
	}
	payloads = append(append(payloads, a.agreed.answer...), natd...)
	early := &aggressive{
		Keys: k, IV: bytes.Clone(suite.iv1(st.publics())), HashI: st.hashI(k.SKEYID, a.c.ids[0]), ID: bytes.Clone(a.c.ids[0]),
		PSK: a.psk.Name, Group: a.psk.Group, Decoy: a.decoy,
	}
	k.SKEYID.Zero()
	early.Keys.SKEYID = secret.Bytes{}
	return early, isakmp.AppendMessage(nil, a.header(), payloads...), nil
}

func (a *answer2) header() isakmp.Header {
	return isakmp.Header{
		InitiatorCookie: a.h.InitiatorCookie, ResponderCookie: a.h.ResponderCookie,
		Version: isakmp.Version1, Exchange: ExchangeAggressive,
	}
}

// fit leaves out what is not necessary until message 2 is no larger than message
// 1: first fragmentation, then dead peer detection, then most of the nonce. NAT-T
// is necessary and stays.
func (a *answer2) fit(s *SA) (nonce []byte, natd []isakmp.Payload, err error) {
	if nonce, err = s.random(min(max(len(a.c.nonce), leastNonce), aggressiveNonce)); err != nil {
		return nil, nil, err
	}
	if natd, err = s.ownNATD(a.path, nil); err != nil {
		return nil, nil, err
	}
	hash := make([]byte, len(a.offer.suite.Hash.sum()))
	id := isakmp.AddrID(a.env.Policy.ownAddress(a.path), 0, 0)
	size := func() int {
		payloads := append([]isakmp.Payload{
			a.chosen, isakmp.KE(make([]byte, a.offer.suite.Group.publicLen())), isakmp.Nonce(nonce), id, isakmp.Hash(hash),
		}, a.agreed.answer...)
		return isakmp.HeaderLen + len(isakmp.Append(nil, append(payloads, natd...)...))
	}
	if size() > a.limit && a.agreed.fragments {
		a.agreed.drop(func(v string) bool { return bytes.HasPrefix([]byte(v), []byte(vidFragmentation)) })
		a.agreed.fragments = false
	}
	if size() > a.limit && a.agreed.dpd {
		a.agreed.drop(func(v string) bool { return v == vidDPD })
		a.agreed.dpd = false
	}
	for _, n := range []int{leastNonce, shortestNonce} {
		if size() > a.limit {
			nonce = nonce[:n]
		}
	}
	if n := size(); n > a.limit {
		return nil, nil, fmt.Errorf("%w: message 1 of Aggressive Mode has %d bytes, its answer %d; a client that offers more suites, or Main Mode, helps",
			ErrBudget, a.limit, n)
	}
	return nonce, natd, nil
}

// UnknownGroup returns the group name of a client that asked, in Aggressive Mode,
// for a group without a pre-shared key. The name is a string of the peer's choice.
func (e *Embryo) UnknownGroup() (name string, ok bool) {
	if e.early == nil || !e.early.Decoy {
		return "", false
	}
	id, err := isakmp.ParseID(e.early.ID)
	if err != nil {
		return "", true
	}
	if a := id.Addr(); a.IsValid() {
		return a.String(), true
	}
	return string(id.Data), true
}

// Aggressive reports whether the first message was of Aggressive Mode.
func (e *Embryo) Aggressive() bool { return e.early != nil }

// Zero forgets the keys of an Embryo that nobody claimed.
func (e *Embryo) Zero() {
	if e.early != nil {
		e.early.Keys.zero()
		e.early = nil
	}
}

// respondAggressive makes the SA that waits for message 3.
func (s *SA) respondAggressive(e Embryo) {
	st := &s.st
	st.Step = stepWaitA3
	st.Keys, st.IV = e.early.Keys, e.early.IV
	st.Early = *e.early
	st.Early.Keys = keys{}
	st.Reply = reply{Request: e.first, Data: e.Reply, Left: maxRepeats}
}

// handleA3 takes HDR, HASH_I [, NAT-D, NAT-D], encrypted or not.
func (s *SA) handleA3(p packet) error {
	st := &s.st
	if st.Trials == maxTrials {
		return ErrTrials
	}
	c, last, err := s.openA3(p)
	if err != nil {
		st.Trials++
		return err
	}
	s.judgeA3(p.path, c.natd)
	c.ids = [][]byte{st.Early.ID}
	st.Reply = reply{}
	s.establish(p, st.Keys, proof{psk: st.Early.PSK, group: st.Early.Group}, c, last)
	st.forget()
	return nil
}

func (s *SA) openA3(p packet) (c contents, last []byte, err error) {
	st := &s.st
	plain, last := p.body, st.IV
	if p.encrypted() {
		if plain, last, err = st.Peer.Suite.decrypt(st.Keys.Cipher, st.IV, p.body); err != nil {
			return c, nil, err
		}
	}
	if c = chain(p.h.Next, plain); st.Early.Decoy || !hmac.Equal(c.hash, st.Early.HashI) {
		return c, nil, ErrUndecryptable
	}
	return c, last, nil
}

// judgeA3 records what message 3 says about NATs. Some clients compute its NAT-D
// payloads with the ports of message 1, others with those of message 3. Some send
// none when they use the NAT-T port, and the port alone is evidence enough.
func (s *SA) judgeA3(path Path, natd [][]byte) {
	st := &s.st
	if st.Peer.NATT == NATTNone {
		return
	}
	if len(natd) < 2 {
		if path.Marker {
			st.Peer.BehindNA, st.Peer.Encap = true, true
			return
		}
		st.Peer.NATT = NATTNone
		return
	}
	s.judgeNAT(path, natd)
	local, remote := natFound(st.Peer.Suite.Hash, st.Peer.Cookies, st.Path, natd)
	st.Peer.LocalNAT, st.Peer.BehindNA = st.Peer.LocalNAT && local, st.Peer.BehindNA && remote
	st.Peer.Encap = st.Peer.LocalNAT || st.Peer.BehindNA || path.Marker || s.feigns()
	st.Dialled, st.DialledPort = bytes.Clone(natd[0]), path.Local.Port()
}

// nudge answers a Quick Mode that came before message 3 of Aggressive Mode with
// message 2 once more. The duplicate makes the client send message 3 again; if
// message 3 was lost, nothing else would make it do so.
func (s *SA) nudge(p packet) error {
	st := &s.st
	if st.Out+len(st.Reply.Data) <= st.In {
		s.send(p.path, st.Reply.take())
	}
	return fmt.Errorf("%w: it came before message 3 of Aggressive Mode", ErrUnexpected)
}
