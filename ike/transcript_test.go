package ike

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
)

// ladder prints the messages and events of two ends, like the ladder diagrams of
// the RFCs. It reads encrypted messages with the keys of the client.
type ladder struct {
	strings.Builder
	p   *pair
	key secret.Bytes
	ivs map[uint32][]byte
}

func newLadder(p *pair) *ladder {
	l := &ladder{p: p, ivs: map[uint32][]byte{}}
	p.tamper = func(d datagram) []datagram {
		l.message(d)
		return []datagram{d}
	}
	return l
}

func (l *ladder) message(d datagram) {
	arrow, path := "-->", l.p.arrival(d)
	if !d.fromClient {
		arrow = "<--"
	}
	h, body, err := isakmp.ParseHeader(d.data)
	if err != nil {
		l.p.t.Fatal(err)
	}
	star := ""
	if h.Flags&isakmp.FlagEncryption != 0 {
		star = "*"
		body = l.open(h, body)
	}
	raws, _, err := isakmp.Chain(h.Next, body)
	if err != nil {
		l.p.t.Fatal(err)
	}
	port := fmt.Sprint(path.Local.Port())
	if path.Marker {
		port += " (marker)"
	}
	fmt.Fprintf(&l.Builder, "%s %v, %d bytes to port %s, sha256 %.8x\n", arrow, h.Exchange, len(d.data), port, sha256.Sum256(d.data))
	fmt.Fprintf(&l.Builder, "    HDR%s", star)
	if h.MessageID != 0 {
		fmt.Fprintf(&l.Builder, "(%08x)", h.MessageID)
	}
	for _, r := range raws {
		fmt.Fprintf(&l.Builder, ", %s", describe(r))
	}
	l.WriteByte('\n')
}

// open decrypts a message, and keeps the IV chain of every message id.
func (l *ladder) open(h isakmp.Header, body []byte) []byte {
	c := l.p.client.sa
	if l.key.Len() == 0 {
		l.key = secret.New(c.st.Keys.Cipher.Reveal()) // the SA's own copy is zeroed when it closes
	}
	iv := l.ivs[h.MessageID]
	switch {
	case iv != nil:
	case h.MessageID == 0 && l.p.embryo.early != nil:
		iv = l.p.embryo.early.IV
	case h.MessageID == 0:
		iv = c.st.Peer.Suite.iv1(c.st.publics())
	default:
		iv = c.st.Peer.Suite.iv2(l.ivs[0], h.MessageID)
	}
	plain, next, err := c.st.Peer.Suite.decrypt(l.key, iv, body)
	if err != nil {
		l.p.t.Fatal(err)
	}
	l.ivs[h.MessageID] = next
	return plain
}

func describe(r isakmp.Raw) string {
	text := r.Kind.String()
	switch r.Kind {
	case isakmp.PayloadSA:
		sa, err := isakmp.ParseSA(r.Body)
		if err != nil {
			return text + " malformed"
		}
		n := 0
		for _, p := range sa.Proposals {
			n += len(p.Transforms)
		}
		first := sa.Proposals[0].Transforms[0]
		if o, ok := readPhase1(first); ok && sa.Proposals[0].Protocol == isakmp.ProtocolISAKMP {
			return fmt.Sprintf("%s(%d: %v %v)", text, n, o.suite, o.lifetime)
		}
		o, _ := readESP(first)
		return fmt.Sprintf("%s(%d: SPI %x %v %v)", text, n, sa.Proposals[0].SPI, o.suite, o.lifetime)
	case isakmp.PayloadID:
		id, _ := isakmp.ParseID(r.Body)
		return fmt.Sprintf("%s(%v %d/%d)", text, id.Addr(), id.Protocol, id.Port)
	case isakmp.PayloadNotify:
		n, _ := isakmp.ParseNotify(r.Body)
		return fmt.Sprintf("%s(%v)", text, n.Message)
	case isakmp.PayloadDelete:
		d, _ := isakmp.ParseDelete(r.Body)
		return fmt.Sprintf("%s(%d %x)", text, d.Protocol, d.SPIs)
	case isakmp.PayloadNATOA:
		a, _ := isakmp.ParseNATOA(r.Body)
		return fmt.Sprintf("%s(%v)", text, a)
	case isakmp.PayloadVendorID:
		return fmt.Sprintf("%s(%.4x)", text, r.Body)
	default:
		return fmt.Sprintf("%s[%d]", text, len(r.Body))
	}
}

// did prints the events of both ends since the last call.
func (l *ladder) did(what string) {
	for _, e := range []*end{l.p.client, l.p.server} {
		for _, event := range e.events {
			fmt.Fprintf(&l.Builder, "    %s: %s\n", e.name, eventText(event))
		}
		e.events = nil
	}
	fmt.Fprintf(&l.Builder, "%s\n", what)
}

func eventText(e Event) string {
	switch e := e.(type) {
	case Authenticated:
		return fmt.Sprintf("Authenticated by %q, %v, behind NAT %v, NAT-T %v", e.Peer.PSK, e.Peer.Suite, e.Peer.BehindNA, e.Peer.NATT)
	case ChildReceiving:
		c := e.Child
		return fmt.Sprintf("ChildReceiving in %08x out %08x %v, ports %d/%d, keys %.4x %.4x", c.InSPI, c.OutSPI, c.Suite,
			c.LocalPort, c.PeerPort, sha256.Sum256(c.In.Enc.Reveal()), sha256.Sum256(c.Out.Enc.Reveal()))
	case Closed:
		return fmt.Sprintf("Closed: %v", e.Why)
	case ChildFailed:
		return fmt.Sprintf("ChildFailed %08x: %v (%v)", e.InSPI, e.Why, isakmp.NotifyType(e.Notify))
	default:
		return fmt.Sprintf("%T %+v", e, e)
	}
}

// A complete connection of a roadwarrior: both phases, a rekey with PFS, a probe,
// and the end.
func TestTranscriptOfALife(t *testing.T) {
	p := newPair(t)
	p.client.env.Policy.Suites = []Suite{{CipherAES, 256, HashSHA1, GroupECP384}, {CipherAES, 256, HashSHA256, GroupMODP2048}}
	p.client.env.Policy.ESP = []ESPSuite{
		{Cipher: ESPAESCBC, KeyBits: 256, Auth: ESPAuthSHA1_96}, {Cipher: ESP3DES, Auth: ESPAuthSHA1_96},
	}
	l := newLadder(p)
	l.did("# phase 1")
	p.initiate()
	l.did("# phase 2")
	if err := p.client.sa.Negotiate(p.now, ChildRequest{LocalPort: 1701, Lifetime: time.Hour, Kilobytes: 250000, MessageID: 1}); err != nil {
		t.Fatal(err)
	}
	p.run()
	l.did("# rekey with PFS")
	if err := p.client.sa.Negotiate(p.now, ChildRequest{LocalPort: 1701, Group: GroupMODP1024, MessageID: 2}); err != nil {
		t.Fatal(err)
	}
	p.run()
	p.client.sa.DeleteChildren(p.now, []uint32{0x10000001})
	p.run()
	l.did("# a probe")
	p.server.sa.Probe(p.now, 0)
	p.run()
	l.did("# goodbye")
	p.client.sa.DeleteChildren(p.now, []uint32{0x10000002})
	p.run()
	p.client.sa.Close(p.now, ReasonLocal)
	p.run()
	l.did("# end")
	machinetest.Transcript(t, "life", l.String())
}

// Refusals, and what is reported about them.
func TestTranscriptOfRefusals(t *testing.T) {
	p := newPair(t)
	p.serverIs = netip.MustParseAddr("192.168.1.10")
	p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA256, GroupCurve25519}}
	l := newLadder(p)
	l.did("# phase 1, the server behind NAT")
	p.initiate()
	l.did("# a suite that the server does not have")
	p.server.env.Policy.ESP = p.server.env.Policy.ESP[:1]
	if err := p.client.sa.Negotiate(p.now, ChildRequest{Suites: []ESPSuite{{Cipher: ESP3DES, Auth: ESPAuthSHA1_96}}}); err != nil {
		t.Fatal(err)
	}
	p.run()
	l.did("# TCP instead of UDP")
	tcp := isakmp.AddrID(netip.MustParseAddr("10.0.0.2"), 6, 1701).AppendBody(nil)
	if err := p.client.sa.Negotiate(p.now, ChildRequest{IDi: tcp, IDr: tcp}); err != nil {
		t.Fatal(err)
	}
	p.run()
	l.did("# the server closes")
	p.server.sa.Close(p.now, ReasonShutdown)
	p.run()
	l.did("# end")
	machinetest.Transcript(t, "refusals", l.String())
}
