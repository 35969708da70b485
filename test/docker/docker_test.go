//go:build real

package docker

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDocker goes the way of the README's quick start: build, up, connect.
func TestDocker(t *testing.T) {
	e := startEngine(t)
	c := &composition{engine: e, dir: project(t)}

	env := c.copyFile(t, "deploy/env.example", ".env")
	env = setVariable(t, env, "ADIT_SERVER_PUBLIC", serverIP)
	env = setVariable(t, env, "ADIT_IPSEC_PSK", psk)
	env = setVariable(t, env, "ADIT_USERS", "'user:pass,odd:"+oddPassword+"'")
	c.write(t, ".env", env+"ADIT_LOG_FORMAT=json\n") // for this test to read
	c.write(t, ".git/HEAD", "ref: refs/heads/main\n")
	c.write(t, ".git/packed-refs", commit+" refs/heads/main\n")

	e.importGolang(t)
	c.compose(t, "up", "-d", "--build")
	t.Cleanup(func() { c.compose(t, "--profile", "radius", "down", "--volumes") })
	c.awaitServing(t)
	adit := c.container(t, "adit")

	t.Run("the image holds one file", func(t *testing.T) {
		if files := e.regularFiles(t, "adit"); !slices.Equal(files, []string{"usr/local/bin/adit"}) {
			t.Errorf("the image holds %q", files)
		}
	})
	t.Run("the version is the checkout's", func(t *testing.T) {
		if got := c.docker(t, "exec", adit, "adit", "version"); !strings.HasPrefix(got, "adit "+commit[:12]+" ") {
			t.Errorf("%q, want the commit %s", got, commit)
		}
	})
	t.Run("odd characters arrive", func(t *testing.T) {
		if got := e.inspect(t, adit, "{{range .Config.Env}}{{println .}}{{end}}"); !strings.Contains(got, "ADIT_USERS=user:pass,odd:"+oddPassword+"\n") {
			t.Errorf("the container's environment is\n%s", got)
		}
	})
	t.Run("the log is bounded", func(t *testing.T) {
		if got := e.inspect(t, adit, "{{.HostConfig.LogConfig.Type}} {{json .HostConfig.LogConfig.Config}}"); got != `json-file {"max-file":"3","max-size":"10m"}` {
			t.Errorf("%s", got)
		}
	})
	t.Run("unprivileged", func(t *testing.T) { testUnprivileged(t, e, adit) })
	t.Run("the server is behind NAT", func(t *testing.T) {
		address := e.inspect(t, adit, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
		if !strings.HasPrefix(address, "172.") {
			t.Errorf("the container's address is %s, not one of a Docker network", address)
		}
	})
	// First, so that the server knows its outer address by server.public alone,
	// and not from another client.
	t.Run("a client that wants the address it dialled", func(t *testing.T) { testHeld(t, c, adit) })
	t.Run("a client that takes any identity", func(t *testing.T) {
		connect(t, "--topology", "nat", "--rightid", "%any", "--route", insideIP+"/32", "--ping", insideIP,
			"--cmd", "ping -c 3 -i 0.2 -M do -s 1372 "+insideIP)
	})
	t.Run("healthy", func(t *testing.T) { e.awaitHealthy(t, adit) })
	t.Run("goodbye", func(t *testing.T) { testGoodbye(t, c, adit) })
	t.Run("FreeRADIUS beside it", func(t *testing.T) { testRADIUS(t, c) })
	t.Run("an image of a prebuilt binary", func(t *testing.T) { testPrebuilt(t, c) })
}

// commit is what the checkout is of.
const commit = "0123456789abcdef0123456789abcdef01234567"

// oddPassword is written as deploy/env.example says.
const oddPassword = "pa$$word # 1"

// setVariable fills in a variable that the example has.
func setVariable(t *testing.T, env, name, value string) string {
	t.Helper()
	lines := strings.Split(env, "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+"=") })
	if i < 0 {
		t.Fatalf("deploy/env.example has no %s", name)
	}
	lines[i] = name + "=" + value
	return strings.Join(lines, "\n")
}

// testUnprivileged looks at what Docker was told, and at the process.
func testUnprivileged(t *testing.T, e *engine, container string) {
	var host struct {
		Privileged, ReadonlyRootfs    bool
		CapAdd, CapDrop, SecurityOpt  []string
		NetworkMode, PidMode, IpcMode string
		Devices                       []struct{ PathOnHost string }
	}
	if err := json.Unmarshal([]byte(e.inspect(t, container, "{{json .HostConfig}}")), &host); err != nil {
		t.Fatal(err)
	}
	for i := range host.CapAdd {
		host.CapAdd[i] = strings.TrimPrefix(host.CapAdd[i], "CAP_")
	}
	slices.Sort(host.CapAdd)
	if host.Privileged || !host.ReadonlyRootfs || !slices.Equal(host.CapDrop, []string{"ALL"}) ||
		!slices.Equal(host.CapAdd, []string{"NET_ADMIN", "NET_BIND_SERVICE"}) ||
		host.NetworkMode == "host" || host.PidMode == "host" || host.IpcMode == "host" ||
		len(host.Devices) != 1 || host.Devices[0].PathOnHost != "/dev/net/tun" {
		t.Errorf("the container has more than it should: %+v", host)
	}
	status := e.procStatus(t, container)
	const want = 1<<10 | 1<<12 // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN
	for _, set := range []string{"CapEff", "CapPrm", "CapBnd"} {
		if bits, err := strconv.ParseUint(status[set], 16, 64); err != nil || bits != want {
			t.Errorf("%s is %s, want %x", set, status[set], want)
		}
	}
	if status["NoNewPrivs"] != "1" {
		t.Errorf("NoNewPrivs is %s", status["NoNewPrivs"])
	}
}

// testHeld keeps a client connected and looks at it through docker exec.
func testHeld(t *testing.T, c *composition, adit string) {
	h := hold(t, "--topology", "nat", "--rightid", "", "--route", insideIP+"/32", "--ping", insideIP)
	defer h.release()
	if !strings.Contains(h.all.String(), "espinudp 4500->4500") {
		t.Errorf("the client does not encapsulate in UDP:\n%s", h.all.String())
	}
	var st struct {
		Sessions []struct {
			User      string `json:"user"`
			Remote    string `json:"remote"`
			InPackets uint64 `json:"in_packets"`
		} `json:"sessions"`
	}
	if err := json.Unmarshal([]byte(c.docker(t, "exec", adit, "adit", "status", "--json")), &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Sessions) != 1 || st.Sessions[0].User != "user" || st.Sessions[0].InPackets == 0 ||
		st.Sessions[0].Remote != "10.99.0.2:4500" { // the address of the NAT in front of the client
		t.Errorf("status shows %+v", st.Sessions)
	}
}

// testGoodbye stops the container under a client, and starts it again.
func testGoodbye(t *testing.T, c *composition, adit string) {
	h := hold(t, "--topology", "nat", "--rightid", "")
	defer h.release()
	c.compose(t, "stop", "adit")
	lines := c.log(t, adit)
	if l := find(lines, "disconnected"); l == nil || l["user"] != "user" {
		t.Errorf("nobody was said goodbye to; last of the log: %v", lines[len(lines)-1])
	}
	if lines[len(lines)-1]["msg"] != "stopped" {
		t.Errorf("the log ends with %v", lines[len(lines)-1])
	}
	if code := c.inspect(t, adit, "{{.State.ExitCode}}"); code != "0" {
		t.Errorf("exit code %s", code)
	}
}

// testRADIUS follows the comments of the profile radius.
func testRADIUS(t *testing.T, c *composition) {
	c.importFreeRADIUS(t)
	c.copyFile(t, "deploy/freeradius/adit.toml", "config/adit.toml")
	c.write(t, "secrets/radius", "a-shared-secret-for-tests\n")
	c.write(t, "config/radius-users", "alice\tCleartext-Password := \"rosebud\"\n\tFramed-IP-Address = 10.83.7.7\n")
	c.compose(t, "--profile", "radius", "up", "-d", "--force-recreate")
	c.awaitServing(t)
	awaitLog(t, c, "Ready to process requests")

	connect(t, "--client", "libreswan", "--rightid", "", "--user", "alice", "--password", "rosebud",
		"--cmd", "ip -4 -o addr show ppp0 | grep -qw 10.83.7.7")
	awaitLog(t, c, "accounting Stop session=", "user=alice", "cause=User-Request")

	cmd := exec.Command(filepath.Join(root, "test/guest/connect"), "--server", serverIP, "--psk", psk,
		"--user", "alice", "--password", "wrong", "--quiet")
	cmd.Env = append(cmd.Environ(), "GUEST_NET="+netPrefix)
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 13 {
		t.Errorf("a wrong password: %v, want the exit code of a refused user\n%s", err, out)
	}
	// A verdict, and not an error: the refusal carries Message-Authenticator, too.
	l := find(c.log(t, c.container(t, "adit")), "user refused; the client shows a wrong user name or password")
	if l == nil || l["detail"] != "Access-Reject" {
		t.Errorf("the refusal is logged as %v", l)
	}
}

// awaitLog waits for a line of FreeRADIUS with all of these words.
func awaitLog(t *testing.T, c *composition, words ...string) {
	t.Helper()
	waitFor(t, 20*time.Second, "FreeRADIUS logs "+strings.Join(words, " … "), func() bool {
		for l := range strings.Lines(c.compose(t, "logs", "--no-color", "freeradius")) {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l, w) }) {
				return true
			}
		}
		return false
	})
}

// testPrebuilt builds with the other builder, BuildKit, where there is no
// source to compile.
func testPrebuilt(t *testing.T, c *composition) {
	run(t, []string{"CGO_ENABLED=0"}, "go", "-C", root, "build", "-buildvcs=false",
		"-ldflags", "-X main.version=prebuilt-for-a-test", "-o", filepath.Join(c.dir, "bin/adit"), "./cmd/adit")
	cmd := c.command("build", "--file", filepath.Join(c.dir, "deploy/prebuilt.Dockerfile"), "--tag", "adit:prebuilt", c.dir)
	cmd.Env = append(cmd.Env, "DOCKER_BUILDKIT=1")
	output(t, cmd)
	if v := c.docker(t, "run", "--rm", "adit:prebuilt", "version"); !strings.Contains(v, "prebuilt-for-a-test") {
		t.Errorf("the image's binary is another one: %s", v)
	}
	const config = "{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.Healthcheck}} {{json .Config.Volumes}} {{json .Config.ExposedPorts}} {{json .Config.StopSignal}} {{json .Config.User}}"
	if a, b := c.inspect(t, "adit:prebuilt", config), c.inspect(t, "adit", config); a != b {
		t.Errorf("the prebuilt image is set up as\n%s\nand the other as\n%s", a, b)
	}
}
