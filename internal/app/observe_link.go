package app

import (
	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/internal/vpn"
)

// placed logs what is special about connections that we place for links, and reports
// whether that is all. What the lines of clients' connections say of clients is not so of
// the other end of a link, and links have lines of their own.
func (o *events) placed(e vpn.Event) bool {
	switch e := e.(type) {
	case vpn.PhaseOneUp:
		if e.Device == "" && !e.Adopted {
			o.links.Seen(e.Remote.Addr())
		}
		return false
	case vpn.PhaseOneDown:
		return o.ofLink(e.Who, "IKE down", logrus.Fields{"reason": e.Why.String()})
	case vpn.PacketRefused:
		if e.Device == "" { // floods of strangers come here
			return false
		}
		return o.ofLink(e.Who, "control packet dropped", logrus.Fields{"layer": e.Layer.String(), "reason": field(e.Why.Error())})
	case vpn.TunnelDown:
		return o.ofLink(e.Who, "L2TP down", logrus.Fields{"result": e.Result.Code.StopText(), "message": field(e.Result.Message), "by_peer": e.ByPeer})
	case vpn.ChildFailed:
		return o.ofLink(e.Who, "ESP refused", childFields(e.Why))
	case vpn.SessionDown:
		return o.ofLink(e.Who, "disconnected", logrus.Fields{"cause": e.Cause.String()})
	case vpn.ConnDown:
		return o.ofLink(e.Who, "connection closed", logrus.Fields{"reason": e.Why.String()})
	}
	return false
}

// ofLink writes a debug line about a link's connection; of others it writes none, and
// reports false.
func (o *events) ofLink(w vpn.Who, text string, fields logrus.Fields) bool {
	if w.Device == "" {
		return false
	}
	fields["device"] = w.Device
	o.at(w).WithFields(fields).write(logrus.DebugLevel, text)
	return true
}
