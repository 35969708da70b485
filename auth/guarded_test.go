package auth

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Exchanges that have not ended count: whoever begins many at once tries no more passwords
// before the first has failed than who waits for each verdict.
func TestABurstOfExchangesTriesFewPasswords(t *testing.T) {
	for name, tt := range map[string]struct {
		user string
		most int64
	}{"of a name": {"alice", freeOfPair}, "of a name that has been right there": {"carol", atOnceOfKnown}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int64
				nat := host(0)
				g := NewGuard(steps{tries: &tries})
				tryEAP(g, "carol", "right", nat, false)
				tries.Store(0)
				for range 200 {
					go tryEAP(g, tt.user, "wrong", nat, true)
				}
				synctest.Wait()
				time.Sleep(stepTime - time.Second) // nobody has ended an exchange
				if n := tries.Load(); n > tt.most {
					t.Errorf("%d passwords were tried before one counted as wrong, want at most %d", n, tt.most)
				}
				time.Sleep(3 * time.Minute)
			})
		})
	}
}

// An office behind one NAT, and a user with several devices, are let in while their exchanges
// take a second each.
func TestAnOfficesExchangesAreNotHeldBack(t *testing.T) {
	for name, user := range map[string]func(int) string{
		"sixty users":                   func(i int) string { return fmt.Sprint("user", i) },
		"sixty by one name of EAP":      func(int) string { return "anonymous@example.org" },
		"sixty devices of twenty users": func(i int) string { return fmt.Sprint("user", i%20) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGuard(slowly{})
				var late atomic.Int64
				for i := range 60 {
					go func() {
						began := time.Now()
						if v := tryEAP(g, user(i), "right", host(0), false); v != Accepted || time.Since(began) > 5*time.Second {
							late.Add(1)
							t.Logf("%v after %v", v, time.Since(began))
						}
					}()
				}
				time.Sleep(time.Minute)
				if n := late.Load(); n > 0 {
					t.Errorf("%d of 60 came in late", n)
				}
			})
		})
	}
}

// slowly is a Backend of exchanges of three steps that take a second together.
type slowly struct{ step int }

func (s slowly) Authenticate(context.Context, *Request) (Response, error) {
	time.Sleep(time.Second / 3)
	if s.step == 2 {
		return Response{Verdict: Accepted}, nil
	}
	return Response{Verdict: Asked, Next: slowly{s.step + 1}}, nil
}

// Guesses from exempt networks wait for nothing, and count for nobody.
func TestExemptSourcesAreNotSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &asked{Backend: NewLocal([]User{{Name: "alice", Password: secret.String("right")}})}
		g := NewGuard(backend)
		inside := netip.MustParsePrefix("10.0.0.0/8")
		g.Exempt = inside.Contains
		from, elsewhere := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("192.0.2.1")
		for range 500 {
			if _, d := try(g, "alice", "wrong", from); d != 0 {
				t.Fatalf("a guess from there waited %v", d)
			}
		}
		if n := backend.n.Load(); n != 500 {
			t.Errorf("the backend was asked %d times", n)
		}
		if v, d := try(g, "alice", "right", elsewhere); v != Accepted || d != 0 {
			t.Errorf("the user elsewhere: %v after %v", v, d)
		}
		if st := g.Stats(); st.Slowed[OfSource]+st.Slowed[OfUser]+st.Slowed[InSum] != 0 {
			t.Errorf("slowed are %v", st.Slowed)
		}
	})
}

// What is slowed, and what is refused, is counted by what was full.
func TestWhatIsRefusedIsCounted(t *testing.T) {
	nat := host(0)
	many := func(i int) string { return fmt.Sprint("user", i) }
	for name, tt := range map[string]struct {
		name   func(int) string
		from   func(int) netip.Addr
		slowed map[Queue]int
		why    Queue
	}{
		"a name":   {func(int) string { return "carol" }, func(int) netip.Addr { return nat }, map[Queue]int{OfUser: 1, OfSource: 1}, OfUser},
		"a source": {many, func(int) netip.Addr { return nat }, map[Queue]int{OfSource: 1}, OfSource},
		"all":      {many, host, map[Queue]int{InSum: 1}, InSum},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGuard(slowBackend(20 * time.Second))
				g.backoff.succeeded(time.Now(), pairOf("carol", nat))
				for i := range 300 {
					g.backoff.failed(time.Now(), pairOf(tt.name(i), tt.from(i)))
				}
				st := g.Stats()
				for _, q := range []Queue{OfSource, OfUser, InSum} {
					if st.Slowed[q] < tt.slowed[q] || tt.slowed[q] == 0 && q != InSum && st.Slowed[q] != 0 {
						t.Errorf("slowed are %v", st.Slowed)
					}
				}
				for i := range 5000 {
					go attempt(g, tt.name(1000+i), "wrong", tt.from(1000+i), time.Minute)
				}
				synctest.Wait()
				if st := g.Stats(); st.Waiting == 0 || st.Waiting > 2*maxWaiting {
					t.Errorf("%d wait", st.Waiting)
				}
				time.Sleep(2 * time.Minute)
				st = g.Stats()
				if st.Waiting != 0 || st.Refused[tt.why] == 0 {
					t.Errorf("at the end %+v", st)
				}
				for q, n := range st.Refused {
					if q != tt.why && q != InSum && n > 0 {
						t.Errorf("%d were refused for %v", n, q)
					}
				}
			})
		})
	}
}

// Attempts that are made again and again on one connection are counted as that.
func TestWhoComesAgainIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(NewLocal([]User{{Name: "alice", Password: secret.String("right")}}))
		for range 200 {
			go func() {
				_, _ = g.Authenticate(context.Background(), &Request{User: "alice", Method: PAP, Password: secret.String("right"), Call: Call{Remote: netip.AddrPortFrom(host(0), 4500), Before: 1}})
			}()
		}
		time.Sleep(time.Minute)
		if st := g.Stats(); st.Refused[OfAgain] == 0 || st.Refused[OfSource] != 0 {
			t.Errorf("refused %v", st.Refused)
		}
	})
}

// A queue's name is a label of a metric.
func TestQueuesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for q := OfSource; q < queues; q++ {
		if s := q.String(); s == "" || seen[s] || strings.ContainsAny(s, "() ") {
			t.Errorf("queue %d is %q", q, s)
		}
		seen[q.String()] = true
	}
}
