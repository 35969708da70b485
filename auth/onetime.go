package auth

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/adit-vpn/adit/internal/secret"
)

// A user's one-time codes (RFC 6238) come right behind the password, so that clients that know
// only passwords can send them. That works with every method for which the password is kept.
// Clocks may differ by a step.
const (
	codeStep   = 30 // seconds
	codeSteps  = 1  // before and after the present one
	codeDigits = otp.DigitsSix
)

// Codes remembers which one-time codes were used: none is good twice.
type Codes interface {
	// Use reports whether a code may be used, the one of a time step, and takes it. One session
	// may use it again: a client answers each copy of a challenge.
	Use(user string, step int64, session string) bool
}

// candidate is what a user may show as the password now.
type candidate struct {
	password secret.Bytes
	step     int64 // of the one-time code in it; 0: there is none
}

// candidates are a user's password, or the password with each one-time code that is good now.
func (u User) candidates(now time.Time) ([]candidate, error) {
	if u.TOTP.Len() == 0 {
		return []candidate{{password: u.Password}}, nil
	}
	var list []candidate
	for i := int64(-codeSteps); i <= codeSteps; i++ {
		at := now.Add(time.Duration(i) * codeStep * time.Second)
		code, err := totp.GenerateCodeCustom(string(u.TOTP.Reveal()), at, totp.ValidateOpts{Period: codeStep, Digits: codeDigits})
		if err != nil {
			return nil, errors.New("the key of the user's one-time codes cannot be read") // the error has the key in it
		}
		both := append(append([]byte(nil), u.Password.Reveal()...), code...)
		list = append(list, candidate{secret.New(both), at.Unix() / codeStep})
	}
	return list, nil
}

// UsedCodes is a Codes in memory. It is safe for use by several goroutines.
type UsedCodes struct {
	// Changed, if it is not nil, gets all that has to be remembered. A code is good when Changed has
	// returned that had it: of logins that come meanwhile the next one has all.
	Changed func(map[string]UsedCode)

	mu    sync.Mutex
	last  map[string]UsedCode
	taken uint64 // codes

	writing sync.Mutex
	written uint64 // how many were taken when Changed was called last
}

// UsedCode is the last code that a user has used.
type UsedCode struct {
	Step    int64
	Session string
}

// NewUsedCodes returns a UsedCodes that remembers what an earlier one has.
func NewUsedCodes(last map[string]UsedCode) *UsedCodes {
	c := &UsedCodes{last: map[string]UsedCode{}}
	for user, code := range last {
		c.last[user] = code
	}
	return c
}

// Use implements Codes. A code that is older than one that was used is not good, either.
func (c *UsedCodes) Use(user string, step int64, session string) bool {
	n, ok := c.take(user, step, session)
	if ok && c.Changed != nil {
		c.keep(n)
	}
	return ok
}

// take takes a code, the nth that was.
func (c *UsedCodes) take(user string, step int64, session string) (n uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, known := c.last[user]
	if known && (step < last.Step || step == last.Step && session != last.Session) {
		return 0, false
	}
	c.last[user] = UsedCode{step, session}
	for u, code := range c.last {
		if code.Step < step-2*codeSteps-1 {
			delete(c.last, u) // its code is good for nobody any more
		}
	}
	c.taken++
	return c.taken, true
}

// keep returns when what was taken up to the nth code is kept. Whoever has its turn first keeps what
// all have taken who wait.
func (c *UsedCodes) keep(n uint64) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.written >= n {
		return
	}
	c.mu.Lock()
	all, taken := maps.Clone(c.last), c.taken
	c.mu.Unlock()
	c.Changed(all)
	c.written = taken
}
