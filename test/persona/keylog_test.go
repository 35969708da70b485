package persona

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// keyLog stores the ESP keys that were written for somebody who reads a capture.
type keyLog struct {
	mu    sync.Mutex
	lines []string
}

func (*keyLog) IKE([8]byte, secret.Bytes) {}

func (k *keyLog) ESP(_, dst netip.Addr, _ uint32, suite ike.ESPSuite, cut bool, keys ike.ChildKeys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines = append(k.lines, fmt.Sprintf("%v to %v, cut %v, keys of %d bytes", suite.Auth, dst, cut, keys.Auth.Len()))
}

// Old Android and some routers truncate HMAC-SHA2-256 to 96 bits, and Wireshark decrypts
// nothing unless the key log says so.
func TestTheKeyLogSaysHowLongTheCheckValueIs(t *testing.T) {
	for _, cut := range []bool{false, true} {
		for _, hash := range []uint16{espSHA256, espSHA1} {
			bubble(t, func(t *testing.T) {
				p := Android(AndroidOptions{Deletes: true})
				p.ESP.SHA256Is96 = cut
				p.ESP.SA = kameESP(28800, []espCipher{{12, 256}}, []uint16{hash})
				log := &keyLog{}
				w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) { p.KeyLog = log }})
				c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				passes(t, w, c, 1)
				name, size := "SHA256-128", 32
				if hash == espSHA1 {
					name, size = "SHA1-96", 20
				}
				line := func(to string) string {
					return fmt.Sprintf("%s to %s, cut %v, keys of %d bytes", name, to, cut && hash == espSHA256, size)
				}
				if want := []string{line(sim.ServerAddr), line("198.51.100.7")}; !slices.Equal(log.lines, want) {
					t.Errorf("the key log has %q, want %q", log.lines, want)
				}
			})
		}
	}
}
