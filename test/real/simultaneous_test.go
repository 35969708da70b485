//go:build real

package real

import (
	"fmt"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// FreeRADIUS as it is shipped holds users to one session by radutmp: the second login is refused
// while the first lives, and after a crash of the server the user comes in again at once.
func TestSimultaneousUseOverACrash(t *testing.T) {
	const user = "solo"
	freeradius := here.StartRadiusWith(t, lab.RadiusSetup{
		Users: fmt.Sprintf("%s Cleartext-Password := %q, Simultaneous-Use := 1\n", user, lab.Password),
		// mods-available/radutmp of Debian's package, but that it asks no NAS: with
		// check_with_nas = yes, 3.2.1 forgets what it has counted.
		Modules: "radutmp {\n filename = @DIR@/radutmp\n username = %{User-Name}\n case_sensitive = yes\n check_with_nas = no\n permissions = 0600\n caller_id = yes\n}\n",
		Session: "radutmp", Accounting: "radutmp", Files: map[string]string{"radutmp": ""},
	})
	s := here.Serve(t, lab.RadiusConfig())
	g := here.Connect(t, lab.Client{ID: 1, User: user})
	session := s.Session(t).ID
	if _, code := here.Try(t, lab.Client{ID: 2, User: user}); code != lab.NoPPP {
		t.Errorf("a second login ended with %d, want %d", code, lab.NoPPP)
	}
	line := s.Await(t, 1, "user refused; the client shows a wrong user name or password")
	t.Logf("adit: %v", line["reply_message"])

	for range 2 {
		s.Kill()
		s.Start(t)
		if code := g.Redial(t, "vpn"); code != lab.Connected {
			t.Fatalf("after a crash, redialling ended with %d", code)
		}
		var causes []string
		stopped := func() bool {
			causes = nil
			for _, r := range freeradius.Records("Stop") {
				if r["Acct-Session-Id"] == session {
					causes = append(causes, r["Acct-Terminate-Cause"])
				}
			}
			return len(causes) > 0
		}
		if !lab.Wait(patience, stopped) || len(causes) != 1 || causes[0] != "NAS-Reboot" {
			t.Errorf("the session that the crash cut off has the Stops %v, want one of NAS-Reboot", causes)
		}
		session = s.Session(t).ID
	}
	if n := len(freeradius.Records("Accounting-On")); n != 3 {
		t.Errorf("%d records Accounting-On of 3 starts", n)
	}
	g.HangUp(t)
	s.Stop(t)
}
