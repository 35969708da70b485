package ike

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// seal encrypts payloads under the keys of phase 1 and returns the message and
// the chain's next IV.
func (s *SA) seal(k keys, iv []byte, h isakmp.Header, payloads ...isakmp.Payload) (msg, next []byte, err error) {
	text, next, err := s.st.Peer.Suite.encrypt(k.Cipher, iv, isakmp.Append(nil, payloads...))
	if err != nil {
		return nil, nil, err
	}
	h.Flags |= isakmp.FlagEncryption
	h.Next = isakmp.First(payloads)
	h.Length = uint32(isakmp.HeaderLen + len(text))
	return append(h.Append(nil), text...), next, nil
}

// sealHashed is seal for messages that run under phase 1: it puts a HASH payload
// first. HASH is the PRF under SKEYID_a of the message id, of extra, and of all
// payloads that follow the HASH (RFC 2409, sections 5.5 and 5.7).
func (s *SA) sealHashed(iv []byte, h isakmp.Header, extra []byte, payloads ...isakmp.Payload) (msg, next []byte, err error) {
	hash := s.hash(h.MessageID, extra, isakmp.Append(nil, payloads...))
	return s.seal(s.st.Keys, iv, h, append([]isakmp.Payload{isakmp.Hash(hash)}, payloads...)...)
}

func (s *SA) hash(id uint32, extra, rest []byte) []byte {
	return s.st.Peer.Suite.Hash.prf(s.st.Keys.A.Reveal(), binary.BigEndian.AppendUint32(nil, id), extra, rest)
}

// open decrypts a message that runs under phase 1, verifies its HASH and sorts its
// payloads. The SA does not change. extra is as in sealHashed.
func (s *SA) open(p packet, iv, extra []byte) (c contents, next []byte, err error) {
	plain, next, err := s.st.Peer.Suite.decrypt(s.st.Keys.Cipher, iv, p.body)
	if err != nil {
		return contents{}, nil, err
	}
	raws, rest, broken := isakmp.Chain(p.h.Next, plain)
	if len(raws) == 0 || raws[0].Kind != isakmp.PayloadHash {
		return contents{}, nil, fmt.Errorf("%w: it does not begin with a hash", ErrHash)
	}
	hash, covered := raws[0].Body, plain[4+len(raws[0].Body):]
	verified := func(padding int) bool {
		return padding <= len(covered) && hmac.Equal(hash, s.hash(p.h.MessageID, extra, covered[:len(covered)-padding]))
	}
	if broken == nil {
		if !verified(len(rest)) {
			return contents{}, nil, ErrHash
		}
		return sorted(raws), next, nil
	}
	// A payload's length is wrong, so only the hash tells where the message ends
	// and its padding begins. The padding is no longer than a block.
	for padding := 0; padding <= s.st.Peer.Suite.blockLen() && len(hash) == s.st.Peer.Suite.Hash.len(); padding++ {
		if verified(padding) {
			c = sorted(raws)
			c.unread = append(c.unread, isakmp.PayloadNone)
			return c, next, nil
		}
	}
	return contents{}, nil, fmt.Errorf("%w, and it has %w", ErrHash, broken)
}

// openFirst opens the first message of an exchange of phase 2, unless it came
// before or is one of our own messages sent back to us. The message id does not
// tell: some peers use one again, though RFC 2408, section 3.1, requires random
// ones. The hash does: it covers the id and all payloads, and one of them is a
// nonce or a number that differs in every message. The bytes around the payloads
// can be changed by anybody.
func (s *SA) openFirst(p packet) (c contents, next []byte, err error) {
	st, id := &s.st, p.h.MessageID
	c, next, err = s.open(p, st.Peer.Suite.iv2(st.IV, id), nil)
	switch {
	case err != nil && st.Used.has(id):
		return contents{}, nil, ErrReplay // of a later message of the exchange
	case err != nil:
		return contents{}, nil, err
	case st.Own.has(id), st.Seen.has(digest(c.hash)):
		return contents{}, nil, ErrReplay
	}
	st.Used.add(id)
	st.Seen.add(digest(c.hash))
	return c, next, nil
}

// digest is a short form of a hash, for a set of hashes.
func digest(hash []byte) uint32 { return binary.BigEndian.Uint32(hash) }

// newMessageID returns a message id that was not used. The first one is random;
// each later one is the successor of our last, so that all of ours are one span of
// the set.
func (s *SA) newMessageID() (uint32, error) {
	id := s.st.LastID
	for range 64 {
		if id != 0 {
			id++
		} else if b, err := s.random(4); err != nil {
			return 0, err
		} else {
			id = binary.BigEndian.Uint32(b)
		}
		if id != 0 && !s.st.Used.has(id) {
			s.st.Used.add(id)
			s.st.Own.add(id)
			s.st.LastID = id
			return id, nil
		}
	}
	return 0, fmt.Errorf("%w: randomness yields no message id", ErrLimit)
}
