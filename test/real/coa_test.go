//go:build real

package real

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// radclient asks the server something about sessions, and returns what it prints of the answer.
func radclient(t *testing.T, what, secret, attributes string) string {
	t.Helper()
	c := lab.Command(here.Server, "radclient", "-x", "-r", "1", "-t", "3", "127.0.0.1:3799", what, secret)
	c.Stdin = strings.NewReader(attributes + "\n")
	out, _ := c.CombinedOutput() // it fails where the answer is a NAK, or there is none
	t.Logf("%s %s\n%s", what, attributes, out)
	return string(out)
}

// signedToo are attributes that make a request one that is believed.
func signedToo() string {
	return fmt.Sprintf(", Message-Authenticator = 0x00, Event-Timestamp = %d", time.Now().Unix())
}

// FreeRADIUS's radclient changes and ends the session of pppd: what is changed holds for its packets.
func TestRadclientChangesAndEndsASession(t *testing.T) {
	cfg := lab.RadiusConfig()
	cfg["radius"] += "\ncoa_listen = \"127.0.0.1:3799\""
	s := here.Serve(t, cfg)
	radius := here.StartRadius(t, true)
	g := here.Connect(t, lab.Client{})
	x := s.Session(t)
	ask := func(what, attributes, want string) {
		t.Helper()
		if out := radclient(t, what, lab.RadiusSecret, attributes); !strings.Contains(out, want) {
			t.Errorf("%s %s: radclient does not print %q", what, attributes, want)
		}
	}
	named := "Acct-Session-Id = \"" + x.ID + "\", User-Name = \"" + lab.User + "\", Framed-IP-Address = " + x.Address
	const ping = "ping -q -c 3 -i 0.2 -W 1 " + lab.AppIP

	ask("coa", named+", NAS-Filter-Rule = \"deny in icmp from any to any\""+signedToo(), "Received CoA-ACK")
	if _, err := g.Run(ping); err == nil {
		t.Error("a ping passes the filter that denies it")
	}
	ask("coa", named+", NAS-Filter-Rule = \"permit in ip from any to any\", Mikrotik-Rate-Limit = \"10M/20M\""+signedToo(), "Received CoA-ACK")
	g.Exec(t, ping)
	ask("coa", named+", Framed-Route = \"192.0.2.0/24\""+signedToo(), "Error-Cause = Unsupported-Attribute")
	ask("coa", named+", Filter-Id = \"nobody\""+signedToo(), "Error-Cause = Invalid-Attribute-Value")
	ask("coa", "Session-Timeout = 60"+signedToo(), "Error-Cause = Missing-Attribute")
	ask("coa", named+", Service-Type = Authorize-Only, State = 0x01"+signedToo(), "Error-Cause = Unsupported-Service")
	ask("disconnect", named+", NAS-Identifier = \"another\""+signedToo(), "Error-Cause = NAS-Identification-Mismatch")
	ask("disconnect", "User-Name = \""+lab.User+"\", Framed-IP-Address = 10.1.2.3"+signedToo(), "Error-Cause = Session-Context-Not-Found")
	for secret, attributes := range map[string]string{"another secret": named + signedToo(), lab.RadiusSecret: named} {
		if out := radclient(t, "disconnect", secret, attributes); strings.Contains(out, "Received") {
			t.Errorf("%s is answered", attributes)
		}
	}
	if again := s.Session(t); again.ID != x.ID {
		t.Errorf("it is another session: %s, not %s", again.ID, x.ID)
	}

	ask("disconnect", "User-Name = \""+lab.User+"\""+signedToo(), "Received Disconnect-ACK")
	s.Await(t, 1, "disconnected by a RADIUS server")
	if down := s.Await(t, 1, "disconnected"); down["cause"] != "disconnected by the administrator" {
		t.Errorf("the session ends by %v", down["cause"])
	}
	var stops []map[string]string
	if !lab.Wait(patience, func() bool { stops = radius.Records("Stop"); return len(stops) > 0 }) || stops[0]["Acct-Terminate-Cause"] != "Admin-Reset" {
		t.Errorf("the Stop is %v", stops)
	}
	if !lab.Wait(patience, func() bool {
		return strings.Contains(g.Log(t, "ppp.log"), "LCP TermReq") || strings.Contains(g.Log(t, "ppp.log"), "LCP terminated by peer")
	}) {
		t.Errorf("pppd heard no goodbye:\n%s", g.Log(t, "ppp.log"))
	}
	s.Stop(t)
}
