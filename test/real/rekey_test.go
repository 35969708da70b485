//go:build real

package real

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/count"
	"github.com/adit-vpn/adit/test/real/lab"
)

var soak = flag.Bool("soak", os.Getenv("ADIT_TEST_SOAK") != "", "make the tests of rekeying five and ten minutes long")

// A client that renews its ESP SA every 10 s and its IKE SA every 30 s loses no
// packet, either way, and keeps its session.
func TestNoPacketIsLostWhileTheClientRekeys(t *testing.T) { rekeys(t) }

// Nor does one behind a NAT from which ports 500 and 4500 leave by different
// addresses.
func TestNoPacketIsLostWhereTheNATSplitsPorts(t *testing.T) {
	const other = "10.99.0.3"
	split := func(command ...string) {
		t.Helper()
		if out, err := exec.Command("ip", append([]string{"netns", "exec", here.NAT}, command...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, out)
		}
	}
	split("ip", "addr", "add", other+"/24", "dev", "wan")
	split("nft", "add table ip split; add chain ip split post { type nat hook postrouting priority 90; }; "+
		"add rule ip split post oifname wan udp sport 500 snat to "+other)
	t.Cleanup(func() {
		split("nft", "delete table ip split")
		split("ip", "addr", "del", other+"/24", "dev", "wan")
	})
	rekeys(t)
}

func rekeys(t *testing.T) {
	t.Helper()
	const interval = 20 * time.Millisecond
	lasts := 90 * time.Second
	if *soak {
		lasts = 5 * time.Minute
	}
	s := here.Serve(t, nil)
	g := here.Connect(t, lab.Client{NAT: true, Args: []string{"--share", theProbe(t), "--lifetime", "20", "--ikelifetime", "40"}})
	before := s.Session(t)
	losesNothing(t, g, lasts, interval)

	esp, ike := len(s.Lines("ESP up")), len(s.Lines("IKE up"))
	t.Logf("in %v the client made %d ESP SAs and %d IKE SAs", lasts, esp, ike)
	if least := int(lasts / (15 * time.Second)); esp < least {
		t.Errorf("the client made %d ESP SAs, want %d: it did not rekey", esp, least)
	}
	if least := int(lasts / (40 * time.Second)); ike < 1+least {
		t.Errorf("the client made %d IKE SAs, want %d: it did not rekey", ike, 1+least)
	}
	st := s.Status(t)
	if st.Connections != 1 {
		t.Errorf("adit status counts %d connections", st.Connections)
	}
	if len(st.Sessions) != 1 || st.Sessions[0].ID != before.ID {
		t.Errorf("the session %s did not survive: %+v", before.ID, st.Sessions)
	}
	t.Logf("drops: %v", st.Drops)
	s.Stop(t)
}

// A client that would rekey a second before the end, which is after the server's
// last resort, and is slow to install what it was given, loses nothing either, at
// 1,700 packets a second: the server does not send on the new SA before the client
// has it.
func TestNoPacketIsLostWhileTheServerRekeys(t *testing.T) {
	const interval = time.Second / 850 // each way
	lasts := 95 * time.Second
	if *soak {
		lasts = 5 * time.Minute
	}
	s := here.Serve(t, nil)
	g := here.Connect(t, lab.Client{NAT: true, Args: []string{"--share", theProbe(t), "--lifetime", "30", "--margin", "1"}})
	g.Exec(t, "sysctl -w net.core.rmem_max=16777216") // the guest stalls now and then
	before := s.Session(t)
	losesNothing(t, g, lasts, interval)

	esp := len(s.Lines("ESP up"))
	t.Logf("in %v there were %d ESP SAs", lasts, esp)
	if least := int(lasts / (30 * time.Second)); esp < 1+least {
		t.Errorf("there were %d ESP SAs, want %d: the server did not rekey", esp, 1+least)
	}
	st := s.Status(t)
	if len(st.Sessions) != 1 || st.Sessions[0].ID != before.ID {
		t.Errorf("the session %s did not survive: %+v", before.ID, st.Sessions)
	}
	t.Logf("drops: %v", st.Drops)
	s.Stop(t)
}

// theProbe is the program that counts in the guest.
func theProbe(t *testing.T) string {
	t.Helper()
	probe, err := here.Build("./test/real/probe")
	if err != nil {
		t.Fatal(err)
	}
	return probe
}

// losesNothing sends numbered packets both ways for so long, one every interval,
// and fails the test unless each arrives once.
func losesNothing(t *testing.T, g *lab.Guest, lasts, interval time.Duration) {
	t.Helper()
	n := int(lasts / interval)
	conn := lab.ListenUDP(t, here.Server, lab.AppIP+":7000")
	type outcome struct {
		count.Result
		err error
	}
	server := make(chan outcome, 1)
	go func() {
		r, err := count.Run(conn, netip.AddrPort{}, n, interval)
		server <- outcome{r, err}
	}()
	out := g.Exec(t, fmt.Sprintf("/mnt/probe %s:7000 %d %v", lab.AppIP, n, interval))
	var client count.Result
	if err := json.Unmarshal([]byte(out), &client); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	up := <-server
	if up.err != nil {
		t.Fatal(up.err)
	}
	for _, end := range []struct {
		name string
		count.Result
	}{{"up", up.Result}, {"down", client}} {
		t.Logf("%s: %d of %d arrived, %d twice, %d late, longest gap %v", end.name, end.Received, n, end.Duplicates, end.Reordered, end.LongestGap)
		if end.Received != n || end.Duplicates > 0 {
			t.Errorf("%s: %d of %d arrived, %d twice; missing %v", end.name, end.Received, n, end.Duplicates, end.Missing)
		}
	}
}
