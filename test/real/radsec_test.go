//go:build real

package real

import (
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// Users of FreeRADIUS come in over TLS, by each method, and their records go the same way.
func TestUsersConnectByRadSec(t *testing.T) {
	radius, config := here.StartRadSec(t)
	comeByTLS(t, radius, config)
}

// The same where radsecproxy ends TLS, and FreeRADIUS has UDP alone.
func TestUsersConnectThroughRadsecproxy(t *testing.T) {
	radius, config := here.StartRadsecproxy(t)
	comeByTLS(t, radius, config)
}

func comeByTLS(t *testing.T, radius *lab.Radius, config lab.Config) {
	t.Helper()
	s := here.Serve(t, config)
	for _, m := range methods {
		t.Run(m.option, func(t *testing.T) {
			g := here.Connect(t, lab.Client{Args: []string{"--auth", m.option}})
			if x := s.Session(t); x.Method != m.adit || x.User != lab.User {
				t.Errorf("adit status says %s by %s", x.User, x.Method)
			}
			g.HangUp(t)
		})
	}
	if !lab.Wait(patience, func() bool { return len(radius.Records("Stop")) == len(methods) }) {
		t.Errorf("%d Stop records", len(radius.Records("Stop")))
	}
	if n := len(s.Lines("a RADIUS server is given up until it answers a probe")); n != 0 {
		t.Errorf("the server was given up %d times", n)
	}
	s.Stop(t)
}

// The first of two servers is not there: users come in by the second, and the log says which
// is missing.
func TestTheSecondRADIUSServerIsAsked(t *testing.T) {
	here.StartRadius(t, true)
	c := lab.RadiusConfig()
	c["radius"] = strings.Replace(c["radius"], "servers = [", `servers = [{ address = "127.0.0.1:1999", secret = "s" }, `, 1)
	s := here.Serve(t, c)
	for range 2 {
		here.Connect(t, lab.Client{}).HangUp(t)
	}
	if n := len(s.Lines("a RADIUS server is given up until it answers a probe")); n != 1 {
		t.Errorf("the log says %d times that a server is given up", n)
	}
	s.Stop(t)
}
