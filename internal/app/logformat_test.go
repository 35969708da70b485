package app

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/conf"
)

// journal is a stream as systemd gives it to a service: one end of a socket that
// JOURNAL_STREAM names. The returned function closes it and returns what came.
func journal(t *testing.T) (w *os.File, read func() string) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, r := os.NewFile(uintptr(pair[0]), "journal"), os.NewFile(uintptr(pair[1]), "reader")
	t.Cleanup(func() { w.Close(); r.Close() })
	var st unix.Stat_t
	if err := unix.Fstat(pair[0], &st); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	return w, func() string {
		w.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
}

// journalctl -p finds a line by its priority, of every level: it stands in front
// of text and of JSON, and the text begins with what happened.
func TestTheJournalGetsPriorities(t *testing.T) {
	for format, want := range map[string]string{
		"auto": "<7>noted a=1\n<6>connected a=1\n<4>user refused a=1\n<3>no verdict a=1\n",
		"text": "<7>noted a=1\n<6>connected a=1\n<4>user refused a=1\n<3>no verdict a=1\n",
		"json": `<7>{"a":1,"level":"debug","msg":"noted"`,
	} {
		w, read := journal(t)
		l := newLogger(w, conf.Log{Level: "debug", Format: conf.Format(format)}).WithField("a", 1)
		l.Debug("noted")
		l.Info("connected")
		l.Warn("user refused")
		l.Error("no verdict")
		if got := read(); format != "json" && got != want || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
	w, read := journal(t)
	WriteError(w, "adit: adit.toml:3: ipsec.psk: missing\nadit.toml:4: user: there is none")
	if got, want := read(), "<3>adit: adit.toml:3: ipsec.psk: missing\n<3>adit.toml:4: user: there is none\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A service whose stream is redirected inherits JOURNAL_STREAM, but does not write to the
// journal.
func TestWhatIsNoJournal(t *testing.T) {
	_, read := journal(t)
	defer read()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if isJournal(file) || isJournal(&bytes.Buffer{}) || isJournal(nil) {
		t.Error("a file, or memory, is taken for the journal")
	}
	newLogger(file, conf.Log{Level: "info", Format: "auto"}).Warn("user refused")
	if b, err := os.ReadFile(file.Name()); err != nil || !bytes.HasPrefix(b, []byte(`{"level":"warning","msg":"user refused"`)) {
		t.Errorf("%v, %q: want JSON without a priority", err, b)
	}
	var out bytes.Buffer
	WriteError(&out, "adit: one\ntwo\n")
	if out.String() != "adit: one\ntwo\n" {
		t.Errorf("%q", out.String())
	}
}

// Who it is, what they have, why it is so: in this order whatever a map's is, and
// in one line that nobody's name breaks.
func TestTextHasAnOrder(t *testing.T) {
	fields := logrus.Fields{
		"zone": 1, "reason": "no proposal", "user": "a&b <c>", "conn": 7, "remote": "192.0.2.1:500", "error": "one\ntwo",
		"applied": []string{"network.dns", "user"}, "seconds": 0.25, "detail": "", "client": "Windows", "name": `say "x=y"`, "none": []string(nil),
	}
	const want = `<4>user refused remote=192.0.2.1:500 conn=7 client=Windows user="a&b <c>" name="say \"x=y\"" reason="no proposal" detail="" error="one\ntwo" applied=network.dns,user none="" seconds=0.25 zone=1` + "\n"
	for range 20 {
		w, read := journal(t)
		newLogger(w, conf.Log{Level: "info", Format: "text"}).WithFields(fields).Warn("user\nrefused")
		if got := read(); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	var out bytes.Buffer
	newLogger(&out, conf.Log{Level: "info", Format: "text"}).WithFields(fields).Warn("user refused")
	when, rest, _ := strings.Cut(out.String(), " ")
	if !strings.HasSuffix(rest, strings.TrimPrefix(want, "<4>")) || !strings.HasPrefix(rest, "warn  user refused ") || !strings.Contains(when, "T") {
		t.Errorf("%q", out.String())
	}
}

// JSON has the text as it is: & and < are not escaped in a log.
func TestJSONEscapesNothingForHTML(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, conf.Log{Level: "info", Format: "json"}).WithField("user", "R&D <office>").Warn("a & b")
	if got := out.String(); !strings.Contains(got, `"user":"R&D <office>"`) || !strings.Contains(got, `"msg":"a & b"`) || strings.Contains(got, `\u00`) {
		t.Errorf("%q", got)
	}
}

// A message is one line of plain characters, whatever of others is in it.
func TestAMessageHasNoControlCharacters(t *testing.T) {
	for _, odd := range []string{"\n", "\r", "\n<0>", "\x1b[31m", "\x00", "\x7f", "\u0085", "\u2028", "\u2029", "\u202e", "\u2066", "\u009b2J", "\b\b"} {
		e := logrus.NewEntry(logrus.New())
		e.Level, e.Message, e.Data = logrus.WarnLevel, "file a"+odd+"b can be read", logrus.Fields{"error": odd}
		b, err := textLines{journal: true}.Format(e)
		if err != nil {
			t.Fatal(err)
		}
		text, one := strings.CutSuffix(string(b), "\n")
		if !one || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%q is written as %q", odd, b)
		}
	}
}
