package persona

import (
	"bytes"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/test/sim"
)

// Bytes around a message, in L2TP and in the UDP inside ESP, do not belong to it, and the
// SA identifies the client of a tunnel and call. Each of these clients connects like
// every other, renews its keys, stays for an hour, and leaves.
func TestClientsWithOddHeadersConnectAndLeave(t *testing.T) {
	zero := func(*Client, uint16, uint16) (uint16, uint16) { return 0, 0 }
	own := func(c *Client, _, session uint16) (uint16, uint16) {
		if session != 0 {
			session = c.tun.session
		}
		return c.tun.local, session
	}
	for name, change := range map[string]func(*Profile){
		"tunnel and session 0":            func(p *Profile) { p.L2TP.IDs = zero },
		"the client's own ids":            func(p *Profile) { p.L2TP.IDs = own },
		"its own, from the first message": func(p *Profile) { p.L2TP.IDs, p.L2TP.AllIDs = own, true },
		"a session id in all messages": func(p *Profile) {
			p.L2TP.IDs = func(_ *Client, tunnel, session uint16) (uint16, uint16) {
				if session == 0 {
					session = 77
				}
				return tunnel, session
			}
		},
		"bytes behind UDP":      func(p *Profile) { p.ESP.Behind = bytes.Repeat([]byte{0x5a}, 37) },
		"bytes behind control":  func(p *Profile) { p.L2TP.Behind = bytes.Repeat([]byte{0x5a}, 3) },
		"more bytes behind it":  func(p *Profile) { p.L2TP.Behind = bytes.Repeat([]byte{0}, 200) },
		"bytes behind them all": func(p *Profile) { p.L2TP.Behind, p.ESP.Behind = []byte{1}, []byte{2, 3} },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				change(&p)
				w := sim.New(t, sim.Options{Seed: 1})
				c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				passes(t, w, c, 1)
				if err := c.Rekey(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				passes(t, w, c, 11)
				for why, n := range w.Plane.Drops() {
					if n > 0 {
						t.Errorf("%d packets were dropped: %v", n, dataplane.Drop(why))
					}
				}
				time.Sleep(time.Minute)
				leaves(t, w, c)
			})
		})
	}
}

// A message that is shorter than its length field is dropped, and counted by what is
// wrong with it.
func TestWhatIsShorterThanItSaysIsCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(inner []byte) []byte // the inner UDP datagram
		why    dataplane.Drop
	}{
		"UDP, cut":            {func(b []byte) []byte { return b[:len(b)-1] }, dataplane.DropInnerUDP},
		"UDP, its header cut": {func(b []byte) []byte { return b[:7] }, dataplane.DropInnerUDP},
		"UDP, a length of 7":  {func(b []byte) []byte { b[5] = 7; b[4] = 0; return b }, dataplane.DropInnerUDP},
		"L2TP, cut": {func(b []byte) []byte {
			b[5] -= 4
			return b[:len(b)-4]
		}, dataplane.DropL2TP},
		"L2TP, one byte": {func(b []byte) []byte { b[4], b[5] = 0, 9; return b[:9] }, dataplane.DropL2TP},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{Seed: 1})
				c := online(t, Windows10(WindowsOptions{Length: true}), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				before := w.Plane.Drops()[tt.why]
				own, _ := c.Address()
				_ = c.do(func() { c.Mangle = tt.change })
				c.Send(numbered(own, internet, 1))
				time.Sleep(time.Second)
				_ = c.do(func() { c.Mangle = nil })
				if n := w.Plane.Drops()[tt.why] - before; n != 1 {
					t.Errorf("%d packets were dropped as %v, want one", n, tt.why)
				}
				passes(t, w, c, 11)
			})
		})
	}
}
