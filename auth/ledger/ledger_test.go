package ledger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/auth"
)

func TestRecordsAreTheSameAfterAWhile(t *testing.T) {
	r := record("1", auth.Stop, 5)
	r.Cause = auth.NASReboot
	b, err := encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(b)
	if err != nil || !reflect.DeepEqual(r, back) {
		t.Errorf("got %+v, %v; want %+v", back, err, r)
	}
	full := reflect.ValueOf(back)
	for i := range full.NumField() {
		if full.Field(i).IsZero() {
			t.Errorf("the test has no value for %s", full.Type().Field(i).Name)
		}
	}
}

func TestWhatWaitsIsThereAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue")
	l, told := open(t, path)
	l.Account(record("1", auth.Start, 0))
	l.Account(record("1", auth.Stop, 9))
	l.Account(record("2", auth.Start, 0))
	l.Sync()
	if got := take(l); len(got) != 3 {
		t.Fatalf("%d records can be sent, want all three", len(got))
	}
	l.Account(record("3", auth.Start, 0))
	l.Account(record("2", auth.Interim, 4))
	l.Sync()
	l.Mark([]Carried{{Session: "3", Time: begin.Add(7 * time.Second), Duration: 7 * time.Second, InputOctets: 70}, {Session: "1", InputOctets: 1}})
	l.Sync()

	after, _ := open(t, killed(t, path))
	got := take(after)
	want := []auth.Record{record("2", auth.Stop, 4), record("3", auth.Start, 0), record("3", auth.Stop, 7)}
	for i := range want {
		if want[i].Status == auth.Stop {
			want[i].Cause = auth.NASReboot
		}
	}
	want[2].InputOctets, want[2].OutputOctets, want[2].InputPackets, want[2].OutputPackets = 70, 0, 0, 0
	byID := func(list []auth.Record) map[string]auth.Record {
		m := map[string]auth.Record{}
		for _, r := range list {
			m[fmt.Sprint(r.Call.SessionID, r.Status)] = r
		}
		return m
	}
	if len(got) != len(want) || !reflect.DeepEqual(byID(got), byID(want)) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if s := after.Stats(); s.Waiting != 0 || s.Live != 0 || !s.OnDisk {
		t.Errorf("left: %+v", s)
	}
	if len(told.all()) > 0 {
		t.Errorf("told: %q", told.all())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// The third start finds what the second has not sent, and ends nobody twice.
func TestAStopOfASessionThatWasCutOffIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue")
	l, _ := open(t, path)
	l.Account(record("1", auth.Start, 0))
	l.Sync()
	for range 3 {
		path = killed(t, path)
		l, _ = open(t, path)
		if s := l.Stats(); s.Waiting != 2 || s.Live != 0 {
			t.Fatalf("%+v, want a Start and a Stop", s)
		}
		l.Sync()
	}
	if got := take(l); len(got) != 2 || got[1].Status != auth.Stop || !got[1].Time.Equal(begin) {
		t.Errorf("got %+v", got)
	}
}

func TestOurReaderReadsWhatBboltWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue")
	l, _ := open(t, path)
	const sessions = 3000
	for round := range 3 {
		for i := range sessions {
			r := record(fmt.Sprintf("%016x", i*7919), []auth.Status{auth.Start, auth.Interim, auth.Stop}[round], uint64(round))
			if r.Status == auth.Stop && i%3 == 0 {
				continue
			}
			r.Class = [][]byte{bytes.Repeat([]byte("x"), i%4000)}
			l.Account(r)
		}
		l.Sync()
		if round == 0 {
			take(l)
		}
	}
	h, err := readFile(path)
	if err != nil || len(h.bad) > 0 {
		t.Fatal(err, h.bad)
	}
	if len(h.live) != sessions/3 || len(h.out) != sessions {
		t.Errorf("%d live, %d waiting; want %d and %d", len(h.live), len(h.out), sessions/3, sessions)
	}
}

// written is a file with many records, and with as many sessions that are live.
func written(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "queue")
	l, _ := open(t, path)
	for i := range 400 {
		id := fmt.Sprintf("%016x", i*7919)
		l.Account(record(id, auth.Start, 0))
		if i%2 == 0 {
			l.Account(record(id, auth.Stop, 1))
		}
	}
	l.Sync()
	b, err := os.ReadFile(killed(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Of a damaged file, what can be read is sent; the file is set aside and named, and the
// ledger works.
func TestADamagedFileCostsWhatIsDamaged(t *testing.T) {
	whole := written(t)
	page := os.Getpagesize()
	edit := func(f func(b []byte) []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, f(bytes.Clone(whole)), 0o600) }
	}
	reader := &bolt{file: bytes.NewReader(whole), size: int64(len(whole)), seen: map[uint64]bool{}}
	root, err := reader.root()
	if err != nil {
		t.Fatal(err)
	}
	leaf := 0 // a page of records, of those that the file still uses
	reader.walk(root, 0, func(_ uint32, _, value []byte) { reader.bucket(value, func(uint32, []byte, []byte) {}) })
	for id := range reader.seen {
		if at := int(id) * page; native.Uint16(whole[at+8:]) == leafPage && native.Uint16(whole[at+10:]) > 2 {
			leaf = at
		}
	}
	for name, c := range map[string]struct {
		make  func(path string) error
		least int // records that are found
	}{
		"truncated":         {edit(func(b []byte) []byte { return b[:len(b)/2] }), 0},
		"a byte":            {edit(func(b []byte) []byte { return b[:1] }), 0},
		"zeroed":            {edit(func(b []byte) []byte { clear(b); return b }), 0},
		"zeroed behind":     {edit(func(b []byte) []byte { clear(b[2*page:]); return b }), 0},
		"a page zeroed":     {edit(func(b []byte) []byte { clear(b[leaf : leaf+page]); return b }), 500},
		"a page of rubbish": {edit(func(b []byte) []byte { copy(b[leaf:leaf+page], bytes.Repeat([]byte{0xa5, 1}, page)); return b }), 500},
		"a record changed":  {edit(func(b []byte) []byte { b[leaf+bytes.Index(b[leaf:], []byte(`"address"`))] ^= 1; return b }), 700},
		"another's":         {edit(func([]byte) []byte { return bytes.Repeat([]byte("not a queue\n"), 1000) }), 0},
		"a directory":       {func(path string) error { return os.Mkdir(path, 0o700) }, 0},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "queue")
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		l, told := open(t, path)
		if got := l.Stats().Waiting; got < c.least {
			t.Errorf("%s: %d records were read, want %d", name, got, c.least)
		}
		if list := told.all(); len(list) != 1 || !strings.Contains(list[0], "is damaged and is now "+path+".damaged-") {
			t.Errorf("%s: told %q", name, list)
		}
		if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
			t.Errorf("%s: set aside: %v", name, aside)
		}
		l.Account(record("new", auth.Start, 0))
		l.Sync()
		if after, told := open(t, killed(t, path)); len(told.all()) > 0 || after.Stats().Waiting != l.Stats().Waiting+1 {
			t.Errorf("%s: the new file has %d of %d records; told %q", name, after.Stats().Waiting, l.Stats().Waiting, told.all())
		}
	}
}

// One of the two heads is enough.
func TestTheFileOfATornWriteIsRead(t *testing.T) {
	for _, at := range []int{0, os.Getpagesize()} {
		b := written(t)
		clear(b[at : at+os.Getpagesize()])
		path := filepath.Join(t.TempDir(), "queue")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if l, told := open(t, path); l.Stats().Waiting == 0 || len(told.all()) > 0 {
			t.Errorf("without the head at %d: %+v, told %q", at, l.Stats(), told.all())
		}
	}
}

// A disk that refuses is told of once; records wait in memory, and go to the disk when it
// takes them again.
func TestAFullDiskIsToldOnceAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("adit-test", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal("as root: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	others := filepath.Join(dir, "others")
	if err := os.WriteFile(others, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "queue")
	l, told := open(t, path)
	const sessions = 2000
	for i := range sessions {
		r := record(fmt.Sprint(i), auth.Start, 0)
		r.Class = [][]byte{bytes.Repeat([]byte("x"), 1000)}
		l.Account(r)
		if i%100 == 0 {
			l.Sync()
		}
	}
	l.Sync()
	if s := l.Stats(); s.Waiting != sessions || s.OnDisk {
		t.Errorf("%+v", s)
	}
	if list := told.all(); len(list) != 1 || !strings.Contains(list[0], "no space left on device") {
		t.Errorf("told %q", list)
	}
	if got := take(l); len(got) != sessions {
		t.Errorf("%d of %d records can be sent", len(got), sessions)
	}
	for i := range sessions {
		l.Account(record(fmt.Sprint(i), auth.Stop, 1))
	}
	l.Sync()
	take(l)
	l.Account(record("last", auth.Start, 0))
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	l.Close() // tries the disk once more
	if list := told.all(); len(list) != 1 {
		t.Errorf("that it is well again is no problem: told %q", list)
	}
	if h, err := readFile(path); err != nil || len(h.out) != 1 || len(h.live) != 1 {
		t.Errorf("the file has %d and %d records, %v", len(h.out), len(h.live), err)
	}
}

func TestADirectoryThatCannotBeWrittenIsMemory(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("adit-test", dir, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal("as root: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	for _, path := range []string{filepath.Join(dir, "queue"), "/nowhere/at/all/queue", "/dev/null/queue"} {
		l, told := open(t, path)
		l.Account(record("1", auth.Start, 0))
		l.Sync()
		if got := take(l); len(got) != 1 {
			t.Errorf("%s: %d records", path, len(got))
		}
		if list := told.all(); len(list) != 1 || !strings.Contains(list[0], "records wait in memory") {
			t.Errorf("%s: told %q", path, list)
		}
	}
}

// A record after the end is lost for another reason than that the queue is full.
func TestARecordAfterTheEndIsToldAsThat(t *testing.T) {
	l, told := open(t, "")
	l.Close()
	l.Account(record("1", auth.Stop, 0))
	if list := told.all(); len(list) != 1 || !strings.Contains(list[0], "after the end") || l.Stats().Lost[Full] != 1 {
		t.Errorf("told %q, lost %v", list, l.Stats().Lost)
	}
}

func FuzzRecord(f *testing.F) {
	r := record("1", auth.Stop, 3)
	b, _ := encode(&r)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add([]byte{1, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := decode(again); err != nil || !reflect.DeepEqual(r, same) {
			t.Errorf("%+v became %+v, %v", r, same, err)
		}
	})
}

// FuzzFile reads a file with a part that is anything.
func FuzzFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "queue")
	l := Open(Config{Path: path})
	for i := range 40 {
		l.Account(record(fmt.Sprint(i), auth.Start, 0))
	}
	l.Sync()
	l.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, []byte{1})
	f.Add(2*os.Getpagesize()+8, []byte{1, 0, 255, 255})
	f.Fuzz(func(t *testing.T, at int, part []byte) {
		b := bytes.Clone(whole)
		if at < 0 || at >= len(b) {
			b = part
		} else {
			copy(b[at:], part)
		}
		readBolt(bytes.NewReader(b), int64(len(b)), func(string, []byte, []byte) {})
	})
}

// An interim that was on its way when its session ended, and when the server died then, is not
// sent after the Stop, or at all.
func TestAnInterimOnItsWayEndsWithItsSession(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue")
	l, _ := open(t, path)
	l.Account(record("1", auth.Start, 0))
	l.Account(record("1", auth.Interim, 4))
	l.Sync()
	start, _ := l.Next(time.Now())
	l.Done(start)
	if e, _ := l.Next(time.Now()); e == nil || e.Record.Status != auth.Interim {
		t.Fatalf("the interim is not on its way: %+v", e)
	}
	l.Account(record("1", auth.Stop, 9))
	l.Sync()
	after, _ := open(t, killed(t, path))
	if got := take(after); len(got) != 1 || got[0].Status != auth.Stop {
		t.Errorf("after a crash %+v is sent, want the Stop alone", got)
	}
}
