//go:build real

package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// softEther is SoftEther VPN Server, with IPsec, L2TP and PPP of its own, all in user space,
// in a namespace on the switch. Behind it is a tap device, tap_se.
type softEther struct {
	ns, dir string
	run     *lab.Process
}

// Debian's packages softether-vpnserver and softether-vpncmd.
const softEtherServer = "/usr/libexec/softether/vpnserver/vpnserver"

// What SoftEther is set up with. Its pre-shared keys have no more than nine characters.
const (
	softEtherPSK   = "ninechars"
	softEtherIP    = "10.99.0.3"
	softEtherSetup = `HubCreate VPN /PASSWORD:hub
IPsecEnable /L2TP:yes /L2TPRAW:no /ETHERIP:no /PSK:%s /DEFAULTHUB:VPN
BridgeCreate VPN /DEVICE:se /TAP:yes
Hub VPN
UserCreate head /GROUP:none /REALNAME:none /NOTE:none
UserPasswordSet head /PASSWORD:what_head_says
SecureNatHostSet /MAC:none /IP:10.95.0.254 /MASK:255.255.0.0
DhcpSet /START:10.95.0.10 /END:10.95.0.200 /MASK:255.255.0.0 /EXPIRE:86400 /GW:none /DNS:none /DNS2:none /DOMAIN:none /LOG:no
NatDisable
DhcpEnable
SecureNatEnable
Flush
`
)

func startSoftEther(t *testing.T) *softEther {
	t.Helper()
	s := &softEther{ns: "adit-real-se", dir: t.TempDir()}
	_ = exec.Command("ip", "netns", "del", s.ns).Run() // of a run that was killed; there is none otherwise
	for _, c := range []string{
		"ip netns add " + s.ns, "ip -n " + s.ns + " link set lo up",
		"ip -n " + here.LAN + " link add p-se type veth peer name eth0 netns " + s.ns, "ip -n " + here.LAN + " link set p-se master br0 up",
		"ip -n " + s.ns + " addr add " + softEtherIP + "/24 dev eth0", "ip -n " + s.ns + " link set eth0 up",
	} {
		sh(t, c)
		if strings.HasPrefix(c, "ip netns add") {
			t.Cleanup(func() { sh(t, "ip netns del "+s.ns) })
		}
	}
	s.launch(t)
	if !lab.Wait(patience, func() bool { return s.command("/CMD", "ServerInfoGet").Run() == nil }) {
		t.Fatalf("SoftEther does not start:\n%s", s.run.Output())
	}
	orders := filepath.Join(s.dir, "orders")
	if err := os.WriteFile(orders, fmt.Appendf(nil, softEtherSetup, softEtherPSK), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.command("/IN:" + orders).CombinedOutput(); err != nil {
		t.Fatalf("vpncmd: %v\n%s", err, out)
	}
	s.inside(t)
	return s
}

func (s *softEther) command(args ...string) *exec.Cmd {
	return lab.Command(s.ns, append([]string{"vpncmd", "127.0.0.1", "/SERVER"}, args...)...)
}

// launch starts the server. It writes to directories of its own, and ends with the test.
func (s *softEther) launch(t *testing.T) {
	t.Helper()
	script := "mount --make-rprivate /"
	for _, dir := range []string{"/var/lib/softether", "/var/log/softether", "/run/softether"} {
		own := filepath.Join(s.dir, strings.ReplaceAll(dir, "/", "_"))
		for _, d := range []string{dir, own} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		script += fmt.Sprintf(" && mount --bind %s %s", own, dir)
	}
	s.run = lab.Start(t, lab.Command(s.ns, "unshare", "-m", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", script+" && exec "+softEtherServer+" execsvc"), filepath.Join(s.dir, "log"))
}

// inside waits for the tap device and the ports, and gives the device its address.
func (s *softEther) inside(t *testing.T) {
	t.Helper()
	if !lab.Wait(patience, func() bool {
		ports, err := lab.Command(s.ns, "ss", "-lunH").Output()
		return err == nil && strings.Contains(string(ports), ":4500") && lab.Command(s.ns, "ip", "addr", "replace", "10.95.0.1/16", "dev", "tap_se").Run() == nil
	}) {
		t.Fatalf("SoftEther does not open its ports and its device:\n%s", s.run.Output())
	}
	lab.Run(t, s.ns, "ip", "link", "set", "tap_se", "up")
}

// A link is dialled to SoftEther, which gives it an address. Packets pass both ways, through
// all renewals of keys, and the link is back after SoftEther was killed.
func TestALinkIsDialledToSoftEther(t *testing.T) {
	se := startSoftEther(t)
	lowered, err := here.Build("./test/real/lowered")
	if err != nil {
		t.Fatal(err)
	}
	s := here.Prepare(t, lab.Config{"ipsec": "allow_weak_psk = true", "user": fmt.Sprintf(`[[link]]
name = "se"
remote = [%q]
psk = %q
user = "head"
password = "what_head_says"
peer_auth = "no"
peer_user = "softether"
peer_password = "it shows none"
address = "peer"
routes = ["10.95.0.0/16"]
`, softEtherIP, softEtherPSK)})
	s.Binary, s.Args = lowered, []string{"-lifetime", "20s"}
	s.Start(t)
	if !lab.Wait(patience, func() bool { return pings("10.95.0.1") }) {
		t.Fatalf("the network behind SoftEther does not answer: %+v\n%s", linkOf(t, s), se.run.Output())
	}
	up := linkOf(t, s)
	if up.State != "up" || up.DialledBy != "us" || !strings.HasPrefix(up.Local, "10.95.0.") || up.PeerAuth != "none" {
		t.Errorf("%+v", up)
	}
	lab.Run(t, se.ns, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", up.Local)
	keepsPassing(t, s, here.Server, "10.95.0.1")
	keepsPassing(t, s, se.ns, up.Local)
	if n := len(s.Lines("IKE up")); n < 2 {
		t.Errorf("the keys of IKE were not renewed")
	}
	se.run.Kill()
	time.Sleep(time.Second)
	se.launch(t)
	se.inside(t)
	if !lab.Wait(2*patience, func() bool { return pings("10.95.0.1") }) {
		t.Errorf("after SoftEther was killed: %+v", linkOf(t, s))
	}
	s.Stop(t)
}
