package hostnet

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// guard is the chains that keep others from clients, others from each other by way of
// this host, and clients from the host. What a chain of ours accepts, the chains of
// others can still drop. What it drops is from or to clients, or was not forwarded before
// the server started.
type guard struct {
	*Policy
	table   *nftables.Table
	devices []string // clients'

	// closed says that the server has turned forwarding on. Then packets that are neither
	// from nor to the server's device pass only from and to the devices that others have
	// added since.
	closed    bool
	forwarded []string // devices that forwarded before
	others    []string // devices of others that forward, and came since

	tracked bool // rules of others ask for the connection state of what the host itself receives
}

// inboundSet is the name of the set of networks that may open connections to clients.
const inboundSet = "inbound"

// chains are the guard's, by hook: their rules in order.
func (g *guard) chains(clients, inbound *nftables.Set) []guardChain {
	list := []guardChain{
		{"prerouting", nftables.ChainHookPrerouting, beforeAll, g.sources(clients, inbound)},
		{"forward", nftables.ChainHookForward, nftables.ChainPriorityFilter, g.forward(inbound)},
	}
	if !g.tracked {
		list = append(list, untracked()...)
	}
	if !g.AllServices {
		list = append(list, guardChain{"input", nftables.ChainHookInput, nftables.ChainPriorityFilter, g.input()})
	}
	return list
}

type guardChain struct {
	name     string
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
	rules    []match
}

// beforeAll is before connection tracking, and before fragments are put together.
var beforeAll = nftables.ChainPriorityRef(-450) // NF_IP_PRI_RAW_BEFORE_DEFRAG

// sources drops packets of others that have a client's address, or one of the
// server's own inside, for a source: a firewall would take them for a client's, and
// masquerading, too. A network of a session may hold one that the host reaches
// by another device: the host's routes say which is whose.
//
// A packet from a network that may open connections has to come by the device that leads
// there.
func (g *guard) sources(clients, inbound *nftables.Set) []match {
	rules := []match{all(from("lo"), accept())}
	for _, d := range g.devices {
		rules = append(rules, all(from(d), accept()))
	}
	for _, d := range g.devices {
		rules = append(rules, all(sourceIn(clients), sourceLeadsTo(d), drop()))
	}
	rules = append(rules, all(sourceIn(clients), sourceIsLocal(), drop()))
	if inbound != nil {
		rules = append(rules, all(sourceIn(inbound), destinationIn(clients), sourceIsElsewhere(), drop()))
	}
	return rules
}

// forward lets through what clients send, what answers them, and what the policy
// says.
func (g *guard) forward(inbound *nftables.Set) []match {
	six := g.table.Family == nftables.TableFamilyIPv6
	among := accept()
	if g.Isolated {
		among = drop()
	}
	var rules []match
	for _, d := range g.devices {
		for _, other := range g.devices {
			rules = append(rules, all(from(d), to(other), among))
		}
	}
	_, everybody := g.inbound(six)
	for _, d := range g.devices {
		if everybody {
			rules = append(rules, all(to(d), accept()))
			continue
		}
		rules = append(rules, all(to(d), answers(), accept()))
		if inbound != nil {
			rules = append(rules, all(to(d), sourceIn(inbound), accept()))
		}
		rules = append(rules, all(to(d), drop()))
	}
	if !g.closed {
		return rules
	}
	for _, d := range g.devices {
		rules = append(rules, all(from(d), accept()))
	}
	for _, d := range g.forwarded {
		rules = append(rules, all(from(d), accept()))
	}
	for _, d := range g.others {
		rules = append(rules, all(from(d), accept()), all(to(d), accept()))
	}
	return append(rules, drop())
}

// input lets clients reach the host's services that the policy names.
func (g *guard) input() []match {
	family, icmp := g.table.Family, uint8(unix.IPPROTO_ICMP)
	if family == nftables.TableFamilyIPv6 {
		icmp = unix.IPPROTO_ICMPV6
	}
	reach := []match{answers(), protocol(icmp)}
	for _, a := range g.DNS {
		if a.Is6() != (family == nftables.TableFamilyIPv6) {
			continue
		}
		for _, p := range []uint8{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			reach = append(reach, all(destinationIs(family, a), Service{p, 53, 53}.match()))
		}
	}
	for _, s := range g.Services {
		reach = append(reach, s.match())
	}
	var rules []match
	for _, d := range g.devices {
		for _, r := range reach {
			rules = append(rules, all(from(d), r, accept()))
		}
		rules = append(rules, all(from(d), drop()))
	}
	return rules
}

// add adds the guard to a batch, and returns how many rules its chains have.
func (g *guard) add(c *nftables.Conn, clients *nftables.Set) (map[string]int, error) {
	networks, _ := g.inbound(g.table.Family == nftables.TableFamilyIPv6)
	inbound, err := addSet(c, g.table, inboundSet, networks)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, gc := range g.chains(clients, inbound) {
		policy := nftables.ChainPolicyAccept
		chain := c.AddChain(&nftables.Chain{
			Name: gc.name, Table: g.table, Type: nftables.ChainTypeFilter, Hooknum: gc.hook, Priority: gc.priority, Policy: &policy,
		})
		for _, r := range gc.rules {
			c.AddRule(&nftables.Rule{Table: g.table, Chain: chain, Exprs: []expr.Any(r)})
		}
		counts[gc.name] = len(gc.rules)
	}
	return counts, nil
}

// addSet adds a set of networks to a table, nil where there are none.
func addSet(c *nftables.Conn, t *nftables.Table, name string, networks []netip.Prefix) (*nftables.Set, error) {
	if len(networks) == 0 {
		return nil, nil
	}
	s := setOf(t, name)
	return s, c.AddSet(s, intervals(networks))
}
