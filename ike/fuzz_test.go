package ike

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

func FuzzAnswer(f *testing.F) {
	f.Add(windowsMM1(f))
	f.Add(firstMessage([]isakmp.Transform{transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 1)}, vidRFC3947, vidApple, vidDPD))
	f.Add(firstMessage([]isakmp.Transform{transform(1, 1, 1, 2, 1, 4, 1, 3, 1)}))
	f.Add(aggressive1(f, "staff", DefaultSuites()[3:6]...))
	for _, msg := range machinetest.Seeds(f, "ike") {
		if h, err := Peek(msg); err == nil && h.FirstMessage() {
			f.Add(msg)
		}
	}
	env := answerEnv()
	env.Policy.Aggressive = true
	f.Fuzz(func(t *testing.T, msg []byte) {
		e, reply, err := Answer(env, serverPath, msg, epoch)
		if len(reply) > len(msg) {
			t.Fatalf("%d bytes are answered with %d", len(msg), len(reply))
		}
		if err != nil {
			if e.Reply != nil {
				t.Fatal("an embryo with an error")
			}
			return
		}
		if len(e.Offer) > maxOfferBody || len(e.Reply) != len(reply) {
			t.Fatalf("embryo %+v", e)
		}
		again, _, err := Answer(env, serverPath, reply, epoch)
		if err == nil {
			t.Fatalf("our own answer begins a phase 1: %+v", again)
		}
	})
}

// stages are the states in which fuzzed messages arrive.
const (
	stageWait3 = iota
	stageWait5
	stageUp
	stageQuick
	stageClient2
	stageClient6
	stageClientQuick
	stageWaitA3
	stageClientA2
	stageSigned5
	stageSignedClient6
	stages
)

var fuzzIdentities = sync.OnceValue(func() *pair { return signedPair(nil, AuthECDSA256) })

// fuzzPair is a pair whose target is in the given stage.
func fuzzPair(t testing.TB, stage int) (p *pair, target, other *end) {
	p = newPair(t)
	p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
	p.server.env.Policy.Suites = p.client.env.Policy.Suites
	if stage == stageSigned5 || stage == stageSignedClient6 {
		signed := fuzzIdentities()
		p.client.env.Policy.Identity, p.client.env.Policy.Authority = signed.client.env.Policy.Identity, signed.client.env.Policy.Authority
		p.server.env.Policy.Identity, p.server.env.Policy.Authority = signed.server.env.Policy.Identity, signed.server.env.Policy.Authority
	}
	target, other = p.server, p.client
	cut := map[int]int{stageWait3: 2, stageWait5: 4, stageClient2: 1, stageClient6: 5, stageWaitA3: 2, stageClientA2: 1, stageSigned5: 4, stageSignedClient6: 5}[stage]
	p.client.env.Policy.Aggressive = stage == stageWaitA3 || stage == stageClientA2
	p.server.env.Policy.Aggressive = true
	n := 0
	p.tamper = func(d datagram) []datagram {
		if n++; cut > 0 && n > cut {
			return nil
		}
		return []datagram{d}
	}
	p.initiate()
	p.tamper = nil
	switch stage {
	case stageWait3, stageWaitA3:
		p.server.sa = Respond(p.server.env, p.embryo, p.now)
	case stageClient2, stageClient6, stageClientA2, stageSignedClient6:
		target, other = p.client, p.server
	case stageQuick, stageClientQuick:
		if stage == stageClientQuick {
			target, other = p.client, p.server
		}
		p.tamper = func(d datagram) []datagram { // message 2 gets lost
			if !d.fromClient {
				return nil
			}
			return []datagram{d}
		}
		if err := p.client.sa.Negotiate(p.now, ChildRequest{MessageID: 1}); err != nil {
			t.Fatal(err)
		}
		p.run()
		p.tamper = nil
	}
	return p, target, other
}

// sealed writes a message with the keys of both ends, so that the fuzzer gets
// past the hash.
func sealed(sa *SA, exchange Exchange, id uint32, next isakmp.PayloadType, data []byte) []byte {
	covered := data
	if _, rest, err := isakmp.Chain(next, data); err == nil {
		covered = data[:len(data)-len(rest)]
	}
	var extra, iv []byte
	if q := sa.findQuick(id); q != nil {
		iv = q.IV
		if q.Initiator {
			extra = q.NonceI
		}
	} else {
		iv = sa.st.Peer.Suite.iv2(sa.st.IV, id)
	}
	plain := append([]byte{byte(next), 0, 0, 24}, sa.hash(id, extra, covered)...)
	text, _, err := sa.st.Peer.Suite.encrypt(sa.st.Keys.Cipher, iv, append(plain, data...))
	if err != nil {
		panic(err)
	}
	h := sa.header(exchange, id)
	h.Flags, h.Next, h.Length = isakmp.FlagEncryption, isakmp.PayloadHash, uint32(isakmp.HeaderLen+len(text))
	return append(h.Append(nil), text...)
}

// sealedSigned writes a message 5 or 6 under keys that anybody can agree on with
// us.
func sealedSigned(sa *SA, next isakmp.PayloadType, data []byte) []byte {
	k, iv := sa.st.Keys, sa.st.IV
	if !sa.st.Initiator {
		k, iv = must(sa.deriveSigned()), sa.st.Peer.Suite.iv1(sa.st.publics())
	}
	text, _, err := sa.st.Peer.Suite.encrypt(k.Cipher, iv, append(bytes.Clone(data), 0))
	if err != nil {
		panic(err)
	}
	h := sa.header(ExchangeMain, 0)
	h.Flags, h.Next, h.Length = isakmp.FlagEncryption, next, uint32(isakmp.HeaderLen+len(text))
	return append(h.Append(nil), text...)
}

func FuzzHandlePacket(f *testing.F) {
	id := isakmp.AddrID(netip.MustParseAddr("10.0.0.2"), 17, 1701)
	quick := []isakmp.Payload{
		isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2), espTransform(12, 6, 256, 5, 2, 3, 19))}},
		isakmp.Nonce(make([]byte, 16)), id, id,
		isakmp.NATOA{Addr: netip.MustParseAddr("10.0.0.2")},
	}
	inform := []isakmp.Payload{
		isakmp.Notify{Protocol: isakmp.ProtocolISAKMP, SPI: make([]byte, 16), Message: isakmp.NotifyRUThere, Data: make([]byte, 4)},
		isakmp.Delete{Protocol: isakmp.ProtocolESP, SPIs: [][]byte{{1, 2, 3, 4}}},
		isakmp.Notify{Protocol: isakmp.ProtocolESP, Message: isakmp.NotifyResponderLifetime, Data: make([]byte, 8)},
	}
	ke := must(newDHKey(machinetest.Rand(9), GroupECP256)).Public
	main := []isakmp.Payload{isakmp.KE(ke), isakmp.Nonce(make([]byte, 16)), isakmp.NATD{Hash: make([]byte, 20)}, isakmp.NATD{Hash: make([]byte, 20)}}
	aggressive := append([]isakmp.Payload{offerPhase1([]Suite{{CipherAES, 128, HashSHA1, GroupECP256}}, []AuthMethod{AuthPSK}, time.Hour), id, isakmp.Hash(make([]byte, 20))}, main...)
	own := fuzzIdentities().client.env.Policy.Identity
	proof := []isakmp.Payload{
		isakmp.ID{Kind: isakmp.IDDERASN1DN, Data: own.Subject}, isakmp.Cert{Encoding: isakmp.CertX509, Data: own.Chain[0]},
		isakmp.Cert{Encoding: isakmp.CertX509, Data: own.Chain[1]}, isakmp.Cert{Encoding: isakmp.CertPKCS7, Data: []byte{0x30, 3, 6, 1, 1}},
		isakmp.Signature(make([]byte, 64)), isakmp.CertRequest{Encoding: isakmp.CertX509},
	}
	for _, stage := range []uint8{stageSigned5, stageSignedClient6} {
		f.Add(stage, true, uint8(ExchangeMain), uint32(0), uint8(isakmp.PayloadID), isakmp.Append(nil, proof...))
	}
	for stage := range uint8(stages) {
		for _, seal := range []bool{false, true} {
			f.Add(stage, seal, uint8(ExchangeMain), uint32(0), uint8(isakmp.First(main)), isakmp.Append(nil, main...))
			f.Add(stage, seal, uint8(ExchangeMain), uint32(0), uint8(isakmp.First(quick)), isakmp.Append(nil, quick[:1]...))
			f.Add(stage, seal, uint8(ExchangeAggressive), uint32(0), uint8(isakmp.First(aggressive)), isakmp.Append(nil, aggressive...))
			f.Add(stage, seal, uint8(ExchangeAggressive), uint32(0), uint8(isakmp.PayloadHash), isakmp.Append(nil, isakmp.Hash(make([]byte, 20))))
			f.Add(stage, seal, uint8(ExchangeQuick), uint32(1), uint8(isakmp.First(quick)), isakmp.Append(nil, quick...))
			f.Add(stage, seal, uint8(ExchangeQuick), uint32(2), uint8(isakmp.First(quick)), isakmp.Append(nil, quick...))
			f.Add(stage, seal, uint8(ExchangeInformational), uint32(3), uint8(isakmp.First(inform)), isakmp.Append(nil, inform...))
		}
	}
	for _, msg := range machinetest.Seeds(f, "ike") {
		h, body, err := isakmp.ParseHeader(msg)
		if err != nil {
			f.Fatal(err)
		}
		stage, next := uint8(stageWait3), h.Next
		if h.Next == isakmp.PayloadHash { // here the fuzzer makes the hash
			stage = stageUp
			n := int(body[2])<<8 | int(body[3])
			next, body = isakmp.PayloadType(body[0]), body[n:]
		}
		f.Add(stage, stage == stageUp, uint8(h.Exchange), h.MessageID, uint8(next), body)
	}
	f.Fuzz(func(t *testing.T, stage uint8, seal bool, exchange uint8, id uint32, next uint8, data []byte) {
		if len(data) > 4096 {
			return
		}
		p, target, other := fuzzPair(t, int(stage)%stages)
		sa := target.sa
		h := sa.header(Exchange(exchange), id)
		h.Next, h.Length = isakmp.PayloadType(next), uint32(isakmp.HeaderLen+len(data))
		msg := append(h.Append(nil), data...)
		if seal && (int(stage)%stages == stageSigned5 || int(stage)%stages == stageSignedClient6) {
			msg = sealedSigned(sa, isakmp.PayloadType(next), data)
		}
		if seal && sa.Established() {
			msg = sealed(sa, Exchange(exchange), id, isakmp.PayloadType(next), data)
		}
		before := sa.Established()
		for _, at := range []time.Time{p.now, p.now.Add(time.Second)} {
			err := sa.HandlePacket(at, sa.st.Path, msg)
			_ = err // dropped or not: both are fine
			p.drain(target)
			sa.HandleTimer(at)
			p.drain(target)
		}
		p.wire = nil
		switch {
		case len(take[Closed](target)) > 0:
			if !before {
				t.Fatal("a message that nobody authenticated closed the SA")
			}
		case !before && sa.Established():
			t.Fatal("established by a message without the key")
		case before:
			// Whatever the message was, the SA still works for its genuine peer.
			target.events, other.events = nil, nil
			sa.st.Quick, other.sa.st.Quick = nil, nil
			other.sa.Move(p.client.sa.st.Path)
			if err := p.client.sa.Negotiate(p.now, ChildRequest{MessageID: id + 1000}); err != nil {
				return // an id that the fuzzed message used up
			}
			p.run()
			if len(take[ChildSending](p.server)) != 1 {
				t.Fatalf("no Quick Mode any more: %v", p.dropped)
			}
		}
	})
}
