package hostnet

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/nftables"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// What firewalls of several makes do with clients' packets, and whether the
// commands that are proposed let them pass.
func TestObstacles(t *testing.T) {
	const (
		ipt = "iptables -P FORWARD DROP; "
		ufw = ipt + `for c in ufw-before-forward ufw-user-forward ufw-reject-forward; do iptables -N $c; iptables -A FORWARD -j $c; done
			iptables -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			iptables -A ufw-before-forward -p icmp --icmp-type echo-request -j ACCEPT; `
		docker = ipt + `iptables -N DOCKER-USER; iptables -N DOCKER-FORWARD; iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -j DOCKER-FORWARD
			iptables -A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			iptables -A DOCKER-FORWARD -i docker0 -j ACCEPT; iptables -A DOCKER-USER -j RETURN; `
		inet = `nft -f - <<-N
			table inet f {
				set inside { type ifname; elements = { "lan0", "wlan0" }; }
				chain out { %OUT%; }
				chain pass {
					type filter hook forward priority 0; policy drop;
					ct state vmap { established : accept, related : accept, invalid : drop }
					iifname @inside oifname "eth9" accept
					jump out
				}
			}
			N
			`
	)
	for _, v := range []struct {
		name, rules string
		want        []string // of what is said; none: nothing drops
	}{
		{"nothing", "true", nil},
		{"policy accept", "iptables -P FORWARD ACCEPT; iptables -A FORWARD -i lan0 -j DROP", nil},
		{"policy drop", ipt, []string{"ip filter FORWARD", "iptables -I FORWARD -i adit0 -j ACCEPT"}},
		{"policy drop, but for us", ipt + "iptables -A FORWARD -i adit0 -j ACCEPT; iptables -A FORWARD -o adit0 -j ACCEPT", nil},
		{"policy drop, one way only", ipt + "iptables -A FORWARD -i adit0 -j ACCEPT", []string{"what is sent back to clients"}},
		{"by the pool's address", ipt + "iptables -A FORWARD -s 10.83.0.0/16 -j ACCEPT; iptables -A FORWARD -d 10.83.0.0/16 -m state --state ESTABLISHED -j ACCEPT", nil},
		{"by another address", ipt + "iptables -A FORWARD -s 10.84.0.0/16 -j ACCEPT", []string{"what clients send"}},
		{"rejected at the end", "iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT; iptables -A FORWARD -i lan+ -j ACCEPT; iptables -A FORWARD -j REJECT", []string{"a rule of its chain FORWARD"}},
		{"a wildcard", ipt + "iptables -A FORWARD -i adi+ -j ACCEPT; iptables -A FORWARD -o adi+ -j ACCEPT", nil},
		{"all but another device", ipt + "iptables -A FORWARD ! -i lan0 -j ACCEPT", nil},
		{"a limit in doubt", ipt + "iptables -A FORWARD -m limit --limit 5/s -j ACCEPT", []string{"may drop"}},
		{"ufw", ufw, []string{"ufw route allow in on adit0"}},
		{"ufw, allowed", ufw + "iptables -A ufw-user-forward -i adit0 -j ACCEPT", nil},
		{"docker", docker, []string{"iptables -I DOCKER-USER -i adit0 -j ACCEPT", "iptables -I DOCKER-USER -o adit0 -m conntrack"}},
		{"docker, allowed", docker + "iptables -I DOCKER-USER -i adit0 -j ACCEPT; iptables -I DOCKER-USER -o adit0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", nil},
		{"nftables", strings.Replace(inet, "%OUT%", "return", 1), []string{"inet f pass", "nft insert rule inet f pass iifname adit0 accept"}},
		{"nftables, a jump accepts", strings.Replace(inet, "%OUT%", `iifname "adit0" accept`, 1), nil},
		{"nftables, a set", strings.Replace(inet, "%OUT%", `iifname { "adit0", "x" } accept`, 1), nil},
		{"nftables, an interval", strings.Replace(inet, "%OUT%", `ip saddr { 10.0.0.0/9, 192.168.0.0/16 } accept`, 1), nil},
		{"nftables, another interval", strings.Replace(inet, "%OUT%", `ip saddr { 10.0.0.0/16, 192.168.0.0/16 } accept`, 1), []string{"inet f pass"}},
		{"nftables, a range", strings.Replace(inet, "%OUT%", `ip saddr 10.83.0.0-10.83.0.9 accept`, 1), nil},
		{"nftables, a concatenation", strings.Replace(inet, "%OUT%", `iifname . oifname { "adit0" . "eth9" } accept`, 1), nil},
		{"nftables, a map of devices", strings.Replace(inet, "%OUT%", `iifname vmap { "adit0" : accept }`, 1), nil},
		{"nftables, a goto that returns", strings.Replace(inet, "%OUT%", `goto other`, 1) + "true", nil},
		{"nftables, a port", strings.Replace(inet, "%OUT%", `tcp dport { 80, 443 } accept`, 1), nil},
		{"nftables, a mark", strings.Replace(inet, "%OUT%", `meta mark 7 accept`, 1), []string{"inet f pass"}},
		{"nftables, what is in no map", strings.Replace(inet, "%OUT%", `iifname vmap { "eth7" : drop, * : accept }`, 1), nil},
		{"nftables, what is in no map of intervals", strings.Replace(inet, "%OUT%", `ip saddr vmap { 10.9.0.0/16 : drop, 11.0.0.0/8 : drop, * : accept }`, 1), nil},
		{"nftables, what is in no map is dropped", strings.Replace(inet, "%OUT%", `iifname vmap { "eth7" : accept, * : drop }`, 1), []string{"a rule of its chain out"}},
		{"nftables, a mark of its own", strings.Replace(inet, "%OUT%", "iifname adit0 meta mark set 7\nmeta mark 7 accept", 1), nil},
		{"nftables, a mark by a map", strings.Replace(inet, "%OUT%", "meta mark set iifname map { adit0 : 7 }\nmeta mark 7 accept", 1), nil},
		{"nftables, a protocol of Ethernet", strings.Replace(inet, "%OUT%", "meta protocol { ip, ip6 } accept", 1), nil},
		{"nftables, a limit with a name", "nft 'add table inet f; add limit inet f l { rate 400/minute; }'; " + strings.Replace(inet, "%OUT%", "limit name l accept", 1), []string{"may drop"}},
		{"nftables, a counter with a name", "nft 'add table inet f; add counter inet f n'; " + strings.Replace(inet, "%OUT%", "counter name n accept", 1), nil},
		{"nftables, a quota is used up", "nft 'add table inet f; add quota inet f q { over 25 mbytes; }; add chain inet f pass { type filter hook forward priority 0; }; add rule inet f pass quota name q drop'", nil},
		{"nftables, too many", "nft 'add table inet f; add limit inet f l { rate over 400/minute; }; add chain inet f pass { type filter hook forward priority 0; }; add rule inet f pass limit name l drop'", nil},
		{"nftables, switched off", "nft 'add table inet f { flags dormant; }; add chain inet f pass { type filter hook forward priority 0; policy drop; }'", nil},
		{"nftables, what is not understood", strings.Replace(inet, "%OUT%", `iifname "adit0" ipsec in reqid 1 accept`, 1), []string{"may drop"}},
		{"a chain of IPv6", "ip6tables -P FORWARD DROP", []string{"ip6 filter FORWARD", "ip6tables -I FORWARD -i adit0 -j ACCEPT"}},
		{"nftables, IPv6 alone is dropped", strings.Replace(inet, "%OUT%", `meta nfproto ipv4 accept`, 1), []string{"inet f pass"}},
		{"two chains", ipt + strings.Replace(inet, "%OUT%", "return", 1), []string{"inet f pass", "ip filter FORWARD"}},
		{"firewalld", `nft -f - <<-N
			table inet firewalld {
				chain zones { iifname "eth9" goto public; goto public; }
				chain public { meta l4proto { icmp, ipv6-icmp } accept; }
				chain filter_FORWARD {
					type filter hook forward priority 10; policy accept;
					ct state { established, related } accept
					ct status dnat accept
					iifname "lo" accept
					jump zones
					ct state invalid drop
					reject with icmpx admin-prohibited
				}
			}
			N`, []string{"firewall-cmd --permanent --zone=trusted --add-interface=adit0"}},
	} {
		if strings.Contains(v.rules, "goto other") {
			v.rules = strings.Replace(v.rules, "chain out", `chain other { iifname "adit0" accept; }
				chain out`, 1)
		}
		t.Run(v.name, func(t *testing.T) {
			inNamespace(t, func() {
				device(t, "eth9")
				run(t, "ip addr add 192.0.2.1/24 dev eth9; ip link set eth9 up; ip route add default dev eth9")
				run(t, v.rules)
				pools := []netip.Prefix{prefix("10.83.0.0/16"), prefix("10.99.0.0/16")}
				if strings.Contains(v.name, "IPv6") {
					pools = append(pools, prefix("2001:db8:1::/48"))
				}
				list, err := Obstacles("adit0", pools)
				if err != nil {
					t.Error(err)
					return
				}
				var said strings.Builder
				for _, o := range list {
					said.WriteString(o.String() + "\n")
				}
				if (len(list) > 0) != (len(v.want) > 0) {
					t.Errorf("got %q, want %q", said.String(), v.want)
				}
				for _, want := range v.want {
					if !strings.Contains(said.String(), want) {
						t.Errorf("%q is not in %q", want, said.String())
					}
				}
				wantFixed(t, list, pools)
			})
		})
	}
}

// wantFixed runs what is proposed, as far as it is a command of iptables or nft,
// and wants nothing to drop then.
func wantFixed(t *testing.T, list []Obstacle, pools []netip.Prefix) {
	t.Helper()
	for _, o := range list {
		for _, command := range o.Fix {
			if strings.HasPrefix(command, "ufw") || strings.HasPrefix(command, "firewall-cmd") {
				return
			}
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", command, err, out)
			}
		}
	}
	if left, err := Obstacles("adit0", pools); err != nil || len(left) > 0 {
		t.Errorf("after the commands there are %v, %v", left, err)
	}
}

// A chain that cannot be read, as of a rule that is not known, hides no other.
func TestAnUnreadableChainHidesNoOther(t *testing.T) {
	inNamespace(t, func() {
		device(t, "eth9")
		run(t, `nft 'add table inet f; add chain inet f pass { type filter hook forward priority 0; policy drop; }; add rule inet f pass ct original ip saddr 10.83.0.0/16 accept'
			iptables -P FORWARD DROP`)
		list, err := Obstacles("adit0", []netip.Prefix{pool})
		if err == nil || !strings.Contains(err.Error(), "chain pass of the nftables table f") {
			t.Errorf("the error is %v", err)
		}
		var said []string
		for _, o := range list {
			said = append(said, o.String())
		}
		if text := strings.Join(said, "\n"); !strings.Contains(text, "inet f pass may drop") || !strings.Contains(text, "ip filter FORWARD drops") {
			t.Errorf("said %q", text)
		}
	})
}

// Of large sets of addresses, elements are found as of small ones.
func TestElementsOfSets(t *testing.T) {
	inNamespace(t, func() {
		run(t, `nft -f - <<-N
			table ip f {
				set one { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.3, 192.0.2.1 }; }
				set many { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 10.0.1.0-10.0.1.9, 10.0.1.10-10.0.1.20, 240.0.0.0/4 }; }
				set any { type ipv4_addr; flags interval; elements = { 0.0.0.0/0 }; }
				map rest { type ipv4_addr : verdict; elements = { 10.0.0.1 : drop, * : accept }; }
				chain pass { type filter hook forward priority 0; }
			}
			N
			`)
		rs, err := readRuleset("adit_adit0")
		if err != nil {
			t.Error(err)
			return
		}
		sets := rs.read[tableID{nftables.TableFamilyIPv4, "f"}].sets
		for name, elements := range map[string]map[string]bool{
			"one":  {"10.0.0.0": false, "10.0.0.1": true, "10.0.0.2": false, "10.0.0.3": true, "192.0.2.1": true, "255.0.0.0": false},
			"many": {"9.255.255.255": false, "10.0.0.0": true, "10.0.0.255": true, "10.0.1.0": true, "10.0.1.9": true, "10.0.1.10": true, "10.0.1.20": true, "10.0.1.21": false, "255.255.255.255": true},
			"any":  {"0.0.0.0": true, "255.255.255.255": true},
			"rest": {"10.0.0.1": true, "10.0.0.2": true},
		} {
			if err := sets[name].readElements(); err != nil {
				t.Error(err)
			}
			for a, want := range elements {
				if got := sets[name].find(netip.MustParseAddr(a).AsSlice()) != nil; got != want {
					t.Errorf("%s in %s: %v", a, name, got)
				}
			}
		}
	})
}

// Rules that cannot be read are at least seen to be there.
func TestLegacyRulesAreSeen(t *testing.T) {
	for command, want := range map[string]bool{
		"true": false, "iptables -P FORWARD DROP": false, "iptables-legacy -P FORWARD DROP": true, "ip6tables-legacy -P FORWARD DROP": true,
	} {
		inNamespace(t, func() {
			run(t, command)
			if got := HasLegacyRules(); got != want {
				t.Errorf("%s: %v, want %v", command, got, want)
			}
		})
	}
}
