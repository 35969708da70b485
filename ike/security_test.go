package ike

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// Nothing larger than what was received leaves for an address that has not proved
// itself: not in one message, not in sum, not by timers, not as an answer to
// duplicates.
func TestNoAmplificationBeforeAuthentication(t *testing.T) {
	minimal := transform(1, 1, 7, 2, 2, 4, 19, 3, 1)
	ke := must(newDHKey(machinetest.Rand(9), GroupECP256)).Public
	natd := isakmp.NATD{Hash: make([]byte, 20)}
	tests := []struct {
		name   string
		vendor []string
		third  []isakmp.Payload
	}{
		{"the least", nil, []isakmp.Payload{isakmp.KE(ke), isakmp.Nonce(make([]byte, 8))}},
		{"short nonce, NAT-T", []string{vidRFC3947}, []isakmp.Payload{isakmp.KE(ke), isakmp.Nonce(make([]byte, 8)), natd, natd}},
		{"long nonce, NAT-T", []string{vidRFC3947}, []isakmp.Payload{isakmp.KE(ke), isakmp.Nonce(make([]byte, 256)), natd, natd}},
		{"empty NAT-D", []string{vidRFC3947}, []isakmp.Payload{isakmp.KE(ke), isakmp.Nonce(make([]byte, 16)), isakmp.NATD{}, isakmp.NATD{}}},
		{"all vendor IDs", []string{vidRFC3947, vidNATTDraft03, vidNATTDraft02, vidDPD}, []isakmp.Payload{isakmp.KE(ke), isakmp.Nonce(make([]byte, 16)), natd, natd}},
		{"Windows", []string{vidRFC3947, vidMicrosoftVIC}, []isakmp.Payload{isakmp.KE(ke), isakmp.Nonce(make([]byte, 48)), natd, natd}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := answerEnv()
			msg1 := firstMessage([]isakmp.Transform{minimal}, tt.vendor...)
			e, reply, err := Answer(env, serverPath, msg1, epoch)
			if err != nil {
				t.Fatal(err)
			}
			in, out := len(msg1), len(reply)
			for range 3 {
				in, out = in+len(msg1), out+len(e.Again(msg1))
			}
			if out > in {
				t.Fatalf("%d bytes in, %d out after message 1", in, out)
			}
			sa := Respond(env, e, epoch)
			send := func(msg []byte) {
				t.Helper()
				in += len(msg)
				err := sa.HandlePacket(epoch, serverPath, msg)
				for {
					event, ok := sa.NextEvent()
					if !ok {
						break
					}
					if s, ok := event.(Send); ok {
						out += len(s.Data)
					}
				}
				if out > in {
					t.Fatalf("%d bytes in, %d out (%v)", in, out, err)
				}
			}
			h := isakmp.Header{
				InitiatorCookie: e.Cookies.Initiator, ResponderCookie: e.Cookies.Responder,
				Version: isakmp.Version1, Exchange: ExchangeMain,
			}
			for range 20 {
				send(isakmp.AppendMessage(nil, h, tt.third...))
			}
			h.Flags = isakmp.FlagEncryption
			for range 20 {
				send(isakmp.AppendMessage(nil, h, isakmp.Hash(make([]byte, 28))))
			}
			for at := epoch; at.Before(epoch.Add(time.Minute)); at = at.Add(time.Second) {
				sa.HandleTimer(at)
				for {
					event, ok := sa.NextEvent()
					if !ok {
						break
					}
					if s, ok := event.(Send); ok {
						t.Fatalf("a timer sends %x", s.Data)
					}
				}
			}
		})
	}
}

// A message 3 that could not be answered changes nothing.
func TestUnanswerableMessage3ChangesNothing(t *testing.T) {
	env := answerEnv()
	e, _, err := Answer(env, serverPath, firstMessage([]isakmp.Transform{transform(1, 1, 7, 2, 2, 4, 19, 3, 1)}, vidRFC3947), epoch)
	if err != nil {
		t.Fatal(err)
	}
	sa := Respond(env, e, epoch)
	h := isakmp.Header{
		InitiatorCookie: e.Cookies.Initiator, ResponderCookie: e.Cookies.Responder,
		Version: isakmp.Version1, Exchange: ExchangeMain,
	}
	ke := isakmp.KE(must(newDHKey(machinetest.Rand(9), GroupECP256)).Public)
	if err := sa.HandlePacket(epoch, serverPath, isakmp.AppendMessage(nil, h, ke, isakmp.Nonce(make([]byte, 8)), isakmp.NATD{}, isakmp.NATD{})); !errors.Is(err, ErrBudget) {
		t.Fatalf("an answer of 40 bytes more than the question: %v", err)
	}
	natd := isakmp.NATD{Hash: make([]byte, 20)}
	if err := sa.HandlePacket(epoch, serverPath, isakmp.AppendMessage(nil, h, ke, isakmp.Nonce(make([]byte, 16)), natd, natd)); err != nil {
		t.Fatal(err)
	}
	if p := sa.Peer(); p.NATT != NATTRFC3947 || !p.Encap {
		t.Errorf("%+v", p)
	}
}

// CVE-2016-5361: a responder retransmitted message 2 by itself.
func TestCVE_2016_5361_NoRetransmissionBeforeAuthentication(t *testing.T) {
	p := newPair(t)
	fromServer, third := 0, false
	p.tamper = func(d datagram) []datagram {
		switch {
		case !d.fromClient && third:
			fromServer++
			return nil
		case d.fromClient && third:
			return nil // message 3 comes once, and then the client is silent
		}
		third = d.fromClient && d.data[16] == byte(isakmp.PayloadKE)
		return []datagram{d}
	}
	p.initiate()
	p.wait(5 * time.Minute)
	if fromServer != 1 {
		t.Errorf("the server sent %d messages after message 3, want one", fromServer)
	}
	one[Closed](t, p.server)
}

// CVE-2014-2338: exchanges that need an authenticated peer were possible without
// one.
func TestCVE_2014_2338_NothingButMainModeBeforeAuthentication(t *testing.T) {
	established := newPair(t)
	var quick, inform datagram
	established.establish()
	established.tamper = func(d datagram) []datagram {
		if Exchange(d.data[18]) == ExchangeQuick && quick.data == nil {
			quick = d
		}
		if Exchange(d.data[18]) == ExchangeInformational && inform.data == nil {
			inform = d
		}
		return []datagram{d}
	}
	established.works()
	established.client.sa.DeleteChildren(epoch, []uint32{1})
	established.run()
	for _, stage := range []string{"before message 3", "before message 5"} {
		p := newPair(t)
		p.tamper = func(d datagram) []datagram {
			if d.fromClient && d.data[19] != 0 {
				return nil
			}
			return []datagram{d}
		}
		p.initiate()
		if stage == "before message 3" {
			p.server.sa = Respond(p.server.env, p.embryo, p.now)
		}
		for _, d := range []datagram{quick, inform} {
			for _, flags := range []byte{0, 1} {
				msg := bytes.Clone(d.data)
				copy(msg, p.embryo.Cookies.Initiator[:])
				copy(msg[8:], p.embryo.Cookies.Responder[:])
				msg[19] = flags
				if err := p.server.sa.HandlePacket(p.now, serverPath, msg); !errors.Is(err, ErrUnexpected) {
					t.Errorf("%s, %v with flags %d: %v", stage, Exchange(msg[18]), flags, err)
				}
			}
		}
		if e, ok := p.server.sa.NextEvent(); ok {
			t.Errorf("%s it caused %T", stage, e)
		}
	}
}

// CVE-2015-3240: a public value of zero made the program crash.
func TestCVE_2015_3240_PublicValueOfZero(t *testing.T) {
	for _, g := range allGroups {
		env := answerEnv()
		e, _, err := Answer(env, serverPath, firstMessage([]isakmp.Transform{
			transform(1, 1, 7, 14, 256, 2, 2, 4, uint16(g), 3, 1, 99, 0, 99, 0, 99, 0, 99, 0),
		}), epoch)
		if err != nil {
			t.Fatal(err)
		}
		sa := Respond(env, e, epoch)
		h := isakmp.Header{
			InitiatorCookie: e.Cookies.Initiator, ResponderCookie: e.Cookies.Responder,
			Version: isakmp.Version1, Exchange: ExchangeMain,
		}
		zero := isakmp.AppendMessage(nil, h, isakmp.KE(make([]byte, g.publicLen())), isakmp.Nonce(make([]byte, 64)))
		err = sa.HandlePacket(epoch, serverPath, zero)
		if g == GroupCurve25519 && err == nil {
			// Curve25519 accepts every string. Only the result must not be zero,
			// which is found with message 5.
			h.Flags = isakmp.FlagEncryption
			err = sa.HandlePacket(epoch, serverPath, isakmp.AppendMessage(nil, h, isakmp.Hash(make([]byte, 28))))
		}
		if !errors.Is(err, ErrKeyExchange) {
			t.Errorf("%v: %v", g, err)
		}
		if sa.Established() {
			t.Errorf("%v: established", g)
		}
	}
}

// CVE-2019-10155: an Informational message was obeyed though its hash was wrong.
func TestCVE_2019_10155_InformationalNeedsItsHash(t *testing.T) {
	p := newPair(t).establish()
	c := p.client.sa
	cookies := c.Cookies()
	deletion := isakmp.Delete{Protocol: isakmp.ProtocolISAKMP, SPIs: [][]byte{append(cookies.Initiator[:], cookies.Responder[:]...)}}
	h := c.header(ExchangeInformational, 77)
	iv := c.st.Peer.Suite.iv2(c.st.IV, 77)
	good := c.hash(77, nil, isakmp.Append(nil, deletion))
	wrong := bytes.Clone(good)
	wrong[0] ^= 1
	seal := func(payloads ...isakmp.Payload) []byte {
		msg, _, err := c.seal(c.st.Keys, iv, h, payloads...)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	for name, msg := range map[string][]byte{
		"a wrong hash":    seal(isakmp.Hash(wrong), deletion),
		"a short hash":    seal(isakmp.Hash(good[:4]), deletion),
		"no hash":         seal(deletion),
		"hash at the end": seal(deletion, isakmp.Hash(good)),
		"in clear":        isakmp.AppendMessage(nil, h, isakmp.Hash(good), deletion),
	} {
		if err := p.server.sa.HandlePacket(p.now, p.server.sa.st.Path, msg); !errors.Is(err, ErrHash) && !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e, ok := p.server.sa.NextEvent(); ok {
		t.Fatalf("it caused %T", e)
	}
	if err := p.server.sa.HandlePacket(p.now, p.server.sa.st.Path, seal(isakmp.Hash(good), deletion)); err != nil {
		t.Errorf("with the right hash: %v", err)
	}
	p.drain(p.server)
	if why := one[Closed](t, p.server).Why; why != ReasonDeleted {
		t.Errorf("closed because of %v", why)
	}
}

// CVE-2024-3652: a peer that asked for ESP without AH, or with it, made the
// program crash when no suite was configured.
func TestCVE_2024_3652_NoSuitesConfigured(t *testing.T) {
	for _, policy := range [][]ESPSuite{nil, {}} {
		p := newPair(t)
		p.server.env.Policy.ESP = policy
		p.establish()
		if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
			t.Fatal(err)
		}
		p.run()
		f := one[ChildFailed](t, p.server)
		if f.Why != FailureNoProposal || f.Notify != uint16(isakmp.NotifyNoProposalChosen) || len(f.Offered) == 0 {
			t.Errorf("the server: %+v", f)
		}
		if f := one[ChildFailed](t, p.client); f.Why != FailureRefused || f.Notify != uint16(isakmp.NotifyNoProposalChosen) {
			t.Errorf("the client: %+v", f)
		}
		if !p.server.sa.Established() {
			t.Error("the SA did not survive")
		}
	}
}

// Replayed messages of any kind, from any address, have no effect. In particular
// they do not move the peer's endpoint.
func TestReplaysAreDropped(t *testing.T) {
	p := newPair(t).establish()
	var sent []datagram
	p.tamper = func(d datagram) []datagram {
		if d.fromClient {
			sent = append(sent, d)
		}
		return []datagram{d}
	}
	p.works()
	p.client.sa.DeleteChildren(p.now, []uint32{0x1234})
	p.client.sa.Probe(p.now, 0)
	p.run()
	if len(sent) != 4 { // messages 1 and 3, a Delete, a probe
		t.Fatalf("%d messages", len(sent))
	}
	p.server.events, p.server.fresh = nil, 0
	before := p.server.sa.st.Path
	elsewhere := p.arrival(sent[0])
	elsewhere.Remote = netip.MustParseAddrPort("192.0.2.66:4500")
	for i, d := range sent {
		if err := p.server.sa.HandlePacket(p.now, elsewhere, d.data); !errors.Is(err, ErrReplay) {
			t.Errorf("replay of message %d: %v", i+1, err)
		}
	}
	p.drain(p.server)
	if len(p.server.events) != 0 || p.server.fresh != 0 || len(p.wire) != 0 || p.server.sa.st.Path != before {
		t.Errorf("replays caused %+v and %d messages", p.server.events, len(p.wire))
	}
}

// A replay with a changed header or padding, which no hash covers, is still a
// replay.
func TestAReplayWithOtherSurroundingsIsOne(t *testing.T) {
	p := newPair(t).establish()
	var sent []datagram
	p.tamper = func(d datagram) []datagram {
		if d.fromClient {
			sent = append(sent, d)
		}
		return []datagram{d}
	}
	p.works()
	p.client.sa.DeleteChildren(p.now, []uint32{0x1234})
	p.client.sa.Probe(p.now, 0)
	p.run()
	p.server.events, p.server.fresh = nil, 0
	for i, d := range sent {
		for bit := range 8 * len(d.data) {
			b := bytes.Clone(d.data)
			b[bit/8] ^= 1 << (bit % 8)
			if err := p.server.sa.HandlePacket(p.now, p.arrival(d), b); err == nil {
				t.Errorf("message %d with another bit %d was taken for new", i, bit)
			}
		}
	}
	p.drain(p.server)
	if len(p.server.events) != 0 || p.server.fresh != 0 || len(p.wire) != 0 {
		t.Errorf("replays caused %+v and %d messages", p.server.events, len(p.wire))
	}
}

func TestNonceLengths(t *testing.T) {
	ke := must(newDHKey(machinetest.Rand(9), GroupECP256)).Public
	for n, ok := range map[int]bool{7: false, 8: true, 16: true, 256: true, 257: false} {
		env := answerEnv()
		e, _, err := Answer(env, serverPath, firstMessage([]isakmp.Transform{
			transform(1, 1, 7, 2, 2, 4, 19, 3, 1), transform(1, 1, 7, 2, 2, 4, 19, 3, 1),
		}), epoch)
		if err != nil {
			t.Fatal(err)
		}
		sa := Respond(env, e, epoch)
		err = sa.HandlePacket(epoch, serverPath, isakmp.AppendMessage(nil, isakmp.Header{
			InitiatorCookie: e.Cookies.Initiator, ResponderCookie: e.Cookies.Responder,
			Version: isakmp.Version1, Exchange: ExchangeMain,
		}, isakmp.KE(ke), isakmp.Nonce(make([]byte, n))))
		if ok && err != nil || !ok && !errors.Is(err, ErrMalformed) {
			t.Errorf("a nonce of %d bytes: %v", n, err)
		}
		if ok && len(sa.st.NonceR) < 16 {
			t.Errorf("our nonce has %d bytes", len(sa.st.NonceR))
		}
	}
}
