package app

import (
	"errors"
	"io"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// events turns a server's decisions into log lines, one for each that a person
// cares about, and into counters.
type events struct {
	log    *logrus.Logger
	meter  *meter
	claims claimer        // nil: nothing has to be told about networks
	links  *links.Manager // whose networks are their own; nil: there are none
	calm   calm           // of what peers cause
	debug  calm           // of what they cause at level debug, which hides nothing else
}

// Lines returns an observer that writes the log lines of a server's events, as
// JSON, at the default level: for tests of what an administrator reads.
func Lines(w io.Writer) vpn.Observer {
	return &events{log: newLogger(w, conf.Log{Level: "info", Format: "json"}), meter: newMeter()}
}

// Observe implements vpn.Observer.
func (o *events) Observe(e vpn.Event) {
	o.meter.count(e)
	o.summarize()
	if o.placed(e) {
		return
	}
	switch e := e.(type) {
	case vpn.FirstMessageRefused:
		o.firstRefused(e)
	case vpn.GroupUnknown:
		o.at(e.Who).WithFields(logrus.Fields{"group": field(e.Group)}).Warn("no [[group]] of this name has a pre-shared key; the client shows that the security layer failed or that the server does not respond")
	case vpn.AggressiveUnanswered:
		o.at(e.Who).WithFields(logrus.Fields{"reason": "no message 3 of Aggressive Mode came"}).Warn("wrong pre-shared key, if the client does not say otherwise: it had the server's proof of the key, and fell silent; the client shows that the security layer failed or that the server does not respond")
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
	case vpn.Gardened:
		o.gardened(e)
	case vpn.Guessed:
		o.at(e.Who).Warn("somebody with the key stands at a client's address, and joined its connection without knowing its sessions: their keys are refused, the client goes on")
	case vpn.Full:
		o.full(e)
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
		o.at(e.Who).WithFields(fields).Warn("IKE failed before the pre-shared key was proved: message 4 left from UDP port 500, and nothing came to UDP port 4500: let that port through, from the client to the server, in every firewall between; the client shows that the server does not respond (Windows: error 809)")
	case e.Why == ike.ReasonWrongKey:
		o.at(e.Who).WithFields(fields).Warn(wrongKey)
	default:
		o.at(e.Who).WithFields(fields).Warn("IKE failed before the pre-shared key was proved; the client shows that the server does not respond")
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
		o.at(e.Who).WithFields(fields).Warn(text)
		return
	}
	if errors.Is(e.Why, ike.ErrNoProposal) {
		o.at(e.Who).WithFields(fields).Warn("IKE refused: the client offers no suite that is accepted here; allow it AES with SHA and group 14 or better")
		return
	}
	if errors.Is(e.Why, ike.ErrAggressive) {
		o.at(e.Who).WithFields(fields).Warn("IKE refused: the client uses Aggressive Mode; remove the group name from its settings, or set ipsec.aggressive = true")
		return
	}
	o.at(e.Who).WithFields(fields).Warn("IKE refused: no first message that can be answered")
}

// refused logs a control packet that was dropped. One that tells of a wrong
// pre-shared key is worth a line by default.
func (o *events) refused(e vpn.PacketRefused) {
	fields := func() logrus.Fields {
		return logrus.Fields{"layer": e.Layer.String(), "reason": field(e.Why.Error())}
	}
	switch {
	case e.Again: // it has its line
	case errors.Is(e.Why, ike.ErrCertificate), errors.Is(e.Why, ike.ErrIdentity), errors.Is(e.Why, ike.ErrSignature):
		o.at(e.Who).WithFields(fields()).WithField("reason", errorField(e.Why)).Warn("the client's certificate is refused; the client shows that the security layer failed (Windows: error 789)")
		return
	case errors.Is(e.Why, ike.ErrUndecryptable):
		o.at(e.Who).WithFields(fields()).Warn(wrongKey)
		return
	case errors.Is(e.Why, vpn.ErrLeaving):
		o.at(e.Who).WithFields(fields()).Info("the client came back while its connection was being closed; it was told to begin again")
		return
	}
	if o.log.IsLevelEnabled(logrus.DebugLevel) { // floods end here: a line that nobody sees is not made
		o.at(e.Who).WithFields(fields()).Debug("control packet dropped")
	}
}

// networksChanged has what leads to a session lead to this server, too.
func (o *events) networksChanged(e vpn.NetworksChanged) {
	if o.claims == nil || o.links.Has(e.Device) || o.links.Has(e.Left) {
		return
	}
	for _, n := range e.Removed {
		if err := o.claims.Release(n, e.Left); err != nil {
			o.at(e.Who).WithFields(logrus.Fields{"network": n.String(), "error": err.Error()}).Warn("the host still has a route to a network of a session that is over")
		}
	}
	for _, n := range e.Added {
		if err := o.claims.Claim(n, e.Device); err != nil {
			o.at(e.Who).WithFields(logrus.Fields{"network": n.String(), "error": err.Error()}).Warn("this host has no route to a network of the session: it gets no answers")
		}
	}
}

func (o *events) sessionUp(e vpn.SessionUp) {
	fields := logrus.Fields{"address": e.Session.Address.String(), "session": e.Session.ID}
	if six := texts6(e.Session.IPv6); six != nil {
		fields["ipv6"] = six
	}
	if e.Session.Group != "" {
		fields["group"] = field(e.Session.Group)
	}
	for key, r := range map[string]limit.Rate{"upload": e.Session.Rates.In, "download": e.Session.Rates.Out} {
		if r > 0 { // as it was understood: units of others differ by factors of a thousand
			fields[key] = r.String()
		}
	}
	o.at(e.Who).WithFields(fields).Info("connected")
}

// gardened says that a quota is used up, and the session goes on.
func (o *events) gardened(e vpn.Gardened) {
	if e.In {
		o.at(e.Who).Info("the user's quota is used up: what passes now is what quota_filter allows")
		return
	}
	o.at(e.Who).Info("the user has a quota again: what passes now is what the user's own filter allows")
}

func (o *events) sessionDown(e vpn.SessionDown) {
	s, cause := e.Session, e.Cause.String()
	if e.Link == ppp.ReasonQuota { // RADIUS has no cause of its own for it
		cause = e.Link.String()
	}
	o.at(e.Who).WithFields(logrus.Fields{
		"address": s.Address.String(), "session": s.ID, "cause": cause,
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
	default: // for EndCrowded and EndFull, Full has said it
		l.Debug("connection closed")
	}
}

// full warns that there was no room for a peer, and says who filled it.
func (o *events) full(e vpn.Full) {
	fields := logrus.Fields{"users": e.Users}
	if e.From.IsValid() {
		fields["made_room"] = e.From.String()
	}
	if e.Admitted {
		o.at(e.Who).WithFields(fields).Warn("peers that have the key and no user fill the server: one made room for another (limits.half_open, limits.half_open_per_source, limits.connections)")
		return
	}
	o.at(e.Who).WithFields(fields).Warn("users have all places of limits.connections: a client was refused")
}
