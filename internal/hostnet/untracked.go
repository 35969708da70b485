package hostnet

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The guard asks which packets are answers, and so has the kernel track connections. A
// flood of the server's own ports from forged addresses would fill the kernel's table,
// and push out the connections of clients. So the guard exempts the server's own
// datagrams from tracking, as long as no rule of another program asks for their state.

// serverPorts are those of IKE and of NAT traversal (RFC 3947, section 4).
var serverPorts = []uint16{500, 4500}

// untracked are the chains that leave the server's own datagrams out of connection
// tracking, behind where fragments are put together.
func untracked() []guardChain {
	var in, out []match
	for _, p := range serverPorts {
		in = append(in, all(datagrams(2, p), destinationIsLocal(), notrack()))
		out = append(out, all(datagrams(0, p), notrack()))
	}
	in = append(in, all(protocol(unix.IPPROTO_ESP), destinationIsLocal(), notrack()))
	out = append(out, all(protocol(unix.IPPROTO_ESP), notrack()))
	return []guardChain{
		{"untracked_in", nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, in},
		{"untracked_out", nftables.ChainHookOutput, nftables.ChainPriorityRaw, out},
	}
}

func notrack() match { return match{&expr.Notrack{}} }

// datagrams is: udp sport|dport <port>, by the offset of the field.
func datagrams(offset uint32, port uint16) match {
	return all(protocol(unix.IPPROTO_UDP), match{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		equal(binary.BigEndian.AppendUint16(nil, port)),
	})
}

// destinationIsLocal is: fib daddr type local.
func destinationIsLocal() match {
	return match{&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}, equal(binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL))}
}

// othersTrack reports whether rules of others ask for the connections of packets that
// this host receives or sends itself, or may give them another destination. A rule that
// cannot be read counts as one that may.
func othersTrack(own string) bool {
	for _, file := range []string{"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"} {
		if names, err := os.ReadFile(file); err == nil && len(bytes.TrimSpace(names)) > 0 {
			return true // iptables-legacy
		}
	}
	c, err := nftables.New()
	if err != nil {
		return true
	}
	list, err := c.ListChains()
	if err != nil {
		return true
	}
	asleep, err := dormant(c)
	if err != nil {
		return true
	}
	read := map[tableID]*table{}
	for _, f := range list {
		id := tableID{f.Table.Family, f.Table.Name}
		if !concernsHost(f) || f.Table.Name == own || asleep[id] {
			continue
		}
		if read[id] == nil {
			read[id] = readTable(c, id, list)
		}
		if t := read[id]; t.tracks(t.chains[f.Name], map[string]bool{}) {
			return true
		}
	}
	return false
}

// concernsHost reports whether what the host receives or sends itself goes through a
// chain and can become something else there: a new source is nothing for an answer.
func concernsHost(c *nftables.Chain) bool {
	if c.Hooknum == nil || !slices.Contains([]nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet}, c.Table.Family) {
		return false
	}
	switch *c.Hooknum {
	case *nftables.ChainHookPrerouting, *nftables.ChainHookInput:
		return true
	case *nftables.ChainHookOutput:
		return c.Type != nftables.ChainTypeNAT
	default:
		return false
	}
}

// tracks reports whether a rule of a chain, or of one that it leads to, asks for
// connections.
func (t *table) tracks(c *chain, seen map[string]bool) bool {
	if c == nil || seen[c.name] {
		return false
	}
	seen[c.name] = true
	if c.unread {
		return true
	}
	for _, rule := range c.rules {
		for _, e := range rule {
			if v, ok := e.(*expr.Verdict); ok && t.tracks(t.chains[v.Chain], seen) || asksForConnection(e) {
				return true
			}
		}
	}
	return false
}

// asksForConnection reports whether an expression needs connection tracking. Of those
// of iptables, what is in doubt does.
func asksForConnection(e expr.Any) bool {
	switch e := e.(type) {
	case *expr.Ct, *expr.NAT, *expr.Redir, *expr.Masq, *expr.Connlimit, *expr.FlowOffload:
		return true
	case *expr.Match:
		return slices.Contains([]string{"state", "conntrack", "connmark", "connbytes", "connlimit", "connlabel", "helper", "cluster"}, e.Name)
	case *expr.Target:
		return slices.Contains([]string{"DNAT", "REDIRECT", "NETMAP", "CONNMARK", "CONNSECMARK", "TPROXY"}, e.Name)
	default:
		return false
	}
}
