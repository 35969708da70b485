package hostnet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Obstacle is a chain of the host's firewall that drops what is forwarded
// between clients and others. No rule of ours can override it: a packet passes only if
// every chain with the hook accepts it.
type Obstacle struct {
	Chain string   // as nft names it: family, table, chain
	From  bool     // it drops what clients send; else what is sent back to them
	Doubt bool     // a rule that was not understood may let it pass
	Why   string   // its policy, or a rule
	Fix   []string // commands that let clients' packets pass
}

// String says what is wrong and what to do.
func (o Obstacle) String() string {
	what := "what is sent back to clients"
	if o.From {
		what = "what clients send"
	}
	drops := "drops"
	if o.Doubt {
		drops = "may drop"
	}
	text := fmt.Sprintf("the chain %s %s %s (%s): clients connect and reach nothing behind this host; run", o.Chain, drops, what, o.Why)
	for i, c := range o.Fix {
		if i > 0 {
			text += " and"
		}
		text += " `" + c + "`"
	}
	return text
}

// Obstacles finds the chains that drop forwarded packets between a client of
// each pool and the Internet, by way of the server's device, which need not be
// there yet. An error says what it could not read, beside what it found. It reads
// nftables, which is where iptables-nft, ufw, firewalld and
// Docker have their rules too; rules of the older iptables-legacy it cannot see.
func Obstacles(device string, pools []netip.Prefix) ([]Obstacle, error) {
	rs, err := readRuleset(tableName(device))
	if err != nil || len(rs.bases) == 0 {
		return nil, err
	}
	var list []Obstacle
	for _, six := range []bool{false, true} {
		for _, p := range pools {
			if p.Addr().Is6() != six {
				continue
			}
			out, far := uplink(device, six)
			there := sample{in: device, out: out, src: p.Masked().Addr().Next().Next(), dst: far}
			back := sample{in: out, out: device, src: far, dst: there.src, reply: true}
			for _, o := range rs.obstacles(device, six, &there, &back) {
				if !slices.ContainsFunc(list, func(other Obstacle) bool { return other.Chain == o.Chain }) {
					list = append(list, o) // a chain of both families drops both for one reason
				}
			}
			break // a firewall that treats pools differently does so on purpose
		}
	}
	return list, rs.unreadable()
}

// HasLegacyRules reports whether iptables-legacy, or a program that works as it
// does, filters packets: Obstacles does not see its rules.
func HasLegacyRules() bool {
	for _, file := range []string{"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"} {
		if b, err := os.ReadFile(file); err == nil && slices.Contains(strings.Fields(string(b)), "filter") {
			return true
		}
	}
	return false
}

// obstacles are the chains of a family that drop one of two samples.
func (rs *ruleset) obstacles(device string, six bool, there, back *sample) (list []Obstacle) {
	other := nftables.TableFamilyIPv6
	if six {
		other = nftables.TableFamilyIPv4
	}
	for _, base := range rs.bases {
		if base.table.family == other {
			continue
		}
		t := rs.read[base.table]
		for _, s := range []*sample{there, back} {
			w := newWalk(s, t)
			if w.through(base) != dropped {
				continue
			}
			list = append(list, Obstacle{
				Chain: fmt.Sprintf("%s %s %s", familyName(base.table.family), base.table.name, base.name),
				From:  s == there, Doubt: w.doubt, Why: w.why, Fix: fix(device, base, t),
			})
			break // the commands are for both ways
		}
	}
	return list
}

// fix returns the commands that make a chain accept the device's packets, for the program
// that has made the chain.
func fix(device string, base *chain, t *table) []string {
	has := func(name string) bool { return t.chains[name] != nil }
	iptables, prefix := "iptables", "ufw"
	if base.table.family == nftables.TableFamilyIPv6 {
		iptables, prefix = "ip6tables", "ufw6"
	}
	add := func(chain string) []string {
		return []string{
			fmt.Sprintf("%s -I %s -i %s -j ACCEPT", iptables, chain, device),
			fmt.Sprintf("%s -I %s -o %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", iptables, chain, device),
		}
	}
	family := familyName(base.table.family)
	switch {
	case base.table.name == "firewalld":
		return []string{"firewall-cmd --permanent --zone=trusted --add-interface=" + device, "firewall-cmd --reload"}
	case base.name != "FORWARD" || family == "inet":
		return []string{
			fmt.Sprintf("nft insert rule %s %s %s iifname %s accept", family, base.table.name, base.name, device),
			fmt.Sprintf("nft insert rule %s %s %s oifname %s ct state established,related accept", family, base.table.name, base.name, device),
		}
	case has(prefix + "-user-forward"):
		return []string{"ufw route allow in on " + device}
	case has("DOCKER-USER"):
		return add("DOCKER-USER")
	default:
		return add("FORWARD")
	}
}

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	default: // no other forwards IP
		return "inet"
	}
}

// Addresses of the Internet that firewalls do not take for unassigned ones. Nothing is
// sent there.
var (
	far4 = netip.AddrFrom4([4]byte{1, 1, 1, 1})
	far6 = netip.MustParseAddr("2606:4700:4700::1111")
)

// uplink is the device that this host reaches the Internet by, and an address
// there. Without a default route it is any other device that is up.
func uplink(device string, six bool) (name string, far netip.Addr) {
	far = far4
	if six {
		far = far6
	}
	if routes, err := netlink.RouteGet(far.AsSlice()); err == nil && len(routes) > 0 {
		if l, err := netlink.LinkByIndex(routes[0].LinkIndex); err == nil && l.Attrs().Name != device && l.Attrs().Flags&net.FlagLoopback == 0 {
			return l.Attrs().Name, far
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		return "", far
	}
	for _, l := range links {
		if l.Name != device && l.Flags&net.FlagLoopback == 0 && l.Flags&net.FlagUp != 0 {
			return l.Name, far
		}
	}
	return "", far
}

// deviceName is a device's name as nftables compares it, or what names begin with that has
// an asterisk at its end.
func deviceName(name string) []byte {
	if begin, ok := strings.CutSuffix(name, "*"); ok {
		return []byte(begin)
	}
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// deviceIndex is a device's index as nftables compares it; of one that is not
// there, an index that no device has.
func deviceIndex(name string) []byte {
	index := 0
	if l, err := net.InterfaceByName(name); err == nil {
		index = l.Index
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(index))
}
