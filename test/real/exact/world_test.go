//go:build real

package exact

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

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/real/lab"
)

// The namespaces: the server's, the clients' and that of a host behind the
// server.
const (
	nsServer = "adit-exact-srv"
	nsClient = "adit-exact-cli"
	nsFar    = "adit-exact-far"

	serverIP = "10.98.0.1"
	directIP = "10.98.0.2" // of the clients' namespace, not of a client
	farIP    = "10.98.8.2"
	inside4  = "10.83.0.0/16"
	inside6  = "2001:db8:1::/48"

	psk, user, password = "a key that only these tests know", "ann", "correct horse battery staple"
)

// lowered is the binary of the server.
var lowered string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	err := open()
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, "exact:", err)
	}
	down()
	_ = os.RemoveAll(filepath.Dir(lowered))
	return code
}

// open builds the server and makes the namespaces. It waits for another run of
// these tests on this host to end.
func open() error {
	lock, err := os.Create(filepath.Join(os.TempDir(), "adit-exact.lock"))
	if err != nil {
		return err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) // until this process ends
	if errors.Is(err, unix.EWOULDBLOCK) {
		fmt.Println("exact: waiting for another run on this host to end")
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return err
	}
	keepOpen = lock
	dir, err := os.MkdirTemp("", "adit-exact")
	if err != nil {
		return err
	}
	lowered = filepath.Join(dir, "lowered")
	if err := build(lowered, "CGO_ENABLED=0"); err != nil {
		return err
	}
	down() // what a run that was killed left behind
	for _, command := range []string{
		"netns add " + nsServer,
		"netns add " + nsClient,
		"netns add " + nsFar,
		"-n " + nsServer + " link set lo up",
		"-n " + nsClient + " link set lo up",
		"-n " + nsFar + " link set lo up",
		"-n " + nsServer + " link add eth0 type veth peer name eth0 netns " + nsClient,
		"-n " + nsServer + " link add far type veth peer name eth0 netns " + nsFar,
		"-n " + nsServer + " addr add " + serverIP + "/24 dev eth0",
		"-n " + nsServer + " addr add 10.98.8.1/24 dev far",
		"-n " + nsClient + " addr add " + directIP + "/24 dev eth0",
		"-n " + nsFar + " addr add " + farIP + "/24 dev eth0",
		"-n " + nsServer + " link set eth0 up",
		"-n " + nsServer + " link set far up",
		"-n " + nsClient + " link set eth0 up",
		"-n " + nsFar + " link set eth0 up",
		"netns exec " + nsServer + " sysctl -q -w net.ipv4.ip_forward=1",
		// A probe after a pause is a segment sent again, and says nothing of loss.
		"netns exec " + nsClient + " sysctl -q -w net.ipv4.tcp_early_retrans=0",
		"netns exec " + nsFar + " sysctl -q -w net.ipv4.tcp_early_retrans=0",
		"-n " + nsClient + " route add 10.98.8.0/24 via " + serverIP,
		"-n " + nsFar + " route add default via 10.98.8.1",
		// Where packets go that are only looked at.
		"-n " + nsServer + " route add blackhole 198.51.100.0/24",
		"-n " + nsServer + " -6 route add blackhole 2001:db8:100::/64",
	} {
		if err := ip(command); err != nil {
			return err
		}
	}
	for i := range len(suites) + 1 {
		if err := ip(fmt.Sprintf("-n %s addr add %s/24 dev eth0", nsClient, clientIP(i))); err != nil {
			return err
		}
	}
	return nil
}

var keepOpen *os.File // the lock

// build builds the server.
func build(to, env string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-tags", "real", "-o", to}, flags...)
	c := exec.Command("go", append(args, "../lowered")...)
	c.Env = append(os.Environ(), env)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return nil
}

func ip(command string) error {
	if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", command, err, out)
	}
	return nil
}

func down() {
	for _, ns := range []string{nsServer, nsClient, nsFar} {
		_ = ip("netns del " + ns) // it may not be there
	}
}

// host is what a server may do, and with what.
type host struct {
	without string   // for lowered
	env     []string // of the process
	network string   // lines of the configuration; "": a TUN device
	race    bool     // with the race detector, which makes the server end with an error
}

// server is a running one.
type server struct {
	run     *lab.Process
	control *admin.Client
	dir     string
}

// serve starts a server that ends with the test.
func serve(t testing.TB, h host) *server {
	t.Helper()
	s := launch(t, h)
	if !lab.Wait(15*time.Second, func() bool { return s.run.Printed("serving") || s.run.Ended() }) || s.run.Ended() {
		t.Fatalf("the server did not start:\n%s", s.run.Output())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.run.Output())
		}
	})
	return s
}

// refuses expects that a server does not start, and says why.
func refuses(t testing.TB, h host, why string) {
	t.Helper()
	s := launch(t, h)
	if code := s.run.Exit(15 * time.Second); code <= 0 || !s.run.Printed(why) {
		t.Errorf("the server ended with %d, want that it refuses to start because of %s:\n%s", code, why, s.run.Output())
	}
}

// launch starts a server without waiting for it.
func launch(t testing.TB, h host) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{dir: dir, control: admin.NewClient(filepath.Join(dir, "sock"))}
	if h.network == "" {
		h.network = fmt.Sprintf("pool = [%q]\npool6 = [%q]\n", inside4, inside6) +
			"inbound = [\"0.0.0.0/0\", \"::/0\"]\nhost_access = [\"all\"]"
	}
	text := fmt.Sprintf(`[server]
listen = ["0.0.0.0"]
state_dir = %q
[ipsec]
psk = %q
[network]
device = "adit0"
masquerade = false
%s
[log]
level = "info"
[admin]
socket = %q
[[user]]
name = %q
password = %q
`, dir, psk, h.network, filepath.Join(dir, "sock"), user, password)
	file := filepath.Join(dir, "adit.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := lowered
	if h.race {
		binary = filepath.Join(dir, "raced")
		if err := build(binary, "CGO_ENABLED=1", "-race"); err != nil {
			t.Fatal(err)
		}
	}
	c := lab.Command(nsServer, binary, "-c", file, "-pprof", filepath.Join(dir, "pprof"), "-without", h.without)
	c.Env = append(c.Env, h.env...)
	s.run = lab.Start(t, c, filepath.Join(dir, "log"))
	return s
}

// status is what adit status shows.
func (s *server) status(t testing.TB) admin.Status {
	t.Helper()
	st, err := s.control.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// wantNoDrops expects that the server has dropped nothing but what its host sends
// to everybody.
func (s *server) wantNoDrops(t testing.TB) {
	t.Helper()
	for reason, n := range s.status(t).Drops {
		if reason != "no-route" && n > 0 {
			t.Errorf("the server dropped %d packets: %s", n, reason)
		}
	}
}

// stop ends the server as an administrator does.
func (s *server) stop(t testing.TB) {
	t.Helper()
	if err := s.run.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.run.Exit(20 * time.Second); code != 0 {
		t.Errorf("the server ended with %d after SIGTERM, want 0", code)
	}
}
