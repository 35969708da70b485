//go:build real

package docker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const psk = "a-key-for-tests-of-some-length"

// composition is a user's checkout, with docker-compose run in it.
type composition struct {
	*engine
	dir string
}

// compose runs docker-compose, Debian's package, which reads the same file as
// the plug-in of newer engines.
func (c *composition) compose(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker-compose", args...)
	cmd.Dir = c.dir
	cmd.Env = append(append(os.Environ(), c.environ()...), "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0")
	return output(t, cmd)
}

// container returns the id of a service's container.
func (c *composition) container(t *testing.T, service string) string {
	t.Helper()
	id := strings.TrimSpace(c.compose(t, "ps", "-q", service))
	if id == "" {
		t.Fatalf("%s does not run", service)
	}
	return id
}

func (c *composition) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// copyFile does what a comment in a shipped file tells users to.
func (c *composition) copyFile(t *testing.T, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, from))
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, to, string(b))
	return string(b)
}

// line is one line of the server's log.
type line map[string]any

// log returns the server's log since its container began.
func (c *composition) log(t *testing.T, container string) []line {
	t.Helper()
	cmd := c.command("logs", container)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var lines []line
	for text := range strings.Lines(both.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Errorf("the server printed a line that is not JSON: %s", text)
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

// find returns the last line with that message, and nil if there is none.
func find(lines []line, message string) line {
	var found line
	for _, l := range lines {
		if l["msg"] == message {
			found = l
		}
	}
	return found
}

func (c *composition) awaitServing(t *testing.T) {
	t.Helper()
	container := c.container(t, "adit")
	waitFor(t, 20*time.Second, "the server serves", func() bool {
		return c.command("exec", container, "adit", "status").Run() == nil
	})
}

// connect has a guest connect, run what args say, and disconnect. It returns
// what the guest says.
func connect(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, nil, filepath.Join(root, "test/guest/connect"), append([]string{"--server", serverIP, "--psk", psk}, args...)...)
}

// held is a guest that stays connected.
type held struct {
	cmd *exec.Cmd
	out *bufio.Scanner
	all strings.Builder
}

// hold connects a guest and returns while it is connected.
func hold(t *testing.T, args ...string) *held {
	t.Helper()
	h := &held{cmd: exec.Command(filepath.Join(root, "test/guest/connect"),
		append([]string{"--server", serverIP, "--psk", psk, "--hold"}, args...)...)}
	h.cmd.Env = append(os.Environ(), "GUEST_NET="+netPrefix)
	// A test that is killed must not leave a guest behind.
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	h.cmd.Stderr = os.Stderr
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.out = bufio.NewScanner(out)
	t.Cleanup(func() { h.release() })
	for h.out.Scan() {
		h.all.WriteString(h.out.Text() + "\n")
		if strings.Contains(h.out.Text(), ": holding") {
			return h
		}
	}
	t.Fatalf("the guest did not connect: %v\n%s", h.cmd.Wait(), h.all.String())
	return nil
}

// release has the guest disconnect.
func (h *held) release() {
	if h.cmd.ProcessState != nil {
		return
	}
	_ = h.cmd.Process.Signal(os.Interrupt)
	for h.out.Scan() {
		h.all.WriteString(h.out.Text() + "\n")
	}
	_ = h.cmd.Wait()
}
