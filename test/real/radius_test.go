//go:build real

package real

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// methods are the authentication methods, as pppd's options, adit and pppd's
// log name them, and what FreeRADIUS's log shows when it tries one.
var methods = []struct{ option, adit, pppd, freeradius string }{
	{"mschap-v2", "MS-CHAPv2", "auth chap MS-v2", "# Auth-Type MS-CHAP = ok"},
	{"chap", "CHAP-MD5", "auth chap MD5", "# Auth-Type CHAP = ok"},
	{"pap", "PAP", "auth pap", "# Auth-Type PAP = ok"},
}

// pppd authenticates against FreeRADIUS by each of the methods, and what the
// session used arrives in the accounting record exactly.
func TestUsersOfFreeRADIUSConnect(t *testing.T) {
	s := here.Serve(t, lab.RadiusConfig())
	radius := here.StartRadius(t, true)
	for i, m := range methods {
		t.Run(m.option, func(t *testing.T) {
			g := here.Connect(t, lab.Client{Args: []string{"--auth", m.option}})
			if log := g.Log(t, "ppp.log"); !strings.Contains(log, m.pppd) {
				t.Errorf("pppd did not see %q:\n%s", m.pppd, log)
			}
			if !radius.Logged(m.freeradius) {
				t.Errorf("FreeRADIUS's log has no %q", m.freeradius)
			}
			g.Exec(t, "ping -q -c 20 -i 0.1 -s 1000 "+lab.AppIP)
			x := s.Session(t)
			if x.Method != m.adit || x.User != lab.User {
				t.Errorf("adit status says %s by %s, want %s by %s", x.User, x.Method, lab.User, m.adit)
			}
			if x.InPackets != 21 || x.OutPackets != 21 { // the ping of connect is one
				t.Errorf("adit status says %d packets in and %d out, the client sent and got 21", x.InPackets, x.OutPackets)
			}
			g.HangUp(t)
			down := s.Await(t, i+1, "disconnected")
			account(t, s, radius, i, x.InPackets, x.OutPackets, down)
		})
	}
	s.Stop(t)
}

// account compares the records of session i with what the server logged at its
// end, down, and with the packets that its status showed.
func account(t *testing.T, s *lab.Server, radius *lab.Radius, i int, inPackets, outPackets uint64, down lab.Line) {
	t.Helper()
	var stops []map[string]string
	if !lab.Wait(patience, func() bool { stops = radius.Records("Stop"); return len(stops) > i }) {
		t.Fatalf("%d Stop records, want %d", len(stops), i+1)
	}
	stop := stops[i]
	up := s.Lines("connected")[i]
	for name, want := range map[string]uint64{
		"Acct-Input-Octets":    uint64(down["in_octets"].(float64)),
		"Acct-Output-Octets":   uint64(down["out_octets"].(float64)),
		"Acct-Input-Packets":   inPackets,
		"Acct-Output-Packets":  outPackets,
		"Acct-Input-Gigawords": 0,
	} {
		got := stop[name]
		if got == "" {
			got = "0"
		}
		if got != strconv.FormatUint(want, 10) {
			t.Errorf("the Stop record has %s = %s, the session %d", name, got, want)
		}
	}
	for name, want := range map[string]any{
		"User-Name": lab.User, "Acct-Session-Id": down["session"], "Framed-IP-Address": down["address"],
		"Acct-Terminate-Cause": "User-Request",
	} {
		if stop[name] != want {
			t.Errorf("the Stop record has %s = %s, want %v", name, stop[name], want)
		}
	}
	// The log's times are whole seconds, and so is the record's.
	logged := when(t, down).Sub(when(t, up))
	if got, err := strconv.Atoi(stop["Acct-Session-Time"]); err != nil || (time.Duration(got)*time.Second-logged).Abs() > time.Second {
		t.Errorf("the Stop record has Acct-Session-Time = %s, the log says %v", stop["Acct-Session-Time"], logged)
	}
	starts := radius.Records("Start")
	if len(starts) != i+1 || starts[i]["Acct-Session-Id"] != down["session"] {
		t.Errorf("the Start records are %v, want one of session %v", starts, down["session"])
	}
	t.Logf("Stop: %s octets in, %s out, %s and %s packets, %s s", stop["Acct-Input-Octets"], stop["Acct-Output-Octets"],
		stop["Acct-Input-Packets"], stop["Acct-Output-Packets"], stop["Acct-Session-Time"])
}

// when is the time of a line of the log.
func when(t *testing.T, l lab.Line) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, l["time"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A wrong password is refused, and everybody says so: pppd to the user, the
// server and FreeRADIUS to the administrator.
func TestWrongPasswordIsRefusedAtEveryLayer(t *testing.T) {
	s := here.Serve(t, lab.RadiusConfig())
	radius := here.StartRadius(t, true)
	for i, m := range methods {
		t.Run(m.option, func(t *testing.T) {
			g, code := here.Try(t, lab.Client{Password: "wrong", Args: []string{"--auth", m.option}})
			if code != lab.NoPPP {
				t.Errorf("connect ended with %d, want %d", code, lab.NoPPP)
			}
			want := "CHAP authentication failed"
			if m.option == "pap" {
				want = "PAP authentication failed"
			}
			log := g.Log(t, "ppp.log")
			for line := range strings.Lines(log) {
				if strings.Contains(line, "failed") || strings.Contains(line, lab.RadiusMessage) {
					t.Logf("pppd: %s", strings.TrimSpace(line))
				}
			}
			for _, want := range []string{want, lab.RadiusMessage} {
				if !strings.Contains(log, want) {
					t.Errorf("pppd's log has no %q", want)
				}
			}
			refused := s.Await(t, i+1, "user refused; the client shows a wrong user name or password")
			if refused["name"] != lab.User || refused["method"] != m.adit {
				t.Errorf("the server's log says %v by %v, want %s by %s", refused["name"], refused["method"], lab.User, m.adit)
			}
		})
	}
	if !radius.Logged("Sent Access-Reject") {
		t.Error("FreeRADIUS's log has no Access-Reject")
	}
	if n := len(radius.Records("Start")); n != 0 {
		t.Errorf("%d sessions were accounted for", n)
	}
	s.Stop(t)
}

// A FreeRADIUS as Debian 12 ships it, which does not sign its replies, and one
// that is not there: both times the log names the reason and the user is
// refused.
func TestTroubleWithRADIUSIsNamed(t *testing.T) {
	const failed = "authentication had no verdict; the client shows that the user was refused"
	s := here.Serve(t, lab.RadiusConfig())
	radius := here.StartRadius(t, false)
	try := func(n int, want ...string) {
		t.Helper()
		if _, code := here.Try(t, lab.Client{}); code != lab.NoPPP {
			t.Errorf("connect ended with %d, want %d", code, lab.NoPPP)
		}
		line := s.Await(t, n, failed)
		t.Logf("adit: %v", line["error"])
		for _, w := range want {
			if text, _ := line["error"].(string); !strings.Contains(text, w) {
				t.Errorf("the error does not speak of %q: %v", w, text)
			}
		}
	}
	try(1, "Message-Authenticator", "allow_unsigned_replies")
	if !radius.Logged("Sent Access-Accept") {
		t.Error("FreeRADIUS did not accept the user")
	}
	radius.Stop()
	try(2, "127.0.0.1:1812", "no RADIUS server answers")
	s.Stop(t)
}
