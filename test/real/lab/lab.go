//go:build real

package lab

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Addresses, all of them inside the namespaces (test/guest/lib.sh).
const (
	ServerIP = "10.99.0.1" // what clients dial
	AppIP    = "10.99.9.1" // a host behind the server, for traffic through the tunnel
	NATIP    = "10.99.0.2" // the NAT box's open side
)

// prefix is the namespaces' and keeps this lab apart from guests that somebody
// runs by hand.
const prefix = "adit-real"

// Lab is what tests share.
type Lab struct {
	Adit   string // the server's binary
	Server string // namespace of the server
	LAN    string // namespace with the switch
	NAT    string // namespace of the NAT box

	root string // of this repository
	home string // of the guests
	dir  string
	lock *os.File
}

// Main runs the tests of a package in a lab, which it hands to use first.
// ADIT_BINARY names a server to test in place of the one that is built here.
func Main(m *testing.M, use func(*Lab)) int {
	flag.Parse()
	l, err := Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		_ = l.Close() // on the way out: nobody is left to tell
		os.Exit(130)
	}()
	use(l)
	code := m.Run()
	if err := l.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	return code
}

// Open makes a lab. It waits for another one on this host to end.
func Open() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("these tests make network namespaces and mounts: run them as root")
	}
	l := &Lab{Server: prefix + "-srv", LAN: prefix + "-lan", NAT: prefix + "-nat"}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) open() error {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	l.root = filepath.Dir(strings.TrimSpace(string(mod)))
	if l.home = os.Getenv("GUEST_HOME"); l.home == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		l.home = filepath.Join(cache, "adit-guest")
	}
	if err := l.acquire(); err != nil {
		return err
	}
	began := time.Now()
	if err := l.kit("build").Run(); err != nil {
		return fmt.Errorf("building the guests' image: %w", err)
	}
	// Below the tree of the tools, so that they see it, too.
	if l.dir, err = os.MkdirTemp(filepath.Join(l.tools(), "tmp"), "lab"); err != nil {
		return err
	}
	if err := os.Chmod(l.dir, 0o755); err != nil {
		return err
	}
	if l.Adit = os.Getenv("ADIT_BINARY"); l.Adit == "" {
		if l.Adit, err = l.Build("./cmd/adit"); err != nil {
			return err
		}
	}
	// What a run that was killed left behind.
	if err := errors.Join(l.kit("net", "down").Run(), l.kit("net", "up").Run()); err != nil {
		return fmt.Errorf("making the namespaces: %w", err)
	}
	fmt.Printf("lab: ready after %v\n", time.Since(began).Truncate(time.Millisecond))
	return nil
}

// acquire takes the lock that says that a lab runs here.
func (l *Lab) acquire() error {
	if err := os.MkdirAll(l.home, 0o755); err != nil {
		return err
	}
	var err error
	if l.lock, err = os.Create(filepath.Join(l.home, prefix+".lock")); err != nil {
		return err
	}
	err = unix.Flock(int(l.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		fmt.Println("lab: waiting for another run on this host to end")
		err = unix.Flock(int(l.lock.Fd()), unix.LOCK_EX)
	}
	return err
}

// Close removes the namespaces and what was written. What still runs in them
// ends with this process.
func (l *Lab) Close() error {
	var errs []error
	if l.dir != "" {
		errs = append(errs, l.kit("net", "down").Run(), os.RemoveAll(l.dir))
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}

// tools is the root tree with FreeRADIUS and tshark.
func (l *Lab) tools() string { return filepath.Join(l.home, "img", "rootfs-tools") }

// Root is this repository.
func (l *Lab) Root() string { return l.root }

// Tree is one of the root trees that test/guest/build makes, made if it is not
// there yet. Nobody may change it.
func (l *Lab) Tree(t testing.TB, name string) string {
	t.Helper()
	if err := l.kit("build", name).Run(); err != nil {
		t.Fatalf("building the tree %s: %v", name, err)
	}
	return filepath.Join(l.home, "img", "rootfs-"+name)
}

// inTools is how programs in that tree see a path below it.
func (l *Lab) inTools(path string) string { return strings.TrimPrefix(path, l.tools()) }

// newDir makes a directory that programs in that tree see, too.
func (l *Lab) newDir(name string) (string, error) { return os.MkdirTemp(l.dir, name) }

// kit is a command of test/guest.
func (l *Lab) kit(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(l.root, "test", "guest", name), args...)
	c.Env = append(os.Environ(), "GUEST_NET="+prefix, "GUEST_HOME="+l.home)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c
}

// Build builds a program of this repository statically and returns its path.
func (l *Lab) Build(pkg string) (string, error) {
	out := filepath.Join(l.dir, filepath.Base(pkg))
	c := exec.Command("go", "build", "-buildvcs=false", "-tags", "real", "-o", out, pkg)
	c.Dir = l.root
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, b)
	}
	return out, nil
}

// Wait polls until ok is true, and reports whether it was before patience ended.
func Wait(patience time.Duration, ok func() bool) bool {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); ; <-poll.C {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
