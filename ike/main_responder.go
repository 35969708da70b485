package ike

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Respond makes an SA from an Embryo and takes over its keys. The SA waits for
// message 3, which the driver passes to HandlePacket next, and gives up 75 seconds
// from now.
func Respond(env Env, e Embryo, now time.Time) *SA {
	s := &SA{env: env, st: state{
		Step: stepWait3,
		Path: e.Path,
		Ends: now.Add(halfOpenTime),
		In:   e.In, Out: e.Out,
		exchange: &exchange{Offer: e.Offer},
		Peer: Peer{
			Cookies: e.Cookies, Suite: e.Suite, Auth: e.Auth, Kind: e.Kind, NATT: e.NATT, DPD: e.DPD,
			Fragments: e.Fragments, Lifetime: e.Lifetime,
		},
	}}
	if e.early != nil {
		s.respondAggressive(e)
	}
	return s
}

// handle3 answers HDR, KE, Ni, [NAT-D, NAT-D].
func (s *SA) handle3(p packet) error {
	st := &s.st
	if !slices.Contains(s.env.Policy.methods(), st.Peer.Auth) {
		return fmt.Errorf("%w: %v was taken out of the policy meanwhile", ErrUnexpected, st.Peer.Auth)
	}
	c := p.clear()
	public, ni, err := s.keyExchange(c)
	if err != nil {
		return err
	}
	nr, err := s.random(min(max(len(ni), leastNonce), 32))
	if err != nil {
		return err
	}
	peer := st.Peer
	s.judgeNAT(p.path, c.natd)
	dh, nr, msg, err := s.write4(p.path, c, nr)
	if err != nil {
		st.Peer, st.Certs = peer, nil
		return err
	}
	st.PeerPublic, st.NonceI, st.NonceR, st.DH = public, ni, nr, dh
	s.noteIgnored(c)
	if st.Peer.NATT != NATTNone {
		st.Dialled, st.DialledPort = bytes.Clone(c.natd[0]), p.path.Local.Port()
	}
	st.Step = stepWait5
	st.Floats = st.Peer.Encap && !p.path.Marker
	st.Reply = newReply(p.raw, msg)
	s.send(p.path, msg)
	return nil
}

// write4 makes message 4. It makes our half of the Diffie-Hellman exchange last,
// so that a message 3 that is not answered is cheap: it can come again and again.
//
// The answer is not larger than what was received: our nonce is as long as the
// peer's, or, if 16 bytes are too many, the shortest that is allowed (RFC 2409,
// section 5). Certificates are requested in as few bytes as necessary.
func (s *SA) write4(path Path, c contents, nonce []byte) (dh dhKey, nr, msg []byte, err error) {
	st := &s.st
	natd, err := s.ownNATD(path, c.natd)
	if err != nil {
		return dh, nil, nil, err
	}
	write := func(public []byte, requests []isakmp.Payload) []byte {
		list := slices.Concat([]isakmp.Payload{isakmp.KE(public), isakmp.Nonce(nonce)}, requests, natd)
		return isakmp.AppendMessage(nil, s.header(ExchangeMain, 0), list...)
	}
	group := st.Peer.Suite.Group
	blank := make([]byte, group.publicLen())
	all := s.requests()
	fits := func(requests []isakmp.Payload) bool { return st.Out+len(write(blank, requests)) <= st.In }
	i := slices.IndexFunc(all, fits)
	if i < 0 {
		nonce = nonce[:shortestNonce]
		i = slices.IndexFunc(all, fits)
	}
	if i < 0 {
		return dh, nil, nil, ErrBudget
	}
	if st.Peer.Auth.signs() {
		if err := st.keepCerts(c); err != nil {
			return dh, nil, nil, err
		}
	}
	if dh, err = newDHKey(s.env.Rand, group); err != nil {
		return dh, nil, nil, err
	}
	return dh, nonce, write(dh.Public, all[i]), nil
}

// maxMessage5 bounds what is decrypted under every PSK, in bytes.
const maxMessage5 = 2048

// handle5 tries all PSKs to find the one that made message 5: HDR*, IDii, HASH_I.
//
// The identification of a client is its private address, so it selects no PSK.
// Only a hash that verifies does: with a wrong key, too, the decrypted bytes may
// look well-formed.
func (s *SA) handle5(p packet) error {
	st := &s.st
	if st.Peer.Auth.signs() {
		return s.handle5Signed(p)
	}
	if len(p.body) > maxMessage5 || len(p.body)%st.Peer.Suite.blockLen() != 0 {
		return fmt.Errorf("%w: message 5 of %d encrypted bytes: whole blocks, of %d bytes at most, are read", ErrMalformed, len(p.body), maxMessage5)
	}
	if st.Trials == maxTrials {
		return ErrTrials
	}
	iv := st.Peer.Suite.iv1(st.publics())
	psks := s.env.Policy.PSKs
	for _, psk := range psks[:min(len(psks), MaxPSKs)] {
		k, err := s.derive(psk)
		if err != nil {
			st.Trials++
			return err
		}
		c, next, err := s.openMain(p, k, iv, st.hashI)
		if err != nil {
			k.zero()
			continue
		}
		return s.answer5(p, k, psk, c, next)
	}
	st.Trials++
	return ErrUndecryptable
}

// answer5 sends message 6: HDR*, IDir, HASH_R.
func (s *SA) answer5(p packet, k keys, psk PSK, c contents, iv []byte) error {
	st := &s.st
	id := isakmp.AddrID(s.identity(p.path), 0, 0)
	hash := st.hashR(k.SKEYID, id.AppendBody(nil))
	msg, last, err := s.seal(k, iv, s.header(ExchangeMain, 0), id, isakmp.Hash(hash))
	if err != nil {
		return err
	}
	s.establish(p, k, psk.proof(), c, bytes.Clone(last))
	st.forget()
	st.Reply = newReply(p.raw, msg)
	s.send(p.path, msg)
	return nil
}
