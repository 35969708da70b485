package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A server that serves puts back the rules that guard its clients, and says so,
// whatever another program does to them. Its own devices, as a link's, are no program's.
func TestTheServerPutsItsGuardBack(t *testing.T) {
	conn, name := manager(t)
	c := service(config(t, enough+`
[[link]]
name = "branch"
dial = "never"
peer_user = "branch"
peer_password = "p"
`), name)
	said, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("a network namespace needs root: %v", err)
	}
	defer func() { _ = c.Process.Kill() }()
	if got := heard(t, conn); got != "READY=1" {
		t.Fatalf("%q", got)
	}
	in := func(command string) string {
		t.Helper()
		out, err := exec.Command("nsenter", append([]string{"-t", fmt.Sprint(c.Process.Pid), "-n"}, strings.Fields(command)...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	log := bufio.NewScanner(said)
	for log.Scan() && !strings.Contains(log.Text(), "serving") {
	}
	if line := log.Text(); !strings.Contains(line, "answers alone") || !strings.Contains(line, "host_access") {
		t.Errorf("the log does not say who reaches whom: %s", line)
	}
	for _, command := range []string{"nft flush ruleset", "nft flush chain ip adit_adit0 forward", "nft delete table ip adit_adit0"} {
		in(command)
		for log.Scan() && !strings.Contains(log.Text(), "the rules that guard clients were written again") {
		}
		if strings.Contains(log.Text(), "adit-branch") {
			t.Errorf("the server's own device is news: %s", log.Text())
		}
		if rules := in("nft list table ip adit_adit0"); !strings.Contains(rules, `oifname "adit0" drop`) || !strings.Contains(rules, "masquerade") {
			t.Errorf("after %s there is\n%s", command, rules)
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for log.Scan() {
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}
