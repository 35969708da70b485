package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// A user for whom the pool is empty is not told that the name or password is wrong,
// whatever the method: authentication succeeds, and the link ends with the reason. The
// client connects once an address is free again.
func TestAnEmptyPoolIsNoWrongPassword(t *testing.T) {
	for _, method := range []ppp.Method{ppp.MethodMSCHAPv2, ppp.MethodCHAP, ppp.MethodPAP} {
		t.Run(method.String(), func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, Options{
					Addresses: "10.83.0.0/30", Policy: func(p *vpn.Policy) { p.PPP.Methods = []ppp.Method{method} },
					Backend: auth.NewLocal([]auth.User{{Name: User, Password: secret.String(Password)}, {Name: "bob", Password: secret.String(Password)}}),
				})
				first, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr)
				if err != nil {
					t.Fatal(err)
				}
				late := w.Laptop(w.Net.Host("198.51.100.8"), nil)
				_, err = late.ConnectAs(ServerAddr, "bob", Password)
				if err == nil || strings.Contains(strings.ToLower(err.Error()), "authentication") {
					t.Errorf("the client hears %v, want that it cannot be served", err)
				}
				done := All[vpn.AuthDone](w.Events)
				if last := done[len(done)-1]; last.Verdict != auth.NoAddress || last.Name != "bob" || last.Detail == "" {
					t.Errorf("the verdict is %+v", last)
				}
				time.Sleep(20 * time.Second)
				down := All[vpn.ConnDown](w.Events)
				if len(down) != 1 || down[0].Why != vpn.EndNoAddress {
					t.Errorf("the connection ended with %+v", down)
				}
				if n := len(All[vpn.SessionUp](w.Events)); n != 1 {
					t.Errorf("%d sessions came up", n)
				}
				first.Close()
				time.Sleep(20 * time.Second)
				d, err := late.ConnectAs(ServerAddr, "bob", Password)
				if err != nil {
					t.Fatal(err)
				}
				passes(t, w, late, d, 7)
			})
		})
	}
}
