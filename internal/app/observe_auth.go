package app

import (
	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/vpn"
)

// authDone logs how an authentication ended, and what of the backend's answer
// has no effect.
func (o *events) authDone(e vpn.AuthDone) {
	l := o.at(e.Who).WithFields(logrus.Fields{"method": e.Method.String(), "name": field(e.Name)})
	for _, text := range packed(e.Warnings) {
		l.WithField("reason", bounded(text, errorLimit)).Warn("something in the RADIUS server's answer has no effect")
	}
	l = l.WithField("seconds", e.Duration.Seconds())
	if e.Message != "" && (e.Verdict != auth.Accepted || o.log.IsLevelEnabled(logrus.DebugLevel)) {
		l = l.WithField("reply_message", field(e.Message))
	}
	switch {
	case e.Err != nil:
		l.WithField("error", errorField(e.Err)).Error("authentication had no verdict; the client shows that the user was refused")
	case e.Verdict == auth.Accepted:
		l.Info("user authenticated")
	case e.Verdict == auth.NoAddress:
		l.WithField("detail", field(e.Detail)).Warn("no address is left for the user: network.pool is too small; the client shows that the connection was closed")
	default:
		if e.Odd != "" { // the name in the list of users has no such byte
			l = l.WithField("odd_name", e.Odd)
		}
		l.WithFields(logrus.Fields{"verdict": e.Verdict.String(), "detail": bounded(e.Detail, errorLimit)}).
			Warn("user refused; the client shows a wrong user name or password")
	}
}

// packed joins texts to as few as have room in a line each: one user gets a few lines a second
// (calm), and what an answer has many of must not hide the others, nor that the user is connected.
func packed(texts []string) (lines []string) {
	for _, t := range texts {
		last := len(lines) - 1
		if last >= 0 && len(lines[last])+len("; ")+len(t) <= errorLimit {
			lines[last] += "; " + t
		} else {
			lines = append(lines, t)
		}
	}
	return lines
}
