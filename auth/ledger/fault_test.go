package ledger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// A file that is damaged while it is open is given up for a new one with all that is in memory.
// Nobody waits for ever, and no record stays behind.
func TestAFaultInTheOpenFileCostsNothing(t *testing.T) {
	const sessions = 2000
	for name, harm := range map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 0) },
		"cut short": func(path string) error { return os.Truncate(path, int64(3*os.Getpagesize())) },
		"pages of rubbish": func(path string) error {
			return overwrite(path, 2*os.Getpagesize(), 0xee)
		},
		"heads and pages of rubbish": func(path string) error { return overwrite(path, 0, 0xee) },
		"pages of zeros":             func(path string) error { return overwrite(path, 2*os.Getpagesize(), 0) },
	} {
		path := filepath.Join(t.TempDir(), "queue")
		told := &problems{}
		l := Open(Config{Path: path, Problem: told.tell})
		for i := range sessions {
			l.Account(record(fmt.Sprint(i), auth.Start, 0))
		}
		l.Sync()
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
		done := make(chan int)
		go func() {
			l.Account(record("1", auth.Stop, 1))
			l.Sync()
			l.Account(record("2", auth.Stop, 1))
			l.Sync()
			h, _ := readFile(path)
			done <- len(h.out) + len(h.bad)
			n := len(take(l))
			l.Close()
			done <- n
		}()
		for _, what := range []string{"are in the new file", "leave"} {
			select {
			case n := <-done:
				if n != sessions+2 {
					t.Errorf("%s: %d of %d records %s", name, n, sessions+2, what)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: Sync or Close does not return; told %q", name, told.all())
			}
		}
		if list := told.all(); len(list) != 1 || !strings.Contains(list[0], "written anew") {
			t.Errorf("%s: told %q", name, list)
		}
	}
}

// What could be read of a damaged file is on disk at each moment: where no new file can be written,
// and where the server dies before it is, the next start finds it again.
func TestADamagedFileStaysUntilTheNewOneIsComplete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue")
	b := written(t)
	b[bytes.LastIndex(b, []byte(`"address"`))] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+".new", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	first, told := open(t, path)
	n := first.Stats().Waiting
	if list := told.all(); n < 500 || len(list) != 2 || !strings.Contains(list[0], "is damaged and is now "+path+".damaged-") {
		t.Fatalf("%d records were read; told %q", n, list)
	}
	if next, _ := open(t, killed(t, path)); next.Stats().Waiting != n {
		t.Errorf("the next start has %d of %d records", next.Stats().Waiting, n)
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
	if err := os.RemoveAll(path + ".new"); err != nil {
		t.Fatal(err)
	}
	first.Close() // tries the disk once more
	if next, told := open(t, killed(t, path)); next.Stats().Waiting != n || len(told.all()) > 0 {
		t.Errorf("the new file has %d of %d records; told %q", next.Stats().Waiting, n, told.all())
	}
}

// overwrite puts rubbish over a file, from a place on.
func overwrite(path string, at int, with byte) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat([]byte{with}, len(b)-at), int64(at))
	return err
}
