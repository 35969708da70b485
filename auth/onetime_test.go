package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/secret"
)

// codeAt is a one-time code by the text of RFC 4226, section 5.3, and RFC 6238, section 4.
func codeAt(key []byte, at time.Time) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/30))
	h := hmac.New(sha1.New, key)
	h.Write(counter[:])
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
}

// The vectors of RFC 6238, appendix B, cut to six digits.
func TestOneTimeCodesOfRFC6238(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := codeAt([]byte("12345678901234567890"), time.Unix(at, 0)); got != want {
			t.Fatalf("the test's own code at %d is %s, want %s", at, got, want)
		}
	}
}

// shown is a request of a user who types something.
func shown(t *testing.T, m Method, typed, session string) *Request {
	t.Helper()
	r := &Request{Method: m, User: "alice", ID: 7, Call: Call{SessionID: session}}
	switch m {
	case PAP:
		r.Password = secret.String(typed)
	case CHAP:
		r.Challenge = []byte("a challenge")
		sum := md5.Sum([]byte("\x07" + typed + "a challenge"))
		r.Response = sum[:]
	case MSCHAPv2:
		r.Challenge = []byte("0123456789abcdef")
		peer := []byte("fedcba9876543210")
		nt, err := rfc2759.GenerateNTResponse(r.Challenge, peer, []byte("alice"), []byte(typed))
		if err != nil {
			t.Fatal(err)
		}
		r.Response = append(append(append(peer, make([]byte, 8)...), nt...), 0)
	}
	return r
}

// A code comes right behind the password, in every method, a step early or late, and once.
func TestOneTimeCodes(t *testing.T) {
	key := []byte("a key of twenty bytes")
	for _, m := range []Method{PAP, CHAP, MSCHAPv2} {
		synctest.Test(t, func(t *testing.T) {
			l := NewLocal([]User{{Name: "alice", Password: secret.String("right"), TOTP: secret.String(base32.StdEncoding.EncodeToString(key))}})
			session := 0
			try := func(what, typed string, want Verdict) {
				t.Helper()
				session++
				r, err := l.Authenticate(t.Context(), shown(t, m, typed, fmt.Sprint(session)))
				if err != nil || r.Verdict != want {
					t.Errorf("%v, %s: %v (%s), %v; want %v", m, what, r.Verdict, r.Detail, err, want)
				}
				if m == MSCHAPv2 && want == Accepted && !strings.HasPrefix(r.Success, "S=") {
					t.Errorf("%s: there is no proof for the client: %q", what, r.Success)
				}
			}
			now := time.Now
			try("the password alone", "right", BadCredentials)
			try("the code alone", codeAt(key, now()), BadCredentials)
			try("the code before the password", codeAt(key, now())+"right", BadCredentials)
			try("a wrong password", "wrong"+codeAt(key, now()), BadCredentials)
			try("two steps late", "right"+codeAt(key, now().Add(-time.Minute)), BadCredentials)
			try("two steps early", "right"+codeAt(key, now().Add(time.Minute)), BadCredentials)
			try("a step late", "right"+codeAt(key, now().Add(-30*time.Second)), Accepted)
			used := codeAt(key, now())
			try("the present code", "right"+used, Accepted)
			try("it again", "right"+used, BadCredentials)
			try("an older one", "right"+codeAt(key, now().Add(-30*time.Second)), BadCredentials)
			time.Sleep(30 * time.Second)
			try("it again, later", "right"+used, BadCredentials)
			next := codeAt(key, now())
			try("the next one", "right"+next, Accepted)
			session-- // as in the same session
			try("the next one in answer to a copy of the challenge", "right"+next, Accepted)
			time.Sleep(time.Hour)
			try("an hour later", "right"+codeAt(key, now()), Accepted)
		})
	}
}

// What was used is remembered over a restart.
func TestUsedCodesAreRemembered(t *testing.T) {
	var kept map[string]UsedCode
	c := NewUsedCodes(nil)
	c.Changed = func(all map[string]UsedCode) {
		kept = map[string]UsedCode{}
		for u, code := range all {
			kept[u] = code
		}
	}
	if !c.Use("alice", 100, "1") || c.Use("alice", 100, "2") || !c.Use("bob", 101, "3") {
		t.Fatal("codes are not good once")
	}
	again := NewUsedCodes(kept)
	if again.Use("alice", 100, "4") || !again.Use("alice", 101, "5") {
		t.Error("after a restart a used code is good, or a new one is not")
	}
	for i := range int64(1000) {
		c.Use(fmt.Sprint("user", i), 200+i, "x")
	}
	if len(kept) > 5 {
		t.Errorf("%d are kept whose codes nobody can use any more", len(kept))
	}
}

// Of logins that come while codes are being written, each waits until its own is, all of them for
// one more write; and who is refused waits for none.
func TestLoginsShareTheWritingOfCodes(t *testing.T) {
	c := NewUsedCodes(nil)
	begun, goOn := make(chan struct{}, 9), make(chan struct{})
	var written atomic.Pointer[map[string]UsedCode]
	writes := 0
	c.Changed = func(all map[string]UsedCode) {
		writes++
		begun <- struct{}{}
		<-goOn
		written.Store(&all)
	}
	var logins sync.WaitGroup
	use := func(user string) {
		logins.Go(func() {
			if !c.Use(user, 100, user) {
				t.Errorf("%s is refused", user)
			}
			if list := written.Load(); list == nil || (*list)[user].Session != user {
				t.Errorf("%s comes in before the code is written", user)
			}
		})
	}
	use("first")
	<-begun
	if !c.mu.TryLock() {
		t.Fatal("other logins wait for the disk even to be looked at")
	}
	c.mu.Unlock()
	if c.Use("first", 100, "another session") {
		t.Error("a code is good twice")
	}
	const others = 50
	for i := range others {
		use(fmt.Sprint(i))
	}
	for n := 0; n < 1+others; runtime.Gosched() {
		c.mu.Lock()
		n = len(c.last)
		c.mu.Unlock()
	}
	close(goOn)
	logins.Wait()
	if writes != 2 {
		t.Errorf("%d writes", writes)
	}
}
