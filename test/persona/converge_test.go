package persona

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// naks makes a client ask for another value of a protocol's option, either as long as the
// server's request has it, or for ever.
func naks(protocol uint16, always bool, o wire.Option) func(uint16, []wire.Option) []wire.Option {
	return func(p uint16, list []wire.Option) []wire.Option {
		if p != protocol {
			return nil
		}
		for _, x := range list {
			if always || x.Type == o.Type {
				return []wire.Option{o}
			}
		}
		if always {
			return []wire.Option{o}
		}
		return nil
	}
}

// A client that asks for a value that the server cannot use connects without the option.
func TestClientsThatWantAnotherValueConnect(t *testing.T) {
	for name, wants := range map[string]func(uint16, []wire.Option) []wire.Option{
		"a larger MRU":       naks(wire.LCP, false, wire.Option{Type: optMRU, Value: []byte{5, 220}}),
		"an MRU of 3 bytes":  naks(wire.LCP, false, wire.Option{Type: optMRU, Value: []byte{5, 220, 0}}),
		"a magic number":     naks(wire.LCP, false, wire.Option{Type: optMagic, Value: []byte{1, 2, 3, 4}}),
		"a server's address": naks(wire.IPCP, false, wire.Option{Type: optAddress, Value: []byte{192, 168, 0, 1}}),
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				p.PPP.Naks = wants
				w := sim.New(t, sim.Options{})
				w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
				c := start(t, p, account, w.Net.Host("198.51.100.7"))
				began := time.Now()
				if err := c.Dial(); err != nil {
					t.Fatalf("it does not connect: %v", err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("connecting took %v", took)
				}
				passes(t, w, c, 1)
			})
		})
	}
}

// If an option cannot be agreed, the connection ends with a reason that names protocol
// and option. The client is told in LCP and in L2TP, and the administrator in one log
// line.
func TestClientsThatCannotBePleasedAreToldOverWhat(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Profile)
		text   string
	}{
		"a larger MRU, sent or not": {
			func(p *Profile) {
				p.PPP.Naks = naks(wire.LCP, true, wire.Option{Type: optMRU, Value: []byte{5, 220}})
			}, "LCP did not converge: the peer refuses option 1 (MRU)",
		},
		"an address of the server's, sent or not": {
			func(p *Profile) {
				p.PPP.Naks = naks(wire.IPCP, true, wire.Option{Type: optAddress, Value: []byte{192, 168, 0, 1}})
			}, "IPCP did not converge: the peer refuses option 3 (address)",
		},
		"no authentication": {
			func(p *Profile) { p.PPP.LCPRejects = []byte{optAuth} }, "the peer rejects LCP option 3 (authentication)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				tt.change(&p)
				w := sim.New(t, sim.Options{})
				w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
				c := start(t, p, account, w.Net.Host("198.51.100.7"))
				if err := c.Dial(); err == nil {
					t.Fatal("it got in")
				}
				time.Sleep(5 * time.Minute)
				s := c.Stats()
				if !strings.Contains(s.Terminated, tt.text) {
					t.Errorf("LCP told it %q, want %q", s.Terminated, tt.text)
				}
				if !bytes.Contains(s.Result, []byte(tt.text)) {
					t.Errorf("L2TP told it %q, want %q", s.Result, tt.text)
				}
				explains(t, w, "connection closed", tt.text)
				for _, e := range sim.All[vpn.ConnDown](w.Events) {
					if e.Why == vpn.EndAuth {
						t.Error("the server says that authentication failed")
					}
				}
			})
		})
	}
}

// A name with an invisible byte is not the user's name. The log says which byte it is.
func TestTheLogSaysWhichByteOfANameIsOdd(t *testing.T) {
	for name, want := range map[string]string{
		sim.User + "\x00": "byte 6 of 6 is 0x00 (NUL)",
		sim.User + " ":    "byte 6 of 6 is 0x20 (blank at an end)",
		sim.User + "\n":   "byte 6 of 6 is 0x0a",
	} {
		for _, method := range []struct {
			own []byte
			is  ppp.Method
		}{{authMSCHAPv2, ppp.MethodMSCHAPv2}, {authCHAP, ppp.MethodCHAP}, {authPAP, ppp.MethodPAP}} {
			bubble(t, func(t *testing.T) {
				p := NetworkManager(NetworkManagerOptions{})
				p.PPP.Auth = [][]byte{method.own}
				w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) { p.PPP.Methods = []ppp.Method{method.is} }})
				a := account
				a.User = name
				if _, err := fails(t, w, p, a); err == nil {
					t.Error("it got in")
				}
				explains(t, w, "user refused", "no such user", want)
			})
		}
	}
}

// A PPP frame for a session that does not exist is dropped for a reason that is counted.
func TestFramesOfNoSessionAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		c := online(t, NetworkManager(NetworkManagerOptions{}), account, w.Net.Host("198.51.100.7"))
		if err := c.do(func() {
			c.tun.distant++
			c.sendCP(wire.LCP, wire.CP{Code: wire.EchoReq, ID: 1, Body: c.link.magic})
			c.tun.distant--
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		tells(t, w, "a PPP frame for a session that does not exist")
	})
}
