package auth

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// steps is a Backend whose exchanges have steps, as EAP-MSCHAPv2's: the name, a password, and
// one in which the peer has heard the verdict.
type steps struct {
	said  string // by the step before
	tries *atomic.Int64
}

func (s steps) Authenticate(_ context.Context, r *Request) (Response, error) {
	next := steps{string(r.EAP), s.tries}
	switch s.said {
	case "":
		return Response{Verdict: Asked, Next: next}, nil
	case "name":
		s.tries.Add(1)
		return Response{Verdict: Asked, Next: next, EAP: r.EAP}, nil
	case "right":
		return Response{Verdict: Accepted}, nil
	}
	return Response{Verdict: BadCredentials}, nil
}

// tryEAP has an exchange with a password; impatient peers do not answer once they know the
// verdict.
func tryEAP(g Backend, name, password string, from netip.Addr, impatient bool) Verdict {
	answer := Response{Next: g}
	for _, said := range []string{"name", password, "heard"} {
		if impatient && said == "heard" {
			break
		}
		var err error
		answer, err = answer.Next.Authenticate(context.Background(), &Request{
			User: name, Method: EAP, EAP: []byte(said), Call: Call{Remote: netip.AddrPortFrom(from, 4500)},
		})
		if err != nil || answer.Next == nil {
			break
		}
	}
	return answer.Verdict
}

// Whether a guesser ends an exchange or leaves it as soon as it knows that it was wrong,
// guessing is slow, and users elsewhere, and those who have been right there, get in.
func TestPasswordsAreGuessedSlowlyInExchanges(t *testing.T) {
	nat, elsewhere := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.9")
	for name, impatient := range map[string]bool{"to the end": false, "left alone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int64
				g := NewGuard(steps{tries: &tries})
				if v := tryEAP(g, "carol", "right", nat, false); v != Accepted {
					t.Fatalf("the first: %v", v)
				}
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for range 60 {
					wg.Go(func() {
						for ctx.Err() == nil {
							if v := tryEAP(g, "alice", "wrong", nat, impatient); v == Accepted {
								t.Error("a wrong password was accepted")
							}
							time.Sleep(10 * time.Millisecond)
						}
					})
				}
				time.Sleep(time.Minute)
				tries.Store(0)
				time.Sleep(time.Minute)
				if n := tries.Load(); n > 8*60 {
					t.Errorf("%d passwords were tried in a minute", n)
				}
				for user, from := range map[string]netip.Addr{"carol": nat, "alice": elsewhere} {
					if began, v := time.Now(), tryEAP(g, user, "right", from, false); v != Accepted || time.Since(began) > 5*time.Second {
						t.Errorf("%s from %v: %v after %v", user, from, v, time.Since(began))
					}
				}
				stop()
				wg.Wait()
			})
		})
	}
}

// Who takes a while for an answer gets in, and is not held for one who guessed.
func TestAnExchangeMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		g := NewGuard(steps{tries: &tries})
		from := netip.MustParseAddr("192.0.2.1")
		for range 30 {
			r := &Request{User: "alice", Method: EAP, EAP: []byte("name"), Call: Call{Remote: netip.AddrPortFrom(from, 4500)}}
			answer, err := g.Authenticate(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * stepTime)
			for _, said := range []string{"right", "heard"} {
				r.EAP = []byte(said)
				if answer, err = answer.Next.Authenticate(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			if answer.Verdict != Accepted {
				t.Fatalf("the verdict is %v", answer.Verdict)
			}
		}
		if began, v := time.Now(), tryEAP(g, "alice", "right", from, false); v != Accepted || time.Since(began) > time.Second {
			t.Errorf("after that: %v, after %v", v, time.Since(began))
		}
	})
}

// Every answer of an exchange goes through whoever wraps its backend.
func TestAVerdictIsSeenAtItsEnd(t *testing.T) {
	var tries atomic.Int64
	seen := 0
	answer, err := Response{Next: steps{tries: &tries}}, error(nil)
	for _, said := range []string{"name", "right", "heard"} {
		answer, err = answer.Next.Authenticate(t.Context(), &Request{EAP: []byte(said)})
		if said == "name" { // later ones wrap themselves
			answer, err = Judged(answer, err, func(r Response, err error) (Response, error) {
				seen++
				r.Grant.User = "seen"
				return r, err
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen != 1 || answer.Grant.User != "seen" || answer.Verdict != Accepted {
		t.Errorf("seen %d times: %+v", seen, answer)
	}
}
