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
	for _, c := range []struct {
		what  string
		wrap  []string
		port  bool
		wants []string
	}{
		{"port in use", nil, true, []string{"500", "in use"}},
		{"no /dev/net/tun", []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh"}, false, []string{"/dev/net/tun"}},
		{"no NET_ADMIN", []string{"setpriv", "--bounding-set", "-net_admin"}, false, []string{"NET_ADMIN"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.port {
				lab.ListenUDP(t, here.Server, "0.0.0.0:500")
			}
			s := here.Prepare(t, nil)
			if code := s.Launch(t, c.wrap...).Exit(patience); code != 1 {
				t.Errorf("the server ended with %d, want 1", code)
			}
			var said []string
			for _, line := range strings.Split(strings.TrimSpace(string(s.Log())), "\n") {
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
			if tables, devices, routes := traces(t); tables+devices+routes != 0 {
				t.Errorf("%d tables, %d devices, %d routes are left", tables, devices, routes)
			}
		})
	}
}
