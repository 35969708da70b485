package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/vpn"
)

// Every session that is up has a NAS-Port of its own, by which accounting and who may end sessions
// mean the same one: also where a client connects again, and where a link authenticates again as
// another user.
func TestEverySessionHasAPortOfItsOwn(t *testing.T) {
	in(t, func(t *testing.T) {
		b := &books{}
		w := New(t, Options{Backend: auth.NewLocal(aliceAndBob), Accountant: b, Policy: func(p *vpn.Policy) { p.SessionsPerUser = 0 }})
		ports := func(want int) map[uint32]string {
			t.Helper()
			live := vpn.Dynamic{Server: w.Server}.Live(func(*auth.Live) bool { return true })
			ids, names := map[uint32]string{}, map[string]bool{}
			for i := range live {
				l := &live[i]
				if l.Call.Port == 0 || ids[l.Call.Port] != "" || names[l.Call.PortID] {
					t.Errorf("NAS-Port %d, NAS-Port-Id %s is another session's, too", l.Call.Port, l.Call.PortID)
				}
				ids[l.Call.Port], names[l.Call.PortID] = l.Call.SessionID, true
			}
			if len(ids) != want {
				t.Errorf("%d sessions are up, want %d", len(ids), want)
			}
			for _, r := range b.all() {
				for port, id := range ids {
					if r.Call.SessionID == id && (r.Call.Port != port || r.Call.PortID != fmt.Sprintf("l2tp-%d", port)) {
						t.Errorf("session %s has NAS-Port %d, and in accounting %d, %s", id, port, r.Call.Port, r.Call.PortID)
					}
				}
			}
			return ids
		}
		connect := func(address, user, password string) func(string, string) {
			t.Helper()
			d, err := w.Laptop(w.Net.Host(address), nil).ConnectAs(ServerAddr, user, password)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return d.Reauthenticate
		}
		again := connect("198.51.100.7", User, Password)
		connect("198.51.100.8", "bob", "builder")
		ports(2)
		again("bob", "builder")
		time.Sleep(30 * time.Second)
		before := ports(1) // of bob's address
		connect("198.51.100.9", User, Password)
		for port, id := range ports(2) {
			if before[port] != "" {
				continue
			}
			if n, err := (vpn.Dynamic{Server: w.Server}).Disconnect(context.Background(), []string{id}); n != 1 || err != nil {
				t.Errorf("%d ended: %v", n, err)
			}
		}
		if left := ports(1); fmt.Sprint(left) != fmt.Sprint(before) {
			t.Errorf("left are %v, want %v", left, before)
		}
	})
}
