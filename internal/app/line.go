package app

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/internal/vpn"
)

// line is a log line in the making. All lines of events about peers are written by
// it, and calm limits how many are written a second.
type line struct {
	events *events
	who    vpn.Who
	fields logrus.Fields
}

// at is a line about somebody.
func (o *events) at(w vpn.Who) line {
	f := logrus.Fields{"remote": w.Remote.String()}
	if w.Conn != 0 {
		f["conn"] = w.Conn
	}
	if w.Client != 0 {
		f["client"] = w.Client.String()
	}
	if w.User != "" {
		f["user"] = field(w.User)
	}
	return line{o, w, f}
}

// WithFields returns the line with more fields.
func (l line) WithFields(fields logrus.Fields) line {
	all := make(logrus.Fields, len(l.fields)+len(fields))
	for _, part := range []logrus.Fields{l.fields, fields} {
		for k, v := range part {
			all[k] = v
		}
	}
	l.fields = all
	return l
}

// WithField returns the line with one field more.
func (l line) WithField(key string, value any) line { return l.WithFields(logrus.Fields{key: value}) }

func (l line) Error(text string) { l.write(logrus.ErrorLevel, text) }
func (l line) Warn(text string)  { l.write(logrus.WarnLevel, text) }
func (l line) Info(text string)  { l.write(logrus.InfoLevel, text) }
func (l line) Debug(text string) { l.write(logrus.DebugLevel, text) }

func (l line) write(level logrus.Level, text string) {
	o := l.events
	if !o.log.IsLevelEnabled(level) {
		return
	}
	c := &o.calm
	if level == logrus.DebugLevel {
		c = &o.debug
	}
	if c.allow(time.Now(), text, l.who.Remote.Addr(), l.who.User) {
		o.log.WithFields(l.fields).Log(level, text)
	}
}

// summarize says what was left out.
func (o *events) summarize() {
	for level, c := range [...]*calm{logrus.WarnLevel: &o.calm, logrus.DebugLevel: &o.debug} {
		if c == nil || !c.missing.Load() {
			continue
		}
		if l, ok := c.summary(time.Now()); ok {
			o.log.WithFields(logrus.Fields{"not_logged": l.lines, "what": l.kind, "from": l.worst}).
				Log(logrus.Level(level), "lines about peers were left out: there were too many; most are of this kind, and of this source")
		}
	}
}
