package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/hostnet"
)

// access is the policy of what passes besides what clients ask for.
func access(c *conf.Config) hostnet.Policy {
	p := hostnet.Policy{
		AllServices: c.Network.ReachesAll(), DNS: ownNameServers(c), Isolated: !c.Network.ClientToClient,
		Inbound: c.Network.Inbound, OwnDevices: c.OwnDevices(),
	}
	for _, s := range c.Network.HostAccess {
		if !s.All {
			p.Services = append(p.Services, hostnet.Service{Protocol: uint8(s.Protocol), First: s.First, Last: s.Last})
		}
	}
	return p
}

// ownNameServers are those of the clients' name servers that are addresses of this host.
func ownNameServers(c *conf.Config) (list []netip.Addr) {
	own := ownAddresses()
	for _, n := range c.Plan().Networks {
		own = append(own, n.Server)
	}
	told := slices.Clone(c.Network.DNS)
	for i := range c.Groups {
		told = append(told, c.Groups[i].DNS...)
	}
	for i := range c.Users {
		told = append(told, c.Users[i].DNS...)
	}
	for _, a := range told {
		if slices.Contains(own, a) && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// guardInterval is how often the guard is looked after when nothing is heard;
// guardPause is how long the server waits for more changes that belong together.
const (
	guardInterval = 30 * time.Second
	guardPause    = 100 * time.Millisecond
)

// keepGuard restores the guard when another program has removed it, and lets packets pass
// that other programs have begun to forward.
func (a *instance) keepGuard(ctx context.Context) (stop func()) {
	if a.host == nil {
		return func() {}
	}
	return a.background(ctx, func(ctx context.Context) {
		told := ""
		for {
			select {
			case <-ctx.Done():
				return
			case <-a.host.Changed():
			case <-time.After(guardInterval):
			}
			did, err := a.host.Mend()
			for _, text := range did {
				a.log.WithField("reason", text).Warn("the rules that guard clients were written again")
			}
			if err == nil {
				err = a.host.Unguarded()
			}
			if err == nil {
				told = ""
			} else if told != err.Error() {
				told = err.Error()
				a.log.WithField("error", told).Error("nothing guards clients from the networks of this host")
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(guardPause):
			}
		}
	})
}

// changeGuard applies a new configuration to the guard.
func (a *instance) changeGuard(c *conf.Config) {
	if a.host == nil {
		return
	}
	if err := a.host.SetPolicy(access(c)); err != nil {
		a.log.WithField("error", err.Error()).Error("network.inbound and network.host_access stay as they were")
	}
}

// unguarded returns a warning if there is no guard.
func (a *instance) unguarded() []string {
	if a.host == nil {
		return nil
	}
	if err := a.host.Unguarded(); err != nil {
		return []string{unguardedText(err)}
	}
	return nil
}

func unguardedText(err error) string {
	return "nothing guards clients, and the networks behind this host, from its neighbours: " + err.Error() + "; let a firewall drop what is forwarded and not of clients, and what they send to this host"
}

// reach names what clients reach of this host's own services.
func reach(c *conf.Config) []string {
	if c.Network.ReachesAll() {
		return []string{conf.AllServices}
	}
	services := []string{"ping"}
	if len(ownNameServers(c)) > 0 {
		services = append(services, "DNS")
	}
	return append(services, conf.Texts(c.Network.HostAccess)...)
}

// checkGuard says what the guard lets pass.
func checkGuard(c *conf.Config) []Finding {
	var findings []Finding
	if err := hostnet.MayGuard(); err != nil {
		findings = append(findings, Finding{What: unguardedText(err), Warning: true})
	}
	return append(findings, checkInbound(c), checkHostAccess(c))
}

// checkInbound warns where hosts behind this one can address clients, and used to
// reach them before there was a guard.
func checkInbound(c *conf.Config) Finding {
	switch {
	case len(c.Network.Inbound) > 0:
		return Finding{What: "hosts of " + strings.Join(conf.Texts(c.Network.Inbound), ", ") + " may open connections to clients (network.inbound)"}
	case !c.Network.Masquerade:
		return Finding{Warning: true, What: "nobody opens connections to clients, nor to networks behind them, though clients keep their addresses (network.masquerade = false): only answers pass; if hosts behind this one have to reach clients, write their networks below [network], such as inbound = [\"192.168.1.0/24\"]"}
	}
	return Finding{What: "nobody opens connections to clients, they have answers alone (network.inbound)"}
}

// checkHostAccess names the services that listen here and are closed to clients.
func checkHostAccess(c *conf.Config) Finding {
	if c.Network.ReachesAll() {
		return Finding{What: "clients reach all services of this host (network.host_access)"}
	}
	text := "of this host's own services clients reach " + strings.Join(reach(c), ", ") + " alone (network.host_access)"
	ports, err := listening()
	if err != nil {
		text += "; what listens here is not known for all: " + err.Error()
	}
	if list := closed(c, ports); len(list) > 0 {
		text += "; closed to them, and listening here: " + strings.Join(list[:min(8, len(list))], ", ")
		if more := len(list) - 8; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		text += fmt.Sprintf("; what they need write below [network], such as host_access = [%q]", list[0])
	}
	return Finding{What: text}
}
