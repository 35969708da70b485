package persona

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// revoked is an authority that no longer accepts anybody.
type revoked struct{ *office }

func (revoked) Verify(time.Time, [][]byte) (ike.PeerCert, error) {
	return ike.PeerCert{}, errors.New("it is revoked")
}

// A server that is stopping, or that no longer accepts a client's certificate, takes
// nobody back. A client that comes back while the server says goodbye is told at once, by
// Deletes, and the log has a line about it.
func TestWhoIsNotTakenBackIsTold(t *testing.T) {
	ends := map[string]struct {
		end func(*sim.World)
		why vpn.End
	}{
		"the server stops": {(*sim.World).Stop, vpn.EndServerStop},
		"the certificate is revoked": {func(w *sim.World) {
			p, ike := *w.Policy, *w.Policy.IKE
			ike.Authority = revoked{theOffice()}
			p.IKE = &ike
			w.Server.SetPolicy(&p)
			w.Server.Recheck()
		}, vpn.EndCertificate},
	}
	ways := map[string]func(*Client){
		"by an SCCRQ over the same SA": func(c *Client) { c.call() },
		"by Quick Mode":                func(c *Client) { c.quickMode(c.current()) },
	}
	for name, end := range ends {
		for way, again := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				eachSigner(t, func(t *testing.T, p Profile) {
					w := sim.New(t, sim.Options{Policy: policyOf(p)})
					c := online(t, p, accountOf(p), w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					_ = c.do(func() { c.leaving = true; c.forget() }) // it answers no goodbye
					c.Lossless = false
					end.end(w)
					time.Sleep(time.Second)
					if n := c.Stats().Deleted; n != 0 {
						t.Fatalf("%d SAs are deleted already", n)
					}
					go func() { _ = c.do(func() { again(c) }) }()
					time.Sleep(100 * time.Millisecond)
					wantTold(t, w, c, end.why)
				})
			})
		}
	}
}

func wantTold(t *testing.T, w *sim.World, c *Client, why vpn.End) {
	t.Helper()
	if !strings.Contains(c.Log(), "the server deletes SA") || !strings.Contains(c.Log(), "the server deletes phase 1") {
		t.Error("it was not told by Deletes")
	}
	if down := sim.All[vpn.ConnDown](w.Events); len(down) != 1 || down[0].Why != why {
		t.Errorf("connections ended: %+v", down)
	}
	var out bytes.Buffer
	o := app.Lines(&out)
	for _, e := range w.Events.Everything() {
		o.Observe(e)
	}
	if n := strings.Count(out.String(), "the client came back while its connection was being closed; it was told to begin again"); n != 1 {
		t.Errorf("%d lines say so, want one:\n%s", n, out.String())
	}
}
