//go:build real

package docker

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The server runs on a host that has a Docker Engine, which sets the FORWARD
// chain to drop: adit check names the chain and the commands that help, and with
// them a client reaches what lies behind the host.
func TestBesideAnEngine(t *testing.T) {
	startEngine(t)
	const branch, host = netPrefix + "-branch", "192.168.60.10"
	for _, args := range []string{
		"netns add " + branch,
		"-n " + serverNS + " link add branch type veth peer name eth0 netns " + branch,
		"-n " + serverNS + " addr add 192.168.60.1/24 dev branch", "-n " + serverNS + " link set branch up",
		"-n " + branch + " addr add " + host + "/24 dev eth0", "-n " + branch + " link set eth0 up",
	} {
		run(t, nil, "ip", strings.Fields(args)...)
	}
	t.Cleanup(func() { run(t, nil, "ip", "netns", "del", branch) })

	dir := t.TempDir()
	adit := filepath.Join(dir, "adit")
	run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-o", adit, filepath.Join(root, "cmd/adit"))
	env := []string{"ADIT_IPSEC_PSK=" + psk, "ADIT_USERS=user:pass", "ADIT_SERVER_STATE_DIR=" + dir, "ADIT_ADMIN_SOCKET=" + dir + "/adit.sock"}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("ip", append([]string{"netns", "exec", serverNS}, args...)...)
		cmd.Env = append(cmd.Environ(), env...)
		return cmd
	}
	said := output(t, inside(adit, "check"))
	commands := regexp.MustCompile("`(iptables [^`]+)`").FindAllStringSubmatch(said, -1)
	if !strings.Contains(said, "ip filter FORWARD") || len(commands) != 2 || !strings.Contains(commands[0][1], "DOCKER-USER") {
		t.Fatalf("adit check does not name Docker's chain and two commands:\n%s", said)
	}

	server := inside(adit, "serve")
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM) // its status says whether it was there
		if err := server.Wait(); err != nil {
			t.Errorf("adit serve: %v", err)
		}
	})
	waitFor(t, 15*time.Second, "the server answers", func() bool { return inside(adit, "status", "-socket", dir+"/adit.sock").Run() == nil })
	ping := "ping -n -c 2 -W 2 " + host
	client := []string{"--route", "192.168.60.0/24", "--ping", insideIP, "--route", insideIP + "/32", "--cmd"}
	connect(t, append(client, "! "+ping)...)
	for _, c := range commands {
		output(t, inside("sh", "-c", c[1]))
	}
	connect(t, append(client, ping)...)
	if said := output(t, inside(adit, "check")); strings.Contains(said, "FORWARD") {
		t.Errorf("adit check still finds fault:\n%s", said)
	}
}
