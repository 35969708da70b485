//go:build real

package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	netPrefix    = "aditdk" // of this test's namespaces
	serverNS     = netPrefix + "-srv"
	serverIP     = "10.99.0.1" // what clients dial: the Docker host
	insideIP     = "10.99.9.1" // on the Docker host, for traffic through the tunnel
	cgroupParent = "adit-test-docker"
)

// root is the repository's root.
const root = "../.."

// engine is a Docker Engine whose host is the server's network namespace.
type engine struct {
	dir  string // its data, sockets and logs
	init int    // process 1 of its PID namespace, as this host numbers it
}

// startEngine makes the namespaces and starts an engine in them.
func startEngine(t *testing.T) *engine {
	t.Helper()
	run(t, nil, filepath.Join(root, "test/install-deps"), "real")
	run(t, nil, filepath.Join(root, "test/guest/build"), "strongswan", "libreswan", "tools")
	run(t, nil, filepath.Join(root, "test/guest/net"), "down") // of a run that was killed: with its bridges and rules
	run(t, nil, filepath.Join(root, "test/guest/net"), "up")
	t.Cleanup(func() { run(t, nil, filepath.Join(root, "test/guest/net"), "down") })

	e := &engine{dir: t.TempDir()}
	t.Cleanup(removeCgroups)
	// The engine lives as long as our end of the pipe is open: process 1 ends
	// then, and with it everything in the namespace and every mount.
	script := `mount -t tmpfs tmpfs /run
dockerd --host "unix://$1/docker.sock" --data-root "$1/data" --exec-root /run/docker --pidfile /run/docker.pid \
	--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /` + cgroupParent + ` >"$1/dockerd.log" 2>&1 &
exec cat >/dev/null`
	cmd := exec.Command("nsenter", "--net=/run/netns/"+serverNS,
		"unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-ec", script, "sh", e.dir)
	cmd.Stderr = os.Stderr
	life, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		life.Close()
		_ = cmd.Wait() // killed with its namespace: the status says nothing
	})
	waitFor(t, time.Minute, "the engine answers", func() bool {
		return e.command("info").Run() == nil
	})
	e.init = child(t, cmd.Process.Pid)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		b, _ := os.ReadFile(filepath.Join(e.dir, "dockerd.log"))
		t.Logf("the engine's log ends:\n%s", tail(string(b), 30))
	})
	return e
}

// command is the docker command, as Debian's docker.io has it.
func (e *engine) command(args ...string) *exec.Cmd {
	name := "/usr/bin/docker"
	if _, err := os.Stat(name); err != nil {
		name = "docker"
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), e.environ()...)
	return cmd
}

func (e *engine) environ() []string {
	return []string{"DOCKER_HOST=unix://" + e.dir + "/docker.sock", "DOCKER_CONFIG=" + e.dir + "/client"}
}

// docker runs a docker command and returns what it prints.
func (e *engine) docker(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, e.command(args...))
}

// inspect evaluates a template on a container or an image.
func (e *engine) inspect(t *testing.T, object, template string) string {
	t.Helper()
	return strings.TrimSpace(e.docker(t, "inspect", "--format", template, object))
}

// procStatus is /proc/<pid>/status of a container's first process.
func (e *engine) procStatus(t *testing.T, container string) map[string]string {
	t.Helper()
	pid := e.inspect(t, container, "{{.State.Pid}}")
	text := output(t, exec.Command("nsenter", "--target", strconv.Itoa(e.init), "--mount", "--pid", "cat", "/proc/"+pid+"/status"))
	status := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			status[key] = strings.TrimSpace(value)
		}
	}
	return status
}

// awaitHealthy waits until Docker's own check has found a container healthy.
func (e *engine) awaitHealthy(t *testing.T, container string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := e.command("events", "--since", "0", "--filter", "container="+container, "--filter", "event=health_status: healthy")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if n, _ := out.Read(make([]byte, 1)); n == 0 {
		t.Errorf("not healthy in time: %s", e.inspect(t, container, "{{json .State.Health}}"))
	}
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
}

// child returns the only child of a process.
func child(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatalf("process %d has not one child but %q", pid, b)
	}
	return n
}

// removeCgroups removes the groups that killed containers leave behind, the
// innermost first.
func removeCgroups() {
	found, _ := filepath.Glob("/sys/fs/cgroup/" + cgroupParent)
	more, _ := filepath.Glob("/sys/fs/cgroup/*/" + cgroupParent)
	for _, dir := range append(found, more...) {
		inner, _ := filepath.Glob(dir + "/*") // groups, and files that cannot be removed
		for _, d := range append(inner, dir) {
			_ = os.Remove(d)
		}
	}
}

// run runs a command in this test's namespaces and passes its output on when
// it fails.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(append(os.Environ(), "GUEST_NET="+netPrefix), env...)
	return output(t, cmd)
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, tail(out.String(), 40), tail(errs.String(), 40))
	}
	return out.String()
}

// waitFor looks every tenth of a second whether something has come true.
func waitFor(t *testing.T, atMost time.Duration, what string, isTrue func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(atMost); !isTrue(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%v have passed: not true: %s", atMost, what)
		}
	}
}

// tail is a text's last lines.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
