package app

import (
	"testing"
	"time"
)

// A flood is felt within two looks and over half a minute after its end. Clients that
// connect, as fast as they may, and clients that ask whether the server lives are none.
func TestFloodsAreTold(t *testing.T) {
	for name, v := range map[string]struct {
		messages, users, peers, spent float64 // all but peers a second, the last of them seconds
		flood                         bool
	}{
		"nothing":                       {0, 0, 0, 0, false},
		"a laptop connects":             {15, 1, 1, 0.02, false},
		"an office connects":            {1500 * 9, 1500, 300, 1.8, false},
		"ten thousand ask each 10 s":    {1000, 0, 10000, 0, false},
		"ten thousand ask and connect":  {1000 + 500*9, 500, 10000, 0.6, false},
		"first messages":                {40000, 2, 100, 0, true},
		"handshakes of which none ends": {200 * 3, 0, 0, 0, true},
		"a few of the dearest group":    {100, 0, 4, 0.9, true},
		"a flood while many connect":    {1500*9 + 40000, 1500, 300, 1.8, true},
		"noise":                         {5000, 0, 500, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			var f flood
			now, count := time.Unix(1e9, 0), 0.0
			pass := func(d time.Duration, messages float64) (felt bool) {
				for range d / floodLook {
					now = now.Add(floodLook)
					count += floodLook.Seconds()
					felt = f.look(now, traffic{uint64(count * messages), uint64(count * v.users), int(v.peers), time.Duration(count * v.spent * 1e9)})
				}
				return felt
			}
			if got := pass(10*time.Second, v.messages); got != v.flood {
				t.Errorf("a flood: %v, want %v", got, v.flood)
			}
			// From now on nothing more comes: the counts stay.
			stay := traffic{uint64(count * v.messages), uint64(count * v.users), int(v.peers), time.Duration(count * v.spent * 1e9)}
			felt := false
			for began := now; now.Sub(began) < floodOver-2*floodLook; {
				now = now.Add(floodLook)
				felt = f.look(now, stay)
			}
			if felt != v.flood {
				t.Errorf("a moment later: %v, want %v", felt, v.flood)
			}
			now = now.Add(3 * floodLook)
			if f.look(now, stay) {
				t.Error("it is never over")
			}
		})
	}
	var f flood
	now := time.Unix(1e9, 0)
	f.look(now, traffic{})
	if !f.look(now.Add(floodLook), traffic{messages: 10000}) {
		t.Error("it is not felt at once")
	}
}
