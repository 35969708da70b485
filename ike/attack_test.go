package ike

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/pki/pkitest"
)

// CVE-2013-6076: a crafted fragment ended the program.
func TestCVE_2013_6076_CraftedFragments(t *testing.T) {
	env := answerEnv()
	e, _, err := Answer(env, serverPath, firstMessage([]isakmp.Transform{transform(1, 1, 7, 2, 2, 4, 19, 3, 1)}, vidRFC3947, vidFragmentation), epoch)
	if err != nil {
		t.Fatal(err)
	}
	sa := Respond(env, e, epoch)
	h := isakmp.Header{
		InitiatorCookie: e.Cookies.Initiator, ResponderCookie: e.Cookies.Responder,
		Version: isakmp.Version1, Exchange: ExchangeMain,
	}
	piece := func(id uint16, n byte, last bool, data []byte) []byte {
		return isakmp.AppendMessage(nil, h, isakmp.Fragment{ID: id, Number: n, Last: last, Data: data})
	}
	raw := func(body []byte) []byte {
		return isakmp.AppendMessage(nil, h, isakmp.Raw{Kind: isakmp.PayloadFragment, Body: body})
	}
	whole := isakmp.AppendMessage(nil, h, isakmp.KE(make([]byte, 64)))
	other := bytes.Clone(whole)
	other[0] ^= 1
	long := bytes.Clone(whole)
	binary.BigEndian.PutUint32(long[24:], 1<<31)
	for name, msg := range map[string][]byte{
		"no body":                     raw(nil),
		"half a head":                 raw([]byte{0, 1}),
		"a head alone":                raw([]byte{0, 1, 1, 1}),
		"number 0":                    piece(1, 0, true, whole),
		"number 255":                  piece(1, 255, true, whole),
		"less than a header in it":    piece(2, 1, true, []byte{1}),
		"a header of another length":  piece(3, 1, true, long),
		"other cookies in it":         piece(4, 1, true, other),
		"a fragment of a fragment":    piece(5, 1, true, piece(6, 1, true, whole)),
		"two fragments in one":        isakmp.AppendMessage(nil, h, isakmp.Fragment{ID: 7, Number: 1, Data: whole}, isakmp.Fragment{ID: 7, Number: 2, Last: true, Data: whole}),
		"the last before the first":   piece(8, 32, true, whole),
		"another last of the same":    piece(8, 2, true, whole),
		"an exchange that cannot be":  piece(9, 1, true, whole[:28]),
		"a public value that is none": piece(10, 1, true, whole),
	} {
		if err := sa.HandlePacket(epoch, serverPath, msg); err == nil && sa.st.Parts.Parts == nil {
			t.Errorf("%s: it was taken", name)
		}
		if event, ok := sa.NextEvent(); ok && event != (Note{Kind: NoteFragments}) {
			t.Errorf("%s: it caused %T", name, event)
		}
	}
	natd := isakmp.NATD{Hash: make([]byte, 20)}
	good := isakmp.AppendMessage(nil, h, isakmp.KE(must(newDHKey(machinetest.Rand(9), GroupECP256)).Public), isakmp.Nonce(make([]byte, 32)), natd, natd)
	for _, b := range cut(good, 11, 50) {
		if err := sa.HandlePacket(epoch, serverPath, b); err != nil {
			t.Errorf("the true message 3: %v", err)
		}
	}
	if sa.st.Step != stepWait5 {
		t.Error("the true message 3 was not taken afterwards")
	}
}

// CVE-2018-16151: the bytes behind the hash in the block of a PKCS #1 signature
// were not checked, so with a public exponent of 3 signatures could be made
// without the key. In IKEv1 the hash is bare (RFC 2409, section 5.1).
func TestCVE_2018_16151_SignatureWithoutTheKey(t *testing.T) {
	key := pkitest.Exponent3(t)
	hash := sha1.Sum([]byte("HASH_I"))
	padding := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, 8)...)
	info := []byte{0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14}
	for name, begins := range map[string][]byte{
		"room behind the hash":          append(append(bytes.Clone(padding), 0), hash[:]...),
		"room, and the hash is named":   append(append(append(bytes.Clone(padding), 0), info...), hash[:]...),
		"no padding at all":             append([]byte{0, 1, 0}, hash[:]...),
		"the block type of encryption":  append(append([]byte{0, 2}, bytes.Repeat([]byte{0xff}, 8)...), append([]byte{0}, hash[:]...)...),
		"no zero between pad and hash":  append(bytes.Clone(padding), hash[:]...),
		"an empty hash where it begins": append(bytes.Clone(padding), 0),
	} {
		forged := pkitest.Forge(t, &key.PublicKey, begins)
		if err := AuthRSA.verify(&key.PublicKey, hash[:], forged); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := must(rsa.SignPKCS1v15(rand.Reader, key, crypto.Hash(0), hash[:]))
	if err := AuthRSA.verify(&key.PublicKey, hash[:], good); err != nil {
		t.Errorf("a true signature: %v", err)
	}
	named := must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, hash[:]))
	for name, sig := range map[string][]byte{
		"the name of the hash in it": named, "a byte more": append([]byte{0}, good...), "a byte less": good[1:], "nothing": nil,
		"the modulus": key.N.Bytes(), "zero": make([]byte, key.Size()),
	} {
		if err := AuthRSA.verify(&key.PublicKey, hash[:], sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// CVE-2015-3240, in Aggressive Mode: a public value of zero, in message 1.
func TestCVE_2015_3240_AggressiveMode(t *testing.T) {
	for _, g := range allGroups {
		env := answerEnv()
		env.Policy.Aggressive = true
		// The public value is in the middle of a message whose offer has only this
		// group.
		msg := aggressive1(t, "staff", Suite{CipherAES, 128, HashSHA1, g}, Suite{CipherAES, 256, HashSHA1, g})
		h, body, err := isakmp.ParseHeader(msg)
		if err != nil {
			t.Fatal(err)
		}
		raws, _, err := isakmp.Chain(h.Next, body)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range raws {
			if r.Kind == isakmp.PayloadKE {
				raws[i].Body = make([]byte, len(r.Body))
			}
		}
		list := make([]isakmp.Payload, len(raws))
		for i := range raws {
			list[i] = raws[i]
		}
		e, reply, err := Answer(env, serverPath, isakmp.AppendMessage(nil, h, list...), epoch)
		if !errors.Is(err, ErrKeyExchange) || reply != nil || e.early != nil {
			t.Errorf("%v: %v, an answer of %d bytes", g, err, len(reply))
		}
	}
}

// CVE-2016-5361, in Aggressive Mode: nothing is retransmitted before
// authentication.
func TestCVE_2016_5361_AggressiveMode(t *testing.T) {
	p := aggressivePair(t)
	first := true
	p.tamper = func(d datagram) []datagram {
		if d.fromClient && !first {
			// Message 3 comes with a wrong hash, and then there is silence.
			if p.server.sa == nil || p.server.sa.st.Trials == 0 {
				bad := d
				bad.data = bytes.Clone(d.data)
				bad.data[40] ^= 1
				return []datagram{bad}
			}
			return nil
		}
		first = false
		return []datagram{d}
	}
	p.initiate()
	p.server.events = nil
	sent := 0
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient {
			sent++
		}
		return nil
	}
	p.wait(5 * time.Minute)
	if p.server.sa == nil || sent != 0 {
		t.Errorf("the server sent %d messages by itself", sent)
	}
	one[Closed](t, p.server)
}

// CVE-2014-2338, with certificates and in Aggressive Mode: only the message that
// proves the peer's identity establishes an SA, whatever the state.
func TestCVE_2014_2338_OtherModes(t *testing.T) {
	for name, p := range map[string]*pair{"certificates": signedPair(t, AuthECDSA256), "Aggressive Mode": aggressivePair(t)} {
		p.tamper = func(d datagram) []datagram {
			if d.fromClient && d.data[19] != 0 {
				return nil // the message that would prove the client's identity
			}
			return []datagram{d}
		}
		p.initiate()
		if p.server.sa == nil {
			p.server.sa = Respond(p.server.env, p.embryo, p.now)
		}
		s := p.server.sa
		for _, x := range []Exchange{ExchangeMain, ExchangeAggressive, ExchangeQuick, ExchangeInformational, 6, 33} {
			for id := range uint32(3) {
				for flags := range isakmp.Flags(4) {
					h := s.header(x, id)
					h.Flags = flags
					for _, list := range [][]isakmp.Payload{
						{isakmp.Hash(make([]byte, 20)), isakmp.Raw{Kind: isakmp.PayloadSA, Body: make([]byte, 40)}},
						{isakmp.Hash(make([]byte, 20)), isakmp.Delete{Protocol: isakmp.ProtocolISAKMP, SPIs: [][]byte{make([]byte, 16)}}},
						{isakmp.Hash(nil)},
						{isakmp.Notify{Protocol: isakmp.ProtocolISAKMP, Message: isakmp.NotifyInitialContact}},
					} {
						_ = s.HandlePacket(p.now, serverPath, isakmp.AppendMessage(nil, h, list...))
					}
				}
			}
		}
		p.server.events = nil
		p.drain(p.server)
		for _, e := range p.server.events {
			if _, note := e.(Note); !note {
				t.Errorf("%s: %T without any proof", name, e)
			}
		}
		if s.Established() || s.st.Step == stepClosed {
			t.Errorf("%s: the state is %d", name, s.st.Step)
		}
	}
}

// CVE-2019-10155, in fragments and in an SA of Aggressive Mode: the hash is
// verified however a message came.
func TestCVE_2019_10155_InFragments(t *testing.T) {
	p := aggressivePair(t).establish()
	c := p.client.sa
	cookies := c.Cookies()
	deletion := isakmp.Delete{Protocol: isakmp.ProtocolISAKMP, SPIs: [][]byte{append(cookies.Initiator[:], cookies.Responder[:]...)}}
	hash := c.hash(78, nil, isakmp.Append(nil, deletion))
	send := func(hash []byte) (err error) {
		msg, _, sealErr := c.seal(c.st.Keys, c.st.Peer.Suite.iv2(c.st.IV, 78), c.header(ExchangeInformational, 78), isakmp.Hash(hash), deletion)
		if sealErr != nil {
			t.Fatal(sealErr)
		}
		for _, b := range cut(msg, 3, 40) {
			err = p.server.sa.HandlePacket(p.now, p.server.sa.st.Path, b)
		}
		return err
	}
	for i := range hash {
		wrong := bytes.Clone(hash)
		wrong[i] ^= 0x10
		if err := send(wrong); !errors.Is(err, ErrHash) {
			t.Errorf("byte %d of the hash is wrong: %v", i, err)
		}
	}
	if !p.server.sa.Established() {
		t.Fatal("the SA was deleted")
	}
	if err := send(hash); err != nil || p.server.sa.Established() {
		t.Errorf("with the right hash: %v", err)
	}
}

// Fragments do not allow amplification: only bytes that arrived count, and many
// small fragments do not make the answers larger.
func TestFragmentsDoNotAmplify(t *testing.T) {
	env := answerEnv()
	msg1 := firstMessage([]isakmp.Transform{transform(1, 1, 7, 2, 2, 4, 19, 3, 1)}, vidRFC3947, vidFragmentation)
	e, reply, err := Answer(env, serverPath, msg1, epoch)
	if err != nil {
		t.Fatal(err)
	}
	in, out := len(msg1), len(reply)
	sa := Respond(env, e, epoch)
	h := isakmp.Header{
		InitiatorCookie: e.Cookies.Initiator, ResponderCookie: e.Cookies.Responder,
		Version: isakmp.Version1, Exchange: ExchangeMain,
	}
	natd := isakmp.NATD{Hash: make([]byte, 20)}
	third := isakmp.AppendMessage(nil, h, isakmp.KE(must(newDHKey(machinetest.Rand(9), GroupECP256)).Public), isakmp.Nonce(make([]byte, 8)), natd, natd)
	answers := 0
	for range 40 {
		pieces := cut(third, 9, 120)
		for _, b := range append(pieces, pieces[len(pieces)-1]) { // and the last one again
			in += len(b)
			_ = sa.HandlePacket(epoch, serverPath, b)
			for event, ok := sa.NextEvent(); ok; event, ok = sa.NextEvent() {
				if s, ok := event.(Send); ok {
					out, answers = out+len(s.Data), answers+1
				}
			}
			if out > in {
				t.Fatalf("%d bytes in, %d out", in, out)
			}
		}
	}
	if answers == 0 || answers > 1+maxRepeats {
		t.Errorf("%d answers, want one and at most %d repetitions", answers, maxRepeats)
	}
}

// sizes is a source of randomness that records how many bytes each read takes.
type sizes struct {
	io.Reader
	list []int
}

func (s *sizes) Read(b []byte) (int, error) {
	s.list = append(s.list, len(b))
	return s.Reader.Read(b)
}

// A message 3 that is not answered costs no exponentiation, because it can be
// repeated as long as the exchange is half open.
func TestARefusedMessage3CostsNoExponentiation(t *testing.T) {
	for name, list := range map[string][]isakmp.Payload{
		"NAT-D of no length": {isakmp.Nonce(make([]byte, 8)), isakmp.NATD{}, isakmp.NATD{}},
	} {
		env := answerEnv()
		r := &sizes{Reader: env.Rand}
		env.Rand = r
		e, _, err := Answer(env, serverPath, firstMessage([]isakmp.Transform{transform(1, 1, 7, 2, 2, 4, 14, 3, 1)}, vidRFC3947), epoch)
		if err != nil {
			t.Fatal(err)
		}
		sa := Respond(env, e, epoch)
		h := isakmp.Header{
			InitiatorCookie: e.Cookies.Initiator, ResponderCookie: e.Cookies.Responder,
			Version: isakmp.Version1, Exchange: ExchangeMain,
		}
		ke := isakmp.KE(must(newDHKey(machinetest.Rand(9), GroupMODP2048)).Public)
		r.list = nil
		msg := isakmp.AppendMessage(nil, h, append([]isakmp.Payload{ke}, list...)...)
		if err := sa.HandlePacket(epoch, serverPath, msg); !errors.Is(err, ErrBudget) {
			t.Errorf("%s: %v", name, err)
		}
		exponent := GroupMODP2048.modp().exponent
		if slices.Contains(r.list, exponent) {
			t.Errorf("%s: an exponent was drawn (%v)", name, r.list)
		}
		natd := isakmp.NATD{Hash: make([]byte, 20)}
		good := isakmp.AppendMessage(nil, h, ke, isakmp.Nonce(make([]byte, 16)), natd, natd)
		if err := sa.HandlePacket(epoch, serverPath, good); err != nil || !slices.Contains(r.list, exponent) {
			t.Errorf("%s: afterwards %v, drawn %v", name, err, r.list)
		}
	}
}
