//go:build real

package real

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/persona"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/real/lab"
)

// The personas of the Linux clients are written from the sources of their
// daemons. Here the daemons themselves send, and what they send is what the
// personas send, but for names and random numbers.
func TestPersonasSendWhatTheDaemonsSend(t *testing.T) {
	for _, test := range []struct {
		name    string
		c       lab.Client
		p       persona.Profile
		lengths []int  // of the messages of IKE; the tests of the persona have the same
		quick   string // payloads of the first message of Quick Mode
	}{
		{
			"strongSwan", lab.Client{NAT: true, Args: []string{"--ike", desktopStrongSwan, "--lifetime", "3600", "--ikelifetime", "10800"}},
			persona.NetworkManager(persona.NetworkManagerOptions{}), []int{532, 396, 92, 268, 76}, "8,1,2,3,3,3,10,5,5,21,21",
		},
		{
			"libreswan", lab.Client{
				Kind: "libreswan", NAT: true, Args: []string{"--ike", desktopLibreswan, "--pfs", "--lifetime", "28800", "--ikelifetime", "28800"},
			},
			persona.NetworkManager(persona.NetworkManagerOptions{Libreswan: true}), []int{416, 396, 76, 524, 76}, "8,1,2,3,3,3,10,4,5,5,21,21",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := record(t, test.c)
			if len(seen.ike) < 5 {
				t.Fatalf("%d messages of IKE", len(seen.ike))
			}
			var lengths []int
			for _, b := range seen.ike[:5] {
				lengths = append(lengths, len(b))
			}
			if !slices.Equal(lengths, test.lengths) {
				t.Errorf("messages of IKE have %d bytes, and the persona's %d", lengths, test.lengths)
			}
			first := []wire.Payload{{Type: wire.PayloadSA, Body: test.p.IKE.SA}}
			for _, v := range test.p.IKE.Vendors {
				first = append(first, wire.Payload{Type: wire.PayloadVendor, Body: v})
			}
			if _, want := wire.Chain(first...); !bytes.Equal(seen.ike[0][wire.HeaderLen:], want) {
				t.Errorf("message 1 is\n%x, and the persona's\n%x", seen.ike[0][wire.HeaderLen:], want)
			}
			if seen.quick != test.quick {
				t.Errorf("Quick Mode begins with the payloads %s, want %s", seen.quick, test.quick)
			}
			calls(t, seen, test.p)
			links(t, seen, test.p)
		})
	}
}

// sent is what a daemon sent, in its order.
type sent struct {
	ike   [][]byte
	quick string                // payloads of the first message of Quick Mode
	l2tp  map[int]*wire.Control // the first of each message
	ppp   map[uint16]wire.CP    // the first Configure-Request of each protocol
	flags byte                  // of data messages
}

// record connects a client, hangs up, and returns what it sent.
func record(t *testing.T, c lab.Client) sent {
	t.Helper()
	keys := t.TempDir()
	s := here.Serve(t, lab.Config{"ipsec": fmt.Sprintf("key_log = %q", keys)})
	capture := here.Capture(t)
	here.Connect(t, c).HangUp(t)
	s.Stop(t)
	capture.Stop(t)
	seen := sent{l2tp: map[int]*wire.Control{}, ppp: map[uint16]wire.CP{}}
	for _, p := range capture.Decode(t, keys, "ip.src", "frame.protocols", "udp.payload", "isakmp.exchangetype", "isakmp.typepayload") {
		if from, _, _ := strings.Cut(p[0], ","); from == lab.ServerIP {
			continue
		}
		outer, inner, inside := strings.Cut(p[2], ",")
		switch {
		case contains(p[1], ":isakmp"):
			b := unhex(t, outer)
			if bytes.HasPrefix(b, make([]byte, 4)) {
				b = b[4:]
			}
			if p[3] == "32" && seen.quick == "" {
				seen.quick = p[4]
			}
			seen.ike = append(seen.ike, b)
		case inside:
			seen.inside(t, unhex(t, inner))
		}
	}
	return seen
}

// inside notes an L2TP message.
func (s *sent) inside(t *testing.T, b []byte) {
	t.Helper()
	if wire.IsControl(b) {
		m, err := wire.ParseControl(b)
		if err != nil {
			t.Fatal(err)
		}
		if s.l2tp[m.Type()] == nil {
			s.l2tp[m.Type()] = m
		}
		return
	}
	s.flags = b[0]
	d, err := wire.ParseData(b)
	if err != nil {
		t.Fatal(err)
	}
	protocol, body, _, err := wire.ParseFrame(d.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := wire.ParseCP(body); err == nil && p.Code == wire.ConfReq {
		if _, ok := s.ppp[protocol]; !ok {
			s.ppp[protocol] = p
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// calls compares control messages, but for names, identifiers, speeds and the
// window, which are configured.
func calls(t *testing.T, seen sent, p persona.Profile) {
	t.Helper()
	for kind, want := range map[int][]wire.AVP{
		wire.SCCRQ: p.L2TP.SCCRQ(1), wire.SCCCN: nil, wire.ICRQ: p.L2TP.ICRQ(1), wire.ICCN: p.L2TP.ICCN,
	} {
		m := seen.l2tp[kind]
		if m == nil {
			t.Errorf("no control message %d", kind)
			continue
		}
		got := m.AVPs[1:]
		if len(got) != len(want) {
			t.Errorf("control message %d has %+v, and the persona's %+v", kind, got, want)
			continue
		}
		for i, w := range want {
			g := got[i]
			configured := slices.Contains([]uint16{7, 9, 10, 14, 24, 38}, w.Type)
			if g.Type != w.Type || g.Mandatory != w.Mandatory || g.Vendor != 0 || g.Hidden || !configured && !bytes.Equal(g.Value, w.Value) ||
				w.Type != 7 && len(g.Value) != len(w.Value) {
				t.Errorf("control message %d has the attribute %+v, and the persona's %+v", kind, g, w)
			}
		}
	}
	if seen.flags != 0 {
		t.Errorf("data messages have the flags %#x, and the persona's none", seen.flags)
	}
}

// links compares the first Configure-Requests, but for random numbers.
func links(t *testing.T, seen sent, p persona.Profile) {
	t.Helper()
	for protocol, want := range map[uint16][]wire.Option{
		wire.LCP: p.PPP.LCP, wire.IPCP: p.PPP.IPCP, wire.IPV6CP: {{Type: 1, Value: make([]byte, 8)}},
	} {
		got, ok := seen.ppp[protocol]
		if !ok || got.ID != p.PPP.FirstID {
			t.Errorf("the first request of %04x is %v, and the persona's has the identifier %d", protocol, got, p.PPP.FirstID)
			continue
		}
		if random := protocol == wire.LCP || protocol == wire.IPV6CP; !random {
			if !bytes.Equal(got.Body, wire.Options(want)) {
				t.Errorf("the first request of %04x is %x, and the persona's %x", protocol, got.Body, wire.Options(want))
			}
			continue
		}
		list, err := wire.ParseOptions(got.Body)
		if err != nil || len(list) != len(want) {
			t.Errorf("the first request of %04x is %v, and the persona's %v", protocol, list, want)
			continue
		}
		for i, w := range want {
			random := w.Type == 5 || protocol == wire.IPV6CP
			if list[i].Type != w.Type || len(list[i].Value) != len(w.Value) || !random && !bytes.Equal(list[i].Value, w.Value) {
				t.Errorf("option %d of %04x is %v, and the persona's %v", i, protocol, list[i], w)
			}
		}
	}
	if _, ok := seen.ppp[wire.CCP]; ok {
		t.Error("pppd asks for compression, and the persona does not")
	}
}
