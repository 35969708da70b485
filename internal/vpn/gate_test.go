package vpn_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
	"github.com/adit-vpn/adit/test/sim"
)

// A peer that has only proved the key is a stranger at the gate: its Quick Mode with
// perfect forward secrecy waits while strangers compute. A user's Quick Mode does not
// wait.
func TestAGuestsQuickModeWaitsAndAUsersDoesNot(t *testing.T) {
	for name, group := range map[string]ike.Group{"MODP 2048": ike.GroupMODP2048, "MODP 4096": ike.GroupMODP4096, "ECP 256": ike.GroupECP256} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				w.Net.SetPolicy(udptest.Policy{Delay: 100 * time.Millisecond})
				l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
				child := ike.ChildRequest{LocalPort: 1701, Group: group}
				came := make(chan *client.Dialled)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					defer cancel()
					d, err := l.Dial(ctx, client.Target{Local: l.Host.Addr(), Server: netip.MustParseAddr(sim.ServerAddr), User: sim.User, Password: sim.Password, Child: child})
					if err != nil {
						t.Error(err)
					}
					came <- d
				}()
				for len(sim.All[vpn.PhaseOneUp](w.Events)) == 0 {
					time.Sleep(time.Millisecond)
				}
				free := w.Server.HoldGate() // message 6 is still on its way
				time.Sleep(time.Second)
				if users, strangers := w.Server.Waiting(); users != 0 || strangers != 1 {
					t.Errorf("%d users and %d strangers wait, want the guest among strangers", users, strangers)
				}
				if n := len(sim.All[vpn.ChildUp](w.Events)); n != 0 {
					t.Error("a guest's Quick Mode does not wait for strangers")
				}
				free()
				d := <-came
				if d == nil {
					return
				}
				time.Sleep(time.Second)
				defer w.Server.HoldGate()()
				d.Rekey(child)
				time.Sleep(time.Second)
				if n := len(sim.All[vpn.ChildUp](w.Events)); n != 2 {
					t.Errorf("%d pairs are up, want two: a user's Quick Mode waits for strangers", n)
				}
			})
		})
	}
}
