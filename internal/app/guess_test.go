package app

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// Networks of limits.guess_exempt are not slowed from the reload that names them, and metrics
// say who is.
func TestGuessesAreSlowedButFromExemptNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, nil)
		guess := func(from string) time.Duration {
			began := time.Now()
			_, _ = h.guard.Authenticate(t.Context(), &auth.Request{
				User: "alice", Method: auth.PAP, Password: secret.String("wrong"),
				Call: auth.Call{Remote: netip.AddrPortFrom(netip.MustParseAddr(from), 4500)},
			})
			return time.Since(began)
		}
		const inside = "::ffff:10.1.2.3"
		for range 5 {
			guess(inside)
		}
		if guess(inside) == 0 {
			t.Error("a guess waited for nothing")
		}
		if s := scrapedOf(t, h, "adit_guess"); !strings.Contains(s, `adit_guessing_slowed{of="user"} 1`) {
			t.Errorf("no user is slowed in %s", s)
		}
		h.write(settingsOf{"limits.guess_exempt": `["10.0.0.0/8"]`})
		if r, err := h.Reload(); err != nil || len(r.Live) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		if d := guess(inside); d != 0 {
			t.Errorf("a guess from an exempt network waited %v", d)
		}
		if guess("10.1.2.3"); guess("192.0.2.9") != 0 {
			t.Error("the first guess from elsewhere waited")
		}
		if s := scrapedOf(t, h, "adit_guess"); !strings.Contains(s, `adit_guesses_refused_total{reason="source"} 0`) {
			t.Errorf("a guess was refused: %s", s)
		}
	})
}
