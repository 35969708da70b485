//go:build real

package real

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// host is what a server changes on its host.
type host struct{ nft, routes, links, forwarding string }

func hostNow(t *testing.T) host {
	t.Helper()
	var links []string
	for line := range strings.Lines(lab.Run(t, here.Server, "ip", "-br", "link")) {
		links = append(links, strings.Fields(line)[0])
	}
	return host{
		nft:        lab.Run(t, here.Server, "nft", "list", "ruleset"),
		routes:     lab.Run(t, here.Server, "ip", "route", "show", "table", "all"),
		links:      strings.Join(links, " "),
		forwarding: lab.Run(t, here.Server, "cat", "/proc/sys/net/ipv4/ip_forward"),
	}
}

// A server that was killed and started again has no stale rule, device or
// route beside its own, and its client connects at once.
func TestServerThatWasKilledComesBackClean(t *testing.T) {
	before := hostNow(t)
	s := here.Serve(t, nil)
	serving := hostNow(t)
	if !strings.Contains(serving.nft, "adit") || !strings.Contains(serving.routes, "adit0") || !strings.Contains(serving.links, "adit0") {
		t.Errorf("the server has no table, route or device of its own: %+v", serving)
	}
	g := here.Connect(t, lab.Client{NAT: true})
	s.Kill()
	// The kernel takes back the device and with it the routes. The table only
	// the next start can remove.
	if now := hostNow(t); now.links != before.links || now.routes != before.routes || now.nft != serving.nft {
		t.Errorf("after kill -9 the host has\n%+v\nwant the table only", now)
	}
	s.Start(t)
	if now := hostNow(t); now != serving {
		t.Errorf("after the restart the host has\n%+v\nwant\n%+v", now, serving)
	}
	began := time.Now()
	if code := g.Redial(t, "vpn"); code != lab.Connected {
		t.Fatalf("the client ended with %d, want that it connects", code)
	}
	t.Logf("hung up, dialled and pinged %.1f s after the restart: %s", time.Since(began).Seconds(), g.Timing(t))
	s.Session(t)
	s.Stop(t)
	if now := hostNow(t); now != before {
		t.Errorf("after SIGTERM the host has\n%+v\nwant\n%+v", now, before)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "network-undo.json")); err == nil {
		t.Error("the undo record is still there")
	}
}

// A client whose plug is pulled and that returns at once from the same address
// connects, three times in a row.
func TestClientWhosePlugWasPulledReturnsAtOnce(t *testing.T) {
	s := here.Serve(t, nil)
	for i := range 4 {
		g, code := here.Try(t, lab.Client{Args: []string{"--vanish"}})
		if code != lab.Connected {
			t.Fatalf("return %d ended with %d, want that it connects", i, code)
		}
		t.Logf("return %d: %s", i, g.Timing(t))
	}
	if n := len(s.Lines("connected")); n != 4 {
		t.Errorf("the server connected %d sessions, want 4", n)
	}
	if st := s.Status(t); len(st.Sessions) != 1 {
		t.Errorf("%d sessions are up, want only the last: the others had the same address", len(st.Sessions))
	}
	s.Stop(t)
}

// Two users whose server was killed have the addresses that they had, though the
// second one returns first.
func TestUsersHaveTheirAddressesAfterAKill(t *testing.T) {
	s := here.Serve(t, lab.Config{"user": "[[user]]\nname = \"ann\"\npassword = \"p\"\n[[user]]\nname = \"bob\"\npassword = \"p\"\n"})
	guests := map[string]*lab.Guest{}
	for i, user := range []string{"ann", "bob"} {
		guests[user] = here.Connect(t, lab.Client{ID: i + 1, User: user, Password: "p"})
	}
	addresses := func() map[string]string {
		list := map[string]string{}
		for _, x := range s.Status(t).Sessions {
			list[x.User] = x.Address
		}
		return list
	}
	before := addresses()
	lab.Wait(patience, func() bool { // some seconds after the last address was leased
		b, _ := os.ReadFile(filepath.Join(s.Dir, "leases"))
		return strings.Contains(string(b), `"ann"`) && strings.Contains(string(b), `"bob"`)
	})
	s.Kill()
	s.Start(t)
	for _, user := range []string{"bob", "ann"} {
		if code := guests[user].Redial(t, "vpn"); code != lab.Connected {
			t.Fatalf("%s's client ended with %d", user, code)
		}
	}
	if after := addresses(); len(before) != 2 || after["ann"] != before["ann"] || after["bob"] != before["bob"] {
		t.Errorf("addresses are %v, before the kill they were %v", after, before)
	}
}
