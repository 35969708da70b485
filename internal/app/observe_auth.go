package app

import (
	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/vpn"
)

// authDone logs how an authentication ended, and what of the backend's answer
// was passed over.
func (o *events) authDone(e vpn.AuthDone) {
	l := o.at(e.Who).WithFields(logrus.Fields{"method": e.Method.String(), "name": field(e.Name)})
	for _, text := range e.Warnings {
		l.WithField("reason", bounded(text, errorLimit)).Warn("something in the RADIUS server's answer cannot be read, and is passed over")
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
