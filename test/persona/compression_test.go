package persona

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// compressing are a server's options with compression on.
func compressing() sim.Options {
	return sim.Options{Policy: func(p *vpn.Policy) {
		p.PPP.Compression = []ppp.Compressor{ppp.CompressMPPC, ppp.CompressDeflate}
	}}
}

// compressors are clients that ask for compression.
var compressors = map[string]func() Profile{
	"MPPC, as some Windows": func() Profile {
		p := Windows10(WindowsOptions{Length: true, Inform: true})
		p.PPP.CCP, p.PPP.NCPs = []wire.Option{{Type: optMPPC, Value: wire.U32(1)}}, append(p.PPP.NCPs, wire.CCP)
		return p
	},
	"Deflate, as Android": func() Profile { return Android(AndroidOptions{Deletes: true}) },
}

// datagrams of text and of noise, with a number each, so that what arrives can be told apart.
func letter(src, dst netip.Addr, n int, noise bool) []byte {
	body := []byte(strings.Repeat("Dear Sir or Madam, your letter of the 5th was received, and ", 30)[:1000])
	if noise {
		r := rand.New(rand.NewPCG(uint64(n), 1))
		for i := range body {
			body[i] = byte(r.Uint32())
		}
	}
	return wire.UDP{Src: netip.AddrPortFrom(src, 9), Dst: netip.AddrPortFrom(dst, 9), Payload: append(wire.U32(uint32(n)), body...)}.IP(64, true)
}

// Every client connects, uses the network and leaves as ever with compression on: those
// that ask for it have it, the others do not notice.
func TestEveryClientConnectsWithCompressionOn(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, compressing())
		c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		passes(t, w, c, 1)
		passes(t, w, c, 3)
		leaves(t, w, c)
	})
}

// Text becomes shorter each way, noise does not, and all of it arrives as it was sent.
func TestTextIsCompressedAndNoiseIsNot(t *testing.T) {
	for name, profile := range compressors {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, compressing())
				c := online(t, profile(), account, w.Net.Host("198.51.100.7"))
				time.Sleep(5 * time.Second)
				own, _ := c.Address()
				before := c.Compression()
				for _, noise := range []bool{false, true} {
					for n := range 20 {
						up, down := letter(own, internet, n, noise), letter(internet, own, n, noise)
						c.Send(up)
						w.Device.Inject(0, down)
						time.Sleep(20 * time.Millisecond)
						if got := w.Device.Poll(); !bytes.Equal(got, up) {
							t.Fatalf("noise %v: packet %d came out of the server as %x", noise, n, got)
						}
						if got := c.Poll(); !bytes.Equal(got, down) {
							t.Fatalf("noise %v: packet %d came to the client as %x", noise, n, got)
						}
					}
					s := c.Compression()
					in, inOf := s.ReceivedLen-before.ReceivedLen, s.ReceivedOf-before.ReceivedOf
					out, outOf := s.SentLen-before.SentLen, s.SentOf-before.SentOf
					t.Logf("noise %v: to the client %d bytes became %d, from it %d became %d", noise, inOf, in, outOf, out)
					if !noise && (inOf < 20*1000 || in > inOf/4 || outOf < 20*1000 || out > outOf/10) {
						t.Error("text was not compressed")
					}
					if noise && (in > inOf+20*4 || out > outOf+20*4) {
						t.Error("noise became longer")
					}
					before = s
				}
				if s := c.Compression(); s.Asked+s.Answered > 0 {
					t.Errorf("on a line without loss the histories were lost: %+v", s)
				}
				if list := w.Server.List(); len(list) != 1 || len(list[0].Sessions) != 1 || !list[0].Sessions[0].Compression.Open {
					t.Errorf("the status does not have it: %+v", list)
				}
				leaves(t, w, c)
			})
		})
	}
}

// On a line that loses a twentieth each way and brings packets out of order, what arrives is
// what was sent, and most of it does, throughout: histories that are lost are begun anew.
// MPPC to the client needs no history, and loses nothing more than the line does.
func TestLossAndReorderingDoNotBreakACompressedStream(t *testing.T) {
	for name, profile := range compressors {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, compressing())
				c := start(t, profile(), account, w.Net.Host("198.51.100.7"))
				if err := c.Dial(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				own, _ := c.Address()
				w.Net.SetPolicy(udptest.Policy{Loss: 0.05, Delay: 10 * time.Millisecond, Jitter: 12 * time.Millisecond})
				const rounds, each = 10, 100
				down, up := [rounds]int{}, [rounds]int{}
				for n := range rounds * each {
					noise := n%7 == 3
					c.Send(letter(own, internet, n, noise))
					w.Device.Inject(0, letter(internet, own, n, noise))
					time.Sleep(10 * time.Millisecond)
					for got := w.Device.Poll(); got != nil; got = w.Device.Poll() {
						m := int(number(got))
						if m < 0 || m > n || !bytes.Equal(got, letter(own, internet, m, m%7 == 3)) {
							t.Fatalf("out of the server came %x", got)
						}
						up[m/each]++
					}
					for got := c.Poll(); got != nil; got = c.Poll() {
						m := int(number(got))
						if m < 0 || m > n || !bytes.Equal(got, letter(internet, own, m, m%7 == 3)) {
							t.Fatalf("to the client came %x", got)
						}
						down[m/each]++
					}
				}
				s := c.Compression()
				t.Logf("of %d each round: up %v, down %v; %+v", each, up, down, s)
				// Whose history is lost four times is asked to send no more of it. If a packet of
				// that negotiation is lost, it takes a restart timer, three seconds, until it knows.
				deaf := 0
				if max(s.Asked, s.Answered) >= 4 {
					deaf = 4
				}
				for i := range rounds {
					least := each / 3
					if name[0] == 'M' {
						least = each * 8 / 10
					}
					if up[i] < each/4 || down[i] < least {
						if deaf--; deaf >= 0 {
							continue
						}
						t.Errorf("round %d: %d of %d to the server, %d to the client", i, up[i], each, down[i])
					}
				}
				if s.Asked+s.Answered == 0 || name[0] == 'M' && s.Asked > 0 {
					t.Errorf("Reset-Requests: %+v", s)
				}
				w.Net.SetPolicy(udptest.Policy{})
				leaves(t, w, c)
			})
		})
	}
}
