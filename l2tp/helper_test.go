package l2tp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
)

func testConfig() *Config {
	return &Config{
		HostName: "adit", Window: 4, Sessions: 1, Hello: time.Minute,
		SetupTimeout: 30 * time.Second, CallTimeout: 30 * time.Second,
	}
}

func withSecret(c *Config, s string) *Config {
	c.Secret, c.Challenge = secret.String(s), true
	return c
}

// thaw, if it is set, replaces every machine of the tests by its frozen and thawed
// copy whenever it has been drained. It is called with the frozen state.
var thaw func(state []byte)

// drain returns all pending events.
func drain(t *Tunnel) []Event {
	events := machinetest.Drain(t)
	if thaw == nil {
		return events
	}
	state := t.Append(nil)
	thaw(state)
	copied, err := Resume(t.env, state)
	if err != nil {
		panic(err)
	}
	*t = *copied
	return events
}

// wire is a simulated line between a LAC (0) and an LNS (1).
type wire struct {
	machinetest.Line[[]byte]
	ends   [2]*Tunnel
	events [2][]Event
	sent   [2][][]byte
}

func newWire(t testing.TB, lac, lns *Config) *wire {
	w := &wire{Line: machinetest.NewLine[[]byte](t)}
	w.ends[1] = NewLNS(Env{Config: lns, Rand: machinetest.Rand(1)}, w.Now)
	w.ends[0] = NewLAC(Env{Config: lac, Rand: machinetest.Rand(2)}, w.Now)
	return w
}

func (w *wire) collect(i int) {
	for _, e := range drain(w.ends[i]) {
		w.events[i] = append(w.events[i], e)
		if s, ok := e.(Send); ok {
			w.sent[i] = append(w.sent[i], bytes.Clone(s.Data))
			w.Post(1-i, bytes.Clone(s.Data))
		}
	}
}

// run lets time pass until done returns true or the limit is reached.
func (w *wire) run(limit time.Duration, done func() bool) bool {
	w.T.Helper()
	w.collect(0)
	w.collect(1)
	return w.Run(limit, [2]machinetest.Timed{w.ends[0], w.ends[1]}, w.deliver, w.collect, done)
}

func (w *wire) deliver(to int, data []byte) {
	_ = w.ends[to].HandlePacket(w.Now, data) // packets may be dropped here
}

func (w *wire) sessionsUp() bool {
	return machinetest.Count[SessionUp](w.events[0]) > 0 && machinetest.Count[SessionUp](w.events[1]) > 0
}

func (w *wire) closed() bool {
	return w.ends[0].s.ending == gone && w.ends[1].s.ending == gone
}

func (w *wire) describe() string {
	var b strings.Builder
	for i, t := range w.ends {
		fmt.Fprintf(&b, "end %d: %v ending %d sessions %+v channel %+v\n", i, t.s.state, t.s.ending, t.s.sessions, t.s.channel)
	}
	return b.String()
}
