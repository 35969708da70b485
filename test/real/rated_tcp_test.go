//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// line is a relay like delayed, which keeps packets in their order: TCP takes another for loss.
type line struct {
	t     *testing.T
	takes time.Duration
}

// newLine starts one on the NAT box.
func newLine(t *testing.T, takes time.Duration) {
	t.Helper()
	l := &line{t, takes}
	for _, port := range []string{":500", ":4500"} {
		near := lab.ListenUDP(t, here.NAT, lab.NATIP+port)
		go l.serve(near, netip.MustParseAddrPort(lab.ServerIP+port))
	}
}

// serve carries what one client sends to near to the server, and what comes back.
func (l *line) serve(near *net.UDPConn, server netip.AddrPort) {
	var far *net.UDPConn
	var out, back chan held
	for b := make([]byte, 65536); ; {
		n, client, err := near.ReadFromUDPAddrPort(b)
		if err != nil {
			return // the test has ended
		}
		if far == nil {
			far, out, back = lab.ListenUDP(l.t, here.NAT, lab.NATIP+":0"), make(chan held, 1<<15), make(chan held, 1<<15)
			go l.carry(out, func(b []byte) { _, _ = far.WriteToUDPAddrPort(b, server) })
			go l.carry(back, func(b []byte) { _, _ = near.WriteToUDPAddrPort(b, client) })
			go func() {
				defer close(back)
				for b := make([]byte, 65536); ; {
					n, err := far.Read(b)
					if err != nil {
						return
					}
					l.hold(back, b[:n])
				}
			}()
			defer close(out)
		}
		l.hold(out, b[:n])
	}
}

// held is a packet on its way.
type held struct {
	due time.Time
	b   []byte
}

func (l *line) hold(to chan<- held, b []byte) {
	select {
	case to <- held{time.Now().Add(l.takes), append([]byte(nil), b...)}:
	default: // a line has room for so many
	}
}

func (l *line) carry(from <-chan held, send func([]byte)) {
	for h := range from {
		time.Sleep(time.Until(h.due))
		send(h.b)
	}
}

// tcp is what one connection of iperf3 between a guest and the server's host carries, in bit/s of
// IP, in four seconds, two after it has begun.
func tcp(t *testing.T, g *lab.Guest, down bool) float64 {
	t.Helper()
	args := "iperf3 -J -O 2 -t 4 -c " + lab.AppIP
	if down {
		args += " -R"
	}
	var result struct {
		Start struct {
			MSS float64 `json:"tcp_mss_default"`
		} `json:"start"`
		End struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	out := g.Exec(t, args)
	if err := json.Unmarshal([]byte(out), &result); err != nil || result.Start.MSS == 0 {
		t.Fatalf("iperf3: %v\n%s", err, out)
	}
	const headers = 20 + 20 // the MSS that iperf3 shows has room for options: it is of data
	return result.End.Received.BitsPerSecond * (result.Start.MSS + 12 + headers) / result.Start.MSS
}

// One TCP connection to the client carries what the RADIUS server allows. What one from it carries, and
// one over 150 ms, whose first seconds are no measure of the later ones, is printed.
func TestRatesOfTCP(t *testing.T) {
	if !*soak {
		t.Skip("it takes three minutes: ADIT_TEST_SOAK=1 has it run")
	}
	rates := []float64{1, 10, 100} // Mbit/s
	var users strings.Builder
	for _, r := range rates {
		fmt.Fprintf(&users, "r%.0f Cleartext-Password := %q\n\tMikrotik-Rate-Limit = \"%.0fM\"\n", r, lab.Password, r)
	}
	here.StartRadiusWith(t, lab.RadiusSetup{Users: users.String()})
	c := lab.RadiusConfig()
	c["server"] = `public = "` + lab.NATIP + `"`
	s := here.Serve(t, c)
	iperf := lab.Start(t, lab.Command(here.Server, "iperf3", "-s", "-B", lab.AppIP), t.TempDir()+"/iperf3.log")
	defer iperf.Kill()
	var table strings.Builder
	for _, rtt := range []time.Duration{time.Millisecond, 40 * time.Millisecond, 150 * time.Millisecond} {
		t.Run(rtt.String(), func(t *testing.T) {
			newLine(t, rtt/2)
			g := here.Connect(t, lab.Client{User: "r1", Args: []string{"--server", lab.NATIP}})
			for i, r := range rates {
				if i > 0 {
					g.As(t, fmt.Sprintf("r%.0f", r))
					if code := g.Redial(t, "vpn"); code != lab.Connected {
						t.Fatalf("redialling ended with %d", code)
					}
				}
				up, down := tcp(t, g, false)/1e6, tcp(t, g, true)/1e6
				fmt.Fprintf(&table, "%4.0f Mbit/s, %6v: %7.3f from the client (%+.1f %%), %7.3f to it (%+.1f %%)\n",
					r, rtt, up, (up/r-1)*100, down, (down/r-1)*100)
				if rtt < 100*time.Millisecond && math.Abs(down/r-1) > 0.03 {
					t.Errorf("%.0f Mbit/s over %v: %.3f to the client, want it within 3 %%", r, rtt, down)
				}
			}
			g.HangUp(t)
		})
	}
	t.Logf("TCP, one connection:\n%s", table.String())
	s.Stop(t)
}
