package auth

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// asked counts what a backend is asked.
type asked struct {
	Backend
	n atomic.Int64
}

func (a *asked) Authenticate(ctx context.Context, r *Request) (Response, error) {
	a.n.Add(1)
	return a.Backend.Authenticate(ctx, r)
}

func try(g Backend, name, password string, from netip.Addr) (Verdict, time.Duration) {
	began := time.Now()
	r := &Request{User: name, Method: PAP, Password: secret.String(password), Call: Call{Remote: netip.AddrPortFrom(from, 4500)}}
	answer, _ := g.Authenticate(context.Background(), r)
	return answer.Verdict, time.Since(began)
}

// However passwords are guessed, one after another or many at once, of one name or of
// many, from one source or many: the backend is asked a few times a second.
// Meanwhile users who have connected from there before are not slowed at all, others
// elsewhere a little, and newcomers behind the same NAT get in.
func TestPasswordsAreGuessedSlowly(t *testing.T) {
	nat := netip.MustParseAddr("192.0.2.1")
	for name, tt := range map[string]struct {
		name   func(i int) string
		source func(i int) netip.Addr
		atOnce int
		most   float64 // a second
	}{
		"one name, one source":   {func(int) string { return "alice" }, func(int) netip.Addr { return nat }, 1, 0.5},
		"many at once":           {func(int) string { return "alice" }, func(int) netip.Addr { return nat }, 60, 8},
		"many names":             {func(i int) string { return fmt.Sprint("user", i) }, func(int) netip.Addr { return nat }, 60, 8},
		"one name, many sources": {func(int) string { return "alice" }, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(i)}) }, 60, 8},
		"one /48": {func(i int) string { return fmt.Sprint("user", i) }, func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, byte(i >> 8), byte(i)})
		}, 60, 8},
		"everybody everywhere": {func(i int) string { return fmt.Sprint("user", i) }, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}) }, 500, 55},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := &asked{Backend: NewLocal([]User{{Name: "alice", Password: secret.String("right")}, {Name: "carol", Password: secret.String("right")}, {Name: "dave", Password: secret.String("right")}})}
				g := NewGuard(backend)
				if v, d := try(g, "carol", "right", nat); v != Accepted || d != 0 {
					t.Fatalf("the first: %v after %v", v, d)
				}
				ctx, stop := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				var next atomic.Int64
				for range tt.atOnce {
					wg.Go(func() {
						for ctx.Err() == nil {
							i := int(next.Add(1))
							if v, _ := try(g, tt.name(i), "wrong", tt.source(i)); v == Accepted {
								t.Error("a wrong password was accepted")
							}
							time.Sleep(10 * time.Millisecond)
						}
					})
				}
				time.Sleep(time.Minute)
				backend.n.Store(0)
				const seconds = 60
				time.Sleep(seconds * time.Second)
				if rate := float64(backend.n.Load()) / seconds; rate > tt.most {
					t.Errorf("the backend was asked %.1f times a second, want at most %.1f", rate, tt.most)
				}
				if v, d := try(g, "carol", "right", nat); v != Accepted || d != 0 {
					t.Errorf("who connected before from there: %v after %v", v, d)
				}
				if v, d := try(g, "dave", "right", nat); v != Accepted || d > longestWait {
					t.Errorf("a newcomer behind the same NAT: %v after %v", v, d)
				}
				elsewhere := netip.MustParseAddr("203.0.113.9")
				if v, d := try(g, "dave", "right", elsewhere); v != Accepted || d > longestWait {
					t.Errorf("a newcomer elsewhere: %v after %v", v, d)
				}
				stop()
				wg.Wait()
			})
		})
	}
}

// However many sources guess a name's password, its user gets in soon from networks where
// nobody guesses, also where several come at once.
func TestTheUserOfAGuessedNameGetsInSoon(t *testing.T) {
	for name, sources := range map[string]int{"one source": 1, "sixteen": 16, "two hundred": 200} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := &asked{Backend: NewLocal([]User{{Name: "alice", Password: secret.String("right")}})}
				g := NewGuard(backend)
				ctx, stop := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				atOnce := max(64, sources)
				for i := range atOnce {
					wg.Go(func() {
						for ctx.Err() == nil {
							try(g, "alice", "wrong", netip.AddrFrom4([4]byte{198, 18, 0, byte(i % sources)}))
							time.Sleep(50 * time.Millisecond)
						}
					})
				}
				time.Sleep(2 * time.Minute)
				backend.n.Store(0)
				var late atomic.Int64
				const users = 100
				for i := range users {
					time.Sleep(400 * time.Millisecond)
					wg.Go(func() {
						v, d := try(g, "alice", "right", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
						if v != Accepted || d > 3*time.Second {
							late.Add(1)
							t.Logf("user %d: %v after %v", i, v, d)
						}
					})
				}
				stop()
				wg.Wait()
				if n := late.Load(); n > users/10 {
					t.Errorf("%d of %d users came in later than after 3 s", n, users)
				}
				if guesses, most := int(backend.n.Load()-users), 40*(2+atOnce/8); guesses > most { // each source waits 8 seconds before its next
					t.Errorf("%d guesses reached the backend in 40 seconds, want at most %d", guesses, most)
				}
			})
		})
	}
}

// One source that has many attempts wait, and gives them up before they are made, keeps
// nobody else out, and no user behind the same NAT who has been right there.
func TestNobodyIsKeptOutByAttemptsThatAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(NewLocal([]User{{Name: "alice", Password: secret.String("right")}, {Name: "carol", Password: secret.String("right")}, {Name: "dave", Password: secret.String("right")}}))
		nat, elsewhere := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.9")
		try(g, "carol", "right", nat)
		try(g, "alice", "right", elsewhere)
		for range 5 {
			try(g, "x", "wrong", nat)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				for ctx.Err() == nil {
					brief, done := context.WithTimeout(ctx, 7900*time.Millisecond)
					r := &Request{User: "x", Method: PAP, Password: secret.String("wrong"), Call: Call{Remote: netip.AddrPortFrom(nat, 4500)}}
					_, _ = g.Authenticate(brief, r)
					done()
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		for i := range 60 {
			time.Sleep(time.Second)
			for who, from := range map[string]netip.Addr{"carol": nat, "alice": elsewhere, "dave": netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + i)})} {
				if v, d := try(g, who, "right", from); v != Accepted || d > time.Second {
					t.Fatalf("after %d s %s from %v: %v after %v", i, who, from, v, d)
				}
			}
		}
		stop()
		wg.Wait()
	})
}

// Names that differ in case, or in a domain that Windows puts in front, are one name.
func TestADomainInFrontGuessesNoFaster(t *testing.T) {
	for name, spell := range map[string]func(int) string{
		"as it is": func(int) string { return "alice" }, "domains": func(i int) string { return fmt.Sprintf(`d%d\alice`, i) }, "cases": func(i int) string { return []string{"alice", "ALICE", `X\Alice`}[i%3] },
	} {
		synctest.Test(t, func(t *testing.T) {
			backend := &asked{Backend: NewLocal([]User{{Name: "alice", Password: secret.String("right")}})}
			g := NewGuard(backend)
			for i, end := 0, time.Now().Add(5*time.Minute); time.Now().Before(end); i++ {
				try(g, spell(i), "wrong", netip.MustParseAddr("192.0.2.1"))
				time.Sleep(10 * time.Millisecond)
			}
			if n := backend.n.Load(); n > 60 {
				t.Errorf("%s: %d guesses in 5 minutes", name, n)
			}
		})
	}
}

// The first few wrong passwords cost no wait, the next ones seconds, and a success
// forgets them.
func TestMistypingCostsLittle(t *testing.T) {
	var b backoff
	now := time.Unix(1e9, 0)
	p := pairOf("Alice", netip.MustParseAddr("192.0.2.1"))
	for i, want := range []time.Duration{0, 0, 0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
		at, ok := b.wait(now, p)
		d := at.wait
		if !ok || d < want*8/10 || d > want*11/10 {
			t.Errorf("attempt %d waits %v, %v; want about %v", i, d, ok, want)
		}
		now = now.Add(d)
		b.failed(now, pairOf("alice", netip.MustParseAddr("192.0.2.1"))) // names differ in case alone
	}
	b.succeeded(now, p)
	if at, ok := b.wait(now, p); at.wait != 0 || !ok {
		t.Errorf("after success it waits %v", at.wait)
	}
}

func TestWhatFailedIsForgotten(t *testing.T) {
	var b backoff
	now := time.Unix(1e9, 0)
	for i := range 3 * maxFailures {
		p := pairOf(fmt.Sprint("user", i), netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}))
		b.failed(now, p)
		if i%3 == 0 {
			b.succeeded(now, p)
		}
		if i == maxFailures+10 {
			break // each one more goes through the table
		}
	}
	for _, n := range []int{len(b.pairs), len(b.names), len(b.sources), len(b.right)} {
		if n > maxFailures {
			t.Errorf("%d are kept, want at most %d", n, maxFailures)
		}
	}
	now = now.Add(time.Hour)
	if at, ok := b.wait(now, pairOf("user1", netip.MustParseAddr("198.18.0.1"))); at.wait != 0 || !ok {
		t.Errorf("after an hour it waits %v", at.wait)
	}
}

// A client that gives up before its attempt is made leaves its place to others: the queue
// is only as long as there are attempts in it.
func TestWhoGivesUpLeavesNoGap(t *testing.T) {
	var b backoff
	now := time.Unix(1e9, 0)
	p := pairOf("alice", netip.MustParseAddr("192.0.2.1"))
	for range 30 {
		b.failed(now, p)
	}
	var fresh backoff
	for range 30 {
		fresh.failed(now, p)
	}
	for range 1000 {
		at, ok := b.wait(now, p)
		if !ok {
			t.Fatal("the queue is full, and nobody is in it")
		}
		at.leave()
	}
	newcomer := pairOf("bob", netip.MustParseAddr("192.0.2.1"))
	got, _ := b.wait(now, newcomer)
	if want, _ := fresh.wait(now, newcomer); got.wait != want.wait {
		t.Errorf("a newcomer waits %v, want %v", got.wait, want.wait)
	}
}
