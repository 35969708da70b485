package ike

import (
	"fmt"
	"slices"

	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/internal/machine/frozen"
)

// frozenVersion is the version of the format that Append writes. Raise it whenever
// a field changes here or in freeze_quick.go.
const frozenVersion = 2

var _ machine.Freezer = (*SA)(nil)

// Append appends the SA's state to b. From that state and an equal Env, Resume
// makes an SA that continues where this one stands. All events must have been
// drained.
//
// The state contains all keys of the SA, and Diffie-Hellman secrets. It has to be
// protected like a private key.
func (s *SA) Append(b []byte) []byte {
	s.events.MustBeDrained()
	return frozen.Append(b, frozenVersion, s.st.fields)
}

// Resume makes an SA from what Append appended. It also fails if a phase 1 is not
// complete and the policy no longer has what the two ends agreed to authenticate
// with.
func Resume(env Env, b []byte) (*SA, error) {
	s := &SA{env: env}
	if err := frozen.Read(b, frozenVersion, s.st.fields); err != nil {
		return nil, fmt.Errorf("ike: %w", err)
	}
	switch s.st.Step { //nolint:exhaustive // the others need no key of the policy's
	case stepWait3, stepWait4, stepWait5, stepWait6:
		if auth := s.st.Peer.Auth; !slices.Contains(env.Policy.methods(), auth) {
			return nil, fmt.Errorf("ike: the frozen phase 1 is to be authenticated by %v, and the policy has none", auth)
		}
	}
	return s, nil
}

func (st *state) fields(c *frozen.Codec) {
	c.Bool(&st.Initiator)
	frozen.Enum(c, &st.Step, stepClosed)
	st.Path.fields(c)
	st.Peer.fields(c)
	c.Time(&st.Ends)
	frozen.Int(c, &st.In)
	frozen.Int(c, &st.Out)
	st.Parts.fields(c)
	frozen.Int(c, &st.Fragmented)

	under := st.exchange != nil
	if c.Bool(&under); under {
		frozen.New(c, &st.exchange).fields(c)
	}
	c.Bytes(&st.Dialled)
	frozen.Int(c, &st.DialledPort)
	frozen.Int(c, &st.Trials)
	c.Bool(&st.Floats)
	frozen.List(c, &st.Certs, c.Bytes)
	frozen.Int(c, &st.Refused)
	st.Retry.fields(c)
	st.Reply.fields(c)

	st.Keys.fields(c)
	c.Bytes(&st.IV)
	st.Used.fields(c)
	st.Own.fields(c)
	st.Seen.fields(c)
	frozen.Int(c, &st.LastID)
	frozen.List(c, &st.Quick, func(q **quick) { frozen.New(c, q).fields(c) })
	st.Probe.fields(c)
	frozen.List(c, &st.Refusals, func(r *reply) { r.fields(c) })

	c.Check(st.sound(), "a step without the suite or the IV that it needs")
	c.Check(under || st.Step >= stepUp && st.Retry.At.IsZero(), "a phase 1 that is not complete, without its exchange")
}

func (x *exchange) fields(c *frozen.Codec) {
	c.Bytes(&x.Offer)
	x.DH.fields(c)
	c.Bytes(&x.PeerPublic)
	c.Secret(&x.Shared)
	c.Bytes(&x.NonceI)
	c.Bytes(&x.NonceR)
	c.Bytes(&x.Sent)
	x.Early.fields(c)
}

// sound reports whether everything that decryption needs is there.
func (st *state) sound() bool {
	switch st.Step {
	case stepWait2, stepWaitA2, stepClosed:
		return true // there is no suite yet, or no longer one
	case stepWait3, stepWait4, stepWait5, stepWait6, stepWaitA3, stepUp:
	default:
		return false
	}
	suite := st.Peer.Suite
	aes := suite.Cipher == CipherAES && slices.Contains([]int{128, 192, 256}, suite.KeyBits)
	if !aes && suite.Cipher != Cipher3DES || suite.Hash.make() == nil || suite.Group.publicLen() == 0 {
		return false
	}
	needs := st.Step == stepWait6 || st.Step == stepWaitA3
	return (!needs || len(st.IV) == suite.blockLen()) && !slices.ContainsFunc(st.Quick, func(q *quick) bool {
		return q.Step != quickDone && len(q.IV) != suite.blockLen()
	})
}

func (p *Path) fields(c *frozen.Codec) {
	c.AddrPort(&p.Local)
	c.AddrPort(&p.Remote)
	c.Bool(&p.Marker)
}

func (p *Peer) fields(c *frozen.Codec) {
	c.Fixed(p.Cookies.Initiator[:])
	c.Fixed(p.Cookies.Responder[:])
	frozen.Int(c, &p.Suite.Cipher)
	frozen.Int(c, &p.Suite.KeyBits)
	frozen.Int(c, &p.Suite.Hash)
	frozen.Int(c, &p.Suite.Group)
	frozen.Int(c, &p.Auth)
	c.String(&p.PSK)
	c.String(&p.Cert)
	c.Fixed(p.Fingerprint[:])
	frozen.List(c, &p.Chain, c.Bytes)
	c.String(&p.Group)
	c.Bytes(&p.ID)
	frozen.Int(c, &p.Kind)
	frozen.Int(c, &p.NATT)
	c.Bool(&p.BehindNA)
	c.Bool(&p.LocalNAT)
	c.Bool(&p.Encap)
	c.Bool(&p.DPD)
	c.Bool(&p.Fragments)
	frozen.Int(c, &p.Lifetime)
}

func (a *assembly) fields(c *frozen.Codec) {
	frozen.Int(c, &a.ID)
	frozen.List(c, &a.Parts, c.Bytes)
	frozen.Int(c, &a.Last)
	frozen.Int(c, &a.Size)
	c.Time(&a.Ends)
}

func (k *dhKey) fields(c *frozen.Codec) {
	frozen.Int(c, &k.Group)
	c.Secret(&k.Private)
	c.Bytes(&k.Public)
}

func (k *keys) fields(c *frozen.Codec) {
	c.Secret(&k.SKEYID)
	c.Secret(&k.D)
	c.Secret(&k.A)
	c.Secret(&k.Cipher)
}

func (a *aggressive) fields(c *frozen.Codec) {
	a.Keys.fields(c)
	c.Bytes(&a.IV)
	c.Bytes(&a.HashI)
	c.Bytes(&a.ID)
	c.String(&a.PSK)
	c.String(&a.Group)
	c.Bool(&a.Decoy)
}

func (r *retry) fields(c *frozen.Codec) {
	c.Time(&r.At)
	frozen.Int(c, &r.Wait)
	frozen.Int(c, &r.Left)
}

func (r *reply) fields(c *frozen.Codec) {
	c.Fixed(r.Request[:])
	c.Bytes(&r.Data)
	frozen.Int(c, &r.Left)
}
