package app

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// An end that is killed again and again, at any time after the link was back, is back within
// 5 seconds of its start each time, although both ends dial: a call that the other end has
// placed meanwhile, and that this end has lost, is not in the way.
func TestAnEndThatIsKilledAgainAndAgain(t *testing.T) {
	var longest time.Duration
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			n, a, b := sites(t, seed, nil, nil)
			for round := range uint32(12) {
				took := time.Duration(0)
				for packet := 1000 * round; ; packet++ {
					a.devices["adit-branch"].Inject(0, numbered(hostOfHead, hostOfBranch, packet))
					time.Sleep(50 * time.Millisecond)
					if number(b.devices["adit-head"].Poll()) == packet {
						break
					}
					if took += 50 * time.Millisecond; took > 5*time.Second {
						t.Fatalf("seed %d, round %d: it is not back after 5 s: %+v\n%+v\n%s", seed, round, a.link(), b.link(), b.out.String())
					}
				}
				longest = max(longest, took)
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
				n.SetPolicy(udptest.Policy{Loss: 1}) // it says no goodbye
				a.stop()
				n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
				a = newSite(t, a.on, settingsOf{
					"name": `"branch"`, "remote": `["` + branchAddr + `"]`, "user": `"head"`, "password": `"one"`, "peer_user": `"branch"`, "peer_password": `"two"`, "routes": `["10.2.0.0/16"]`,
				}, nil)
			}
		})
	}
	t.Logf("the longest took %v", longest)
}
