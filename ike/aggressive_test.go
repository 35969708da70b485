package ike

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
)

// aggressivePair is a client of the group staff.
func aggressivePair(t testing.TB) *pair {
	p := newPair(t)
	keys := []PSK{
		{Name: "any", Key: secret.String("the key of everybody")},
		{Name: "guests", Key: secret.String("the key of the guests"), Group: "guests"},
		{Name: "staff", Key: secret.String("the key of the staff"), Group: "staff"},
	}
	p.server.env.Policy.PSKs, p.server.env.Policy.Aggressive = keys, true
	p.client.env.Policy.PSKs, p.client.env.Policy.Aggressive = keys[2:], true
	return p
}

// aggressive1 is a first message in the name of a group.
func aggressive1(t testing.TB, group string, suites ...Suite) []byte {
	p := aggressivePair(t)
	p.client.env.Policy.PSKs = []PSK{{Group: group}}
	p.client.env.Policy.Suites = suites
	p.client.sa = Initiate(p.client.env, p.path, p.now)
	p.drain(p.client)
	return p.wire[0].data
}

func TestTranscriptOfAggressiveMode(t *testing.T) {
	p := aggressivePair(t)
	p.client.env.Policy.Suites = []Suite{{CipherAES, 256, HashSHA1, GroupECP384}, {CipherAES, 256, HashSHA256, GroupECP384}}
	l := newLadder(p)
	l.did("# phase 1")
	p.initiate()
	l.did("# phase 2")
	if err := p.client.sa.Negotiate(p.now, ChildRequest{LocalPort: 1701, Lifetime: time.Hour, MessageID: 1}); err != nil {
		t.Fatal(err)
	}
	p.run()
	l.did("# end")
	machinetest.Transcript(t, "aggressive", l.String())
}

func TestAggressiveModeSelectsTheKeyByTheGroup(t *testing.T) {
	p := aggressivePair(t).establish()
	peer := p.server.sa.Peer()
	if peer.PSK != "staff" || peer.Group != "staff" || !peer.Encap || !peer.BehindNA || peer.LocalNAT || peer.NATT != NATTRFC3947 {
		t.Errorf("the server knows of its peer: %+v", peer)
	}
	if path := p.server.sa.st.Path; !path.Marker || path.Local.Port() != 4500 {
		t.Errorf("the server sends to %v", path)
	}
	p.works()

	p = aggressivePair(t)
	p.client.env.Policy.PSKs = p.server.env.Policy.PSKs[:1]
	p.establish().works()
	if peer := p.server.sa.Peer(); peer.PSK != "any" || peer.Group != "" || addrOf(peer.ID) != p.path.Local.Addr() {
		t.Errorf("who says only an address has the key %q of the group %q", peer.PSK, peer.Group)
	}
}

// The group's name may have any form of identification, and message 3 may come in
// clear.
func TestAggressiveModeOfOthers(t *testing.T) {
	for _, kind := range []isakmp.IDType{isakmp.IDKeyID, isakmp.IDFQDN, isakmp.IDUserFQDN} {
		for _, encrypted := range []bool{true, false} {
			p := aggressivePair(t)
			p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
			p.tamper = func(d datagram) []datagram {
				switch {
				case d.fromClient && d.data[19] == 0:
					// The message is changed before it leaves, so that the client
					// hashes what it sends.
					at := bytes.Index(d.data, []byte{byte(isakmp.IDKeyID), 0, 0, 0, 's', 't', 'a', 'f', 'f'})
					d.data[at] = byte(kind)
					p.client.sa.st.Early.ID[0] = byte(kind)
				case d.fromClient && !encrypted && Exchange(d.data[18]) == ExchangeAggressive:
					h, body, err := isakmp.ParseHeader(d.data)
					if err != nil {
						t.Fatal(err)
					}
					plain, _, err := p.embryo.Suite.decrypt(p.embryo.early.Keys.Cipher, p.embryo.early.IV, body)
					if err != nil {
						t.Fatal(err)
					}
					p.client.sa.st.IV = p.embryo.early.IV // no block was encrypted
					h.Flags = 0
					h.Length = uint32(isakmp.HeaderLen + len(plain))
					d.data = append(h.Append(nil), plain...)
				}
				return []datagram{d}
			}
			p.establish().works()
			if id := p.server.sa.Peer().ID; isakmp.IDType(id[0]) != kind || p.server.sa.Peer().Group != "staff" {
				t.Errorf("%v: the peer is %x", kind, id)
			}
		}
	}
}

// An answer does not show which groups exist.
func TestUnknownGroupIsAnsweredLikeAWrongKey(t *testing.T) {
	answer := func(p *pair) []byte {
		p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
		p.initiate()
		if p.client.sa.Established() || len(p.dropped) != 1 || !errors.Is(p.dropped[0], ErrHash) {
			t.Fatalf("dropped: %v", p.dropped)
		}
		return p.embryo.Reply
	}
	wrong := aggressivePair(t)
	wrong.client.env.Policy.PSKs = []PSK{{Key: secret.String("another"), Group: "staff"}}
	known := answer(wrong)
	if name, ok := wrong.embryo.UnknownGroup(); ok {
		t.Errorf("the group %q is unknown", name)
	}
	other := aggressivePair(t)
	other.client.env.Policy.PSKs = []PSK{{Key: secret.String("another"), Group: "stuff"}}
	unknown := answer(other)
	if name, ok := other.embryo.UnknownGroup(); !ok || name != "stuff" {
		t.Errorf("the unknown group is %q, %v", name, ok)
	}
	if len(known) != len(unknown) {
		t.Errorf("a known group is answered with %d bytes, another with %d", len(known), len(unknown))
	}
	// A group that does not exist always gets the same key.
	id := isakmp.ID{Kind: isakmp.IDKeyID, Data: []byte("stuff")}
	first, _ := other.server.env.selectPSK(id)
	again, decoy := other.server.env.selectPSK(id)
	id.Data = []byte("stufe")
	next, _ := other.server.env.selectPSK(id)
	if !decoy || !first.Key.Equal(again.Key) || first.Key.Equal(next.Key) {
		t.Error("the keys of unknown groups change, or are one")
	}
	// Even a client that knows this key must not get in.
	other = aggressivePair(t)
	other.client.env.Policy.PSKs = []PSK{{Key: first.Key, Group: "stuff"}}
	other.initiate()
	if other.server.sa == nil || other.server.sa.Established() {
		t.Error("a group that does not exist is established")
	}
}

func TestAggressiveModeIsOffByDefault(t *testing.T) {
	p := aggressivePair(t)
	p.server.env.Policy.Aggressive = false
	p.initiate()
	if len(p.dropped) != 1 || !errors.Is(p.dropped[0], ErrAggressive) {
		t.Errorf("dropped: %v", p.dropped)
	}
}

// A server that does not allow Aggressive Mode says so at once, in fewer bytes
// than the client sent.
func TestAggressiveModeIsRefusedWithANotify(t *testing.T) {
	msg := firstMessage([]isakmp.Transform{transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 1)})
	msg[18] = byte(ExchangeAggressive)
	_, reply, err := Answer(answerEnv(), serverPath, msg, epoch)
	if !errors.Is(err, ErrAggressive) || len(reply) == 0 || len(reply) > len(msg) {
		t.Fatalf("%d bytes, %v", len(reply), err)
	}
	h, body, err := isakmp.ParseHeader(reply)
	if err != nil || h.Exchange != ExchangeInformational {
		t.Fatalf("%+v, %v", h, err)
	}
	raws, _, err := isakmp.Chain(h.Next, body)
	if err != nil || len(raws) != 1 {
		t.Fatalf("%d payloads, %v", len(raws), err)
	}
	if n, err := isakmp.ParseNotify(raws[0].Body); err != nil || n.Message != isakmp.NotifyInvalidExchangeType {
		t.Errorf("notify %v, %v", n.Message, err)
	}
}

// Message 2 is never larger than message 1: first what is not necessary is left
// out, and if that is not enough there is no answer.
func TestAggressiveAnswerIsNoLargerThanTheQuestion(t *testing.T) {
	env := answerEnv()
	env.Policy.Aggressive = true
	suite := Suite{CipherAES, 256, HashSHA1, GroupMODP2048}
	dh := must(newDHKey(machinetest.Rand(9), suite.Group))
	id := isakmp.ID{Kind: isakmp.IDKeyID, Data: []byte("staff")}
	question := func(nonce, padding int) []byte {
		return isakmp.AppendMessage(nil, isakmp.Header{
			InitiatorCookie: [8]byte{1}, Version: isakmp.Version1, Exchange: ExchangeAggressive,
		}, offerPhase1([]Suite{suite}, []AuthMethod{AuthPSK}, time.Hour), isakmp.KE(dh.Public), isakmp.Nonce(make([]byte, nonce)), id,
			isakmp.VendorID(vidRFC3947), isakmp.VendorID(vidDPD), isakmp.VendorID(vidFragmentation8), isakmp.VendorID(make([]byte, padding)))
	}
	seen := map[[3]bool]bool{}
	for padding := range 100 {
		msg := question(16, padding)
		e, reply, err := Answer(env, serverPath, msg, epoch)
		if err != nil {
			if !errors.Is(err, ErrBudget) || reply != nil {
				t.Fatal(err)
			}
			seen[[3]bool{}] = true
			continue
		}
		if len(reply) > len(msg) || e.In != len(msg) || e.Out != len(reply) {
			t.Fatalf("%d bytes are answered with %d", len(msg), len(reply))
		}
		seen[[3]bool{true, e.Fragments, e.DPD}] = true
		if e.NATT != NATTRFC3947 {
			t.Error("NAT-T was left out")
		}
	}
	for _, want := range [][3]bool{{}, {true, false, false}, {true, false, true}, {true, true, true}} {
		if !seen[want] {
			t.Errorf("answered, with fragmentation, with DPD: %v never came; it was %v", want, seen)
		}
	}
	// A record of the ring holds at most 2 KB.
	env.Policy.Suites = []Suite{{CipherAES, 256, HashSHA512, GroupMODP4096}}
	msg := aggressive1(t, string(make([]byte, maxGroupName)), append(env.Policy.Suites, Suite{CipherAES, 128, HashSHA512, GroupMODP4096}, Suite{CipherAES, 192, HashSHA512, GroupMODP4096})...)
	e, _, err := Answer(env, serverPath, msg, epoch)
	if err != nil {
		t.Fatal(err)
	}
	k := e.early.Keys
	if n := len(e.Reply) + len(e.Offer) + len(e.early.ID) + len(e.early.HashI) + len(e.early.IV) + k.A.Len() + k.D.Len() + k.Cipher.Len(); n > 2048 {
		t.Errorf("a record holds %d bytes", n)
	}
	if _, _, err := Answer(env, serverPath, aggressive1(t, string(make([]byte, maxGroupName+1)), env.Policy.Suites...), epoch); !errors.Is(err, ErrMalformed) {
		t.Errorf("a group name of %d bytes: %v", maxGroupName+1, err)
	}
}

// Nobody repeats message 3 of Aggressive Mode by itself: if it was lost, the Quick
// Mode that follows it must not fail.
func TestLostMessage3OfAggressiveMode(t *testing.T) {
	p := aggressivePair(t)
	n := 0
	p.tamper = func(d datagram) []datagram {
		if n++; n == 3 {
			return nil
		}
		return []datagram{d}
	}
	p.initiate()
	if !p.client.sa.Established() || p.server.sa != nil {
		t.Fatal("message 3 was not lost")
	}
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	if !p.children(10 * time.Second) {
		t.Errorf("no child; dropped: %v", p.dropped)
	}
}

// Four messages 3 with a wrong hash do not end the exchange.
func TestWrongHashInMessage3(t *testing.T) {
	p := aggressivePair(t)
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient || d.data[19] == 0 {
			return []datagram{d}
		}
		var list []datagram
		for i := range maxTrials - 1 {
			bad := d
			bad.data = bytes.Clone(d.data)
			bad.data[40+i] ^= 1
			list = append(list, bad)
		}
		return append(list, d)
	}
	p.establish()
	if len(p.dropped) != maxTrials-1 || !errors.Is(p.dropped[0], ErrUndecryptable) {
		t.Errorf("dropped: %v", p.dropped)
	}
}

// A bit of messages 1 and 2 that is changed in transit is noticed; the genuine
// message is still accepted.
func TestFlippedBitsInAggressiveMode(t *testing.T) {
	for n := range 3 {
		for bit := 0; bit < 8*240; bit += 37 {
			p := aggressivePair(t)
			p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
			count := 0
			p.tamper = func(d datagram) []datagram {
				if count++; count != n+1 || bit/8 >= len(d.data) {
					return []datagram{d}
				}
				bad := d
				bad.data = bytes.Clone(d.data)
				bad.data[bit/8] ^= 1 << (bit % 8)
				return []datagram{bad, d}
			}
			p.initiate()
			client, server := p.client.sa.Established(), p.server.sa != nil && p.server.sa.Established()
			if n > 0 && (!client || !server) || server && !client {
				t.Errorf("bit %d of message %d: established %v and %v; dropped: %v", bit, n+1, client, server, p.dropped)
			}
		}
	}
}

// Before message 3 we never send more than we received.
func TestNoAmplificationInAggressiveMode(t *testing.T) {
	env := answerEnv()
	env.Policy.Aggressive = true
	msg := aggressive1(t, "staff", Suite{CipherAES, 128, HashSHA1, GroupECP256}, Suite{CipherAES, 256, HashSHA1, GroupECP256})
	e, reply, err := Answer(env, serverPath, msg, epoch)
	if err != nil {
		t.Fatal(err)
	}
	in, out := len(msg), len(reply)
	sa := Respond(env, e, epoch)
	nudged := 0
	for i := range 100 {
		h := sa.header([]Exchange{ExchangeQuick, ExchangeAggressive, ExchangeInformational, ExchangeMain}[i%4], uint32(i%4))
		h.Flags = isakmp.Flags(i / 4 % 2)
		b := isakmp.AppendMessage(nil, h, isakmp.Hash(make([]byte, 60)))
		in += len(b)
		_ = sa.HandlePacket(epoch, serverPath, b)
		for {
			event, ok := sa.NextEvent()
			if !ok {
				break
			}
			if s, ok := event.(Send); ok {
				out, nudged = out+len(s.Data), nudged+1
			}
		}
		if out > in {
			t.Fatalf("%d bytes in, %d out", in, out)
		}
	}
	if nudged == 0 || nudged > maxRepeats {
		t.Errorf("message 2 was sent again %d times", nudged)
	}
}

// The keys of an evicted embryo are erased.
func TestEmbryoForgetsItsKeys(t *testing.T) {
	env := answerEnv()
	env.Policy.Aggressive = true
	e, _, err := Answer(env, serverPath, aggressive1(t, "staff", Suite{CipherAES, 128, HashSHA1, GroupECP256}, Suite{CipherAES, 256, HashSHA1, GroupECP256}), epoch)
	if err != nil {
		t.Fatal(err)
	}
	key := e.early.Keys.Cipher.Reveal()
	e.Zero()
	if !bytes.Equal(key, make([]byte, len(key))) {
		t.Error("the key is still there")
	}
}
