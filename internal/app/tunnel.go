package app

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/l2tp"
)

// tunnel is the configuration of L2TP tunnels with clients that share a secret.
func tunnel(c *conf.Config, key secret.Bytes, required bool) *l2tp.Config {
	return &l2tp.Config{
		HostName: "adit", Window: 16, Sessions: 1, Secret: key, Challenge: required,
		Hello: helloAfter(c.Server.DeadPeer), SetupTimeout: 30 * time.Second, CallTimeout: 30 * time.Second,
	}
}

// groupTunnels are those of the groups that configure a secret.
func groupTunnels(c *conf.Config) map[string]*l2tp.Config {
	all := map[string]*l2tp.Config{}
	for i := range c.Groups {
		if g := &c.Groups[i]; g.L2TPSecret.Len() > 0 || g.RequireL2TPSecret {
			all[g.Name] = tunnel(c, c.TunnelSecret(g), g.RequireL2TPSecret || c.L2TP.RequireSecret)
		}
	}
	return all
}

// tunnelDown logs a tunnel's end. If tunnel secrets are the reason, a warning says so.
func (o *events) tunnelDown(e vpn.TunnelDown) {
	l := o.at(e.Who).WithFields(logrus.Fields{
		"result": e.Result.Code.StopText(), "error": e.Result.Error.String(), "message": field(e.Result.Message), "by_peer": e.ByPeer, "replaced": e.Replaced,
	})
	switch refused := e.Result.Code == l2tp.StopNotAuthorized; {
	case e.Secret || refused && e.ByPeer: // xl2tpd says "general error", and why in words of its own
		l.Warn("the client refused the tunnel: its tunnel secret may be another than l2tp.secret, or its group's l2tp_secret")
	case refused:
		l.Warn("tunnel refused: it needs the same secret here (l2tp.secret, or the group's l2tp_secret) and in the client, or none in both; the message says what is wrong")
	case e.Result.Error == l2tp.ErrorUnknownAVP && !e.ByPeer:
		l.Warn("tunnel refused: the client insists on something that is not known here, or hidden by another secret than l2tp.secret; the message names it")
	default:
		l.Info("L2TP down")
	}
}
