package ike

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// request sends payloads as message 1 of a Quick Mode from the client and returns
// the payloads of the server's answer without the hash.
func (p *pair) request(id uint32, payloads ...isakmp.Payload) (answer []isakmp.Raw, exchange Exchange) {
	p.t.Helper()
	c := p.client.sa
	msg, iv, err := c.sealHashed(c.st.Peer.Suite.iv2(c.st.IV, id), c.header(ExchangeQuick, id), nil, payloads...)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.server.sa.HandlePacket(p.now, p.server.sa.st.Path, msg); err != nil {
		p.t.Fatal(err)
	}
	p.drain(p.server)
	if len(p.wire) != 1 {
		p.t.Fatalf("%d messages in answer", len(p.wire))
	}
	d := p.wire[0]
	p.wire = nil
	h, body, err := isakmp.ParseHeader(d.data)
	if err != nil {
		p.t.Fatal(err)
	}
	if h.Exchange != ExchangeQuick {
		iv = c.st.Peer.Suite.iv2(c.st.IV, h.MessageID)
	}
	plain, _, err := c.st.Peer.Suite.decrypt(c.st.Keys.Cipher, iv, body)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, _, err = isakmp.Chain(h.Next, plain)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer[1:], h.Exchange
}

func idPayload(addr string, protocol uint8, port uint16) isakmp.ID {
	return isakmp.AddrID(netip.MustParseAddr(addr), protocol, port)
}

func TestQuickModeIdentities(t *testing.T) {
	fqdn := isakmp.ID{Kind: isakmp.IDFQDN, Protocol: 17, Port: 1701, Data: []byte("pc.example")}
	server := idPayload("198.51.100.200", 17, 1701) // not an address of ours
	tests := []struct {
		name        string
		ids         []isakmp.Payload
		ok          bool
		local, peer uint16
		localID     string
	}{
		{"Windows", []isakmp.Payload{idPayload("10.0.0.2", 17, 1701), server}, true, 1701, 1701, "198.51.100.200"},
		{"Apple", []isakmp.Payload{idPayload("10.0.0.2", 17, 51288), server}, true, 1701, 51288, "198.51.100.200"},
		{"Android", []isakmp.Payload{idPayload("10.0.0.2", 17, 0), server}, true, 1701, 0, "198.51.100.200"},
		{"any port of ours", []isakmp.Payload{idPayload("10.0.0.2", 17, 0), idPayload("198.51.100.200", 17, 0)}, true, 1701, 0, "198.51.100.200"},
		{"XP behind NAT", []isakmp.Payload{fqdn, server}, true, 1701, 1701, "198.51.100.200"},
		{"a name for us", []isakmp.Payload{idPayload("10.0.0.2", 17, 1701), fqdn}, true, 1701, 1701, ""},
		{"none", nil, true, 1701, 0, ""},
		{"TCP", []isakmp.Payload{idPayload("10.0.0.2", 6, 1701), idPayload("198.51.100.200", 6, 1701)}, false, 0, 0, ""},
		{"NetworkManager without port 1701", []isakmp.Payload{idPayload("10.0.0.2", 0, 0), server}, true, 1701, 0, "198.51.100.200"},
		{"any protocol of the client with a port", []isakmp.Payload{idPayload("10.0.0.2", 0, 53), server}, false, 0, 0, ""},
		{"strongSwan and libreswan without ports", []isakmp.Payload{idPayload("10.0.0.2", 0, 0), idPayload("198.51.100.200", 0, 0)}, true, 1701, 0, "198.51.100.200"},
		{"any protocol of ours", []isakmp.Payload{idPayload("10.0.0.2", 17, 1701), idPayload("198.51.100.200", 0, 0)}, true, 1701, 1701, "198.51.100.200"},
		{"any protocol of ours to L2TP's port", []isakmp.Payload{idPayload("10.0.0.2", 0, 0), idPayload("198.51.100.200", 0, 1701)}, true, 1701, 0, "198.51.100.200"},
		{"any protocol of ours to another port", []isakmp.Payload{idPayload("10.0.0.2", 0, 0), idPayload("198.51.100.200", 0, 53)}, false, 0, 0, ""},
		{"a subnet of one", []isakmp.Payload{idPayload("10.0.0.2", 17, 1701), isakmp.ID{Kind: isakmp.IDIPv4Subnet, Data: []byte{198, 51, 100, 200, 255, 255, 255, 255}}}, true, 1701, 1701, ""},
		{"another service of ours", []isakmp.Payload{idPayload("10.0.0.2", 17, 0), idPayload("198.51.100.200", 17, 53)}, false, 0, 0, ""},
	}
	for _, tt := range tests {
		p := newPair(t).establish()
		payloads := append([]isakmp.Payload{
			isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2, 4, 4))}}, isakmp.Nonce(make([]byte, 48)),
		}, tt.ids...)
		answer, exchange := p.request(1, payloads...)
		if !tt.ok {
			f := one[ChildFailed](t, p.server)
			if f.Why != FailureID || !strings.Contains(f.Detail, fmt.Sprintf("IDcr of protocol %d, port", tt.ids[1].AppendBody(nil)[1])) || exchange != ExchangeInformational || answer[0].Kind != isakmp.PayloadNotify {
				t.Errorf("%s: %+v, answered in %v", tt.name, f, exchange)
			}
			continue
		}
		c := one[ChildReceiving](t, p.server).Child
		if c.LocalPort != tt.local || c.PeerPort != tt.peer || tt.localID != "" && c.LocalID != netip.MustParseAddr(tt.localID) || tt.localID == "" && c.LocalID.IsValid() {
			t.Errorf("%s: ports %d and %d, we are %v", tt.name, c.LocalPort, c.PeerPort, c.LocalID)
		}
		if len(answer) != 2+len(tt.ids) {
			t.Fatalf("%s: answer %v", tt.name, answer)
		}
		for i, id := range tt.ids {
			if !bytes.Equal(answer[2+i].Body, id.AppendBody(nil)) {
				t.Errorf("%s: identity %d came back as %x", tt.name, i, answer[2+i].Body)
			}
		}
	}
}

// What ESP may carry beside L2TP is the driver's to say, and has no ports.
func TestQuickModeOfOtherProtocols(t *testing.T) {
	ask := func(carries func(uint8) bool, i, r isakmp.ID) (Child, bool) {
		p := newPair(t).establish()
		p.server.sa.env.Carries = carries
		p.request(1, isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2, 4, 4))}}, isakmp.Nonce(make([]byte, 48)), i, r)
		for _, e := range p.server.events {
			if e, ok := e.(ChildReceiving); ok {
				return e.Child, true
			}
		}
		return Child{}, false
	}
	gre := func(protocol uint8) bool { return protocol == 47 }
	for name, v := range map[string]struct {
		carries func(uint8) bool
		i, r    isakmp.ID
		ok      bool
		want    uint8
	}{
		"GRE":                     {gre, idPayload("10.0.0.2", 47, 0), idPayload("198.51.100.200", 47, 0), true, 47},
		"GRE, nobody expects":     {nil, idPayload("10.0.0.2", 47, 0), idPayload("198.51.100.200", 47, 0), false, 0},
		"IPIP of a GRE peer":      {gre, idPayload("10.0.0.2", 4, 0), idPayload("198.51.100.200", 4, 0), false, 0},
		"GRE with a port":         {gre, idPayload("10.0.0.2", 47, 1), idPayload("198.51.100.200", 47, 0), false, 0},
		"GRE of one end":          {gre, idPayload("10.0.0.2", 47, 0), idPayload("198.51.100.200", 17, 1701), false, 0},
		"L2TP of such a peer":     {gre, idPayload("10.0.0.2", 17, 0), idPayload("198.51.100.200", 17, 1701), true, 17},
		"anything of such a peer": {func(uint8) bool { return true }, idPayload("10.0.0.2", 0, 0), idPayload("198.51.100.200", 0, 0), true, 17},
	} {
		c, ok := ask(v.carries, v.i, v.r)
		if ok != v.ok || c.Protocol != v.want {
			t.Errorf("%s: agreed %v, protocol %d; want %v, %d", name, ok, c.Protocol, v.ok, v.want)
		}
		if ok && c.Protocol == 47 && c.LocalPort+c.PeerPort != 0 {
			t.Errorf("%s: ports %d and %d", name, c.LocalPort, c.PeerPort)
		}
	}
	p := newPair(t).establish()
	p.server.sa.env.Carries = gre
	if err := p.client.sa.Negotiate(p.now, ChildRequest{Protocol: 47}); err != nil {
		t.Fatal(err)
	}
	p.run()
	for name, e := range map[string]*end{"the client": p.client, "the server": p.server} {
		if c := one[ChildReceiving](t, e).Child; c.Protocol != 47 || c.LocalPort+c.PeerPort != 0 {
			t.Errorf("%s has protocol %d, ports %d and %d", name, c.Protocol, c.LocalPort, c.PeerPort)
		}
	}
}

func TestNATOAIsSentOnlyIfReceived(t *testing.T) {
	oa := func(a string) isakmp.Payload { return isakmp.NATOA{Addr: netip.MustParseAddr(a)} }
	tests := []struct {
		name    string
		windows bool
		sent    []isakmp.Payload
		want    []isakmp.Payload
	}{
		{"none", false, nil, nil},
		{"two", false, []isakmp.Payload{oa("10.0.0.2"), oa("198.51.100.200")}, []isakmp.Payload{oa("198.51.100.7"), oa("203.0.113.1")}},
		// Windows takes the address that it dialled for our address.
		{"two of Windows", true, []isakmp.Payload{oa("10.0.0.2"), oa("198.51.100.200")}, []isakmp.Payload{oa("198.51.100.7"), oa("198.51.100.200")}},
		{"one", false, []isakmp.Payload{oa("10.0.0.2")}, []isakmp.Payload{oa("203.0.113.1")}},
	}
	for _, tt := range tests {
		p := newPair(t).establish()
		if tt.windows {
			p.server.sa.st.Peer.Kind = ClientWindows
		}
		answer, _ := p.request(1, append([]isakmp.Payload{
			isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2, 4, 4))}}, isakmp.Nonce(make([]byte, 48)),
			idPayload("10.0.0.2", 17, 1701), idPayload("198.51.100.200", 17, 1701),
		}, tt.sent...)...)
		answer = answer[4:]
		if len(answer) != len(tt.want) {
			t.Errorf("%s: %d NAT-OA payloads", tt.name, len(answer))
			continue
		}
		for i, w := range tt.want {
			if answer[i].Kind != isakmp.PayloadNATOA || !bytes.Equal(answer[i].Body, w.AppendBody(nil)) {
				t.Errorf("%s: NAT-OA %d is %x, want %x", tt.name, i, answer[i].Body, w.AppendBody(nil))
			}
		}
		c := one[ChildReceiving](t, p.server).Child
		if len(tt.sent) > 0 && !bytes.Equal(c.PeerNATOA, tt.sent[0].AppendBody(nil)) {
			t.Errorf("%s: the child has NAT-OA %x", tt.name, c.PeerNATOA)
		}
	}
}

func TestQuickModesThatAreRefused(t *testing.T) {
	sa := isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2))}}
	pfs := isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2, 3, 14))}}
	tunnel := isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2, 4, 1))}}
	nonce := isakmp.Nonce(make([]byte, 16))
	id := idPayload("10.0.0.2", 17, 1701)
	tests := []struct {
		name     string
		payloads []isakmp.Payload
		why      Failure
		notify   isakmp.NotifyType
	}{
		{"no SA", []isakmp.Payload{nonce, id, id}, FailureMalformed, isakmp.NotifyPayloadMalformed},
		{"no nonce", []isakmp.Payload{sa, id, id}, FailureMalformed, isakmp.NotifyPayloadMalformed},
		{"one identity", []isakmp.Payload{sa, nonce, id}, FailureMalformed, isakmp.NotifyPayloadMalformed},
		{"tunnel mode", []isakmp.Payload{tunnel, nonce, id, id}, FailureNoProposal, isakmp.NotifyNoProposalChosen},
		{"PFS without a public value", []isakmp.Payload{pfs, nonce, id, id}, FailureNoProposal, isakmp.NotifyNoProposalChosen},
		{"PFS with zero", []isakmp.Payload{pfs, nonce, isakmp.KE(make([]byte, 256)), id, id}, FailureKeyExchange, isakmp.NotifyInvalidKeyInformation},
		{"an SA of another DOI", []isakmp.Payload{isakmp.Raw{Kind: isakmp.PayloadSA, Body: make([]byte, 8)}, nonce, id, id}, FailureMalformed, isakmp.NotifyPayloadMalformed},
	}
	for _, tt := range tests {
		p := newPair(t).establish()
		answer, exchange := p.request(7, tt.payloads...)
		n, err := isakmp.ParseNotify(answer[0].Body)
		if err != nil || exchange != ExchangeInformational || n.Message != tt.notify {
			t.Errorf("%s: %v in %v, %v", tt.name, n.Message, exchange, err)
		}
		if f := one[ChildFailed](t, p.server); f.Why != tt.why || f.Notify != uint16(tt.notify) || f.InSPI != 0 {
			t.Errorf("%s: %+v", tt.name, f)
		}
		p.works()
	}
}

func TestNoSPILeft(t *testing.T) {
	p := newPair(t).establish()
	p.server.sa.env.NewSPI = func() uint32 { return 0 }
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.run()
	if f := one[ChildFailed](t, p.server); f.Why != FailureNoSPI {
		t.Errorf("%+v", f)
	}
	if err := p.server.sa.Negotiate(p.now, ChildRequest{}); !errors.Is(err, ErrNoSPI) {
		t.Errorf("as initiator: %v", err)
	}
}

// Windows begins one Quick Mode after the other if L2TP does not answer. Their
// message ids are 1, 2, 3, and they are the same in every phase 1.
func TestManyQuickModesAtOnce(t *testing.T) {
	p := newPair(t).establish()
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient {
			return nil // message 2 gets lost
		}
		return []datagram{d}
	}
	for id := uint32(1); id <= maxQuick; id++ {
		if err := p.client.sa.Negotiate(p.now, ChildRequest{MessageID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.client.sa.Negotiate(p.now, ChildRequest{MessageID: 99}); !errors.Is(err, ErrLimit) {
		t.Errorf("one more: %v", err)
	}
	p.run()
	if n := len(take[ChildReceiving](p.server)); n != maxQuick {
		t.Fatalf("%d children await message 3", n)
	}
	p.client.sa.st.Quick = nil // the client starts afresh
	if err := p.client.sa.Negotiate(p.now, ChildRequest{MessageID: 99}); err != nil {
		t.Fatal(err)
	}
	p.run()
	if len(p.dropped) != 1 || !errors.Is(p.dropped[0], ErrLimit) {
		t.Errorf("dropped: %v", p.dropped)
	}
	p.tamper = nil
	if err := p.client.sa.Negotiate(p.now, ChildRequest{MessageID: 1}); !errors.Is(err, ErrReplay) {
		t.Errorf("a message id that was used: %v", err)
	}
	p.client.sa.st.Quick = nil
	p.wait(31 * time.Second)
	failed := take[ChildFailed](p.server)
	if len(failed) != maxQuick || failed[0].Why != FailureTimeout || failed[0].InSPI == 0 {
		t.Errorf("%d timed out: %+v", len(failed), failed)
	}
	p.works()
}

// A peer that receives no message 2 may begin again with the same id, and gets a
// new pair of ESP SAs. A message that is identical to the last byte is a copy.
func TestAnIDOfAQuickModeThatWasGivenUpBeginsAnother(t *testing.T) {
	p := newPair(t).establish()
	var copies []datagram
	lost := true
	p.tamper = func(d datagram) []datagram {
		if d.fromClient {
			copies = append(copies, d)
		} else if lost {
			return nil
		}
		return []datagram{d}
	}
	begin := func() {
		p.client.sa.st.Quick, p.client.sa.st.Used = nil, nil // the client starts afresh
		if err := p.client.sa.Negotiate(p.now, ChildRequest{MessageID: 7}); err != nil {
			t.Fatal(err)
		}
		p.run()
	}
	begin()
	first := one[ChildReceiving](t, p.server)
	lost = false
	begin()
	second := one[ChildReceiving](t, p.server)
	if f := one[ChildFailed](t, p.server); f.InSPI != first.Child.InSPI {
		t.Errorf("given up: %08x, want %08x", f.InSPI, first.Child.InSPI)
	}
	if s := one[ChildSending](t, p.server); s.InSPI != second.Child.InSPI {
		t.Errorf("agreed: %08x, want %08x", s.InSPI, second.Child.InSPI)
	}
	for i, d := range copies {
		if err := p.server.sa.HandlePacket(p.now, p.arrival(d), d.data); !errors.Is(err, ErrReplay) {
			t.Errorf("copy of message %d: %v", i, err)
		}
	}
}

// A pair of ESP SAs whose message 3 was lost is kept if the peer uses it.
func TestConfirmStandsForMessage3(t *testing.T) {
	p := newPair(t).establish()
	p.tamper = func(d datagram) []datagram {
		if d.fromClient && Exchange(d.data[18]) == ExchangeQuick && len(d.data) < 100 {
			return nil
		}
		return []datagram{d}
	}
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.run()
	p.server.sa.Confirm(one[ChildReceiving](t, p.server).Child.InSPI)
	p.wait(2 * time.Minute)
	if failed := take[ChildFailed](p.server); len(failed) != 0 {
		t.Errorf("%+v", failed)
	}
	if len(p.server.sa.st.Quick) != 0 {
		t.Error("the Quick Mode is never forgotten")
	}
}

func TestInitiatorGivesUp(t *testing.T) {
	p := newPair(t).establish()
	var sent int
	p.tamper = func(datagram) []datagram { sent++; return nil }
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.wait(32 * time.Second)
	f := one[ChildFailed](t, p.client)
	if f.Why != FailureTimeout || !f.Initiator || f.InSPI == 0 || sent != 1+requestTimes {
		t.Errorf("%+v after %d messages", f, sent)
	}
}

// Both ends rekey at the same moment: there are two children, each complete.
func TestSimultaneousQuickModes(t *testing.T) {
	p := newPair(t).establish()
	_, s := p.quick(p.client, ChildRequest{})
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := p.server.sa.Negotiate(p.now, ChildRequest{IDi: s.IDr, IDr: s.IDi}); err != nil {
		t.Fatal(err)
	}
	p.run()
	client, server := take[ChildReceiving](p.client), take[ChildReceiving](p.server)
	if len(client) != 2 || len(server) != 2 {
		t.Fatalf("%d and %d children", len(client), len(server))
	}
	for _, c := range client {
		for _, s := range server {
			if c.Child.MessageID == s.Child.MessageID {
				sameChild(t, c.Child, s.Child)
			}
		}
	}
}

func TestResponderLifetime(t *testing.T) {
	p := newPair(t)
	c := Child{Lifetime: 8 * time.Hour}
	n := isakmp.Notify{Protocol: isakmp.ProtocolESP, Message: isakmp.NotifyResponderLifetime, Data: isakmp.AppendAttributes(nil, []isakmp.Attribute{
		isakmp.ShortAttribute(1, 1), isakmp.LongAttribute(2, 3600), isakmp.ShortAttribute(1, 2), isakmp.LongAttribute(2, 1000),
	})}
	p.establish()
	p.client.sa.childNotify(&c, n)
	if c.Lifetime != time.Hour || c.Kilobytes != 1000 {
		t.Errorf("%v, %d kB", c.Lifetime, c.Kilobytes)
	}
	n.Protocol = isakmp.ProtocolISAKMP
	p.server.sa.inform(n)
	p.run()
	if got := p.client.sa.Peer().Lifetime; got != time.Hour {
		t.Errorf("phase 1 lives %v", got)
	}
	p.wait(time.Hour + lifetimeGrace)
	if why := one[Closed](t, p.client).Why; why != ReasonExpired {
		t.Errorf("closed because of %v", why)
	}
}

// Old Android cuts SHA2-256 to 96 bits; recognised by port 0 and the missing NAT-OA.
func TestSHA256IsNotForAndroid(t *testing.T) {
	sa := isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1,
		espTransform(12, 6, 256, 5, 5, 4, 4), espTransform(12, 6, 256, 5, 2, 4, 4))}}
	us := idPayload("203.0.113.1", 17, 1701)
	oa := isakmp.NATOA{Addr: netip.MustParseAddr("10.0.0.2")}
	tests := []struct {
		name string
		kind ClientKind
		ids  []isakmp.Payload
		want ESPAuth
	}{
		{"its vendor IDs", ClientAndroid, []isakmp.Payload{idPayload("10.0.0.2", 17, 1701), us}, ESPAuthSHA1_96},
		{"its port and no NAT-OA", ClientUnknown, []isakmp.Payload{idPayload("10.0.0.2", 17, 0), us}, ESPAuthSHA1_96},
		{"its port, but NAT-OA", ClientUnknown, []isakmp.Payload{idPayload("10.0.0.2", 17, 0), us, oa, oa}, ESPAuthSHA256_128},
		{"another port", ClientUnknown, []isakmp.Payload{idPayload("10.0.0.2", 17, 1701), us}, ESPAuthSHA256_128},
		{"Apple", ClientApple, []isakmp.Payload{idPayload("10.0.0.2", 17, 0), us}, ESPAuthSHA256_128},
	}
	for _, tt := range tests {
		p := newPair(t).establish()
		p.server.sa.st.Peer.Kind = tt.kind
		p.request(1, append([]isakmp.Payload{sa, isakmp.Nonce(make([]byte, 16))}, tt.ids...)...)
		if got := one[ChildReceiving](t, p.server).Child.Suite.Auth; got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// An attacker who captured a request must not be able to make us answer it for ever.
func TestDuplicatesAreAnsweredABoundedNumberOfTimes(t *testing.T) {
	p := newPair(t)
	var captured []datagram
	p.tamper = func(d datagram) []datagram {
		if d.fromClient && d.data[19] != 0 {
			captured = append(captured, d)
		}
		if d.fromClient && Exchange(d.data[18]) == ExchangeQuick && len(captured) > 2 {
			return nil // message 3
		}
		return []datagram{d}
	}
	p.establish()
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.run()
	for _, d := range captured[:2] { // message 5, and 1 of Quick Mode
		answers := 0
		p.tamper = func(datagram) []datagram { answers++; return nil }
		for range 50 {
			p.deliver(d)
		}
		if answers != maxRepeats {
			t.Errorf("50 duplicates of %d bytes are answered %d times", len(d.data), answers)
		}
	}
	if notes := take[Note](p.server); len(notes) != 2*maxRepeats || notes[0].Kind != NoteRepeat {
		t.Errorf("%d notes", len(notes))
	}
}

// A notify that refuses a Quick Mode is not acknowledged. A client that did not
// receive it asks again, and is told again, a bounded number of times. The failure
// is reported once.
func TestARefusalOfQuickModeThatWasLostIsSaidAgain(t *testing.T) {
	p := newPair(t)
	p.establish()
	p.server.env.Policy.ESP = nil
	var first []datagram
	p.tamper = func(d datagram) []datagram {
		if d.fromClient {
			first = append(first, d)
			return []datagram{d}
		}
		return nil // the refusal is lost
	}
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.run()
	answers := 0
	p.tamper = func(d datagram) []datagram {
		if answers++; answers == 1 {
			return []datagram{d}
		}
		return nil
	}
	for range 50 {
		p.deliver(first[0])
		p.run()
	}
	if answers != maxRepeats {
		t.Errorf("50 repetitions were answered %d times, want %d", answers, maxRepeats)
	}
	if f := one[ChildFailed](t, p.client); f.Why != FailureRefused || f.Notify != uint16(isakmp.NotifyNoProposalChosen) {
		t.Errorf("the client: %+v", f)
	}
	one[ChildFailed](t, p.server)

	// Only the most recent refusals are remembered.
	p.tamper = nil
	for id := range uint32(3 * maxQuick) {
		p.request(1000+id, isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(3, 5, 1))}}, isakmp.Nonce(make([]byte, 16)))
	}
	if n := len(p.server.sa.st.Refusals); n != maxQuick {
		t.Errorf("%d refusals are kept", n)
	}
}
