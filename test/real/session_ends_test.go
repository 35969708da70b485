//go:build real

package real

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// Sessions end when the RADIUS server says, with the cause in their Stop, have interim records as
// often as it says, and are as many as it says.
func TestSessionsEndWhenRADIUSSays(t *testing.T) {
	until := time.Now().Add(85 * time.Second).UTC().Truncate(time.Second)
	var users strings.Builder
	for name, reply := range map[string]string{
		"one":   "Port-Limit = 1, Acct-Interim-Interval = 60, WISPr-Session-Terminate-Time = \"" + until.Format("2006-01-02T15:04:05Z07:00") + "\"",
		"asa":   "ASA-Simultaneous-Logins = 2, User-Name = one",
		"timed": "Session-Timeout = 5, Termination-Action = Default",
		"again": "Session-Timeout = 5, Termination-Action = RADIUS-Request",
		"idle":  "Idle-Timeout = 5",
	} {
		fmt.Fprintf(&users, "%s Cleartext-Password := %q\n\t%s\n", name, lab.Password, reply)
	}
	radius := here.StartRadiusWith(t, lab.RadiusSetup{Users: users.String()})
	s := here.Serve(t, lab.RadiusConfig())
	lives := here.Dial(t, lab.Client{ID: 2, User: "one"})
	g := here.Connect(t, lab.Client{ID: 1})
	lives.Up(t)
	first := s.Lines("connected")
	t.Logf("%d sessions; the one that lives ends at %v", len(first), until)

	g.As(t, "one")
	if code := g.Redial(t, "vpn"); code != lab.NoPPP {
		t.Errorf("Port-Limit is 1, and a second login ended with %d, want %d", code, lab.NoPPP)
	}
	if line := s.Await(t, 1, refusedLine); !strings.Contains(fmt.Sprint(line["detail"]), "Port-Limit") {
		t.Errorf("the log says %v", line["detail"])
	}
	g.As(t, "asa")
	if code := g.Redial(t, "vpn"); code != lab.Connected {
		t.Errorf("ASA-Simultaneous-Logins is 2, and a second login ended with %d", code)
	}
	for user, cause := range map[string]string{"timed": "session timeout", "idle": "idle timeout"} {
		g.As(t, user)
		if code := g.Redial(t, "vpn"); code != lab.Connected {
			t.Fatalf("dialling as %s ended with %d", user, code)
		}
		began := time.Now()
		var ended lab.Line
		lab.Wait(patience, func() bool {
			for _, l := range s.Lines("disconnected") {
				if l["user"] == user {
					ended = l
				}
			}
			return ended != nil
		})
		if ended == nil || ended["cause"] != cause {
			t.Fatalf("%s: the session ended with %v, want %s", user, ended["cause"], cause)
		}
		if took := time.Since(began); took < 3*time.Second || took > 9*time.Second {
			t.Errorf("%s: the session ended after %v, want 5 s", user, took)
		}
		for _, r := range radius.Records("Stop") {
			if want := map[string]string{"timed": "Session-Timeout", "idle": "Idle-Timeout"}[user]; r["User-Name"] == user && r["Acct-Terminate-Cause"] != want {
				t.Errorf("%s: the Stop has the cause %s", user, r["Acct-Terminate-Cause"])
			}
		}
	}
	g.As(t, "again")
	if code := g.Redial(t, "vpn"); code != lab.Connected {
		t.Fatalf("dialling as again ended with %d", code)
	}
	accepted := func() (n int) {
		for _, l := range s.Lines("user authenticated") {
			if l["name"] == "again" {
				n++
			}
		}
		return n
	}
	if !lab.Wait(patience, func() bool { return accepted() >= 3 }) {
		t.Errorf("with Termination-Action RADIUS-Request the user authenticated %d times, want 3", accepted())
	}
	for _, r := range radius.Records("Stop") {
		if r["User-Name"] == "again" {
			t.Errorf("the session did not go on: %v", r)
		}
	}
	interims := func() (n int) {
		for _, r := range radius.Records("Interim-Update") {
			if r["User-Name"] == "one" {
				n++
			}
		}
		return n
	}
	if !lab.Wait(75*time.Second, func() bool { return interims() > 0 }) {
		t.Error("no interim record came within 75 s")
	}
	ended := func() bool {
		for _, r := range radius.Records("Stop") {
			if r["User-Name"] == "one" && r["Acct-Terminate-Cause"] == "Session-Timeout" {
				return true
			}
		}
		return false
	}
	if !lab.Wait(time.Until(until)+patience, ended) {
		t.Error("the session outlives WISPr-Session-Terminate-Time")
	}
	if late := time.Since(until); late < -2*time.Second {
		t.Errorf("the session ended %v before its time", -late)
	}
	g.HangUp(t)
	s.Stop(t)
}
