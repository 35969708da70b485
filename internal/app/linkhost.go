package app

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/link"
	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/session"
)

// linkHost is this host as links change it.
type linkHost struct {
	a    *instance
	open func(name string, mtu, queues int) (netdev.Device, error)
}

func (a *instance) linkHost() links.Host {
	if a.opts.LinkHost != nil {
		return a.opts.LinkHost
	}
	open := a.opts.Device
	if open == nil {
		open = netdev.Open
	}
	return &linkHost{a, open}
}

// Open implements links.Host.
func (h *linkHost) Open(l *links.Link) (netdev.Device, error) {
	if h.a.host != nil {
		h.a.host.Ours(l.Device)
	}
	device, err := h.open(l.Device, h.a.config.Load().Network.MTU, runtime.GOMAXPROCS(0))
	if err == nil && l.Bare != nil { // its addresses are known: nothing goes to the other end's in the clear
		err = hostnet.SetWire(l.Device, tunnelWire(l.Bare))
	}
	return device, err
}

// Prepare implements links.Host.
func (h *linkHost) Prepare(l *links.Link) error {
	if l.WhenDown == links.Withdraw {
		return nil
	}
	return h.a.host.Blackhole(l.Routes)
}

// Forget implements links.Host.
func (h *linkHost) Forget(l *links.Link) error {
	if l.WhenDown == links.Withdraw {
		return nil
	}
	return h.a.host.Unblackhole(l.Routes)
}

// Wire implements links.Host. Where the other end has no address, ours has none of a peer.
func (h *linkHost) Wire(l *links.Link, to session.Route) error {
	w := hostnet.Wire{Local: to.Wire.Local, Peer: to.Wire.Peer, Local6: to.Wire.Local6, Peer6: to.Wire.Peer6, MTU: to.MTU}
	for whose, a := range map[string]netip.Addr{"has": w.Peer, "gives us": w.Local} {
		if !a.IsValid() {
			continue
		}
		if err := hostnet.Diverts(l.Device, netip.PrefixFrom(a, a.BitLen())); err != nil {
			return fmt.Errorf("the other end of the link %s an address inside that cannot be: %w; set address and peer_address at both ends", whose, err)
		}
	}
	if !w.Peer.IsValid() {
		w.Peer = w.Local
	}
	return hostnet.SetWire(l.Device, w)
}

// Lead implements links.Host.
func (h *linkHost) Lead(l *links.Link, up bool) error {
	if up || l.WhenDown == links.Hold {
		return h.a.host.LeadLink(l.Device, l.Routes, l.Metric)
	}
	return h.a.host.UnleadLink(l.Device, l.Routes, l.Metric)
}

// Owns implements links.Host.
func (h *linkHost) Owns(a netip.Addr, device string) bool {
	all, _ := hostAddresses(device)
	return slices.ContainsFunc(all, func(own hostAddress) bool { return own.Addr() == a })
}

// linkLog writes what becomes of links. What repeats is written once.
type linkLog struct{ log *logrus.Logger }

func (o *linkLog) report(e links.Event) {
	fields := logrus.Fields{"link": e.Link}
	if e.Err != nil {
		o.log.WithFields(fields).WithField("error", errorField(e.Err)).Error("the host could not be changed for a link")
		return
	}
	if e.Looped.IsValid() {
		o.log.WithFields(fields).WithField("remote", e.Looped.String()).Warn("a route leads the link's own packets into the link, which drops them: " +
			"have the other end not announce the network that its address outside is in, or add a route to that address")
		return
	}
	if e.Why != "" {
		fields["reason"] = bounded(e.Why, errorLimit)
	}
	switch {
	case e.State == link.Up:
		fields["dialled"] = map[bool]string{true: "by us", false: "by the other end"}[e.Info.Dialled]
		if e.Peer.IsValid() {
			fields["peer"] = e.Peer.String()
		}
		o.log.WithFields(fields).Info("link up")
	case e.Fell, e.Taken:
		o.log.WithFields(fields).Info("link down")
	case e.Why != "":
		o.log.WithFields(fields).Warn("link could not be dialled")
	default:
		o.log.WithFields(fields).WithField("state", e.State.String()).Debug("link changed")
	}
}

// Links implements admin.Controlled.
func (a *instance) Links() []admin.Link {
	list := []admin.Link{}
	for _, s := range a.links.List() {
		l := admin.Link{
			Name: s.Name, Device: s.Device, State: s.State.String(), Since: s.Since, Dial: dialWord(s.Rules.Dial), Remotes: s.Remotes,
			Local: textOrNone(s.Local), Peer: textOrNone(s.Peer), Local6: textOrNone(s.Local6), Peer6: textOrNone(s.Peer6), MTU: s.MTU,
			Routes: conf.Texts(s.Routes), Metric: s.Metric, WhenDown: downWord(s.WhenDown), Admits: s.Admits, Tries: s.Tries, Error: bounded(s.Failed, errorLimit),
			InOctets: s.Carried.InOctets, OutOctets: s.Carried.OutOctets, InPackets: s.Carried.InPackets, OutPackets: s.Carried.OutPackets,
		}
		if !s.Next.IsZero() {
			l.Next = &s.Next
		}
		if s.Failed != "" {
			l.ErrorAt = &s.Fell
		}
		if s.State == link.Up {
			l.DialledBy, l.PeerAuth = map[bool]string{true: "us", false: "peer"}[s.Dialled], peerProof(s)
		}
		list = append(list, l)
	}
	return list
}

// peerProof is by what the other end of a link that is up has authenticated itself; "" for a
// tunnel, which has no user.
func peerProof(s links.Status) string {
	switch {
	case s.Bare != nil:
		return ""
	case s.Proved == 0:
		return "none"
	}
	return s.Proved.String()
}

// OrderLink implements admin.Controlled.
func (a *instance) OrderLink(o admin.LinkOrder) error {
	order := a.links.Lower
	if o.Up {
		order = a.links.Raise
	}
	err := order(o.Name)
	if err == nil {
		a.log.WithFields(logrus.Fields{"link": o.Name, "up": o.Up}).Info("link ordered by the administrator")
	}
	return err
}

func dialWord(d link.Dial) string {
	return string(map[link.Dial]conf.LinkDial{link.Always: conf.DialAlways, link.Demand: conf.DialDemand, link.Never: conf.DialNever}[d])
}

func downWord(w links.WhenDown) string {
	return string(map[links.WhenDown]conf.WhenDown{links.Hold: conf.DownHold, links.Blackhole: conf.DownBlackhole, links.Withdraw: conf.DownWithdraw}[w])
}

// textOrNone is an address, "" if there is none.
func textOrNone(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
