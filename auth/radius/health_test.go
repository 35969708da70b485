package radius

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// step is something that happens to a health, or a look at it, at a time in seconds.
type step struct {
	at   float64
	what string // sent, ended, answered, status, failed, or "": nothing but time passes
	want string // state and, if a probe is sent on the way there, which
}

// Each row is a server's life in steps. Between them the machine's timer is called when it
// asks for that.
func TestHealth(t *testing.T) {
	for name, tt := range map[string]struct {
		accounting bool
		steps      []step
	}{
		"a server that answers is never probed": {steps: []step{
			{0, "sent", "not asked yet"}, {0.4, "answered", "up"}, {0.4, "ended", "up"}, {3600, "", "up"},
			{3600, "sent", "up"}, {3600.9, "answered", "up"}, {3600.9, "ended", "up"}, {9000, "", "up"},
		}},
		"a silent one is probed after a second and given up after two and a half": {steps: []step{
			{0, "sent", "not asked yet"}, {0.99, "", "not asked yet"}, {1, "", "suspect status+login"},
			{1.75, "", "suspect status+login"}, {2.49, "", "suspect"}, {2.5, "", "down"},
		}},
		"so it is if the request ends before": {steps: []step{
			{0, "sent", "not asked yet"}, {0.2, "ended", "not asked yet"}, {1, "", "suspect status+login"}, {2.5, "", "down status+login"},
		}},
		"and later requests give it no more time": {steps: []step{
			{0, "sent", "not asked yet"}, {0.9, "sent", "not asked yet"}, {2.4, "sent", "suspect status+login status+login"}, {2.5, "", "down"},
		}},
		"one that answers probes is waited for, and asked now and then whether it lives": {steps: []step{
			{0, "sent", "not asked yet"}, {1, "", "suspect status+login"}, {1.1, "status", "up"},
			{9, "", "up"}, {9.1, "", "suspect status"}, {9.2, "status", "up"}, {17.2, "", "suspect status"}, {17.3, "status", "up"},
			{40, "answered", "up status status status"}, {40, "ended", "up"}, {3000, "", "up"},
		}},
		"one that dies meanwhile is given up": {steps: []step{
			{0, "sent", "not asked yet"}, {1.1, "status", "up status+login"}, {9.1, "", "suspect status"}, {11.1, "", "down status"},
		}},
		"one that does not know Status-Server lives by its answer to a login": {steps: []step{
			{0, "sent", "not asked yet"}, {1.1, "answered", "up status+login"}, {9.1, "", "suspect status+login"}, {9.2, "answered", "up"},
		}},
		"one that is not there is down at once, and probed by turns until it lives": {steps: []step{
			{0, "sent", "not asked yet"}, {0.01, "failed", "down"}, {0.01, "ended", "down"},
			{4.01, "", "probing status"}, {6.01, "", "down"}, {14.01, "", "probing login"}, {16.01, "", "down"},
			{24.01, "", "probing status"}, {24.02, "status", "up"}, {3000, "", "up"},
		}},
		"one that knows Status-Server is probed by that alone": {steps: []step{
			{0, "status", "up"}, {1, "failed", "down"}, {5, "", "probing status"}, {15, "", "probing status"}, {25, "", "probing status"},
		}},
		"an answer that comes late shows life, too": {steps: []step{
			{0, "sent", "not asked yet"}, {2.5, "", "down status+login status+login"}, {2.5, "ended", "down"}, {3, "answered", "up"}, {3000, "", "up"},
		}},
		"accounting has no login to probe by: a real request tries": {accounting: true, steps: []step{
			{0, "sent", "not asked yet"}, {1, "", "suspect status"}, {2.5, "", "down status"}, {2.5, "ended", "down"},
			{6.5, "", "probing status"}, {16.5, "", "probing request"}, {17, "sent", "probing"}, {17.1, "answered", "up"}, {17.1, "ended", "up"}, {3000, "", "up"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Unix(1e9, 0)
			h := health{accounting: tt.accounting}
			for i, s := range tt.steps {
				now := start.Add(time.Duration(s.at * float64(time.Second)))
				var sent []string
				for h.deadline().After(start) && !h.deadline().After(now) {
					if p := h.timer(h.deadline()); p != 0 {
						sent = append(sent, named(p))
					}
				}
				switch s.what {
				case "sent":
					h.sent(now)
				case "ended":
					h.ended()
				case "answered":
					h.answered(now, false)
				case "status":
					h.answered(now, true)
				case "failed":
					h.failed(now, errors.New("refused"))
				}
				if got := strings.Join(append([]string{h.state.String()}, sent...), " "); got != s.want {
					t.Fatalf("step %d, at %v, %s: %s, want %s", i, s.at, s.what, got, s.want)
				}
				if h.away() == (h.state != Down && h.state != Probing) {
					t.Errorf("step %d: away is %v", i, h.away())
				}
			}
		})
	}
}

func named(p probes) string {
	var list []string
	for bit, name := range map[probes]string{byStatus: "status", byLogin: "login", byRequest: "request"} {
		if p&bit != 0 {
			list = append(list, name)
		}
	}
	if len(list) == 2 {
		return "status+login"
	}
	return fmt.Sprint(list[0])
}

// However a server behaves, it is asked whether it lives within the times that logins
// count on: one that comes back is used again within half a minute.
func TestAServerThatComesBackIsFoundWithinHalfAMinute(t *testing.T) {
	for _, status := range []bool{true, false} {
		for offset := range 60 {
			start := time.Unix(1e9, 0)
			h := health{}
			h.failed(start, nil)
			back := start.Add(time.Duration(offset) * time.Second)
			for h.away() {
				now := h.deadline()
				if p := h.timer(now); !now.Before(back) && (p&byLogin != 0 || status && p&byStatus != 0) {
					h.answered(now, p&byStatus != 0)
				}
			}
			if took := h.heard.Sub(back); took > 30*time.Second {
				t.Errorf("back after %d s, known %v later", offset, took)
			}
		}
	}
}
