//go:build real

package real

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// fresh is a Debian 12 as it is installed, with git and make.
type fresh struct{ tree string }

// newFresh copies the tree and gives it a TUN device. It resolves names as this
// host does, and trusts the certificates that this host trusts: there may be a
// proxy in the way.
func newFresh(t *testing.T) fresh {
	t.Helper()
	pristine := here.Tree(t, "fresh")
	f := fresh{filepath.Join(t.TempDir(), "debian")}
	script := `cp -a "$1" "$2"
		cp /etc/resolv.conf "$2/etc"; cp /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs"
		mkdir -p "$2/dev/net"; mknod -m 666 "$2/dev/net/tun" c 10 200`
	if out, err := exec.Command("sh", "-ec", script, "sh", pristine, f.tree).CombinedOutput(); err != nil {
		t.Fatalf("copying %s: %v\n%s", pristine, err, out)
	}
	return f
}

// enter is a command that runs another in the tree, as somebody who has just
// logged in. What it mounts goes with it, and nothing of this host is in there
// that removing the tree could remove.
func (f fresh) enter(command string) []string {
	return []string{
		"unshare", "--mount", "--propagation", "private", "sh", "-ec",
		`mount -t proc proc "$1/proc"; exec env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$1" sh -ec "$2"`,
		"sh", f.tree, command,
	}
}

// run runs a shell command in the tree.
func (f fresh) run(t *testing.T, command string) string {
	t.Helper()
	args := f.enter(command)
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// clone is git clone of this repository, with what is not committed yet.
func (f fresh) clone(t *testing.T) {
	t.Helper()
	to := filepath.Join(f.tree, "root", "adit")
	script := `git clone -q --no-hardlinks "$1" "$2"; git -C "$1" diff --binary HEAD >"$2/.diff"
		[ ! -s "$2/.diff" ] || git -C "$2" apply .diff; rm "$2/.diff"`
	if out, err := exec.Command("sh", "-ec", script, "sh", here.Root(), to).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
}

// enabled are the services that start with the host.
func (f fresh) enabled(t *testing.T) string {
	t.Helper()
	return f.run(t, `find /etc/systemd/system /etc/rc[2-5].d -type l -path '*.wants/*' -o -type l -name 'S*' | sort`)
}

// What a Debian 12 with git and make needs beside a clone are the commands of the
// README: they install what is missing.
func TestTheCommandsOfTheREADMEOnAFreshDebian(t *testing.T) {
	f := newFresh(t)
	f.clone(t)
	t.Run("make run", func(t *testing.T) { testMakeRun(t, f) })
	t.Run("what make test installs", func(t *testing.T) { testWhatTestsInstall(t, f) })
}

// testMakeRun expects that make run serves. The client's network has no Internet,
// so that what it does there has been built before.
func testMakeRun(t *testing.T, f fresh) {
	began := time.Now()
	out := f.run(t, "make -C /root/adit build")
	t.Logf("make build took %.0f s", time.Since(began).Seconds())
	if !strings.Contains(out, "install-deps: apt-get install golang-go") {
		t.Errorf("make does not say what it installs:\n%s", out)
	}
	up := lab.Start(t, lab.Command(here.Server, f.enter("exec make -C /root/adit run")...), filepath.Join(f.tree, "up.log"))
	status := func() error { return lab.Command(here.Server, f.enter("/root/adit/bin/adit status")...).Run() }
	if !lab.Wait(30*time.Second, func() bool { return status() == nil || up.Ended() }) || up.Ended() {
		t.Fatalf("make run does not serve:\n%s", up.Output())
	}
	text, err := os.ReadFile(filepath.Join(f.tree, "var/lib/adit/adit.toml"))
	if err != nil {
		t.Fatal(err)
	}
	value := func(key string) string {
		v := regexp.MustCompile(`(?m)^` + key + ` = "(.*)"$`).FindSubmatch(text)
		if v == nil {
			t.Fatalf("no %s in what make run has written", key)
		}
		return string(v[1])
	}
	for _, secret := range []string{value("psk"), value("password")} {
		if up.Printed(secret) {
			t.Error("a secret was printed to what is not a terminal")
		}
	}
	g := here.Connect(t, lab.Client{NAT: true, PSK: value("psk"), User: value("name"), Password: value("password")})
	g.HangUp(t)
	if err := lab.Command(here.Server, "pkill", "-TERM", "-f", "^/root/adit/bin/adit up").Run(); err != nil {
		t.Error(err)
	}
	if code := up.Exit(20 * time.Second); code != 0 {
		t.Errorf("make run ended with %d:\n%s", code, up.Output())
	}
}

// testWhatTestsInstall expects that what make test installs is enough to compile
// and run tests of every kind, and starts nothing with the host.
func testWhatTestsInstall(t *testing.T, f fresh) {
	before := f.enabled(t)
	out := f.run(t, `cd /root/adit; for kind in unit emulated race real; do test/install-deps $kind; done
		export GOTOOLCHAIN=auto
		CGO_ENABLED=1 go test -race ./internal/pool
		go test ./conf
		CGO_ENABLED=0 GOARCH=arm64 go test -exec qemu-aarch64 ./internal/machine/...
		go vet -tags real ./test/real/lab`)
	if !strings.Contains(out, "does not start with the host: docker") {
		t.Errorf("it does not say what is disabled:\n%s", out)
	}
	if after := f.enabled(t); after != before {
		t.Errorf("these start with the host:\n%s\nbefore:\n%s", after, before)
	}
	if _, err := os.Stat(filepath.Join(f.tree, "usr/sbin/policy-rc.d")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what keeps services from starting is still there: %v", err)
	}
}
