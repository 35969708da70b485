package app

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/vpn"
)

// fieldLimit bounds a field that comes from a peer, bytes.
const fieldLimit = 128

// errorLimit bounds an error of ours, bytes: it may say at length what to do.
const errorLimit = 1024

// field makes a peer's string fit for a log: bounded, on one line, without
// what terminals act on.
func field(s string) string { return bounded(s, fieldLimit) }

// errorField does so for an error that may quote a peer.
func errorField(err error) string { return bounded(err.Error(), errorLimit) }

func bounded(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return r
	}, s)
}

// events turns a server's decisions into log lines, one for each that a person
// cares about, and into counters.
type events struct {
	log    *logrus.Logger
	meter  *meter
	claims claimer // nil: nobody else needs to know whose addresses there are
	calm   calm    // of what strangers cause
	drops  calm    // of what is dropped, at level debug
}

// Lines returns an observer that writes the log lines of a server's events, as
// JSON, at the default level: for tests of what an administrator reads.
func Lines(w io.Writer) vpn.Observer {
	return &events{log: newLogger(w, conf.Log{Level: "info", Format: "json"}), meter: newMeter()}
}

// Observe implements vpn.Observer.
func (o *events) Observe(e vpn.Event) {
	o.meter.count(e)
	switch e := e.(type) {
	case vpn.FirstMessageRefused:
		o.firstRefused(e)
	case vpn.GroupUnknown:
		o.stranger(e.Who, logrus.Fields{"group": field(e.Group)}, "no [[group]] of this name has a pre-shared key; the client shows that the security layer failed or that the server does not respond")
	case vpn.AggressiveUnanswered:
		o.stranger(e.Who, logrus.Fields{"reason": "no message 3 of Aggressive Mode came"}, "wrong pre-shared key, if the client does not say otherwise: it had the server's proof of the key, and fell silent; the client shows that the security layer failed or that the server does not respond")
	case vpn.PhaseOneUp:
		o.at(e.Who).WithFields(phaseFields(e)).Info("IKE up")
	case vpn.PhaseOneDown:
		o.phaseOneDown(e)
	case vpn.ChildUp:
		o.at(e.Who).WithFields(logrus.Fields{"suite": e.Child.Suite.String(), "lifetime": e.Child.Lifetime.String()}).Info("ESP up")
	case vpn.ChildFailed:
		o.at(e.Who).WithFields(childFields(e.Why)).Warn("ESP refused")
	case vpn.ChildDown:
		o.at(e.Who).WithField("reason", e.Why.String()).Debug("ESP down")
	case vpn.Moved:
		o.at(e.Who).WithField("from", e.From.String()).Info("the client's endpoint moved")
	case vpn.TunnelUp:
		o.at(e.Who).WithFields(logrus.Fields{"host_name": field(e.Peer.HostName), "vendor": field(e.Peer.Vendor)}).Info("L2TP up")
	case vpn.TunnelDown:
		o.tunnelDown(e)
	case vpn.AuthDone:
		o.authDone(e)
	case vpn.NetworksChanged:
		o.networksChanged(e)
	case vpn.SessionUp:
		o.sessionUp(e)
	case vpn.SessionDown:
		o.sessionDown(e)
	case vpn.PacketRefused:
		o.refused(e)
	case vpn.Noted:
		o.at(e.Who).WithFields(logrus.Fields{"layer": e.Layer.String(), "what": e.Kind, "text": field(e.Text)}).Debug("noted")
	case vpn.ConnDown:
		o.connDown(e)
	case vpn.Panicked:
		o.at(e.Who).WithFields(logrus.Fields{"panic": e.Value, "stack": string(e.Stack)}).
			Error("an error in the server ended one connection; please report it")
	}
}

// phaseOneDown logs the end of a phase 1. One that was never authenticated is
// worth a line that says what stood in the way.
func (o *events) phaseOneDown(e vpn.PhaseOneDown) {
	fields := logrus.Fields{"reason": e.Why.String()}
	switch {
	case e.Authenticated || e.Told:
		o.at(e.Who).WithFields(fields).Debug("IKE down")
	case e.Why == ike.ReasonNATTPort:
		o.stranger(e.Who, fields, "IKE failed before the pre-shared key was proved: message 4 left from UDP port 500, and nothing came to UDP port 4500: let that port through, from the client to the server, in every firewall between; the client shows that the server does not respond (Windows: error 809)")
	case e.Why == ike.ReasonWrongKey:
		o.stranger(e.Who, fields, wrongKey)
	default:
		o.stranger(e.Who, fields, "IKE failed before the pre-shared key was proved; the client shows that the server does not respond")
	}
}

// wrongKey is what is said of a pre-shared key that is not the server's.
const wrongKey = "wrong pre-shared key; the client shows that the security layer failed (Windows: error 789) or that the server does not respond"

// childFields say why there is no pair of ESP SAs.
func childFields(f ike.ChildFailed) logrus.Fields {
	fields := logrus.Fields{"reason": f.Why.String(), "notify": f.Notify, "offered": f.Offered}
	if f.Detail != "" {
		fields["detail"] = bounded(f.Detail, errorLimit)
	}
	return fields
}

// phaseFields are what is worth knowing of a phase 1.
func phaseFields(e vpn.PhaseOneUp) logrus.Fields {
	f := logrus.Fields{"suite": e.Peer.Suite.String(), "adopted": e.Adopted}
	if e.Peer.Cert != "" {
		f["certificate"] = field(e.Peer.Cert)
	} else {
		f["psk"] = e.Peer.PSK
	}
	if e.Peer.Group != "" {
		f["group"] = e.Peer.Group
	}
	return f
}

// firstRefused logs why a first message was not answered.
func (o *events) firstRefused(e vpn.FirstMessageRefused) {
	fields := logrus.Fields{"reason": errorField(e.Why)} // which quotes numbers only
	var no *ike.NoProposal
	if errors.As(e.Why, &no) && no.ByAuth {
		text := "IKE refused: the client is set to certificates, and the server has none of that kind: set the client to a pre-shared key, or set ipsec.certificate"
		switch {
		case slices.ContainsFunc(no.Auth, ike.AuthMethod.XAUTH):
			text = "IKE refused: the client asks for XAUTH, which is another kind of VPN (IPsec, Cisco IPsec, IPsec Xauth): choose L2TP/IPsec in the client, with a pre-shared key or a certificate"
		case slices.Contains(no.Auth, ike.AuthPSK):
			text = "IKE refused: the client is set to a pre-shared key, and the server has certificates only: set the client to certificates, or set ipsec.psk"
		}
		o.stranger(e.Who, fields, text)
		return
	}
	if errors.Is(e.Why, ike.ErrNoProposal) {
		o.stranger(e.Who, fields, "IKE refused: the client offers no suite that is accepted here; allow it AES with SHA and group 14 or better")
		return
	}
	if errors.Is(e.Why, ike.ErrAggressive) {
		o.stranger(e.Who, fields, "IKE refused: the client uses Aggressive Mode; remove the group name from its settings, or set ipsec.aggressive = true")
		return
	}
	o.stranger(e.Who, fields, "IKE refused: no first message that can be answered")
}

// refused logs a control packet that was dropped. One that tells of a wrong
// pre-shared key is worth a line by default.
func (o *events) refused(e vpn.PacketRefused) {
	fields := logrus.Fields{"layer": e.Layer.String(), "reason": field(e.Why.Error())}
	switch {
	case e.Again: // it has its line
	case errors.Is(e.Why, ike.ErrCertificate), errors.Is(e.Why, ike.ErrIdentity), errors.Is(e.Why, ike.ErrSignature):
		fields["reason"] = errorField(e.Why)
		o.stranger(e.Who, fields, "the client's certificate is refused; the client shows that the security layer failed (Windows: error 789)")
		return
	case errors.Is(e.Why, ike.ErrUndecryptable):
		o.stranger(e.Who, fields, wrongKey)
		return
	}
	if errors.Is(e.Why, vpn.ErrLeaving) {
		o.at(e.Who).WithFields(fields).Info("the client came back while its connection was being closed; it was told to begin again")
		return
	}
	o.dropped(e.Who, fields)
}

// dropped notes at level debug what was dropped. Strangers cause as many such lines
// as they like: of a flood only some are written, and how many were not.
func (o *events) dropped(w vpn.Who, fields logrus.Fields) {
	if !o.log.IsLevelEnabled(logrus.DebugLevel) {
		return
	}
	missed, ok := o.drops.allow(time.Now())
	if !ok {
		return
	}
	if missed > 0 {
		fields["not_logged"] = missed
	}
	o.at(w).WithFields(fields).Debug("control packet dropped")
}

// networksChanged has what leads to a session lead to this server, too.
func (o *events) networksChanged(e vpn.NetworksChanged) {
	if o.claims == nil {
		return
	}
	for _, n := range e.Removed {
		if err := o.claims.Release(n); err != nil {
			o.at(e.Who).WithFields(logrus.Fields{"network": n.String(), "error": err.Error()}).Warn("the host still has a route to a network of a session that is over")
		}
	}
	for _, n := range e.Added {
		if err := o.claims.Claim(n); err != nil {
			o.at(e.Who).WithFields(logrus.Fields{"network": n.String(), "error": err.Error()}).Warn("this host has no route to a network of the session: it gets no answers")
		}
	}
}

func (o *events) sessionUp(e vpn.SessionUp) {
	fields := logrus.Fields{"address": e.Session.Address.String(), "session": e.Session.ID}
	if six := texts6(e.Session.IPv6); six != nil {
		fields["ipv6"] = six
	}
	o.at(e.Who).WithFields(fields).Info("connected")
}

func (o *events) sessionDown(e vpn.SessionDown) {
	s := e.Session
	o.at(e.Who).WithFields(logrus.Fields{
		"address": s.Address.String(), "session": s.ID, "cause": e.Cause.String(),
		"in_octets": s.InOctets, "out_octets": s.OutOctets,
	}).Info("disconnected")
}

func (o *events) connDown(e vpn.ConnDown) {
	l := o.at(e.Who).WithField("reason", e.Why.String())
	if e.Detail != "" {
		l = l.WithField("detail", bounded(e.Detail, errorLimit))
	}
	if e.Why == vpn.EndSetup && e.Told {
		l.Debug("connection closed") // it has its line
		return
	}
	switch e.Why {
	case vpn.EndSetup, vpn.EndMethod, vpn.EndKeys, vpn.EndCertificate, vpn.EndNoESP, vpn.EndNegotiation:
		l.Warn("connection closed")
	case vpn.EndCrowded:
		o.stranger(e.Who, logrus.Fields{"reason": e.Why.String()}, "connection closed")
	default:
		l.Debug("connection closed")
	}
}

// stranger warns of what somebody did who has not proved the pre-shared key.
// Of a flood only some lines are written, and how many were not.
func (o *events) stranger(w vpn.Who, fields logrus.Fields, text string) {
	missed, ok := o.calm.allow(time.Now())
	if !ok {
		return
	}
	l := o.at(w).WithFields(fields)
	if missed > 0 {
		l = l.WithField("not_logged", missed)
	}
	l.Warn(text)
}

// at is a log entry about somebody.
func (o *events) at(w vpn.Who) *logrus.Entry {
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
	return o.log.WithFields(f)
}
