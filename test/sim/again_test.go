package sim

import (
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// A user whose client restarts PPP 300 times a second costs the backend and accounting
// only a few records a second, and each Start has a Stop. Another user connects and
// leaves meanwhile as usual.
func TestAuthenticatingAgainAndAgainIsSlowed(t *testing.T) {
	in(t, func(t *testing.T) {
		b := &books{}
		w := New(t, Options{Accountant: b, Backend: auth.NewGuard(auth.NewLocal([]auth.User{
			{Name: User, Password: secret.String(Password)}, {Name: "bob", Password: secret.String("builder")},
		}))})
		d, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		const seconds = 30
		end := make(chan struct{})
		go func() {
			defer close(end)
			for i := range 300 * seconds {
				d.Reauthenticate(User, Password)
				time.Sleep(time.Second / 300)
				if i%300 == 299 {
					time.Sleep(2 * time.Second) // let one of them through
				}
			}
		}()
		l := w.Laptop(w.Net.Host("198.51.100.8"), nil)
		for n := range uint32(3) {
			began := time.Now()
			bob, err := l.ConnectAs(ServerAddr, "bob", "builder")
			if err != nil || time.Since(began) > 5*time.Second {
				t.Fatalf("bob connects in %v: %v", time.Since(began), err)
			}
			passes(t, w, l, bob, 10*n+1)
			bob.Close()
			time.Sleep(5 * time.Second)
		}
		<-end
		d.Close()
		time.Sleep(time.Minute)
		starts, stops := map[string]int{}, map[string]int{}
		for _, r := range b.all() {
			of := starts
			if r.Status == auth.Stop {
				of = stops
			}
			if r.User == User {
				of[r.Call.SessionID]++
			}
		}
		if n := len(starts); n < 3 || n > 3*seconds+10 {
			t.Errorf("%d sessions of who authenticates again and again, in %d seconds", n, 3*seconds)
		}
		for id, n := range starts {
			if n != 1 || stops[id] != 1 {
				t.Errorf("session %s has %d Start and %d Stop", id, n, stops[id])
			}
		}
		if len(stops) != len(starts) {
			t.Errorf("%d sessions have a Stop, and %d a Start", len(stops), len(starts))
		}
		w.WantNothingLeft(t)
	})
}
