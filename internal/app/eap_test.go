package app

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A caller authenticates itself by EAP where that is what the server asks for, and the log says
// why one is refused, also if it leaves as soon as it knows.
func TestCallersByEAP(t *testing.T) {
	byEAP := settingsOf{"auth.methods": `["eap"]`, "auth.eap": `["mschapv2"]`}
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sitesWith(t, 1, nil, nil, byEAP)
		time.Sleep(5 * time.Second)
		passes(t, a, b, 1)
		if by := a.link().PeerAuth + b.link().PeerAuth; !strings.Contains(by, "EAP") {
			t.Errorf("the ends have authenticated themselves by %q", by)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sitesWith(t, 1, nil, settingsOf{"peer_password": `"another"`, "dial": `"never"`}, byEAP)
		time.Sleep(10 * time.Second)
		if a.link().State == "up" {
			t.Error("a caller with a wrong password comes in")
		}
		if log := b.out.String(); !strings.Contains(log, `"method":"EAP"`) || !strings.Contains(log, "wrong password") {
			t.Errorf("the log of the other end does not say why:\n%s", log)
		}
	})
}
