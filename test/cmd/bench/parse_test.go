package main

import (
	"math"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestSpeed(t *testing.T) {
	v, err := parseSpeed("+DT:AES-256-CBC-HMAC-SHA1:1:1424\n+R:680000:AES-256-CBC-HMAC-SHA1:0.99\n+H:1424\n+F:25:AES-256-CBC-HMAC-SHA1:800000000.00\n")
	if err != nil || v != 1.25 {
		t.Error(v, err)
	}
	for _, bad := range []string{"", "+H:1424\n", "+F:25:x:fast\n", "+F:25:x:0\n"} {
		if v, err := parseSpeed(bad); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
}

func TestBusyCountsAllButIdleAndWaiting(t *testing.T) {
	stat := []byte("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 30 4000 500 6 7 8 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 1\n")
	v, err := parseBusy(stat, 0)
	if err != nil || math.Abs(v-1.71) > 1e-9 {
		t.Error(v, err)
	}
	if _, err := parseBusy(stat, 2); err == nil {
		t.Error("a core that is not there was busy")
	}
}

func TestParents(t *testing.T) {
	pid, parent, err := parents([]byte("42 (a) b) (c) S 7 42 42 0 -1"))
	if err != nil || pid != 42 || parent != 7 {
		t.Error(pid, parent, err)
	}
	for _, bad := range []string{"", "42", "42 (x)", "x (x) S 1"} {
		if _, _, err := parents([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The clock of a process counts the time of its threads, the clock of a tree also
// that of its children.
func TestClocksOfProcesses(t *testing.T) {
	before, err := cpuClock(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	work(20 * time.Millisecond)
	after, err := cpuClock(os.Getpid())
	if err != nil || after-before < 0.01 {
		t.Errorf("20 ms of work took %.3f s of processor time (%v)", after-before, err)
	}

	c := exec.Command("sh", "-c", "sh -c 'echo; read x'; true")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		c.Process.Kill()
		c.Wait()
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	all, err := descendants(os.Getpid())
	if err != nil || !slices.Contains(all, c.Process.Pid) || len(all) < 2 {
		t.Errorf("the descendants are %v (%v)", all, err)
	}
}

// work keeps the processor busy for d of its time.
func work(d time.Duration) {
	from, _ := cpuClock(os.Getpid())
	for {
		if now, err := cpuClock(os.Getpid()); err != nil || now-from >= d.Seconds() {
			return
		}
	}
}

func TestKnown(t *testing.T) {
	if err := known("part", []string{"b"}, []string{"a", "b"}); err != nil {
		t.Error(err)
	}
	if err := known("part", []string{"b", "c"}, []string{"a", "b"}); err == nil {
		t.Error("an unknown part is taken")
	}
}
