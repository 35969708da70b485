package ike

import (
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// maxOfferBody bounds the SA body of a first message, in bytes, because message 5
// hashes it and it has to be kept until then. A proposal has 255 transforms at
// most, and the transforms that clients send have up to 40 bytes each, so every
// such proposal fits.
const maxOfferBody = 12 << 10

// Embryo is a phase 1 of which only the first message was answered. It is plain
// data of bounded size, to be kept in a ring that floods may overwrite. An Embryo
// of Aggressive Mode holds keys, which Zero erases.
type Embryo struct {
	Cookies   Cookies
	Path      Path // of message 1
	Suite     Suite
	Auth      AuthMethod
	Kind      ClientKind
	NATT      NATTVersion
	DPD       bool
	Fragments bool
	Lifetime  time.Duration
	Offer     []byte // the SA body of message 1, at most 12 KB
	Reply     []byte // message 2
	In, Out   int    // bytes of this half-open exchange so far
	Began     time.Time

	first [sha256.Size]byte // of message 1
	early *aggressive       // nil: Main Mode
}

// Answer answers a first message. It keeps no state: the caller keeps e and sends
// reply back over path. With an error there is no Embryo, but there may still be a
// reply: an error notify that is not larger than msg. The caller should send each
// source only few of these.
//
// A message of Aggressive Mode, if the policy admits it, costs a Diffie-Hellman
// exchange at once.
//
// The errors are ErrMalformed, ErrVersion, ErrUnexpected for a message that
// begins no phase 1, ErrAggressive, ErrNoProposal as a *NoProposal, and
// ErrBudget.
func Answer(env Env, path Path, msg []byte, now time.Time) (e Embryo, reply []byte, err error) {
	h, body, err := parseHeader(msg)
	if err != nil {
		return Embryo{}, nil, err
	}
	msg = msg[:h.Length]
	seen, err := Peek(msg)
	switch {
	case err != nil:
		return Embryo{}, nil, err
	case !seen.FirstMessage() || h.Next != isakmp.PayloadSA:
		return Embryo{}, nil, fmt.Errorf("%w: %v", ErrUnexpected, h.Exchange)
	case !path.Local.Addr().IsValid() || path.Local.Addr().IsUnspecified():
		return Embryo{}, nil, fmt.Errorf("%w: it arrived at no address", ErrUnexpected)
	}
	c := chain(h.Next, body)
	switch {
	case c.sa == nil || c.ambiguous(isakmp.PayloadSA):
		return Embryo{}, nil, fmt.Errorf("%w: it needs one SA payload that can be read", ErrMalformed)
	case len(c.sa) > maxOfferBody:
		return Embryo{}, nil, fmt.Errorf("%w: an SA payload of %d bytes, more than %d: the client offers too many suites", ErrMalformed, len(c.sa), maxOfferBody)
	}
	if h.ResponderCookie, err = newCookie(env, path, h.InitiatorCookie); err != nil {
		return Embryo{}, nil, err
	}
	if h.Exchange == ExchangeAggressive {
		return answerAggressive(env, path, h, c, msg, now)
	}
	sa, err := isakmp.ParseSA(c.sa)
	if err != nil {
		return Embryo{}, nil, err
	}
	chosen, offer, err := choosePhase1(env.Policy.Suites, env.Policy.methods(), sa)
	if err != nil {
		return Embryo{}, refuse(h, isakmp.NotifyNoProposalChosen, len(msg)), err
	}
	agreed := agree(env.Policy.VendorIDs, c.vendor)
	reply = isakmp.AppendMessage(nil, isakmp.Header{
		InitiatorCookie: h.InitiatorCookie, ResponderCookie: h.ResponderCookie,
		Version: isakmp.Version1, Exchange: ExchangeMain,
	}, append([]isakmp.Payload{chosen}, agreed.answer...)...)
	// The answer is made of what was received. It can be larger only if the
	// message names no transform by its full length, which no honest peer does.
	if len(reply) > len(msg) {
		return Embryo{}, nil, ErrBudget
	}
	return Embryo{
		Cookies: Cookies{h.InitiatorCookie, h.ResponderCookie}, Path: path,
		Suite: offer.suite, Auth: offer.auth, Kind: classify(c.vendor), NATT: agreed.natt, DPD: agreed.dpd, Fragments: agreed.fragments, Lifetime: offer.lifetime,
		Offer: append([]byte(nil), c.sa...), Reply: reply,
		In: len(msg), Out: len(reply), Began: now, first: sha256.Sum256(msg),
	}, reply, nil
}

// Again answers a first message that came once more: with message 2 if msg is that
// same message, else with nil.
func (e *Embryo) Again(msg []byte) []byte {
	h, _, err := parseHeader(msg)
	if err != nil {
		return nil
	}
	if msg = msg[:h.Length]; len(e.Reply) == 0 || sha256.Sum256(msg) != e.first {
		return nil
	}
	e.In += len(msg)
	e.Out += len(e.Reply)
	return e.Reply
}

// newCookie makes a responder cookie.
func newCookie(env Env, path Path, initiator [8]byte) (cookie [8]byte, err error) {
	if env.Cookie != nil {
		return env.Cookie(path, initiator), nil
	}
	for cookie == [8]byte{} {
		if _, err := io.ReadFull(env.Rand, cookie[:]); err != nil {
			return cookie, err
		}
	}
	return cookie, nil
}

// refuse writes an error notify in clear. It returns nil if that is longer than
// limit.
func refuse(h isakmp.Header, why isakmp.NotifyType, limit int) []byte {
	b := isakmp.AppendMessage(nil, isakmp.Header{
		InitiatorCookie: h.InitiatorCookie, ResponderCookie: h.ResponderCookie,
		Version: isakmp.Version1, Exchange: ExchangeInformational,
	}, isakmp.Notify{Protocol: isakmp.ProtocolISAKMP, Message: why})
	if len(b) > limit {
		return nil
	}
	return b
}
