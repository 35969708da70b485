package ike

import (
	"testing"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// answerAs makes the server answer the client's next Quick Mode with payloads of
// the test's choice, and returns why the client refused them.
func (p *pair) answerAs(r ChildRequest, payloads func(spi []byte) []isakmp.Payload) ChildFailed {
	p.t.Helper()
	if err := p.client.sa.Negotiate(p.now, r); err != nil {
		p.t.Fatal(err)
	}
	p.drain(p.client)
	p.wire = nil
	q := p.client.sa.st.Quick[0]
	msg, _, err := p.server.sa.sealHashed(q.IV, p.server.sa.header(ExchangeQuick, q.ID), q.NonceI, payloads([]byte{9, 9, 9, 9})...)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.client.sa.HandlePacket(p.now, p.client.sa.st.Path, msg); err != nil {
		p.t.Fatal(err)
	}
	p.drain(p.client)
	p.wire = nil
	if n := len(take[ChildReceiving](p.client)); n != 0 {
		p.t.Errorf("%d children", n)
	}
	return one[ChildFailed](p.t, p.client)
}

func TestChoicesThatWeDidNotOffer(t *testing.T) {
	nonce := isakmp.Nonce(make([]byte, 16))
	aes, des3 := espTransform(12, 6, 256, 5, 2, 4, 4), espTransform(3, 5, 2, 4, 4)
	sa := func(spi []byte, transforms ...isakmp.Transform) isakmp.Payload {
		return isakmp.SA{Proposals: []isakmp.Proposal{{Number: 1, Protocol: isakmp.ProtocolESP, SPI: spi, Transforms: transforms}}}
	}
	request := ChildRequest{Suites: []ESPSuite{{Cipher: ESPAESCBC, KeyBits: 256, Auth: ESPAuthSHA1_96}}}
	pfs := request
	pfs.Group = GroupECP256
	tests := []struct {
		name    string
		request ChildRequest
		answer  func(spi []byte) []isakmp.Payload
		want    Failure
	}{
		{"another suite", request, func(spi []byte) []isakmp.Payload { return []isakmp.Payload{sa(spi, des3), nonce} }, FailureNoProposal},
		{"two transforms", request, func(spi []byte) []isakmp.Payload { return []isakmp.Payload{sa(spi, aes, aes), nonce} }, FailureNoProposal},
		{"another encapsulation", request, func(spi []byte) []isakmp.Payload {
			return []isakmp.Payload{sa(spi, espTransform(12, 6, 256, 5, 2)), nonce}
		}, FailureNoProposal},
		{"a reserved SPI", request, func([]byte) []isakmp.Payload { return []isakmp.Payload{sa([]byte{0, 0, 0, 1}, aes), nonce} }, FailureNoProposal},
		{"no PFS", pfs, func(spi []byte) []isakmp.Payload { return []isakmp.Payload{sa(spi, aes), nonce} }, FailureNoProposal},
		{"PFS without a public value", pfs, func(spi []byte) []isakmp.Payload {
			return []isakmp.Payload{sa(spi, espTransform(12, 6, 256, 5, 2, 4, 4, 3, 19)), nonce}
		}, FailureKeyExchange},
		{"PFS not on the curve", pfs, func(spi []byte) []isakmp.Payload {
			return []isakmp.Payload{sa(spi, espTransform(12, 6, 256, 5, 2, 4, 4, 3, 19)), nonce, isakmp.KE(make([]byte, 64))}
		}, FailureKeyExchange},
		{"no nonce", request, func(spi []byte) []isakmp.Payload { return []isakmp.Payload{sa(spi, aes)} }, FailureMalformed},
		{"no SA", request, func([]byte) []isakmp.Payload { return []isakmp.Payload{nonce} }, FailureMalformed},
	}
	for _, tt := range tests {
		p := newPair(t).establish()
		if f := p.answerAs(tt.request, tt.answer); f.Why != tt.want || !f.Initiator || f.InSPI == 0 || f.Notify == 0 {
			t.Errorf("%s: %+v", tt.name, f)
		}
		p.works()
	}
}
