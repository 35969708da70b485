//go:build real

package real

import (
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// A host that cannot run the server gets one line that says what is wrong and
// what to do, and is left as it was.
func TestServerThatCannotStartSaysWhy(t *testing.T) {
	before := hostNow(t)
	for _, c := range []struct {
		what  string
		wrap  []string // programs in front of the server
		held  string   // address of a UDP socket that is in the way
		wants []string // what the line speaks of
	}{
		{"port 500 in use", nil, "0.0.0.0:500", []string{"500", "in use"}},
		{"port 4500 in use", nil, lab.ServerIP + ":4500", []string{"4500", "in use"}},
		{
			"no /dev/net/tun", []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh"}, "",
			[]string{"/dev/net/tun", "module", "container"},
		},
		{"no NET_ADMIN", []string{"setpriv", "--bounding-set=-net_admin"}, "", []string{"NET_ADMIN"}},
		{"no privileges", []string{"setpriv", "--bounding-set=-all"}, "", []string{"500", "root", "NET_BIND_SERVICE"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.held != "" {
				lab.ListenUDP(t, here.Server, c.held)
			}
			s := here.Prepare(t, nil)
			if code := s.Launch(t, c.wrap...).Exit(patience); code != 1 {
				t.Errorf("the server ended with %d, want 1", code)
			}
			var said []string
			for line := range strings.Lines(string(s.Log())) {
				if strings.HasPrefix(line, "adit: ") {
					said = append(said, line)
				}
			}
			t.Logf("%s", s.Log())
			if len(said) != 1 {
				t.Fatalf("it said %d lines, want one", len(said))
			}
			for _, want := range c.wants {
				if !strings.Contains(said[0], want) {
					t.Errorf("%q does not name %q", said[0], want)
				}
			}
			if now := hostNow(t); now != before {
				t.Errorf("the host has\n%+v\nwant\n%+v", now, before)
			}
		})
	}
}
