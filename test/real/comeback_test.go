//go:build real

package real

import (
	"fmt"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// killed is xl2tpd and pppd without a chance to say anything.
const killed = "kill -9 $(cat /run/xl2tpd.pid /run/ppp0.pid); rm -f /run/xl2tpd.ctl /run/xl2tpd.pid /run/ppp0.pid"

// goodbyes are what a Linux client does when it leaves, in the guest's shell, and
// how it comes back: it says everything, in order; xl2tpd leaves over SAs that stay;
// it is killed; or strongSwan's part is all that is said.
var goodbyes = []struct{ name, leave, back string }{
	{"everything", "hang_up", "dial vpn"},
	{"L2TP", "gone() { [ ! -e /run/$1.pid ]; }; stop /run/ppp0.pid; until_true 10 gone ppp0; stop /run/xl2tpd.pid; until_true 5 gone xl2tpd; rm -f /run/xl2tpd.ctl", redial},
	{"nothing", killed, redial},
	{"IPsec", "for c in $(connections); do ike_down $c; done; " + killed, "dial vpn"},
}

// redial is dial over the SAs that there are.
const redial = `: >/mnt/xl2tpd.log; : >/mnt/ppp.log; l2tp_up || exit 12; ppp_up || exit 13; for r in $ROUTES; do ip route replace $r dev ppp0; done; until_true 10 answered $PING || exit 14`

// The Linux client is back after every whole second from 0 to 20 since its goodbye,
// whichever it was.
func TestTheClientIsBackAfterItsGoodbye(t *testing.T) {
	s := here.Serve(t, nil)
	var wg sync.WaitGroup
	for i, bye := range goodbyes {
		g := here.Connect(t, lab.Client{ID: 1 + i, NAT: true})
		wg.Go(func() {
			for pause := range 21 {
				out, err := g.Run(fmt.Sprintf("%s { %s; } >/dev/null 2>&1; sleep %d; %s", lab.Steps, bye.leave, pause, bye.back))
				if err != nil {
					t.Errorf("%s, back after %d s: %v\n%s", bye.name, pause, err, out)
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.Status(t).Sessions); n != len(goodbyes) {
		t.Errorf("there are %d sessions, want %d", n, len(goodbyes))
	}
	s.Stop(t)
}
