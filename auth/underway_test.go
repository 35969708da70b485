package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// slow is a backend that takes its time, and does not answer at all for some names.
type slow struct {
	asked
	takes time.Duration
	mute  func(name string) bool
	now   atomic.Int64

	mu   sync.Mutex
	most int64 // at once
}

func (s *slow) Authenticate(ctx context.Context, r *Request) (Response, error) {
	s.mu.Lock()
	s.most = max(s.most, s.now.Add(1))
	s.mu.Unlock()
	defer s.now.Add(-1)
	takes, mute := s.takes, s.mute != nil && s.mute(r.User)
	if mute {
		takes = time.Minute
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		s.n.Add(1)
		return Response{}, ctx.Err()
	}
	if answer, err := s.asked.Authenticate(ctx, r); !mute {
		return answer, err
	}
	return Response{}, errors.New("no RADIUS server has answered")
}

// atMost is how many attempts were under way at once.
func (s *slow) atMost() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

func slowBackend(takes time.Duration, users ...string) *slow {
	var list []User
	for _, name := range users {
		list = append(list, User{Name: name, Password: secret.String("right")})
	}
	return &slow{asked: asked{Backend: NewLocal(list)}, takes: takes}
}

// attempt is one of a client that goes away after a while.
func attempt(g Backend, name, password string, from netip.Addr, patience time.Duration) (Verdict, time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	defer time.AfterFunc(patience, cancel).Stop()
	defer cancel()
	began := time.Now()
	answer, _ := g.Authenticate(ctx, &Request{User: name, Method: PAP, Password: secret.String(password), Call: Call{Remote: netip.AddrPortFrom(from, 4500)}})
	return answer.Verdict, time.Since(began)
}

func host(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}) }

// A thousand guesses at once gain nothing by it that the backend is slow: no more of them
// are under way than may be wrong before anybody waits.
func TestGuessesUnderWayCount(t *testing.T) {
	nat := host(0)
	same := func(int) netip.Addr { return nat }
	alice := func(int) string { return "alice" }
	many := func(i int) string { return fmt.Sprint("user", i) }
	for name, tt := range map[string]struct {
		name     func(int) string
		from     func(int) netip.Addr
		takes    time.Duration
		patience time.Duration
		atOnce   int64
		most     int64 // that reach the backend in half a minute
	}{
		"one name, one source":                   {alice, same, 5 * time.Second, time.Minute, 2 * freeOfPair, 20},
		"one name in many spellings, one source": {func(i int) string { return fmt.Sprintf(`d%d\Alice`, i) }, same, 5 * time.Second, time.Minute, 2 * freeOfPair, 20},
		"one name, a source that never waits":    {alice, same, 5 * time.Second, time.Second, 2 * freeOfPair, 20},
		"many names, one source":                 {many, same, 5 * time.Second, time.Minute, maxOfSource, maxOfSource + 30*7},
		"one name, many sources":                 {alice, host, 7 * time.Second, time.Minute, 7 * 4, 80},
		"one name, one source, an eternity":      {alice, same, time.Minute, time.Minute, freeOfName + maxOfSource, 90},
		"one name, many sources, an eternity":    {alice, host, time.Minute, time.Minute, 64, 64},
		"many names, one source, an eternity":    {many, same, time.Minute, time.Minute, maxOfSource + maxOfSource, 130},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := slowBackend(tt.takes)
				g := NewGuard(backend)
				for i := range 1000 {
					go attempt(g, tt.name(i), "wrong", tt.from(i), tt.patience)
				}
				time.Sleep(longestWait + tt.takes/2)
				if n := backend.atMost(); n > tt.atOnce {
					t.Errorf("%d attempts were under way at once, want at most %d", n, tt.atOnce)
				}
				time.Sleep(30*time.Second - longestWait - tt.takes/2)
				if n := backend.n.Load() + backend.now.Load(); n > tt.most {
					t.Errorf("%d attempts reached the backend in half a minute, want at most %d", n, tt.most)
				}
				time.Sleep(3 * time.Minute)
			})
		})
	}
}

// Who is right waits no longer than until those before have an answer: a crowd that comes at
// once when the server has started, and whoever comes while others guess.
func TestWhoIsRightWaitsForAnswersAlone(t *testing.T) {
	nat := host(0)
	for name, tt := range map[string]struct {
		users  int
		name   func(int) string
		from   func(int) netip.Addr
		within time.Duration
	}{
		"sixty behind one NAT":         {60, func(i int) string { return fmt.Sprint("user", i) }, func(int) netip.Addr { return nat }, 2 * time.Second},
		"three hundred behind one NAT": {300, func(i int) string { return fmt.Sprint("user", i) }, func(int) netip.Addr { return nat }, 10 * time.Second},
		"a thousand":                   {1000, func(i int) string { return fmt.Sprint("user", i) }, host, 2 * time.Second},
		"sixty devices of one user":    {60, func(int) string { return "user0" }, func(int) netip.Addr { return nat }, 6 * time.Second},
		"sixty devices, from all over": {60, func(int) string { return "user0" }, host, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var users []string
				for i := range tt.users {
					users = append(users, fmt.Sprint("user", i))
				}
				g := NewGuard(slowBackend(2*time.Second, users...))
				var wg sync.WaitGroup
				for i := range tt.users {
					wg.Go(func() {
						if v, d := attempt(g, tt.name(i), "right", tt.from(i), time.Minute); v != Accepted || d > tt.within {
							t.Errorf("user %d: %v after %v", i, v, d)
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

// Names that the backend does not answer for keep out nobody else for long, and nobody at
// all who has been right from there.
func TestSilenceAboutSomeKeepsNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := slowBackend(time.Second, "carol", "dave", "erin")
		backend.mute = func(name string) bool { return name == "elsewhere" || name[0] == 'x' }
		g := NewGuard(backend)
		nat := host(0)
		attempt(g, "carol", "right", nat, time.Minute)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				for ctx.Err() == nil {
					attempt(g, fmt.Sprint("x", i), "wrong", nat, 50*time.Second)
					time.Sleep(time.Second)
				}
			})
		}
		for range 10 {
			time.Sleep(5 * time.Second)
			if v, d := attempt(g, "carol", "right", nat, time.Minute); v != Accepted || d > time.Second {
				t.Errorf("who was right before from there: %v after %v", v, d)
			}
			if v, d := attempt(g, "dave", "right", host(1), time.Minute); v != Accepted || d > time.Second {
				t.Errorf("who is elsewhere: %v after %v", v, d)
			}
		}
		stop()
		wg.Wait()
	})
}

// A backend that panics has answered, too.
func TestAPanicIsNotUnderWay(t *testing.T) {
	g := NewGuard(broken{})
	for range 3 * freeOfName {
		func() {
			defer func() { _ = recover() }()
			_, _ = g.Authenticate(t.Context(), &Request{User: "alice"})
		}()
	}
	if c := g.backoff.names[pair{name: "alice"}]; c.underway != 0 {
		t.Errorf("%d attempts are under way", c.underway)
	}
}

type broken struct{}

func (broken) Authenticate(context.Context, *Request) (Response, error) { panic("broken") }
