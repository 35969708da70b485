package hostnet

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
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
