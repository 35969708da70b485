package ike

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
)

func TestStateIsPlainData(t *testing.T) {
	machinetest.PlainData(t, reflect.TypeFor[state]())
	machinetest.PlainData(t, reflect.TypeFor[Embryo]())
}

func TestMainModeAndQuickMode(t *testing.T) {
	p := newPair(t).establish()
	peer := p.server.sa.Peer()
	if peer.PSK != "main" || !peer.Encap || !peer.BehindNA || peer.LocalNAT || peer.NATT != NATTRFC3947 || !peer.DPD {
		t.Errorf("the server knows of its peer: %+v", peer)
	}
	if id := addrOf(peer.ID); id != netip.MustParseAddr("10.0.0.2") {
		t.Errorf("the client is %v to the server, want its private address", id)
	}
	if peer.Suite != DefaultSuites()[0] || peer.Lifetime != 8*time.Hour {
		t.Errorf("%v for %v", peer.Suite, peer.Lifetime)
	}
	if p.client.sa.st.Path.Remote.Port() != 4500 || !p.server.sa.st.Path.Marker {
		t.Error("phase 1 did not float to port 4500")
	}
	c, s := p.quick(p.client, ChildRequest{LocalPort: 40000, Lifetime: time.Hour, Kilobytes: 250000})
	sameChild(t, c, s)
	if s.LocalPort != 1701 || s.PeerPort != 40000 || !s.Encap || s.Lifetime != time.Hour || s.Kilobytes != 250000 {
		t.Errorf("child of the server: %+v", s)
	}
	if s.LocalID != netip.MustParseAddr("203.0.113.1") || s.PeerNATOA == nil {
		t.Errorf("the server is %v to the client, NAT-OA %x", s.LocalID, s.PeerNATOA)
	}
	if len(p.dropped) != 0 || p.client.fresh != 2 || p.server.fresh != 3 {
		t.Errorf("fresh messages: %d at the client, %d at the server; dropped: %v", p.client.fresh, p.server.fresh, p.dropped)
	}
	if got := p.server.sa.Deadline(); got != epoch.Add(8*time.Hour+lifetimeGrace) {
		t.Errorf("deadline of the server %v", got)
	}
}

// Message 2 of Quick Mode must not leave before its sender can receive.
func TestReceivingComesBeforeMessage2(t *testing.T) {
	p := newPair(t).establish()
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.drain(p.client)
	d := p.wire[0]
	if err := p.server.sa.HandlePacket(p.now, p.arrival(d), d.data); err != nil {
		t.Fatal(err)
	}
	var order []string
	for {
		e, ok := p.server.sa.NextEvent()
		if !ok {
			break
		}
		order = append(order, fmt.Sprintf("%T", e))
	}
	if got := fmt.Sprint(order); got != "[ike.Fresh ike.ChildReceiving ike.Send]" {
		t.Errorf("events %s", got)
	}
}

func TestEverySuite(t *testing.T) {
	var suites []Suite
	for _, s := range append(DefaultSuites(), Suite{CipherAES, 256, HashMD5, GroupMODP1024}, Suite{Cipher3DES, 0, HashMD5, GroupECP256}) {
		// The exponentiations of one group are the same for every cipher and hash,
		// so the large groups are tested only once.
		if s.Group.modp() != nil && s.Group != GroupMODP1024 && (s.KeyBits == 128 || s.KeyBits == 192 || s.Hash == HashSHA384) {
			continue
		}
		suites = append(suites, s)
	}
	esp := DefaultESP()
	for i, s := range suites {
		p := newPair(t)
		p.client.env.Policy.Suites = []Suite{s}
		p.server.env.Policy.Suites = append(p.server.env.Policy.Suites, s)
		p.establish()
		if p.server.sa.Peer().Suite != s || p.client.sa.Peer().Suite != s {
			t.Errorf("%v was wanted, %v came", s, p.server.sa.Peer().Suite)
		}
		for j, want := range esp {
			// Quick Mode is cheap without PFS, so every pair of suites is tested.
			c, s := p.quick(p.client, ChildRequest{Suites: []ESPSuite{want}, LocalPort: uint16(i*len(esp) + j + 1)})
			if sameChild(t, c, s); c.Suite != want {
				t.Errorf("%v was wanted, %v came", want, c.Suite)
			}
		}
	}
}

func TestPFSInEveryGroup(t *testing.T) {
	p := newPair(t)
	p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
	p.establish()
	seen := map[string]bool{}
	for _, g := range allGroups {
		c, s := p.quick(p.client, ChildRequest{Group: g})
		sameChild(t, c, s)
		if c.Suite.Group != g || s.Suite.Group != g {
			t.Errorf("PFS in %v came out as %v", g, s.Suite)
		}
		if key := string(c.In.Enc.Reveal()); seen[key] {
			t.Errorf("%v repeats a key", g)
		} else {
			seen[key] = true
		}
	}
}

// The server replaces a child that the client began, with the same identities.
func TestServerNegotiatesTheSuccessor(t *testing.T) {
	p := newPair(t).establish()
	c, s := p.quick(p.client, ChildRequest{LocalPort: 51288})
	sameChild(t, c, s)
	c2, s2 := p.quick(p.server, ChildRequest{IDi: s.IDr, IDr: s.IDi})
	sameChild(t, c2, s2)
	if !s2.Initiator || s2.LocalPort != 1701 || s2.PeerPort != 51288 || s2.InSPI == s.InSPI {
		t.Errorf("successor: %+v", s2)
	}
	if c2.LocalID != netip.MustParseAddr("10.0.0.2") {
		t.Errorf("the client is %v in the successor", c2.LocalID)
	}
}

// A macOS phase 1 lives for one hour and is replaced on port 4500.
func TestNewPhase1OnTheNATTPort(t *testing.T) {
	p := newPair(t).establish()
	old := p.client.sa.Cookies()
	p.path = Path{
		Local:  netip.MustParseAddrPort("10.0.0.2:4500"),
		Remote: netip.MustParseAddrPort("203.0.113.1:4500"),
		Marker: true,
	}
	p.establish()
	if p.client.sa.Cookies() == old || p.client.sa.Cookies() != p.server.sa.Cookies() {
		t.Error("the new phase 1 has the cookies of the old one, or two")
	}
	if path := p.server.sa.st.Path; path.Local.Port() != 4500 || !path.Marker {
		t.Errorf("it runs over %v", path)
	}
}

func TestInitiatorUsesThePortsThatItIsGiven(t *testing.T) {
	p := newPair(t)
	p.path.Local, p.path.Remote = netip.MustParseAddrPort("10.0.0.2:10500"), netip.MustParseAddrPort("203.0.113.1:20500")
	p.client.env.NATTPorts = func(path Path) Path {
		path.Local = netip.AddrPortFrom(path.Local.Addr(), 14500)
		path.Remote = netip.AddrPortFrom(path.Remote.Addr(), 24500)
		path.Marker = true
		return path
	}
	p.establish()
	if got := p.server.sa.st.Path; got.Local.Port() != 24500 || got.Remote.Port() != 14500 {
		t.Errorf("the server sees %v", got)
	}
}

func TestSeveralPreSharedKeys(t *testing.T) {
	keys := []PSK{
		{Name: "old", Key: secret.String("the key of last year")},
		{Name: "staff", Key: secret.String("the key of the staff"), Group: "staff"},
		{Name: "guests", Key: secret.String("the key of the guests"), Group: "guests"},
	}
	for _, key := range keys {
		p := newPair(t)
		p.server.env.Policy.PSKs = keys
		p.client.env.Policy.PSKs = []PSK{{Name: "mine", Key: key.Key}}
		p.establish()
		if peer := p.server.sa.Peer(); peer.PSK != key.Name || peer.Group != key.Group {
			t.Errorf("the key of %s is taken for that of %s, group %s", key.Name, peer.PSK, peer.Group)
		}
		p.works()
	}
}

func TestIPv6(t *testing.T) {
	p := newPair(t)
	p.path.Local, p.path.Remote = netip.MustParseAddrPort("[2001:db8::2]:500"), netip.MustParseAddrPort("[2001:db8:1::1]:500")
	p.serverIs = p.path.Remote.Addr()
	p.noNAT().establish()
	c, s := p.quick(p.client, ChildRequest{})
	sameChild(t, c, s)
	if s.LocalID != p.serverIs || addrOf(p.server.sa.Peer().ID) != p.path.Local.Addr() {
		t.Errorf("identities: %v, %x", s.LocalID, p.server.sa.Peer().ID)
	}
}

func TestDraftNATT(t *testing.T) {
	for _, v := range []VendorID{VendorNATTDraft03, VendorNATTDraft02N, VendorNATTDraft02} {
		p := newPair(t)
		p.client.env.Policy.VendorIDs = []VendorID{v}
		p.tamper = func(d datagram) []datagram {
			if Exchange(d.data[18]) == ExchangeMain && d.data[19] == 0 {
				raws, _, err := isakmp.Chain(isakmp.PayloadType(d.data[16]), d.data[isakmp.HeaderLen:])
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range raws {
					if r.Kind == isakmp.PayloadNATD {
						t.Errorf("%v: NAT-D with the number of RFC 3947", v)
					}
				}
			}
			return []datagram{d}
		}
		p.establish()
		if peer := p.server.sa.Peer(); peer.NATT != v.natt() || !peer.Encap {
			t.Errorf("%v: %+v", v, peer)
		}
		p.works()
	}
}

func TestResponderMayChooseAShorterLifetime(t *testing.T) {
	p := newPair(t)
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient && d.data[16] == byte(isakmp.PayloadSA) {
			d.data = bytes.Replace(d.data, []byte{0x80, 12, 0x70, 0x80}, []byte{0x80, 12, 0x0e, 0x10}, 1)
		}
		return []datagram{d}
	}
	p.establish()
	if life := p.client.sa.Peer().Lifetime; life != time.Hour {
		t.Errorf("phase 1 lives %v", life)
	}
}

// BenchmarkHandshake is a Main Mode and a Quick Mode, both ends.
func BenchmarkHandshake(b *testing.B) {
	for _, g := range allGroups {
		b.Run(g.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := newPair(b)
				p.client.env.Policy.Suites = []Suite{{CipherAES, 256, HashSHA1, g}}
				p.establish()
				p.quick(p.client, ChildRequest{})
			}
		})
	}
}

// addrOf returns the address in the body of an identification, if it is one.
func addrOf(body []byte) netip.Addr {
	id, err := isakmp.ParseID(body)
	if err != nil {
		return netip.Addr{}
	}
	return id.Addr()
}
