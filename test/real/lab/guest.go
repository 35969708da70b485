//go:build real

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What connect ends with (test/guest/README.md).
const (
	Connected = 0
	NoBoot    = 10
	NoIKE     = 11
	NoL2TP    = 12
	NoPPP     = 13
	NoPing    = 14
)

// Client says which client connects and how. The zero value is strongSwan on
// the open network, with the credentials that the server of a lab knows.
type Client struct {
	ID       int    // one running guest a number; 0 is 1
	Kind     string // strongswan, libreswan or none; "" is strongswan
	NAT      bool   // behind the NAT box
	PSK      string
	User     string
	Password string
	Args     []string // further options of connect
}

// Guest is a client that is up.
type Guest struct {
	Took time.Duration // from power-on to an answered ping

	lab   *Lab
	id    int
	dir   string
	run   *Process
	began time.Time
}

func or(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// boot starts connect.
func (l *Lab) boot(t testing.TB, c Client, more ...string) *Guest {
	t.Helper()
	g := &Guest{lab: l, id: max(1, c.ID), began: time.Now()}
	g.dir = filepath.Join(l.home, "state-"+prefix, fmt.Sprintf("g%d", g.id))
	args := []string{
		"--id", fmt.Sprint(g.id), "--client", or(c.Kind, "strongswan"),
		"--psk", or(c.PSK, PSK), "--user", or(c.User, User), "--password", or(c.Password, Password),
		"--route", AppIP + "/32", "--ping", AppIP,
	}
	if c.NAT {
		args = append(args, "--topology", "nat")
	}
	cmd := l.kit("connect", append(append(args, c.Args...), more...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	g.run = Start(t, cmd, filepath.Join(t.TempDir(), "connect.log"))
	t.Cleanup(g.end)
	return g
}

// end has the guest go, politely at first.
func (g *Guest) end() {
	if g.run.Signal(syscall.SIGTERM) == nil {
		g.run.Exit(20 * time.Second)
	}
	g.run.Kill()
}

// Connect boots a guest and connects it; it stays up until the test ends.
func (l *Lab) Connect(t testing.TB, c Client) *Guest {
	t.Helper()
	g := l.Dial(t, c)
	g.Up(t)
	return g
}

// Dial is Connect without waiting: Up does.
func (l *Lab) Dial(t testing.TB, c Client) *Guest {
	t.Helper()
	return l.boot(t, c, "--hold")
}

// Up waits until the guest is connected.
func (g *Guest) Up(t testing.TB) {
	t.Helper()
	if !Wait(150*time.Second, func() bool { return g.run.Printed("holding") || g.run.Ended() }) || g.run.Ended() {
		t.Fatalf("the guest did not connect:\n%s", g.run.Output())
	}
	g.Took = time.Since(g.began)
	t.Logf("%s", strings.TrimSpace(string(g.run.Output())))
}

// Try boots a guest that connects and goes again, and returns what connect
// ended with.
func (l *Lab) Try(t testing.TB, c Client) (*Guest, int) {
	t.Helper()
	g := l.boot(t, c)
	code := g.run.Exit(180 * time.Second)
	t.Logf("%s", strings.TrimSpace(string(g.run.Output())))
	return g, code
}

// Run runs a command in the guest and returns what it printed. It may be called
// by several goroutines.
func (g *Guest) Run(command string) (string, error) {
	out, err := g.command(command).CombinedOutput()
	return string(out), err
}

// Exec runs a command in the guest and expects it to succeed.
func (g *Guest) Exec(t testing.TB, command string) string {
	t.Helper()
	out, err := g.Run(command)
	if err != nil {
		t.Fatalf("in the guest: %s: %v\n%s", command, err, out)
	}
	return out
}

func (g *Guest) command(command string) *exec.Cmd {
	c := g.lab.kit("exec", "--id", fmt.Sprint(g.id), command)
	c.Stdout, c.Stderr = nil, nil
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// Steps is what a command in the guest begins with to hang up or dial
// (test/guest/inside/steps).
const Steps = ". /mnt/guest.env; . /mnt/steps; "

// Redial hangs up and connects as ipsec.conf's connection conn, which is "vpn"
// but for those that --conf added. It returns the status that connect would
// end with.
func (g *Guest) Redial(t testing.TB, conn string) int {
	t.Helper()
	out, err := g.Run(Steps + "hang_up; dial " + conn)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return Connected
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		t.Fatalf("redialling: %v\n%s", err, out)
		return NoBoot
	}
}

// As has the next dialling be another user's, with the same password as before.
func (g *Guest) As(t testing.TB, user string) {
	t.Helper()
	g.Exec(t, fmt.Sprintf(`sed -i 's/^name .*/name "%[1]s"/' /etc/ppp/options.xl2tpd
for f in pap chap; do sed -i 's/^"[^"]*"/"%[1]s"/' /etc/ppp/$f-secrets; done`, user))
}

// Step is how long a step of the last dialling took: "ike", "l2tp" or "ppp".
func (g *Guest) Step(t testing.TB, step string) time.Duration {
	t.Helper()
	var took, at, before float64
	var what string
	for line := range strings.Lines(g.Log(t, "status")) {
		if n, _ := fmt.Sscan(line, &at, &what); n == 2 {
			if what == step+"-up" {
				took = at - before
			}
			before = at
		}
	}
	return time.Duration(took * float64(time.Second))
}

// Timing is how long each step of the last dialling took.
func (g *Guest) Timing(t testing.TB) string {
	t.Helper()
	var text []string
	var at, before float64
	var what string
	for line := range strings.Lines(g.Log(t, "status")) {
		if n, _ := fmt.Sscan(line, &at, &what); n != 2 {
			continue
		}
		switch what {
		case "dial":
			text = nil
		case "ike-up", "l2tp-up", "ppp-up", "ping":
			text = append(text, fmt.Sprintf("%s %.2f s", strings.TrimSuffix(what, "-up"), at-before))
		}
		before = at
	}
	return strings.Join(text, ", ")
}

// HangUp says goodbye, has the guest go, and waits for both.
func (g *Guest) HangUp(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "release"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := g.run.Exit(30 * time.Second); code != 0 {
		t.Fatalf("the guest ended with %d:\n%s", code, g.run.Output())
	}
}

// Log is what one of the guest's programs logged: charon.log, pluto.log,
// xl2tpd.log, ppp.log, …
func (g *Guest) Log(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
