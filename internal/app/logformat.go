package app

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/adit-vpn/adit/conf"
)

// newLogger writes text to a terminal or systemd's journal, where people read it, and
// JSON elsewhere, where programs do.
func newLogger(w io.Writer, c conf.Log) *logrus.Logger {
	l := logrus.New()
	l.SetOutput(w)
	l.SetLevel(level(c.Level))
	journal := isJournal(w)
	if c.Format == conf.FormatJSON || c.Format == conf.FormatAuto && !journal && !isTerminal(w) {
		l.SetFormatter(jsonLines{logrus.JSONFormatter{DisableHTMLEscape: true}, journal})
	} else {
		l.SetFormatter(textLines{journal})
	}
	return l
}

// level is the logger's level for log.level.
func level(l conf.Level) logrus.Level {
	switch l {
	case conf.LevelError:
		return logrus.ErrorLevel
	case conf.LevelWarn:
		return logrus.WarnLevel
	case conf.LevelDebug:
		return logrus.DebugLevel
	case conf.LevelInfo:
	}
	return logrus.InfoLevel
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// isJournal reports whether systemd's journal reads w: its socket is the one that
// JOURNAL_STREAM names (systemd.exec(5)). The variable alone proves nothing: a process
// inherits it even if its stream is redirected.
func isJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// priority is what sd-daemon(3) wants in front of a line: a level of syslog(3).
func priority(l logrus.Level) string {
	switch l {
	case logrus.PanicLevel, logrus.FatalLevel:
		return "<2>"
	case logrus.ErrorLevel:
		return "<3>"
	case logrus.WarnLevel:
		return "<4>"
	case logrus.InfoLevel:
		return "<6>"
	case logrus.DebugLevel, logrus.TraceLevel:
	}
	return "<7>"
}

// WriteError writes why a command ends. The journal gets each of its lines as an error,
// in the format of the server's own lines.
func WriteError(w io.Writer, text string) {
	mark := ""
	if isJournal(w) {
		mark = priority(logrus.ErrorLevel)
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(w, "%s%s\n", mark, Prose(line))
	}
}

// jsonLines are lines of JSON, for a journal with their priority.
type jsonLines struct {
	logrus.JSONFormatter
	journal bool
}

func (f jsonLines) Format(e *logrus.Entry) ([]byte, error) {
	b, err := f.JSONFormatter.Format(e)
	if err != nil {
		return nil, err
	}
	b = EscapeJSON(b)
	if f.journal {
		b = append([]byte(priority(e.Level)), b...)
	}
	return b, nil
}

// textLines are lines for people: what happened comes first, then to whom and
// why, in an order that is always the same. The journal knows the time and, of
// the priority, the level.
type textLines struct{ journal bool }

// fieldOrder is the order of fields: who it is, what they have, why it is so.
// Others follow, by name.
var fieldOrder = []string{
	"remote", "conn", "client", "user", "name", "session", "address", "ipv6", "group",
	"layer", "what", "method", "verdict", "cause", "reason", "detail", "error",
}

func (f textLines) Format(e *logrus.Entry) ([]byte, error) {
	var b bytes.Buffer
	if f.journal {
		b.WriteString(priority(e.Level))
	} else {
		level := e.Level.String()
		if e.Level == logrus.WarnLevel {
			level = "warn" // as in log.level
		}
		fmt.Fprintf(&b, "%s %-5s ", e.Time.Format("2006-01-02T15:04:05.000Z07:00"), level)
	}
	b.WriteString(Prose(strings.ReplaceAll(e.Message, "\n", " ")))
	for _, key := range ordered(e.Data) {
		b.WriteString(" " + key + "=" + fieldText(e.Data[key]))
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// ordered are the keys of fields in their order.
func ordered(fields logrus.Fields) []string {
	rank := func(key string) int {
		if i := slices.Index(fieldOrder, key); i >= 0 {
			return i
		}
		return len(fieldOrder)
	}
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return keys
}

// fieldText is a value on one line, in quotation marks where it could be taken
// for more than one.
func fieldText(value any) string {
	text := fmt.Sprint(value)
	if list, ok := value.([]string); ok {
		text = strings.Join(list, ",")
	}
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == '\\' || !strconv.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
