//go:build real

package real

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// flooded is what test/real/flood prints.
type flooded struct {
	Sent, Answered uint64
	Octets         uint64
	Rekeys         int64
	Seconds        float64
	Dropped        map[string]uint64
}

// A client with Windows' limit of 250,000 kB re-keys every few seconds at full
// speed, deletes the old SAs as Windows does, and no packet is lost. In the soak
// for ten minutes.
func TestNoPacketIsLostWhileKilobytesRunOutAtFullSpeed(t *testing.T) {
	lasts := 20 * time.Second
	if *soak {
		lasts = 10 * time.Minute
	}
	flood, err := here.Build("./test/real/flood")
	if err != nil {
		t.Fatal(err)
	}
	const local = "10.99.0.50"
	lab.Run(t, here.LAN, "ip", "addr", "add", local+"/24", "dev", "br0")
	t.Cleanup(func() { lab.Run(t, here.LAN, "ip", "addr", "del", local+"/24", "dev", "br0") })
	s := here.Serve(t, nil)
	out := lab.Run(t, here.LAN, flood, local, lab.ServerIP, lab.PSK, lab.User, lab.Password, lab.AppIP, "250000", "256", lasts.String())
	var r flooded
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%d packets each way in %.0f s, %.0f Mbit/s each way, %d times re-keyed, every %.1f s", r.Answered, r.Seconds,
		float64(r.Octets)*8/1e6/r.Seconds, r.Rekeys, r.Seconds/float64(max(r.Rekeys, 1)))
	if r.Sent != r.Answered {
		t.Errorf("%d of %d packets were lost; the client dropped %v, the server %v", r.Sent-r.Answered, r.Sent, r.Dropped, s.Status(t).Drops)
	}
	if least := int64(r.Octets / (256 << 20)); r.Rekeys < least {
		t.Errorf("re-keyed %d times for %d MB each way, want %d times at least", r.Rekeys, r.Octets>>20, least)
	}
	for reason, n := range s.Status(t).Drops {
		if reason != "no-route" && n > 0 { // the host's own multicast
			t.Errorf("the server dropped %d packets: %s", n, reason)
		}
	}
	if n := len(s.Lines("ESP up")); int64(n) != r.Rekeys+1 {
		t.Errorf("the server logged %d pairs of SAs, want %d", n, r.Rekeys+1)
	}
	s.Stop(t)
}
