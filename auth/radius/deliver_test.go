package radius

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/ledger"
	"github.com/adit-vpn/adit/internal/secret"
)

// bookkeeper is an accounting server that keeps what comes.
type bookkeeper struct {
	*fakeServer
	mu      sync.Mutex
	came    []*radius.Packet
	refuses func(p *radius.Packet) bool // nil: nothing
}

func keepBooks(t *testing.T) *bookkeeper {
	b := &bookkeeper{}
	b.fakeServer = serve(t, func(p *radius.Packet, _ []byte) []byte {
		b.mu.Lock()
		defer b.mu.Unlock()
		if p.Code == radius.CodeStatusServer {
			return nil // as many accounting servers do
		}
		b.came = append(b.came, p)
		if b.refuses != nil && b.refuses(p) {
			return nil
		}
		return unsigned(p, radius.CodeAccountingResponse)
	})
	b.ignoresOn = true
	return b
}

// story is what came, each once: kind and session.
func (b *bookkeeper) story() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.came {
		word := rfc2866.AcctStatusType_Get(p).String()
		if !announces(p) {
			word += " " + rfc2866.AcctSessionID_GetString(p)
		}
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list
}

func (b *bookkeeper) packets(status rfc2866.AcctStatusType, id string) (list []*radius.Packet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.came {
		if rfc2866.AcctStatusType_Get(p) == status && (id == "" || rfc2866.AcctSessionID_GetString(p) == id) {
			list = append(list, p)
		}
	}
	return list
}

// accounts is a client of accounting servers.
func accounts(t *testing.T, file string, problems *[]string, servers ...*bookkeeper) *Client {
	t.Helper()
	cfg := Config{NASIdentifier: "adit", Dial: dialFake, Ledger: file}
	var mu sync.Mutex
	cfg.Problem = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if problems != nil {
			*problems = append(*problems, text)
		}
	}
	for _, s := range servers {
		cfg.Servers = append(cfg.Servers, Server{Accounting: s.address(), Secret: secret.String(shared)})
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func entry(id string, status auth.Status) auth.Record {
	return auth.Record{Status: status, User: "alice", Call: auth.Call{SessionID: id, Remote: netip.MustParseAddrPort("198.51.100.7:4500"),
		Local: netip.MustParseAddrPort("192.0.2.1:4500")}, Address: netip.MustParseAddr("10.83.0.2"), Time: time.Now(), Cause: auth.UserRequest}
}

func wantStory(t *testing.T, b *bookkeeper, want ...string) {
	t.Helper()
	if got := b.story(); !slices.Equal(got, want) {
		t.Errorf("the server saw %q, want %q", got, want)
	}
}

const on, off = "Accounting-On", "Accounting-Off"

// Every server hears of the start before anything else, and of the stop after everything.
func TestEveryServerHearsOfStartAndStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := keepBooks(t), keepBooks(t)
		c := accounts(t, "", nil, a, b)
		c.Account(entry("1", auth.Start))
		time.Sleep(time.Second)
		c.Account(entry("1", auth.Stop))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wantStory(t, a, on, "Start 1", "Stop 1", off)
		wantStory(t, b, on, off)
		for _, p := range append(a.packets(7, ""), a.packets(8, "")...) {
			if rfc2866.AcctSessionID_GetString(p) == "" || rfc2869.EventTimestamp_Get(p).IsZero() || rfc2865.NASIdentifier_GetString(p) != "adit" {
				t.Errorf("%v", p.Attributes)
			}
		}
		if off := a.packets(8, ""); rfc2865.NASIPAddress_Get(off[0]).String() != "192.0.2.1" {
			t.Errorf("Accounting-Off is of %v", rfc2865.NASIPAddress_Get(off[0]))
		}
	})
}

// A server that is dead at the start hears of it when it lives, before any record, with the
// time of the start; meanwhile the next one has the records.
func TestAServerThatComesBackHearsOfTheStartFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := keepBooks(t), keepBooks(t)
		a.away.Store(true)
		began := time.Now()
		c := accounts(t, "", nil, a, b)
		c.Account(entry("1", auth.Start))
		time.Sleep(20 * time.Second)
		wantStory(t, b, on, "Start 1")
		a.away.Store(false)
		time.Sleep(time.Minute)
		c.Account(entry("1", auth.Stop))
		time.Sleep(20 * time.Second)
		wantStory(t, a, on, "Stop 1")
		wantStory(t, b, on, "Start 1")
		if at := rfc2869.EventTimestamp_Get(a.packets(7, "")[0]); !at.Equal(began.Truncate(time.Second)) {
			t.Errorf("Accounting-On is of %v, want %v", at, began)
		}
	})
}

func TestAServerThatIgnoresAccountingOnGetsRecordsAllTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := keepBooks(t)
		a.refuses = announces
		var told []string
		c := accounts(t, "", &told, a)
		c.Account(entry("1", auth.Start))
		time.Sleep(5 * time.Minute)
		wantStory(t, a, on, "Start 1")
		if s, _ := c.AccountingStats(); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		if !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "not Accounting-On") }) {
			t.Errorf("told %q", told)
		}
	})
}

// While a server is dead, records wait as they are; and when they are sent anew, only what
// RFC 2866, section 5.2 names has changed.
func TestARecordThatIsSentAnewIsTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := keepBooks(t)
		c := accounts(t, "", nil, a)
		time.Sleep(time.Second)
		silent := true
		a.mu.Lock()
		a.refuses = func(*radius.Packet) bool { return silent }
		a.mu.Unlock()
		c.Account(entry("1", auth.Start))
		time.Sleep(10 * time.Minute)
		a.mu.Lock()
		silent = false
		a.mu.Unlock()
		time.Sleep(time.Minute)
		if s, _ := c.AccountingStats(); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		list := a.packets(rfc2866.AcctStatusType_Value_Start, "1")
		var last *radius.Packet
		for _, p := range list {
			if last != nil {
				same := p.Authenticator == last.Authenticator && p.Identifier == last.Identifier
				older := rfc2866.AcctDelayTime_Get(p) > rfc2866.AcctDelayTime_Get(last)
				if same == older || !rfc2869.EventTimestamp_Get(p).Equal(rfc2869.EventTimestamp_Get(last)) {
					t.Errorf("%v after %v", p.Attributes, last.Attributes)
				}
			}
			last = p
		}
		if n := len(list); n < 20 || n > 400 || rfc2866.AcctDelayTime_Get(last) < 600 {
			t.Errorf("it was sent %d times, in the end with %d s", n, rfc2866.AcctDelayTime_Get(last))
		}
	})
}

// Records that a server never takes hold up nobody: neither other sessions, however many there
// are of either, nor in the end their own. They are lost after a day, each with a line.
func TestRecordsThatAreNeverTakenHoldUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := keepBooks(t)
		a.refuses = func(p *radius.Packet) bool {
			return strings.HasPrefix(rfc2866.AcctSessionID_GetString(p), "bad") && rfc2866.AcctStatusType_Get(p) == rfc2866.AcctStatusType_Value_Start
		}
		var told []string
		c := accounts(t, "", &told, a)
		const bad, good = 20, 500
		for i := range bad {
			c.Account(entry(fmt.Sprint("bad", i), auth.Start))
			c.Account(entry(fmt.Sprint("bad", i), auth.Stop))
		}
		for i := range good {
			id := fmt.Sprint("good", i)
			c.Account(entry(id, auth.Start))
			time.Sleep(100 * time.Millisecond)
			c.Account(entry(id, auth.Stop))
			time.Sleep(100 * time.Millisecond)
			if s, _ := c.AccountingStats(); s.Waiting > 2*bad+2 {
				t.Fatalf("%d good records wait", s.Waiting-2*bad)
			}
		}
		time.Sleep(time.Minute)
		s, _ := c.AccountingStats()
		if s.Waiting != bad || s.Aside != bad {
			t.Errorf("after three minutes: %+v, want the refused ones aside, and their Stops taken", s)
		}
		for range 27 * 6 { // the server goes on to take others
			time.Sleep(10 * time.Minute)
			c.Account(entry(fmt.Sprint(time.Now()), auth.Stop))
		}
		s, _ = c.AccountingStats()
		lost := 0
		for _, line := range told {
			if strings.Contains(line, "is lost") && strings.Contains(line, "takes others and not this one") {
				lost++
			}
		}
		if s.Waiting > 1 || s.Lost[ledger.Refused] != bad || lost != bad {
			t.Errorf("after a day: %+v, and %d lines", s, lost)
		}
		if n := len(a.packets(rfc2866.AcctStatusType_Value_Start, "bad1")); n < 40 || n > 800 {
			t.Errorf("a refused record was sent %d times", n)
		}
	})
}

// What a client leaves in its file is sent by the next one: Accounting-On first.
func TestTheNextRunSendsWhatIsLeft(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounting.db")
	bubble(t, func(t *testing.T) {
		a := keepBooks(t)
		a.away.Store(true)
		c := accounts(t, file, nil, a)
		for _, id := range []string{"1", "2"} {
			c.Account(entry(id, auth.Start))
		}
		c.Account(entry("1", auth.Stop))
		time.Sleep(5 * time.Second)
		began := time.Now()
		if err := c.Close(); err != nil || time.Since(began) > 8*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		a.away.Store(false)
		accounts(t, file, nil, a)
		time.Sleep(10 * time.Second)
		got := a.story()
		if len(got) != 5 || got[0] != on || !slices.Contains(got, "Stop 1") || !slices.Contains(got, "Stop 2") {
			t.Errorf("the server saw %q", got)
		}
		if p := a.packets(7, ""); rfc2865.NASIPAddress_Get(p[0]).String() != "192.0.2.1" {
			t.Errorf("Accounting-On is of %v", rfc2865.NASIPAddress_Get(p[0]))
		}
		if cause := rfc2866.AcctTerminateCause_Get(a.packets(rfc2866.AcctStatusType_Value_Stop, "2")[0]); cause != rfc2866.AcctTerminateCause_Value_NASReboot {
			t.Errorf("the session that was cut off ended by %v", cause)
		}
	})
}

// That a server takes records again, and that some wait for the next start, is no problem.
func TestGoodNewsIsNoProblem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := keepBooks(t)
		var mu sync.Mutex
		var problems, news []string
		into := func(list *[]string) func(string) {
			return func(text string) {
				mu.Lock()
				defer mu.Unlock()
				*list = append(*list, text)
			}
		}
		c, err := New(Config{
			NASIdentifier: "adit", Dial: dialFake, Ledger: filepath.Join(t.TempDir(), "queue"), Problem: into(&problems), News: into(&news),
			Servers: []Server{{Accounting: a.address(), Secret: secret.String(shared)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, away := range []bool{true, false, true} {
			a.away.Store(away)
			c.Account(entry(fmt.Sprint(time.Now()), auth.Start))
			time.Sleep(5 * time.Minute)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(problems) != 2 || !strings.HasPrefix(problems[0], "records wait: ") || !strings.HasPrefix(problems[1], "records wait: ") {
			t.Errorf("problems: %q", problems)
		}
		if len(news) != 2 || !strings.Contains(news[0], "answers again") || news[1] != "records that wait for the next start: 1" {
			t.Errorf("news: %q", news)
		}
	})
}
