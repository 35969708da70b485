//go:build real

package real

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// traces are what a server leaves on its host while it runs.
func traces(t *testing.T) (tables, devices, routes int) {
	t.Helper()
	tables = strings.Count(lab.Run(t, here.Server, "nft", "list", "tables"), "table ip adit_")
	devices = strings.Count(lab.Run(t, here.Server, "ip", "-br", "link"), "adit0")
	routes = strings.Count(lab.Run(t, here.Server, "ip", "route"), "adit0")
	return tables, devices, routes
}

// A server that was killed and started again has no stale rule, device or
// route beside its own, and its client connects at once.
func TestServerThatWasKilledComesBackClean(t *testing.T) {
	forwarding := lab.Run(t, here.Server, "cat", "/proc/sys/net/ipv4/ip_forward")
	s := here.Serve(t, nil)
	before := here.Connect(t, lab.Client{Args: []string{"--vanish"}})
	s.Kill()
	if tables, devices, routes := traces(t); tables != 1 || devices != 0 || routes != 0 {
		t.Errorf("after kill -9: %d tables, %d devices, %d routes; want the table only, which nothing but the next start can remove", tables, devices, routes)
	}
	s.Start(t)
	if tables, devices, routes := traces(t); tables != 1 || devices != 1 || routes != 1 {
		t.Errorf("after the restart: %d tables, %d devices, %d routes; want one of each", tables, devices, routes)
	}
	// The machine that was connected is switched off, and one with the same
	// address and credentials comes back.
	before.HangUp(t) // without a word: --vanish
	g := here.Connect(t, lab.Client{})
	t.Logf("connected %.1f s after power-on", g.Took.Seconds())
	if out := g.Exec(t, "ping -n -c 3 -W 2 "+lab.AppIP); !strings.Contains(out, "3 received") {
		t.Errorf("ping: %s", out)
	}
	s.Stop(t)
	if tables, devices, routes := traces(t); tables+devices+routes != 0 {
		t.Errorf("after SIGTERM: %d tables, %d devices, %d routes; want none", tables, devices, routes)
	}
	if now := lab.Run(t, here.Server, "cat", "/proc/sys/net/ipv4/ip_forward"); now != forwarding {
		t.Errorf("forwarding was %q and is %q", forwarding, now)
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
		_, code := here.Try(t, lab.Client{Args: []string{"--vanish"}})
		if code != lab.Connected {
			t.Fatalf("return %d ended with %d, want that it connects", i, code)
		}
	}
	if n := len(s.Lines("connected")); n != 4 {
		t.Errorf("the server connected %d sessions, want 4", n)
	}
	if st := s.Status(t); len(st.Sessions) != 1 {
		t.Errorf("%d sessions are up, want only the last: the others had the same address", len(st.Sessions))
	}
	s.Stop(t)
}
