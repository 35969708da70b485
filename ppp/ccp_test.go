package ppp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

func compressing(list ...Compressor) *Config {
	c := serverConfig(MethodMSCHAPv2)
	c.Compression = list
	return c
}

var bothCompressors = []Compressor{CompressMPPC, CompressDeflate}

// Windows asks for MPPC alone. It sends what it has compressed behind its Ack.
func TestWindowsCompressionTranscript(t *testing.T) {
	d := newLadder(t, compressing(bothCompressors...))
	openNetwork(d)
	d.recv("80fd 01 09 000a 1206 00000001")
	d.ack(ProtocolCCP)
	d.l.Damaged(d.now) // a packet was lost
	d.drain()
	d.l.Damaged(d.now)
	d.drain()
	d.now = d.now.Add(time.Second)
	d.l.Damaged(d.now)
	d.drain()
	d.recv("80fd 0e 0a 0004") // it has lost one, too: MPPC needs no Reset-Ack
	d.recv("80fd 05 0b 0004") // it wants no more
	d.recv("00fd 2000 1234")  // this was on its way
	machinetest.Transcript(t, "ccp-windows", d.out.String())
}

// pppd offers all that it can at once.
func TestPppdCompressionTranscript(t *testing.T) {
	d := newLadder(t, compressing(bothCompressors...))
	openNetwork(d)
	d.recv("80fd 01 01 000f 1a04 7800 1804 7800 1503 2f")
	d.recv("80fd 01 02 0008 1a04 7800")
	d.recv("80fd 03 01 0008 1a04 4800") // our window of 15 is too much for it
	d.ack(ProtocolCCP)
	d.recv("80fd 0e 03 0008 deadbeef") // Reset-Request
	d.l.Damaged(d.now)
	d.drain()
	d.recv("80fd 0f 09 0004") // the answer to another
	d.recv("80fd 0f 03 0004")
	d.l.Damaged(d.now.Add(time.Minute))
	d.drain()
	d.recv("80fd 01 03 0008 1a04 7800") // it begins anew
	d.ack(ProtocolCCP)
	d.recv("c021 05 01 0004")
	d.wait(4 * time.Second)
	machinetest.Transcript(t, "ccp-pppd", d.out.String())
}

// What is asked for, and what the answer is: MPPE, Stac LZS and the like are rejected.
func TestOnlyWhatIsConfiguredIsAgreedTo(t *testing.T) {
	const (
		mppc    = "1206 00000001"
		deflate = "1a04 7800"
	)
	only := func(c Compressor) []Compressor { return []Compressor{c} }
	for _, tt := range []struct {
		name, asks string
		have       []Compressor
		want       string // the answer
	}{
		{"MPPC", mppc, bothCompressors, "Ack id=1 <18 00000001>"},
		{"MPPC with 40-bit encryption", "1206 00000021", bothCompressors, "Nak id=1 <18 00000001>"},
		{"MPPC with encryption, stateless", "1206 01000041", bothCompressors, "Nak id=1 <18 00000001>"},
		{"encryption alone", "1206 01000040", bothCompressors, "Reject id=1 <18 01000040>"},
		{"no bits", "1206 00000000", bothCompressors, "Reject id=1 <18 00000000>"},
		{"MPPC, which is not configured", mppc, only(CompressDeflate), "Reject id=1 <18 00000001>"},
		{"MPPC of another length", "1205 000001", bothCompressors, "Reject id=1 <18 000001>"},
		{"Deflate", deflate, bothCompressors, "Ack id=1 <26 7800>"},
		{"Deflate with the smallest window", "1a04 0800", bothCompressors, "Ack id=1 <26 0800>"},
		{"Deflate with a larger window", "1a04 8800", bothCompressors, "Nak id=1 <26 7800>"},
		{"Deflate by another method", "1a04 7900", bothCompressors, "Nak id=1 <26 7800>"},
		{"Deflate checked otherwise", "1a04 7801", bothCompressors, "Nak id=1 <26 7800>"},
		{"Deflate, which is not configured", deflate, only(CompressMPPC), "Reject id=1 <26 7800>"},
		{"Deflate's draft", "1804 7800", bothCompressors, "Reject id=1 <24 7800>"},
		{"Stac LZS", "1105 0001 04", bothCompressors, "Reject id=1 <17 000104>"},
		{"BSD Compress", "1503 2f", bothCompressors, "Reject id=1 <21 2f>"},
		{"both", deflate + mppc, bothCompressors, "Reject id=1 <18 00000001>"},
		{"both, the other first", mppc + deflate, bothCompressors, "Reject id=1 <26 7800>"},
		{"one with another value, and one as it is", "1206 01000041" + deflate, bothCompressors, "Reject id=1 <18 01000041>"},
		{"nothing", "", bothCompressors, "Ack id=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newLadder(t, compressing(tt.have...))
			openNetwork(d)
			raw := hexBytes(tt.asks)
			frame := appendPacket(appendFrame(nil, ProtocolCCP), codeConfigureRequest, 1, raw)
			out := d.since(func() {
				if err := d.l.HandlePacket(d.now, frame); err != nil {
					t.Error(err)
				}
				d.drain()
			})
			machinetest.WantLine(t, out, "< CCP Configure-"+tt.want)
			if strings.HasPrefix(tt.name, "Stac") {
				n := Note{Kind: NoteOptionRejected, Protocol: ProtocolCCP, Code: raw[0]}
				if got := n.Subject(); got != "CCP option 17 (Stac LZS)" {
					t.Errorf("the log names it %q", got)
				}
			}
			if !d.l.networked() {
				t.Error("the network is down")
			}
		})
	}
}

// A Reset-Request is repeated until it is answered, also where nothing else comes.
func TestAResetRequestIsRepeated(t *testing.T) {
	d := newLadder(t, compressing(bothCompressors...))
	openNetwork(d)
	d.recv("80fd 01 01 0008 1a04 7800")
	d.ack(ProtocolCCP)
	out := d.since(func() {
		d.l.Damaged(d.now)
		d.drain()
		d.wait(5 * time.Second)
	})
	if n := strings.Count(out, "< CCP code-14 id=2"); n < 4 || n != strings.Count(out, "code-14") {
		t.Errorf("%d copies in 5 s:\n%s", n, out)
	}
	out = d.since(func() {
		d.recv("80fd 0f 02 0004")
		d.wait(10 * time.Second)
	})
	machinetest.WantNoLine(t, out, "code-14")
}

// Where the history is lost again and again, the peer is asked to compress no more; what
// goes to it still is.
func TestABadLineEndsCompressionFromThePeer(t *testing.T) {
	for _, request := range []string{"80fd 01 01 0008 1a04 7800", "80fd 01 01 000a 1206 00000001"} {
		d := newLadder(t, compressing(bothCompressors...))
		openNetwork(d)
		d.recv(request)
		d.ack(ProtocolCCP)
		send := d.l.Compression().Send
		for n := range maxLosses {
			out := d.since(func() {
				d.l.Damaged(d.now)
				d.drain()
			})
			machinetest.WantLine(t, out, "< CCP code-14")
			if send.Compressor == CompressDeflate {
				d.recv(fmt.Sprintf("80fd 0f %02x 0004", n+2))
			}
			d.now = d.now.Add(time.Second)
		}
		out := d.since(func() {
			d.l.Damaged(d.now)
			d.drain()
		})
		machinetest.WantLine(t, out, "too much is lost for compression")
		machinetest.WantLine(t, out, "< CCP Configure-Request") // of nothing
		d.recv(strings.Replace(request, "01 01", "01 02", 1))   // the peer begins anew, too
		d.ack(ProtocolCCP)
		if c := d.l.Compression(); !c.Open || c.Send != send || c.Receive != (Codec{}) {
			t.Errorf("agreed: %+v, want %+v to the peer alone\n%s", c, send, d.out.String())
		}
	}
}

// We never begin, ask for one thing at a time, and only for what the peer can do itself.
func TestOurRequestFollowsThePeers(t *testing.T) {
	d := newLadder(t, compressing(bothCompressors...))
	out := d.since(func() {
		openNetwork(d)
		d.wait(15 * time.Second)
	})
	machinetest.WantNoLine(t, out, "CCP")
	out = d.since(func() { d.recv("80fd 01 01 0008 1a04 7800") })
	machinetest.WantLine(t, out, "< CCP Configure-Request id=1 <26 7800>")
	out = d.since(func() { d.recv("80fd 04 01 0008 1a04 7800") })
	machinetest.WantLine(t, out, "< CCP Configure-Request id=2") // MPPC, which it did not name, is not asked for
	machinetest.WantNoLine(t, out, "<18")
	d.ack(ProtocolCCP)
	if c := d.l.Compression(); !c.Open || c.Send != (Codec{CompressDeflate, 15}) || c.Receive != (Codec{}) {
		t.Errorf("agreed: %+v, want Deflate to the peer alone", c)
	}
}

// A link whose peer refuses compression in any way is the same without it.
func TestAPeerThatRefusesCompressionLosesNothing(t *testing.T) {
	begins := "80fd 01 01 000a 1206 00000001"
	for name, frames := range map[string][]string{
		"Protocol-Reject":                    {begins, "c021 08 07 0010 80fd 0101000a120600000001"},
		"Protocol-Reject, first":             {"c021 08 07 0010 80fd 0101000a120600000001", begins},
		"Protocol-Reject of a packet":        {begins, "80fd 02 01 000a 1206 00000001", "c021 08 07 000a 00fd e0001234"},
		"Configure-Reject":                   {begins, "80fd 04 01 000a 1206 00000001"},
		"Terminate-Request":                  {begins, "80fd 05 07 0004"},
		"Code-Reject of a Configure-Request": {begins, "80fd 07 07 000e 0101000a120600000001"},
		"Code-Reject of a Reset-Request":     {begins, "80fd 02 01 000a 1206 00000001", "80fd 07 07 0008 0e020004"},
		"silence":                            {begins},
	} {
		t.Run(name, func(t *testing.T) {
			d := newLadder(t, compressing(bothCompressors...))
			openNetwork(d)
			for _, f := range frames {
				d.recv(f)
			}
			d.wait(59 * time.Second) // three Echo-Requests are unanswered
			if d.l.s.phase != phaseNetwork || !d.l.networked() || d.l.s.why != 0 {
				t.Errorf("the link has ended:\n%s", d.out.String())
			}
			if c := d.l.Compression(); c.Open && name != "Configure-Reject" || c.Receive.Compressor != 0 && c.Open {
				t.Errorf("agreed: %+v", c)
			}
			if strings.HasPrefix(name, "Protocol-Reject") {
				out := d.since(func() { d.recv("80fd 01 09 000a 1206 00000001") })
				machinetest.WantLine(t, out, "Protocol-Reject")
			}
		})
	}
}

// The data path is told before each packet that the peer may count on: our request, and
// our Configure-Ack.
func TestTheDataPathIsReadyBeforeThePeerIs(t *testing.T) {
	for _, measured := range []bool{false, true} {
		d := newLadder(t, compressing(bothCompressors...))
		if openNetwork(d); measured {
			d.l.env.RoundTrip = 50 * time.Millisecond
		}
		var receive, send, open bool
		look := func() {
			for _, e := range drain(d.l) {
				switch e := e.(type) {
				case Compression:
					receive, send, open = e.Receive.Compressor == CompressMPPC, e.Send.Compressor == CompressMPPC, e.Open
				case Send:
					if code := e.Frame[4]; code == codeConfigureRequest && !receive || code == codeConfigureAck && !send {
						t.Errorf("measured %v: %s leaves, and the data path does not know", measured, render(e.Frame))
					} else if code == codeConfigureRequest {
						d.last[ProtocolCCP] = e.Frame
					}
				}
			}
		}
		if err := d.l.HandlePacket(d.now, hexBytes("80fd 01 01 000a 1206 00000001")); err != nil {
			t.Fatal(err)
		}
		look()
		if open {
			t.Error("compressed before CCP is open (RFC 1962, section 2.1)")
		}
		ack := append([]byte(nil), d.last[ProtocolCCP]...)
		ack[4] = codeConfigureAck
		if err := d.l.HandlePacket(d.now, ack); err != nil {
			t.Fatal(err)
		}
		if look(); !receive || !send || !open {
			t.Errorf("measured %v: receive %v, send %v, open %v", measured, receive, send, open)
		}
	}
}

// Both roles agree on what both have, in the client's order, over a bad line, too.
func TestBothRolesAgreeOnCompression(t *testing.T) {
	deflate, mppc := Codec{CompressDeflate, 15}, Codec{Compressor: CompressMPPC}
	for _, tt := range []struct {
		server, client []Compressor
		want           Codec
	}{
		{bothCompressors, bothCompressors, mppc},
		{bothCompressors, []Compressor{CompressDeflate, CompressMPPC}, deflate},
		{[]Compressor{CompressDeflate}, bothCompressors, deflate},
		{[]Compressor{CompressMPPC}, []Compressor{CompressDeflate, CompressMPPC}, mppc},
		{[]Compressor{CompressMPPC}, []Compressor{CompressDeflate}, Codec{}},
		{nil, bothCompressors, Codec{}},
	} {
		for seed := range byte(6) {
			server, client := compressing(tt.server...), clientConfig("User", "clientPass")
			server.SetupTimeout, client.SetupTimeout, client.Compression = 0, 0, tt.client
			w := newWire(t, server, client)
			if seed > 0 {
				w.Loss, w.Dup, w.Jitter = 0.15, 0.15, 400*time.Millisecond
			}
			if w.Rand = rand.New(machinetest.Rand(seed)); seed%2 == 0 {
				w.measured()
			}
			w.start()
			agreed := func() bool {
				for _, l := range w.ends {
					if c := l.Compression(); !w.up() || !c.Open && tt.want != (Codec{}) || c.Send != tt.want || c.Receive != tt.want {
						return false
					}
				}
				return true
			}
			w.run(20*time.Second, func() bool { return false })
			if !w.run(10*time.Minute, agreed) {
				t.Errorf("%v with %v, seed %d: %+v and %+v, want %+v", tt.server, tt.client, seed,
					w.ends[0].Compression(), w.ends[1].Compression(), tt.want)
			}
		}
	}
}

// Whatever a peer insists on, the negotiation of CCP ends, and the link stays.
func TestCCPConvergesOrEnds(t *testing.T) {
	for name, answer := range map[string]wish{
		"Naks with encryption":          naks("1206 01000041", "1206 00000041"),
		"Naks with other values":        naks("1a04 7900", "1a04 7801"),
		"Naks with small ones":          naks("1a04 6800", "1a04 5800", "1a04 4800", "1a04 3800", "1a04 2800", "1a04 1800", "1a04 0800"),
		"Naks with what we did not ask": naks("1105 000104"),
		"rejects MPPC":                  rejects(ccpMPPC),
		"rejects Deflate":               rejects(ccpDeflate),
	} {
		for _, demand := range []string{"1206 00000001", "1a04 7800", "1206 01000040", "1105 000104"} {
			s := &stubborn{t: t, protocol: ProtocolCCP, compression: bothCompressors, answer: answer, demand: func(int) []byte { return hexBytes(demand) }}
			s.meet(true)
			s.run()
			if can := demand == "1206 00000001" || demand == "1a04 7800"; (s.requests > 0) != can {
				t.Errorf("%s, and wants %s: we sent %d requests", name, demand, s.requests)
			}
			if s.down != nil || !s.l.networked() {
				t.Errorf("%s, and wants %s: the link has ended: %+v", name, demand, s.down)
			}
		}
	}
}
