package secret

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// contained is the variable that has the test's binary be a process in a
// container: its value is a directory to mount over.
const contained = "ADIT_TEST_CONTAINED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(contained); dir != "" {
		if err := inContainer(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// kubernetes lays a secret out as the kubelet does: the name is a link through
// ..data.
func kubernetes(dir, name string, mode os.FileMode) error {
	version := filepath.Join(dir, "..2026_11_30_00_00_00.1")
	if err := os.MkdirAll(version, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(version, name), []byte("s"), mode); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(version, name), mode); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Base(version), filepath.Join(dir, "..data")); err != nil {
		return err
	}
	return os.Symlink("..data/"+name, filepath.Join(dir, name))
}

// inContainer mounts a secret as Kubernetes does, and a file as Docker does, and
// expects that both are taken, but not before they are read-only, and not what
// is beside them.
func inContainer(dir string) error {
	volume, file, beside := filepath.Join(dir, "volume"), filepath.Join(dir, "file"), filepath.Join(dir, "beside")
	for _, name := range []string{file, beside} {
		if err := os.WriteFile(name, []byte("s"), 0o644); err != nil {
			return err
		}
	}
	if err := os.Mkdir(volume, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", volume, "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := kubernetes(volume, "psk", 0o644); err != nil {
		return err
	}
	if err := unix.Mount(file, file, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	psk := filepath.Join(volume, "psk")
	for _, name := range []string{psk, file} {
		if err := CheckFile(name); err == nil {
			return fmt.Errorf("%s is taken before it is read-only", name)
		}
	}
	for _, at := range []string{volume, file} {
		if err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return err
		}
	}
	for _, name := range []string{psk, file} {
		if err := CheckFile(name); err != nil {
			return err
		}
	}
	if err := CheckFile(beside); err == nil {
		return fmt.Errorf("%s is taken: others can read it", beside)
	}
	return nil
}

// A secret that is mounted into a container is taken with the mode that it has.
func TestSecretsMountedIntoAContainer(t *testing.T) {
	for name, flags := range map[string]uintptr{"a container": unix.CLONE_NEWPID, "the host": 0} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), contained+"="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Unshareflags: unix.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if flags != 0 && err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if flags == 0 && !strings.Contains(string(out), "chmod 600") {
			// The same mounts on a host, where others run.
			if pids, _ := os.Readlink("/proc/self/ns/pid"); pids == firstPIDs {
				t.Errorf("%s: others can read it, and it is taken: %s", name, out)
			}
		}
	}
}

func TestSecretsOfOthersAreNone(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("s"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o440: false, 0o640: false, 0o604: false, 0o644: false, 0o444: false, 0o622: false} {
		if err := CheckFile(file(fmt.Sprintf("%o", mode), mode)); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := CheckFile(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Credentials of systemd, and what is laid out there as Kubernetes does, may
// have any mode; a link from there to elsewhere does not help.
func TestSecretsInADirectoryOfThePlatform(t *testing.T) {
	base, outside := t.TempDir(), filepath.Join(t.TempDir(), "psk")
	dir := filepath.Join(base, "adit.service")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := kubernetes(dir, "psk", 0o440); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "link") // as /run/secrets may be one
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outside, []byte("s"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	if err := CheckFile(filepath.Join(dir, "psk")); err == nil {
		t.Error("taken without CREDENTIALS_DIRECTORY")
	}
	for _, at := range []string{dir, link} {
		t.Setenv("CREDENTIALS_DIRECTORY", at)
		for name, good := range map[string]bool{dir + "/psk": true, link + "/psk": true, dir + "/away": false, dir + "/../../x": false, outside: false} {
			if err := CheckFile(name); (err == nil) != good {
				t.Errorf("%s with %s: %v", name, at, err)
			}
		}
	}
}
