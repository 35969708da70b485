package ppp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// wish is how a peer answers our Configure-Requests, for ever: with this code and these
// options, 0 for an Ack.
type wish func(n int, request []option) (code byte, opts []byte)

// naks answers every request with other values.
func naks(values ...string) wish {
	return func(n int, _ []option) (byte, []byte) {
		return codeConfigureNak, hexBytes(values[n%len(values)])
	}
}

// insists answers with other values as long as our request contains the option.
func insists(kind byte, values ...string) wish {
	return func(n int, request []option) (byte, []byte) {
		for _, o := range request {
			if o.kind == kind {
				return codeConfigureNak, hexBytes(values[n%len(values)])
			}
		}
		return 0, nil
	}
}

// rejects rejects one option for ever.
func rejects(kind byte) wish {
	return func(_ int, request []option) (byte, []byte) {
		for _, o := range request {
			if o.kind == kind {
				return codeConfigureReject, o.raw
			}
		}
		return 0, nil
	}
}

func hexBytes(s string) []byte {
	var b []byte
	for s = strings.ReplaceAll(s, " ", ""); len(s) > 1; s = s[2:] {
		var v byte
		_, _ = fmt.Sscanf(s[:2], "%02x", &v)
		b = append(b, v)
	}
	return b
}

// stubborn is a peer that insists on one thing in one protocol, and accepts everything
// else. It answers at once.
type stubborn struct {
	t        *testing.T
	l        *Link
	protocol uint16
	answer   wish
	demand   func(n int) []byte // options of its n-th request, whatever we say; nil: an ordinary request

	compression []Compressor // that we are configured with

	sameID bool // all its requests have one identifier, whatever we say

	requests, replies int
	up                bool
	farewell          string
	down              *Down
}

func (s *stubborn) send(protocol uint16, code, id byte, data []byte) {
	_ = s.l.HandlePacket(machinetest.Epoch, appendPacket(appendFrame(nil, protocol), code, id, data))
}

// run handles events until none are left.
func (s *stubborn) run() {
	for range 1000 {
		events := drain(s.l)
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			switch e := e.(type) {
			case Send:
				s.handle(bytes.Clone(e.Frame))
			case AuthRequest:
				s.l.HandleAuth(machinetest.Epoch, e.Ticket, AuthAnswer{OK: true, Network: testNetwork, Network6: Network6{On: s.protocol == ProtocolIPV6CP}})
			case LinkUp:
				s.up = s.up || s.protocol == ProtocolLCP
			case NetworkUp:
				s.up = s.up || s.protocol == ProtocolIPCP
			case Network6Up:
				s.up = s.up || s.protocol == ProtocolIPV6CP
			case Down:
				s.down = &e
			}
		}
	}
	s.t.Fatal("it never ends")
}

func (s *stubborn) handle(frame []byte) {
	protocol := binary.BigEndian.Uint16(frame[2:])
	p, err := parsePacket(frame[4:])
	if err != nil {
		s.t.Fatal(err)
	}
	switch {
	case p.code == codeTerminateRequest:
		if s.farewell == "" {
			s.farewell = string(p.data)
		}
		s.send(protocol, codeTerminateAck, p.id, nil)
	case p.code == codeConfigureRequest && protocol == s.protocol && s.answer != nil:
		s.requests++
		opts, _ := parseOptions(p.data)
		if code, reply := s.answer(s.requests-1, opts); code != 0 {
			s.send(protocol, code, p.id, reply)
			return
		}
		s.send(protocol, codeConfigureAck, p.id, p.data)
	case p.code == codeConfigureRequest && protocol == ProtocolIPCP && bytes.HasPrefix(p.data, hexBytes("0306 00000000")):
		s.send(protocol, codeConfigureNak, p.id, hexBytes("0306 0a53000a 8106 01010101 8306 01010102"))
	case p.code == codeConfigureRequest:
		s.send(protocol, codeConfigureAck, p.id, p.data)
	case p.code == codeConfigureNak || p.code == codeConfigureReject:
		if protocol == s.protocol && s.demand != nil {
			s.replies++
			id := byte(s.replies + 1)
			if s.sameID {
				id = 1
			}
			s.send(protocol, codeConfigureRequest, id, s.demand(s.replies))
		}
	}
}

// meet connects a link with the peer. The link's PPP accepts everything else.
func (s *stubborn) meet(server bool) {
	c := serverConfig(MethodPAP)
	c.MRU = 1400
	if !server {
		c = clientConfig("User", "pass")
		c.IPv6 = s.protocol == ProtocolIPV6CP
	}
	c.Compression = s.compression
	s.l = New(Env{Config: c, Rand: machinetest.Rand(1)})
	s.l.Start(machinetest.Epoch)
	fine := map[uint16]string{
		ProtocolLCP: "0506 11223344", ProtocolIPCP: "0306 0a53000a", ProtocolIPV6CP: "010a 0000000000000005",
	}
	if !server {
		fine[ProtocolIPCP] = "0306 0a530001"
	}
	protocols := []uint16{ProtocolLCP, ProtocolIPCP, ProtocolIPV6CP}
	if s.protocol == ProtocolCCP {
		protocols = append(protocols, ProtocolCCP)
	}
	for _, protocol := range protocols {
		own := hexBytes(fine[protocol])
		if protocol == s.protocol && s.demand != nil {
			own = s.demand(0)
		}
		s.run()
		s.send(protocol, codeConfigureRequest, 1, own)
		s.run()
		if protocol == ProtocolLCP && server {
			s.send(ProtocolPAP, papRequest, 1, []byte("\x01u\x01p"))
			s.run()
		}
	}
}

// Whatever a peer answers to our requests, a negotiation converges, by a value or without
// the option, or it ends within the counts of RFC 1661, section 4.6. If it ends, both
// sides are told which option was at issue.
func TestANegotiationThatGoesTheOtherWayEnds(t *testing.T) {
	const never = "" // it converges
	for _, tt := range []struct {
		name     string
		protocol uint16
		server   bool
		client   bool
		answer   wish
		why      string
	}{
		{"a larger MRU", ProtocolLCP, true, true, insists(lcpMRU, "0104 05dc"), never},
		{"the largest MRU", ProtocolLCP, true, true, insists(lcpMRU, "0104 ffff"), never},
		{"the same MRU", ProtocolLCP, true, true, insists(lcpMRU, "0104 0578"), never},
		{"an MRU of 0", ProtocolLCP, true, true, insists(lcpMRU, "0104 0000"), never},
		{"an MRU of three bytes", ProtocolLCP, true, true, insists(lcpMRU, "0105 000514"), never},
		{"an MRU of no bytes", ProtocolLCP, true, true, insists(lcpMRU, "0102"), never},
		{"alternating MRUs", ProtocolLCP, true, true, insists(lcpMRU, "0104 0514", "0104 0515"), never},
		{"MRUs that sink", ProtocolLCP, true, true, insists(lcpMRU, "0104 0514", "0104 0513", "0104 0512", "0104 0511", "0104 0510", "0104 050f"), never},
		{"an MRU for ever", ProtocolLCP, true, true, naks("0104 05dc"), "option 1 (MRU)"},
		{"the MRU rejected", ProtocolLCP, true, true, rejects(lcpMRU), never},
		{"another magic number", ProtocolLCP, true, true, insists(lcpMagic, "0506 00000000"), never},
		{"a short magic number", ProtocolLCP, true, true, insists(lcpMagic, "0503 01"), never},
		{"magic numbers for ever", ProtocolLCP, true, true, naks("0506 00000001", "0506 00000002"), "option 5 (magic number)"},
		{"an ACCM, which we do not send", ProtocolLCP, true, true, naks("0206 ffffffff"), "option 2 (ACCM)"},
		{"callback, which we do not send", ProtocolLCP, true, true, naks("0d03 06"), "option 13 (callback)"},
		{"what nobody knows", ProtocolLCP, true, true, naks("c803 06"), "option 200"},
		{"nothing at all", ProtocolLCP, true, true, naks(""), "every request of ours"},
		{"the same authentication", ProtocolLCP, true, false, naks("0304 c023"), "option 3 (authentication)"},
		{"another authentication", ProtocolLCP, true, false, naks("0304 c227", "0305 c22380"), "option 3 (authentication)"},
		{"authentication of no bytes", ProtocolLCP, true, false, naks("0302"), "option 3 (authentication)"},
		{"authentication rejected", ProtocolLCP, true, false, rejects(lcpAuth), "option 3 (authentication)"},
		{"another address of the server's", ProtocolIPCP, true, false, insists(ipcpAddress, "0306 c0a80001"), never},
		{"the server's own address", ProtocolIPCP, true, false, insists(ipcpAddress, "0306 0a530001"), never},
		{"no address of the server's", ProtocolIPCP, true, false, insists(ipcpAddress, "0306 00000000", "0302"), never},
		{"an address for ever", ProtocolIPCP, true, true, naks("0306 c0a80001", "0306 c0a80002"), "option 3 (address)"},
		{"0.0.0.0 for a client", ProtocolIPCP, false, true, naks("0306 00000000"), "option 3 (address)"},
		{"five bytes for a client", ProtocolIPCP, false, true, naks("0307 0a53000a00"), "option 3 (address)"},
		{"a client's address rejected", ProtocolIPCP, false, true, rejects(ipcpAddress), "option 3 (address)"},
		{"DNS that alternates", ProtocolIPCP, false, true, dnsFor("8106 01010101", "8106 01010102"), never},
		{"DNS of 0.0.0.0", ProtocolIPCP, false, true, dnsFor("8106 00000000"), never},
		{"DNS that is too short", ProtocolIPCP, false, true, dnsFor("8103 01"), never},
		{"DNS, which we do not send", ProtocolIPCP, true, false, naks("8106 01010101"), "option 129 (DNS)"},
		{"compression, which we do not send", ProtocolIPCP, true, true, naks("0206 002d0f01"), "option 2 (compression)"},
		{"alternating identifiers", ProtocolIPV6CP, true, true, insists(ipv6cpInterfaceID, "010a 0000000000000007", "010a 0000000000000008"), never},
		{"an identifier of zero", ProtocolIPV6CP, true, true, insists(ipv6cpInterfaceID, "010a 0000000000000000"), never},
		{"the peer's own identifier", ProtocolIPV6CP, true, true, insists(ipv6cpInterfaceID, "010a 0000000000000005"), never},
		{"a short identifier", ProtocolIPV6CP, true, true, insists(ipv6cpInterfaceID, "0104 0001"), never},
		{"an identifier for ever", ProtocolIPV6CP, true, true, naks("010a 0000000000000007", "010a 0000000000000008"), "option 1 (interface identifier)"},
		{"compression of IPv6", ProtocolIPV6CP, true, true, naks("0204 004f"), "option 2 (compression)"},
	} {
		for _, server := range []bool{true, false} {
			if server && !tt.server || !server && !tt.client {
				continue
			}
			t.Run(fmt.Sprintf("%s %s, server %v", ProtocolName(tt.protocol), tt.name, server), func(t *testing.T) {
				s := &stubborn{t: t, protocol: tt.protocol, answer: tt.answer}
				s.meet(server)
				s.want(tt.why)
			})
		}
	}
}

// dnsFor gives a client its address, and then insists on these DNS servers.
func dnsFor(values ...string) wish {
	dns := insists(ipcpDNS1, values...)
	return func(n int, request []option) (byte, []byte) {
		if len(request) > 0 && request[0].kind == ipcpAddress && bytes.Equal(request[0].data, make([]byte, 4)) {
			return codeConfigureNak, hexBytes("0306 0a53000a")
		}
		return dns(n, request)
	}
}

// want checks the outcome: convergence where why is empty, otherwise an end for which
// both sides are told the protocol and the option.
func (s *stubborn) want(why string) {
	s.t.Helper()
	most := maxConfigure
	if s.sameID {
		most += 2 // copies that may have been sent before our answer arrived
	}
	if s.requests > maxConfigure || s.replies > most {
		s.t.Errorf("%d requests and %d answers, and there must be no more than %d", s.requests, s.replies, maxConfigure)
	}
	if s.up != (why == "") {
		s.t.Errorf("it converged: %v; it ended with %q, %+v", s.up, s.farewell, s.down)
	}
	if why == "" {
		if s.down != nil || s.farewell != "" {
			s.t.Errorf("the link ended: %+v, %q", s.down, s.farewell)
		}
		return
	}
	name := ProtocolName(s.protocol)
	if !strings.Contains(s.farewell, name) || !strings.Contains(s.farewell, why) {
		s.t.Errorf("the peer reads %q, want %s and %q in it", s.farewell, name, why)
	}
	if s.protocol == ProtocolIPV6CP {
		if s.down != nil {
			s.t.Errorf("the link ended with IPV6CP, and has IPCP: %+v", s.down)
		}
		return
	}
	if s.down == nil {
		s.t.Fatal("the link does not end")
	}
	if text := s.down.Why.String() + ": " + s.down.Detail; !strings.Contains(text, name) || !strings.Contains(text, why) {
		s.t.Errorf("the driver reads %q, want %s and %q in it", text, name, why)
	}
}

// A link ends when its peer heeds neither Naks nor Rejects (RFC 1661, section 4.6: Naks
// become Rejects after Max-Failure).
func TestAPeerThatInsistsIsLeft(t *testing.T) {
	for _, tt := range []struct {
		name     string
		protocol uint16
		server   bool
		client   bool
		demand   string
		why      string
	}{
		{"an MRU of 16", ProtocolLCP, true, true, "0104 0010", "option 1 (MRU)"},
		{"a magic number of 0", ProtocolLCP, true, true, "0506 00000000", "option 5 (magic number)"},
		{"callback", ProtocolLCP, true, true, "0d03 06", "option 13 (callback)"},
		{"authentication of the server", ProtocolLCP, true, false, "0304 c023", "option 3 (authentication)"},
		{"a vendor's authentication", ProtocolLCP, false, true, "0304 c481", "option 3 (authentication)"},
		{"what nobody knows", ProtocolLCP, true, true, "c804 0001", "option 200"},
		{"another address", ProtocolIPCP, true, false, "0306 c0a80001", "option 3 (address)"},
		{"compression", ProtocolIPCP, true, true, "0206 002d0f01", "option 2 (compression)"},
		{"0.0.0.0 of a server", ProtocolIPCP, false, true, "0306 00000000", "option 3 (address)"},
		{"an identifier of zero", ProtocolIPV6CP, true, true, "010a 0000000000000000", "option 1 (interface identifier)"},
		{"compression of IPv6", ProtocolIPV6CP, true, true, "0204 004f", "option 2 (compression)"},
	} {
		for _, server := range []bool{true, false} {
			if server && !tt.server || !server && !tt.client {
				continue
			}
			for _, same := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s, server %v, one identifier %v", ProtocolName(tt.protocol), tt.name, server, same), func(t *testing.T) {
					s := &stubborn{t: t, protocol: tt.protocol, sameID: same, demand: func(int) []byte { return hexBytes(tt.demand) }}
					s.meet(server)
					s.want(tt.why)
				})
			}
		}
	}
}
