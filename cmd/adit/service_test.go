package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is the socket that a service manager hears its services on.
func manager(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil { // a test that fails ends
		t.Fatal(err)
	}
	return conn, name
}

// heard returns the next message to the manager.
func heard(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 512)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// service is a server of its own, in a network of its own.
func service(file, notify string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "ADIT_TEST_COMMAND=serve -c "+file, "NOTIFY_SOCKET="+notify)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return c
}

func config(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "adit.toml")
	text = fmt.Sprintf("[server]\nstate_dir = %q\n[admin]\nsocket = \"%s/adit.sock\"\n%s", dir, dir, text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const enough = "[ipsec]\npsk = \"a-key-of-some-length\"\n[[user]]\nname = \"alice\"\npassword = \"p\"\n"

// The service manager hears when the server serves, not before; when it reads its
// configuration again, also one that is wrong; and when it stops.
func TestTheServiceManagerIsTold(t *testing.T) {
	conn, name := manager(t)
	file := config(t, enough)
	c := service(file, name)
	c.Stderr = io.Discard
	if err := c.Start(); err != nil {
		t.Fatalf("a network namespace needs root: %v", err)
	}
	defer func() { _ = c.Process.Kill() }()
	if got := heard(t, conn); got != "READY=1" {
		t.Fatalf("%q", got)
	}
	if code, out, err := typed("", "status", "--socket", filepath.Dir(file)+"/adit.sock"); code != exitOK {
		t.Errorf("it is ready, and does not answer: %s%s", out, err)
	}
	for _, text := range []string{enough, "[ipsec]\npsk = \"short\"\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if got := heard(t, conn); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
			t.Fatalf("%q", got)
		}
		if got := heard(t, conn); got != "READY=1" {
			t.Fatalf("%q", got)
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := heard(t, conn); got != "STOPPING=1" {
		t.Fatalf("%q", got)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// An error that another try would not mend ends with exit code 2, at which
// deploy/adit.service gives up, and the server was never ready.
func TestAWrongConfigurationEndsTheService(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	for name, tc := range map[string]struct{ file, want string }{
		"no file":              {missing, "cannot read the configuration: open " + missing},
		"a directory":          {dir, "cannot read the configuration: read " + dir},
		"a way through a file": {filepath.Join(config(t, enough), "adit.toml"), "cannot read the configuration"},
		"no TOML":              {config(t, "[ipsec\n"), "a bracket is missing"},
		"a wrong key":          {config(t, enough+"[network]\nmtuu = 1400\n"), "network.mtuu"},
		"no pre-shared key":    {config(t, "[[user]]\nname = \"alice\"\npassword = \"p\"\n"), "ipsec.psk: missing"},
		"no file of the key":   {config(t, "[ipsec]\npsk_file = \""+missing+"\"\n[[user]]\nname = \"alice\"\npassword = \"p\"\n"), missing},
		"no file of the certificate": {config(t, "[ipsec]\ncertificate = \""+missing+"\"\nprivate_key = \""+missing+
			"\"\nca = [\""+missing+"\"]\n[[user]]\nname = \"alice\"\npassword = \"p\"\n"), missing},
	} {
		conn, socket := manager(t)
		out, err := service(tc.file, socket).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: %v, %s, want exit code %d and %q", name, err, out, exitUsage, tc.want)
		}
		if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 512)); err == nil {
			t.Errorf("%s: the service manager was told something of %d bytes", name, n)
		}
	}
}
