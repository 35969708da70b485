//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// Tunnels of the Linux kernel, GRE, IP in IP and IPv6 in IP, under ESP in transport mode
// that strongSwan or libreswan has negotiated: as their initiator and as their responder.

// kernelTunnel is a tunnel as both ends say it.
type kernelTunnel struct {
	name      string
	adit      string // further lines of [[tunnel]]
	link      string // type and options of ip link add
	conn      string // of ipsec.conf
	four, six bool
}

const (
	guestIP = "10.99.0.101"
	inside  = `address = "172.16.0.1"
peer_address = "172.16.0.2"
`
	inside6 = `address6 = "fd00:16::1"
peer_address6 = "fd00:16::2"
`
)

var kernelTunnels = []kernelTunnel{
	{"GRE", "mode = \"gre\"\n" + inside + inside6, "gre", "vpn", true, true},
	{"GRE with key, checksum and numbers", "mode = \"gre\"\nkey = 42\nchecksum = true\nsequence = true\n" + inside + inside6, "gre key 42 csum seq", "vpn", true, true},
	{"IP in IP", "mode = \"ipip\"\n" + inside, "ipip", "ipip", true, false},
	{"IPv6 in IP", "mode = \"sit\"\n" + inside6, "sit", "sit", false, true},
}

// peerConf is ipsec.conf of the guest: a connection a protocol.
func peerConf(kind, lifetime string) string {
	text := "config setup\n\tuniqueids=no\n"
	common := fmt.Sprintf("\tkeyexchange=ikev1\n\tike=aes256-sha256-modp2048!\n\tesp=aes256-sha1!\n\tlifetime=%ss\n\tmargintime=10s\n\tauto=add\n", lifetime)
	if kind == "libreswan" {
		text += "\tikev1-policy=accept\n"
		common = fmt.Sprintf("\tikev2=never\n\tpfs=no\n\tike=aes256-sha1;modp2048\n\tesp=aes256-sha1\n\tencapsulation=auto\n\tsalifetime=%ss\n\trekeymargin=10s\n\tauto=ignore\n", lifetime)
	}
	// strongSwan names what it has loaded by the first of those with the same ends: start_ike
	// waits for vpn.
	// A port of 0 is none to IKE and to libreswan, which wants one said, and a port to
	// strongSwan's policies in the kernel, to which the key of GRE is the ports.
	for _, c := range [][2]string{{"vpn", "47"}, {"ipip", "4"}, {"sit", "41"}} {
		name, protocol := c[0], c[1]
		if kind == "libreswan" {
			protocol += "/0"
		}
		text += fmt.Sprintf("\nconn %s\n\tauthby=secret\n\ttype=transport\n\tleft=%s\n\tright=%s\n\tleftprotoport=%s\n\trightprotoport=%s\n\trekeyfuzz=0%%\n\tkeyingtries=1\n%s",
			name, guestIP, lab.ServerIP, protocol, protocol, common)
	}
	return text
}

// bootPeer boots a guest with one of the two, which knows the connections.
func bootPeer(t *testing.T, kind, lifetime string) *lab.Guest {
	t.Helper()
	dir := t.TempDir()
	share := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	secrets := fmt.Sprintf("%%any %%any : PSK %q\n", lab.PSK)
	if kind == "strongswan" {
		secrets = fmt.Sprintf(": PSK %q\n", lab.PSK)
	}
	g := here.Connect(t, lab.Client{Kind: "none", Args: []string{
		"--root", kind, "--share", share("ipsec.conf", peerConf(kind, lifetime)), "--share", share("ipsec.secrets", secrets),
		"--share", filepath.Join(here.Root(), "test", "guest", "templates", "strongswan.strongswan.conf"),
	}})
	g.Exec(t, "cd /mnt; mkdir -p conf; cp ipsec.conf ipsec.secrets conf; cp strongswan.strongswan.conf conf/strongswan.conf")
	g.Exec(t, "modprobe -a xfrm_user esp4 authenc cbc hmac af_key sha512_generic ip_gre ipip sit")
	g.Exec(t, peerSteps(kind)+"start_ike")
	return g
}

func peerSteps(kind string) string {
	return ". /mnt/guest.env; CLIENT=" + kind + "; . /mnt/steps; "
}

// begin has the guest begin a connection.
func begin(t *testing.T, g *lab.Guest, kind, conn string) {
	t.Helper()
	if out, err := g.Run(peerSteps(kind) + "ike_up " + conn + " || { cat /mnt/ike.log; tail -n 20 /mnt/pluto.log; tail -n 20 /mnt/charon.log; false; }"); err != nil {
		t.Fatalf("the guest does not begin: %v\n%s", err, out)
	}
}

// load has libreswan know one connection alone: it would answer by another one of the same
// ends, and keep what a server that has stopped has left.
func load(t *testing.T, g *lab.Guest, kind, conn string) {
	t.Helper()
	if kind == "libreswan" {
		g.Exec(t, "for c in vpn ipip sit; do ipsec auto --delete $c; done >/dev/null 2>&1; ipsec auto --add "+conn)
	}
}

// tunnelConfig is a server with one tunnel to the guest.
func tunnelConfig(x kernelTunnel, more string) lab.Config {
	return lab.Config{
		"ipsec": "nat_traversal = \"auto\"\n",
		"user":  fmt.Sprintf("[[tunnel]]\nname = \"t0\"\nremote = %q\n%s%s", guestIP, x.adit, more),
	}
}

// raise makes the kernel's end of a tunnel in the guest.
func (x kernelTunnel) raise(t *testing.T, g *lab.Guest) {
	t.Helper()
	g.Exec(t, fmt.Sprintf("ip link del t0 2>/dev/null; ip link add t0 type %s local %s remote %s ttl 64; ip link set t0 mtu 1400 up", x.link, guestIP, lab.ServerIP))
	if x.four {
		g.Exec(t, "ip addr add 172.16.0.2 peer 172.16.0.1 dev t0")
	}
	if x.six {
		g.Exec(t, "ip -6 addr add fd00:16::2 peer fd00:16::1 dev t0 nodad")
	}
}

// works fails the test unless both versions of IP pass both ways, large packets, too, and
// multicast with a TTL of 1; and nothing of it is on the wire but ESP.
func (x kernelTunnel) works(t *testing.T, g *lab.Guest) {
	t.Helper()
	lab.Run(t, here.Server, "nft", "add table ip watch; flush table ip watch; add chain ip watch in { type filter hook prerouting priority -400; }; "+
		"add rule ip watch in iifname eth0 meta l4proto { 4, 41, 47 } counter; add chain ip watch group { type filter hook prerouting priority -400; }; "+
		"add rule ip watch group iifname t0 ip daddr 224.0.0.5 ip ttl 1 counter")
	t.Cleanup(func() { _, _ = lab.Command(here.Server, "nft", "delete table ip watch").CombinedOutput() })
	shell := func(command string) (string, error) {
		out, err := lab.Command(here.Server, "sh", "-c", command).CombinedOutput()
		return string(out), err
	}
	for _, v := range []struct {
		on          bool
		here, there string
	}{{x.four, "172.16.0.1", "172.16.0.2"}, {x.six, "fd00:16::1", "fd00:16::2"}} {
		if !v.on {
			continue
		}
		for _, size := range []string{"56", "1300"} {
			if out, err := g.Run("ping -n -c 3 -i 0.1 -W 3 -s " + size + " " + v.here); err != nil || !strings.Contains(out, " 0% packet loss") {
				t.Errorf("from the guest: %v\n%s", err, out)
			}
			if out, err := shell("ping -n -c 3 -i 0.1 -W 3 -s " + size + " " + v.there); err != nil || !strings.Contains(out, " 0% packet loss") {
				t.Errorf("from the server: %v\n%s", err, out)
			}
		}
	}
	if x.four {
		_, _ = g.Run("ping -n -c 3 -i 0.1 -W 1 -t 1 -I t0 224.0.0.5") // nobody answers
		if out, _ := shell("nft list chain ip watch group"); !strings.Contains(out, "packets 3 ") {
			t.Errorf("multicast to the server: %s", out)
		}
		heard := make(chan string, 1)
		go func() {
			out, _ := g.Run("timeout 10 tcpdump -ni t0 -c 3 dst host 224.0.0.5 2>&1")
			heard <- out
		}()
		for done := false; !done; {
			_, _ = shell("ping -n -c 1 -W 1 -t 1 -I t0 224.0.0.5")
			select {
			case out := <-heard:
				if done = true; !strings.Contains(out, "3 packets captured") {
					t.Errorf("multicast to the guest: %s", out)
				}
			default:
			}
		}
	}
	if out, _ := shell("nft list chain ip watch in"); !strings.Contains(out, "packets 0 ") {
		t.Errorf("there was something in the clear: %s", out)
	}
}

func TestTunnelsOfTheKernelsUnderTransportMode(t *testing.T) {
	for _, kind := range []string{"strongswan", "libreswan"} {
		t.Run(kind, func(t *testing.T) {
			g := bootPeer(t, kind, "3600")
			for _, x := range kernelTunnels {
				t.Run(x.name, func(t *testing.T) {
					x.raise(t, g)
					t.Run("begun by the guest", func(t *testing.T) {
						s := here.Serve(t, tunnelConfig(x, "dial = \"never\"\n"))
						load(t, g, kind, x.conn)
						begin(t, g, kind, x.conn)
						s.Await(t, 1, "link up")
						x.works(t, g)
						if n := len(s.Status(t).Sessions); n != 1 {
							t.Errorf("adit status shows %d sessions", n)
						}
						s.Stop(t)
					})
					t.Run("begun by adit", func(t *testing.T) {
						load(t, g, kind, x.conn)
						s := here.Serve(t, tunnelConfig(x, ""))
						s.Await(t, 1, "link up")
						x.works(t, g)
						s.Stop(t)
					})
				})
			}
		})
	}
}

// Renewals of keys lose nothing, whoever makes them, in UDP, too.
func TestTunnelsLoseNothingWhileThePeerRenewsKeys(t *testing.T) {
	for _, kind := range []string{"strongswan", "libreswan"} {
		t.Run(kind, func(t *testing.T) {
			g := bootPeer(t, kind, "25")
			x := kernelTunnels[1]
			x.raise(t, g)
			c := tunnelConfig(x, "dial = \"never\"\n")
			delete(c, "ipsec") // in UDP
			s := here.Serve(t, c)
			begin(t, g, kind, x.conn)
			s.Await(t, 1, "link up")
			out, err := g.Run("ping -n -q -c 3000 -i 0.02 -W 5 172.16.0.1")
			if err != nil || !strings.Contains(out, " 0% packet loss") {
				t.Errorf("%v\n%s", err, out)
			}
			if n := len(s.Lines("ESP up")); n < 4 {
				t.Errorf("there were %d pairs of ESP SAs: the peer did not renew them", n)
			} else {
				t.Logf("%d pairs of ESP SAs; %s", n, out)
			}
			s.Stop(t)
		})
	}
}

// What comes from the peer without ESP reaches nothing of the host's, whether the tunnel is
// up or not; where that is allowed it does.
func TestWhatShouldBeInESPIsDroppedInTheClear(t *testing.T) {
	g := here.Connect(t, lab.Client{Kind: "none"})
	g.Exec(t, "modprobe -a ip_gre ipip")
	x := kernelTunnels[1]
	x.raise(t, g)
	reached := func(clear string) int {
		s := here.Serve(t, tunnelConfig(x, "dial = \"never\"\n"+clear))
		lab.Run(t, here.Server, "nft", "add table ip watch; add chain ip watch in { type filter hook input priority 0; }; "+
			"add rule ip watch in meta l4proto 47 counter; add chain ip watch out { type filter hook postrouting priority 0; }; add rule ip watch out meta l4proto 47 counter")
		_, _ = g.Run("ping -n -c 5 -i 0.1 -W 1 172.16.0.1")
		out := lab.Run(t, here.Server, "nft", "list", "chain", "ip", "watch", "in")
		lab.Run(t, here.Server, "nft", "delete table ip watch")
		s.Stop(t)
		var n int
		if _, err := fmt.Sscanf(out[strings.Index(out, "packets "):], "packets %d", &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := reached(""); n != 0 {
		t.Errorf("%d packets of GRE in the clear reach the host", n)
	}
	if n := reached("clear = \"allow\"\n"); n < 5 {
		t.Errorf("%d packets of GRE in the clear reach the host that allows them, want 5", n)
	}
}
