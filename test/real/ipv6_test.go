//go:build real

package real

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// Addresses of the open network, on which IPv6 is off otherwise.
const (
	serverIP6 = "fd99::1"
	guestIP6  = "fd99::101"
)

// openIPv6 gives the server's namespace IPv6 outside until the test ends.
func openIPv6(t *testing.T) {
	t.Helper()
	lab.Run(t, here.Server, "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
	t.Cleanup(func() { lab.Run(t, here.Server, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6") })
	lab.Run(t, here.Server, "ip", "addr", "add", serverIP6+"/64", "dev", "eth0", "nodad")
}

// strongSwan's IKE and a Linux kernel's ESP over IPv6, with and without UDP;
// inside, our own LAC on a plain socket, because xl2tpd has no IPv6. The
// kernel checks the checksum of every inner datagram of ours.
func TestStrongSwanOverIPv6(t *testing.T) {
	program, err := here.Build("./test/real/lac")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "six.conf")
	conn := "\nconn six\n\talso=vpn\n\tleft=" + guestIP6 + "\n\tright=" + serverIP6 + "\n"
	if err := os.WriteFile(file, []byte(conn), 0o600); err != nil {
		t.Fatal(err)
	}
	openIPv6(t)
	for mode, encap := range map[string]bool{"always": true, "auto": false} {
		t.Run(mode, func(t *testing.T) {
			s := here.Serve(t, lab.Config{"ipsec": `nat_traversal = "` + mode + `"`})
			g := here.Connect(t, lab.Client{Args: []string{"--conf", file, "--share", program}})
			g.Exec(t, lab.Steps+"hang_up; modprobe esp6; ip addr add "+guestIP6+"/64 dev vec0 nodad; ike_up six")
			if state := g.Exec(t, "ip xfrm state"); strings.Contains(state, "encap") != encap || !strings.Contains(state, serverIP6) {
				t.Errorf("the guest's SAs, ESP in UDP %v: %s", encap, state)
			}
			out := g.Exec(t, strings.Join([]string{"/mnt/lac", guestIP6, serverIP6, lab.User, "'" + lab.Password + "'", lab.AppIP, "1500"}, " "))
			if !strings.Contains(out, "1500 of 1500 answered") {
				t.Errorf("of 1500 pings of every size: %s", out)
			}
			up := s.Lines("connected")
			if len(up) != 2 {
				t.Fatalf("%d sessions were up, want one over each family", len(up))
			}
			text, _ := up[1]["remote"].(string)
			if at, err := netip.ParseAddrPort(text); err != nil || at.Addr() != netip.MustParseAddr(guestIP6) {
				t.Errorf("the second session is of %q, want %s", text, guestIP6)
			}
			if !lab.Wait(patience, func() bool { return len(s.Status(t).Sessions) == 0 }) {
				t.Error("the session is still there after the client said goodbye")
			}
			s.Stop(t)
		})
	}
}
