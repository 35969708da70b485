package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// espSuites are all that a Quick Mode can agree on.
func espSuites() []ike.ESPSuite {
	var list []ike.ESPSuite
	for _, auth := range []ike.ESPAuth{ike.ESPAuthSHA1_96, ike.ESPAuthSHA256_128, ike.ESPAuthSHA384_192, ike.ESPAuthSHA512_256} {
		for _, bits := range []int{128, 192, 256} {
			list = append(list, ike.ESPSuite{Cipher: ike.ESPAESCBC, KeyBits: bits, Auth: auth})
		}
		list = append(list, ike.ESPSuite{Cipher: ike.ESP3DES, Auth: auth})
	}
	for _, bits := range []int{128, 256} {
		list = append(list, ike.ESPSuite{Cipher: ike.ESPAESGCM16, KeyBits: bits})
	}
	return list
}

// Tests every phase 1 suite with every ESP suite, each with a packet in both directions.
// With -short, which the race detector's run uses, it tests every eleventh phase 1 suite.
func TestFullProductOfSuites(t *testing.T) {
	in(t, func(t *testing.T) {
		esp := espSuites()
		w := New(t, Options{Slots: 2048, Policy: func(p *vpn.Policy) { p.IKE.ESP = esp }})
		suites := ike.DefaultSuites()
		if len(suites) < 4*4*9 {
			t.Fatalf("%d phase-1 suites, want at least four ciphers by four hashes by nine groups", len(suites))
		}
		pairs := 0
		for i, suite := range suites {
			if testing.Short() && i%11 != 0 {
				continue
			}
			l := w.Laptop(w.Net.Host(fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250)), func(c *client.Config) {
				c.Suites, c.ESP = []ike.Suite{suite}, esp[:1]
			})
			d, err := l.Connect(ServerAddr)
			if err != nil {
				t.Fatalf("%v: %v", suite, err)
			}
			for j, want := range esp {
				if j > 0 {
					d.Rekey(ike.ChildRequest{LocalPort: 1701, Suites: []ike.ESPSuite{want}})
					time.Sleep(time.Second)
				}
				synctest.Wait()
				list := w.Server.List()
				if got := list[0]; got.IKE != suite || got.ESP.Cipher != want.Cipher || got.ESP.KeyBits != want.KeyBits || got.ESP.Auth != want.Auth {
					t.Fatalf("agreed on %v and %v, want %v and %v", got.IKE, got.ESP, suite, want)
				}
				passes(t, w, l, d, uint32(1000+pairs*2))
				pairs++
			}
			d.Close()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		t.Logf("%d of %d phase-1 suites by %d ESP suites: %d pairs carried traffic", pairs/len(esp), len(suites), len(esp), pairs)
	})
}
