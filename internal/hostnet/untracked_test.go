package hostnet

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What the server receives and sends itself is in no table of connections, unless
// another program's rules ask for its state: then they get it, also when they come
// later, until they are gone.
func TestTheServersDatagramsAreNotTracked(t *testing.T) {
	const table, chain = "nft add table inet other; ", "nft 'add chain inet other c { type %s hook %s priority 0; }'; "
	hooked := func(kind, hook, rule string) string {
		return table + strings.Replace(strings.Replace(chain, "%s", kind, 1), "%s", hook, 1) + "nft add rule inet other c " + rule
	}
	for name, v := range map[string]struct {
		rules   string
		tracked bool
	}{
		"nobody":                         {"true", false},
		"an input chain of ports":        {hooked("filter", "input", "udp dport 500 accept"), false},
		"masquerading":                   {hooked("nat", "postrouting", "oifname office masquerade"), false},
		"the state of what is forwarded": {hooked("filter", "forward", "ct state established accept"), false},
		"a container's name server":      {hooked("nat", "output", "ip daddr 127.0.0.11 udp dport 53 dnat ip to 127.0.0.11:5353"), false},
		"states, input":                  {hooked("filter", "input", "ct state invalid drop"), true},
		"states, output":                 {hooked("filter", "output", "ct state established,related accept"), true},
		"states, behind a jump":          {hooked("filter", "input", "accept") + "; nft 'add chain inet other d; insert rule inet other c jump d; add rule inet other d ct state new accept'", true},
		"states, by iptables":            {"iptables-nft -A INPUT -m state --state NEW -p udp --dport 500 -j ACCEPT", true},
		"states, by ip6tables":           {"ip6tables-nft -A INPUT -m conntrack --ctstate NEW -j ACCEPT", true},
		"another port":                   {hooked("nat", "prerouting", "udp dport 443 redirect to :4500"), true},
		"another port, by iptables":      {"iptables-nft -t nat -A PREROUTING -p udp --dport 443 -j REDIRECT --to-ports 4500", true},
	} {
		for _, later := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", later"}[later], func(t *testing.T) {
				before := v.rules
				if later {
					before = "true"
				}
				inTownAsItIs(t, townPlan(), before, func(w *town) {
					w.wantTracked(before != "true" && v.tracked)
					if later {
						run(t, v.rules)
						w.mend()
						w.wantTracked(v.tracked)
					}
					run(t, "nft delete table inet other 2>/dev/null; iptables-nft -F INPUT; ip6tables-nft -F INPUT; iptables-nft -t nat -F PREROUTING; true")
					w.mend()
					w.wantTracked(false)
				})
			})
		}
	}
}

func (w *town) mend() {
	w.t.Helper()
	if _, err := w.host.Mend(); err != nil {
		w.t.Error(err)
	}
}

// wantTracked exchanges datagrams with a neighbour, large ones, too, and looks whether
// the kernel knows their connections.
func (w *town) wantTracked(want bool) {
	w.t.Helper()
	for family := range 2 {
		for _, port := range serverPorts {
			server := w.socket(serverAt[family], int(port))
			from := w.socketAt("segment", neighbourAt[family], townPort)
			question := append(bytes.Repeat([]byte("long "), 1000), w.text("question")...)
			answer := append(bytes.Repeat([]byte("long "), 1000), w.text("answer")...)
			if err := unix.Sendto(from, question, 0, sockaddr(serverAt[family], int(port))); err != nil {
				w.t.Error(err)
			}
			w.receive(server, question)
			if err := unix.Sendto(server, answer, 0, sockaddr(neighbourAt[family], townPort)); err != nil {
				w.t.Error(err)
			}
			w.receive(from, answer)
			got := tracked(w.t, []netlink.InetFamily{unix.AF_INET, unix.AF_INET6}[family], port)
			if got != want {
				w.t.Errorf("port %d of %s: tracked %v, want %v", port, serverAt[family], got, want)
			}
			_, _ = unix.Close(server), unix.Close(from)
		}
		if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
			w.t.Error(err)
		}
	}
}

// receive waits for a datagram.
func (w *town) receive(fd int, want []byte) {
	w.t.Helper()
	buf := make([]byte, 1<<14)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			w.t.Errorf("%q does not arrive: %v", want[max(0, len(want)-20):], err)
			return
		case bytes.Equal(buf[:n], want):
			return
		}
	}
}

// tracked reports whether the kernel knows a connection to a port.
func tracked(t *testing.T, family netlink.InetFamily, port uint16) bool {
	t.Helper()
	list, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
	if err != nil {
		t.Errorf("listing connections: %v", err)
	}
	return slices.ContainsFunc(list, func(f *netlink.ConntrackFlow) bool {
		return f.Forward.DstPort == port || f.Forward.SrcPort == port
	})
}
