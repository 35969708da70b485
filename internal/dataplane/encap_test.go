package dataplane

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/packet"
)

// tunnel makes the rig's connection one without L2TP, whose device is returned.
func (r *rig) tunnel(e Encap) *netdevtest.Device {
	r.Helper()
	r.session = NewTunnel(e)
	port, own := r.port(PortConfig{Router: true, AnySource: true})
	port.numbers.Store(0)
	r.session.SetNetwork(everywhere, 1400)
	v := *r.view
	v.Sessions = []*Session{r.session}
	r.view = &v
	r.rekey(testSuite)
	r.view.In[0].Carry(e.Protocol)
	r.view.Out.Carry(e.Protocol)
	r.client.in.Carry(e.Protocol)
	r.client.out.Carry(e.Protocol)
	port.Lead(r.slot, r.session)
	return own
}

// octets reads hexadecimal digits, as RFCs draw them.
func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What stands in front of a packet is what the RFCs say, both ways: GRE as RFC 2784 and RFC
// 2890 draw it, and nothing where a protocol is IP itself.
func TestTunnelsAsTheRFCsHaveThem(t *testing.T) {
	four := udp4(netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("192.168.2.7"), 80, 33)
	six := udp6(netip.MustParseAddr("2001:db8:1::7"), netip.MustParseAddr("2001:db8:2::7"), 80, 33)
	ospf := ip4(netip.MustParseAddr("172.16.0.1"), netip.MustParseAddr("224.0.0.5"), 89, 44)
	for name, v := range map[string]struct {
		encap Encap
		ip    []byte
		head  string // of our first packet; "xxxx" is a checksum
	}{
		"GRE":               {Encap{Protocol: 47}, four, "0000 0800"},
		"GRE, IPv6":         {Encap{Protocol: 47}, six, "0000 86dd"},
		"GRE, multicast":    {Encap{Protocol: 47}, ospf, "0000 0800"},
		"key":               {Encap{Protocol: 47, Keyed: true, Key: 0x01020304}, four, "2000 0800 01020304"},
		"key 0":             {Encap{Protocol: 47, Keyed: true}, four, "2000 0800 00000000"},
		"checksum":          {Encap{Protocol: 47, Checksum: true}, four, "8000 0800 xxxx 0000"},
		"sequence":          {Encap{Protocol: 47, Sequence: true}, four, "1000 0800 00000000"},
		"everything":        {Encap{Protocol: 47, Checksum: true, Keyed: true, Key: 7, Sequence: true}, six, "b000 86dd xxxx 0000 00000007 00000000"},
		"IPv4 in IP":        {Encap{Protocol: 4}, four, ""},
		"IPv4 in IP, DVMRP": {Encap{Protocol: 4}, ospf, ""},
		"IPv6 in IP":        {Encap{Protocol: 41}, six, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				own := r.tunnel(v.encap)
				own.Inject(0, v.ip)
				got := r.client.next()
				head := v.head
				if at := strings.Index(head, "xxxx"); at >= 0 {
					if packet.Checksum(got) != 0 {
						t.Errorf("the checksum is wrong: %x", got)
					}
					head = strings.Replace(head, "xxxx", hex.EncodeToString(got[4:6]), 1)
				}
				want := append(octets(t, head), v.ip...)
				if !bytes.Equal(got, want) {
					t.Fatalf("the peer got %x\nwant %x", got, want)
				}
				r.client.raw(seal(t, r.client.out, want))
				synctest.Wait()
				if got := own.Poll(); !bytes.Equal(got, v.ip) {
					t.Errorf("the device got %x, want %x", got, v.ip)
				}
				r.wantDrop(0, 0, name)
				if n := r.session.Counters(); n.InPackets != 1 || n.OutPackets != 1 || n.InOctets != uint64(len(v.ip)) {
					t.Errorf("counted %+v", n)
				}
			})
		})
	}
}

// What is not as was agreed is dropped, and counted by reason.
func TestTunnelsDropWhatIsNotAgreed(t *testing.T) {
	four := udp4(netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("192.168.2.7"), 80, 33)
	six := udp6(netip.MustParseAddr("2001:db8:1::7"), netip.MustParseAddr("2001:db8:2::7"), 80, 33)
	plain, keyed, numbered := Encap{Protocol: 47}, Encap{Protocol: 47, Keyed: true, Key: 5}, Encap{Protocol: 47, Sequence: true}
	for name, v := range map[string]struct {
		encap Encap
		head  string
		ip    []byte
		want  Drop
	}{
		"nothing":                   {plain, "", nil, DropGRE},
		"half a header":             {plain, "0000 08", nil, DropGRE},
		"no packet":                 {plain, "0000 0800", nil, DropIP},
		"routing (RFC 1701)":        {plain, "4000 0800 00000000", four, DropGRE},
		"strict source route":       {plain, "0800 0800", four, DropGRE},
		"recursion":                 {plain, "0100 0800", four, DropGRE},
		"version 1, as PPTP has it": {plain, "2001 880b 0000 0000", four, DropGRE},
		"version 7":                 {plain, "0007 0800", four, DropGRE},
		"Ethernet":                  {plain, "0000 6558", four, DropGRE},
		"a keepalive of Cisco's":    {plain, "0000 0000", nil, DropGRE},
		"a key that nobody has":     {plain, "2000 0800 00000005", four, DropGRE},
		"no key":                    {keyed, "0000 0800", four, DropGRE},
		"another key":               {keyed, "2000 0800 00000006", four, DropGRE},
		"half a key":                {keyed, "2000 0800 0000", nil, DropGRE},
		"a wrong checksum":          {plain, "8000 0800 1234 0000", four, DropGRE},
		"half a checksum":           {plain, "8000 0800 12", nil, DropGRE},
		"half a number":             {numbered, "1000 0800 0000", nil, DropGRE},
		"IPv6 as IPv4":              {plain, "0000 0800", six, DropGRE},
		"IPv4 as IPv6":              {plain, "0000 86dd", four, DropGRE},
		"IPv6 in a tunnel of IPv4":  {Encap{Protocol: 4}, "", six, DropIP},
		"IPv4 in a tunnel of IPv6":  {Encap{Protocol: 41}, "", four, DropIP},
		"nothing in IPv4":           {Encap{Protocol: 4}, "", nil, DropIP},
		"half a packet":             {Encap{Protocol: 4}, "", four[:30], DropIP},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				own := r.tunnel(v.encap)
				r.client.raw(seal(t, r.client.out, append(octets(t, v.head), v.ip...)))
				r.wantDrop(v.want, 1, name)
				if got := own.Poll(); got != nil {
					t.Errorf("the device got %x", got)
				}
			})
		})
	}
}

// Numbered packets that come after later ones are dropped (RFC 2890, section 2.2); the
// numbers go round, and a peer that begins anew is heard.
func TestNumberedPacketsKeepTheirOrder(t *testing.T) {
	e := &encapsulation{Encap: Encap{Protocol: 47, Sequence: true}}
	for i, v := range []struct {
		n  uint32
		ok bool
	}{{0, true}, {1, true}, {1, false}, {0, false}, {5, true}, {4, false}, {0x7ffffff0, true}, {0xfffffff0, true}, {0xffffffff, true}, {0, true}, {0xffffffff, false}, {1, true}} {
		b := binary.BigEndian.AppendUint32(octets(t, "1000 0800"), v.n)
		if _, d := e.open(append(b, 0x45)); (d == 0) != v.ok {
			t.Errorf("step %d, number %#x: drop %v, want that it passes: %v", i, v.n, d, v.ok)
		}
	}
}

// A packet of the device's that is too long for the tunnel is answered by what fits: what
// ESP leaves, less the header that is in use.
func TestTheMTUOfATunnel(t *testing.T) {
	for _, v := range []struct {
		path  int
		encap Encap
		want  int
	}{
		{1500, Encap{Protocol: 4}, 1400},
		{1400, Encap{Protocol: 4}, 1326}, // 1,372 in UDP, less 8, IV 16, ICV 12: 83 blocks, less the trailer
		{1400, Encap{Protocol: 47}, 1326 - 4},
		{1400, Encap{Protocol: 47, Keyed: true, Checksum: true, Sequence: true}, 1326 - 16},
	} {
		inRig(t, Config{PathMTU: v.path}, func(r *rig) {
			r.tunnel(v.encap)
			view := r.slot.view.Load()
			if got := view.mtuOf(r.session, r.session.network.Load()); got != v.want {
				t.Errorf("path %d, %+v: %d, want %d", v.path, v.encap, got, v.want)
			}
		})
	}
}

func TestTunnelsDoNotAllocate(t *testing.T) {
	for _, e := range []Encap{{Protocol: 4}, {Protocol: 47, Keyed: true, Checksum: true, Sequence: true}} {
		w := newWalks(t, testSuite, 1, 1)
		s := NewTunnel(e)
		port, err := w.in.plane.NewPort(PortConfig{Device: &sinkDevice{}, Router: true, AnySource: true})
		if err != nil {
			t.Fatal(err)
		}
		slot := w.slot(0)
		v := *slot.view.Load().View
		v.Sessions = []*Session{s}
		v.Out.Carry(e.Protocol)
		slot.Publish(&v)
		s.Attach(port)
		s.SetNetwork(everywhere, 1400)
		port.Lead(slot, s)
		w.out.port = port
		w.send()
		if n := testing.AllocsPerRun(50, w.send); n != 0 || w.conn.packets != 52 {
			t.Errorf("%+v: %v allocations for a packet, %d sent", e, n, w.conn.packets)
		}
		x := NewTunnel(e).encap
		b := make([]byte, x.headLen()+100)
		b[x.headLen()] = 0x45
		if n := testing.AllocsPerRun(50, func() { x.put(b, true); x.open(b) }); n != 0 {
			t.Errorf("%+v: %v allocations for a header", e, n)
		}
	}
}

// Whatever comes, what is taken for an IP packet lies within it, and has the version that
// the header says.
func FuzzTunnel(f *testing.F) {
	for _, head := range []string{"00000800", "2000080000000005", "b00086dd12340000000000050000000a", "4000080000000000"} {
		f.Add(uint8(47), true, append(octets(f, head), 0x45, 0, 0, 20))
	}
	f.Fuzz(func(t *testing.T, protocol uint8, keyed bool, b []byte) {
		e := &encapsulation{Encap: Encap{Protocol: protocol, Keyed: keyed, Key: 5, Sequence: len(b)%2 == 0}}
		at, d := e.open(b)
		if d == 0 && at > len(b) || at < 0 || d != 0 && at != 0 {
			t.Fatalf("%x: %d, %v", b, at, d)
		}
		if d == 0 && protocol == ProtocolGRE && keyed != (b[0]&0x20 != 0) {
			t.Fatalf("%x passes", b)
		}
	})
}
