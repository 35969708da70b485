//go:build real

package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
)

// What the server of a lab knows and its guests say.
const (
	PSK      = "a long key that only this lab knows"
	User     = "ann"
	Password = "correct horse battery staple"
)

// Config is what a test adds to the lab's configuration: lines by table, such
// as "ipsec": `nat_traversal = "auto"`. "user" replaces the tables of users.
type Config map[string]string

// Server is a server in the lab's namespace.
type Server struct {
	Dir    string   // its state, and the test's own files
	Binary string   // "": the lab's
	Args   []string // further arguments

	lab    *Lab
	file   string
	socket string
	log    string
	run    *Process
}

// Serve starts a server that ends with the test.
func (l *Lab) Serve(t testing.TB, c Config) *Server {
	t.Helper()
	s := l.Prepare(t, c)
	s.Start(t)
	return s
}

// Prepare writes a server's configuration.
func (l *Lab) Prepare(t testing.TB, c Config) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{
		Dir: dir, lab: l,
		file: filepath.Join(dir, "adit.toml"), socket: filepath.Join(dir, "adit.sock"), log: filepath.Join(dir, "adit.log"),
	}
	network := "pool = " + or(c["pool"], `["10.83.0.0/24"]`)
	if !strings.Contains(c["network"], "host_access") && !strings.Contains(c["network"], `"tap"`) {
		network += "\nhost_access = [\"all\"]" // AppIP is the server's own
	}
	base := []struct{ table, lines string }{
		{"server", fmt.Sprintf("state_dir = %q", dir)},
		{"ipsec", fmt.Sprintf("psk = %q", PSK)},
		{"network", network},
		{"l2tp", ""},
		{"ppp", ""},
		{"auth", ""},
		{"radius", ""},
		{"limits", ""},
		{"log", `level = "debug"`},
		{"admin", fmt.Sprintf("socket = %q", s.socket)},
	}
	var text strings.Builder
	for _, b := range base {
		fmt.Fprintf(&text, "[%s]\n%s\n%s\n", b.table, b.lines, c[b.table])
	}
	users, ok := c["user"]
	if !ok {
		users = fmt.Sprintf("[[user]]\nname = %q\npassword = %q\n", User, Password)
	}
	text.WriteString(users)
	if err := os.WriteFile(s.file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", tail(s.Log(), 25))
		}
	})
	return s
}

// Start starts the server and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.Launch(t)
	if !Wait(15*time.Second, func() bool { _, err := s.status(); return err == nil || s.run.Ended() }) || s.run.Ended() {
		t.Fatalf("the server did not start:\n%s", s.Log())
	}
}

// Launch starts the server, behind the programs in wrap, without waiting.
func (s *Server) Launch(t testing.TB, wrap ...string) *Process {
	t.Helper()
	args := append(wrap, or(s.Binary, s.lab.Adit), "serve", "-c", s.file)
	c := Command(s.lab.Server, append(args, s.Args...)...)
	s.run = Start(t, c, s.log)
	return s.run
}

// Command is a command of adit's that takes this server's configuration.
func (s *Server) Command(args ...string) *exec.Cmd {
	return Command(s.lab.Server, append(append([]string{s.lab.Adit}, args...), "-c", s.file)...)
}

// Control runs a command of adit's that talks to this server.
func (s *Server) Control(args ...string) ([]byte, error) {
	return Command(s.lab.Server, append(append([]string{s.lab.Adit}, args...), "--socket", s.socket)...).CombinedOutput()
}

// Change replaces a text in the configuration's file by another.
func (s *Server) Change(t testing.TB, old, now string) {
	t.Helper()
	b, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("the configuration does not have %q", old)
	}
	if err := os.WriteFile(s.file, bytes.Replace(b, []byte(old), []byte(now), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Reload is adit reload, and returns what it reports.
func (s *Server) Reload(t testing.TB) string {
	t.Helper()
	return Run(t, s.lab.Server, s.lab.Adit, "reload", "-socket", s.socket)
}

// Stop ends the server as an administrator does, and expects that it says
// goodbye and exits with 0.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.run.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.run.Exit(20 * time.Second); code != 0 {
		t.Errorf("the server ended with %d after SIGTERM, want 0", code)
	}
}

// Kill ends the server as kill -9 does.
func (s *Server) Kill() { s.run.Kill() }

func (s *Server) status() (admin.Status, error) {
	var st admin.Status
	out, err := Command(s.lab.Server, s.lab.Adit, "status", "--json", "--socket", s.socket).Output()
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	return st, err
}

// Status is what adit status --json says.
func (s *Server) Status(t testing.TB) admin.Status {
	t.Helper()
	st, err := s.status()
	if err != nil {
		t.Fatalf("adit status: %v", err)
	}
	return st
}

// Session is the only session of the server.
func (s *Server) Session(t testing.TB) admin.Session {
	t.Helper()
	st := s.Status(t)
	if len(st.Sessions) != 1 {
		t.Fatalf("adit status shows %d sessions, want 1", len(st.Sessions))
	}
	return st.Sessions[0]
}

// Log is all that the server has logged.
func (s *Server) Log() []byte {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

// Line is one line of the server's log.
type Line map[string]any

// Lines are the lines of the log whose message is msg.
func (s *Server) Lines(msg string) []Line {
	var list []Line
	for _, b := range bytes.Split(s.Log(), []byte("\n")) {
		var l Line
		if json.Unmarshal(b, &l) == nil && l["msg"] == msg {
			list = append(list, l)
		}
	}
	return list
}

// Await waits for the nth line, from 1, whose message is msg.
func (s *Server) Await(t testing.TB, n int, msg string) Line {
	t.Helper()
	var lines []Line
	if !Wait(15*time.Second, func() bool { lines = s.Lines(msg); return len(lines) >= n }) {
		t.Fatalf("the log has %d lines %q, want %d", len(lines), msg, n)
	}
	return lines[n-1]
}

// tail is the last n lines of b.
func tail(b []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
