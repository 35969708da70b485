//go:build real

package real

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/real/lab"
)

// Each end of a link has the other authenticate itself, whichever dials.
func TestBothOfficesAuthenticateThemselves(t *testing.T) {
	both := makeOffices(t, "", `dial = "never"`, `peer_auth = "required"`)
	a, b := both[0], both[1]
	a.start(t)
	b.start(t)
	back(t, a, b, patience)
	wantOneCall(t, a, b)
	for _, o := range both {
		if l := o.link(t); l.PeerAuth != "MS-CHAPv2" {
			t.Errorf("at the office of %s the other end has authenticated itself by %q", o.lan, l.PeerAuth)
		}
	}
	b.change(t, "what branch says", "what somebody else says") // of the call and of what is expected
	b.change(t, "what head says", "what nobody says")
	b.reload(t)
	if !lab.Wait(patience, func() bool { return strings.Contains(b.link(t).Error, "uthentication failed") }) || a.link(t).State == "up" {
		t.Errorf("with other passwords the link is\n%+v\n%+v", a.link(t), b.link(t))
	}
	b.change(t, "what somebody else says", "what branch says")
	b.reload(t)
	if !lab.Wait(2*patience, func() bool { return strings.Contains(b.link(t).Error, "its password is not peer_password") }) || a.link(t).State == "up" {
		t.Errorf("with another password of the head office the link is\n%+v\n%+v", a.link(t), b.link(t))
	}
}

// change replaces a text in the office's configuration.
func (o *site) change(t *testing.T, old, now string) {
	t.Helper()
	b, err := os.ReadFile(o.file)
	if err != nil || !strings.Contains(string(b), old) {
		t.Fatalf("the configuration has no %q: %v", old, err)
	}
	if err := os.WriteFile(o.file, []byte(strings.ReplaceAll(string(b), old, now)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload is adit reload.
func (o *site) reload(t *testing.T) string {
	t.Helper()
	return lab.Run(t, o.router, here.Adit, "reload", "-socket", o.socket)
}

// links are the office's links by name.
func (o *site) links(t *testing.T) map[string]admin.Link {
	t.Helper()
	all := map[string]admin.Link{}
	for _, l := range o.list(t) {
		all[l.Name] = l
	}
	return all
}

// A link is added, changed and taken away while another carries a ping, of which no packet is
// lost. Then that one is changed: it is back at once, and nothing leaves in the clear
// meanwhile.
func TestLinksComeAndGoUnderAPing(t *testing.T) {
	const depot = "[[link]]\nname = \"depot\"\ndial = \"never\"\npeer_user = \"depot\"\npeer_password = \"three\"\nroutes = [\"192.168.79.0/24\"]\n"
	both := makeOffices(t, "", `dial = "never"`, "")
	a, b := both[0], both[1]
	a.start(t)
	b.start(t)
	back(t, a, b, patience)
	ping := lab.Start(t, lab.Command(b.host, "ping", "-n", "-i", "0.02", "-W", "1", a.lan), t.TempDir()+"/ping")
	since := a.link(t).Since
	routes := func() string { return lab.Run(t, a.router, "ip", "route", "show", "192.168.79.0/24") }

	a.change(t, "[[link]]\nname = \"branch\"", depot+"[[link]]\nname = \"branch\"")
	if out := a.reload(t); !strings.Contains(out, "applied: link\n") {
		t.Errorf("adit reload says %q", out)
	}
	if l, ok := a.links(t)["depot"]; !ok || l.State != "idle" || !strings.Contains(routes(), "blackhole") {
		t.Errorf("the new link is %+v, and its route %q", l, routes())
	}
	a.change(t, "\"192.168.79.0/24\"]\n", "\"192.168.79.0/24\"]\nwhen_down = \"hold\"\n")
	a.reload(t)
	if got := routes(); !strings.Contains(got, "dev adit-depot") {
		t.Errorf("the changed link's route is %q", got)
	}
	a.change(t, depot+"when_down = \"hold\"\n", "")
	a.reload(t)
	if _, ok := a.links(t)["depot"]; ok || routes() != "" || strings.Contains(lab.Run(t, a.router, "ip", "link"), "adit-depot") {
		t.Errorf("the link that was taken away is there: %q", routes())
	}
	time.Sleep(time.Second)
	if l := a.link(t); l.Since != since {
		t.Errorf("the other link was down: %+v", l)
	}
	if err := ping.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	ping.Exit(patience)
	if out := string(ping.Output()); !strings.Contains(out, " 0% packet loss") {
		t.Errorf("packets are lost:\n%s", out[max(0, len(out)-300):])
	}

	a.change(t, "dial = \"never\"", "dial = \"never\"\naddress = \"10.97.0.1\"\npeer_address = \"10.97.0.2\"")
	a.reload(t)
	b.change(t, "peer_user = \"head\"", "peer_user = \"head\"\naddress = \"10.97.0.2\"\npeer_address = \"10.97.0.1\"")
	b.reload(t)
	if took := back(t, a, b, patience); took > 5*time.Second {
		t.Errorf("it took %v until the changed link was back", took)
	}
	if l := a.link(t); l.Since.Equal(since) || l.Local != "10.97.0.1" || l.Peer != "10.97.0.2" {
		t.Errorf("the changed link is %+v", l)
	}
	for _, o := range both {
		if n := leaked(t, o); n != "0" {
			t.Errorf("%s packets have left in the clear", n)
		}
	}
}
