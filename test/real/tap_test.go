//go:build real

package real

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// The office: a bridge in the server's namespace with one host behind it.
const (
	office     = "adit-real-office" // namespace of the host
	officeHost = "192.168.50.10"
	officeMAC  = "02:00:00:00:50:10"
)

// makeOffice connects a host of the office network to a bridge beside the
// server.
func makeOffice(t *testing.T) {
	t.Helper()
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	ip("netns", "add", office)
	t.Cleanup(func() { ip("netns", "del", office) })
	ip("-n", here.Server, "link", "add", "office", "type", "bridge", "forward_delay", "0")
	t.Cleanup(func() { ip("-n", here.Server, "link", "del", "office") })
	ip("-n", here.Server, "link", "set", "office", "up")
	ip("-n", here.Server, "link", "add", "p-office", "type", "veth", "peer", "name", "eth0", "address", officeMAC, "netns", office)
	ip("-n", here.Server, "link", "set", "p-office", "master", "office", "up")
	lab.Run(t, office, "ip", "addr", "add", officeHost+"/24", "dev", "eth0")
	lab.Run(t, office, "ip", "link", "set", "eth0", "up")
}

// In TAP mode a client has an address of the office network: a host there
// pings it by that, and it finds the host, without any route on either.
func TestClientIsANeighbourInTheOffice(t *testing.T) {
	makeOffice(t)
	s := here.Serve(t, lab.Config{"network": strings.Join([]string{
		`mode = "tap"`, `bridge = "office"`, `lan = "192.168.50.0/24"`, `gateway = "192.168.50.1"`,
	}, "\n"), "pool": `["192.168.50.200-192.168.50.250"]`})
	g := here.Connect(t, lab.Client{NAT: true, Args: []string{"--ping", officeHost, "--route", "192.168.50.0/24"}})
	client := s.Session(t).Address
	if !strings.HasPrefix(client, "192.168.50.2") {
		t.Fatalf("the client has %s, want an address of the office", client)
	}
	t.Log(lab.Run(t, office, "ping", "-n", "-c", "3", "-W", "2", client))
	neighbours := lab.Run(t, office, "ip", "neigh", "show", client)
	if !strings.Contains(neighbours, "lladdr") {
		t.Errorf("the office host's neighbours: %q, want the client's address", neighbours)
	}
	if out := g.Exec(t, "ping -n -c 3 -W 2 "+officeHost); !strings.Contains(out, "3 received") {
		t.Errorf("the client does not reach the office host:\n%s", out)
	}
	g.HangUp(t)
	// The client's goodbye is answered before its address is given up.
	gone := func() bool { return len(s.Status(t).Sessions) == 0 }
	if !lab.Wait(patience, gone) {
		t.Error("the session is still there after the client said goodbye")
	}
	if out, err := lab.Command(office, "ping", "-n", "-c", "1", "-W", "2", client).CombinedOutput(); err == nil {
		t.Errorf("the address still answers after the client has left:\n%s", out)
	}
	s.Stop(t)
	if links := lab.Run(t, here.Server, "ip", "-br", "link"); strings.Contains(links, "adit0") {
		t.Errorf("the device is still there after the server has stopped:\n%s", links)
	}
}
