package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/vpn"
)

// What the backend says of a user is in the log: its words as a bounded field,
// what of its answer cannot be read as a warning of its own.
func TestWhatABackendSaysIsLogged(t *testing.T) {
	who := vpn.Who{Conn: 7, Remote: netip.MustParseAddrPort("198.51.100.7:4500")}
	words := "Locked.\nCall \x1b[2J" + strings.Repeat("1", 500)
	shown := "Locked.?Call ?[2J" + strings.Repeat("1", fieldLimit-len("Locked.?Call ?[2J")) + "…"
	for name, tt := range map[string]struct {
		e     vpn.AuthDone
		level string
		want  []map[string]string // the lines
	}{
		"refused": {
			vpn.AuthDone{Who: who, Method: auth.PAP, Name: "alice", Verdict: auth.BadCredentials, Message: words}, "info",
			[]map[string]string{{"level": "warning", "name": "alice", "reply_message": shown}},
		},
		"not allowed": {
			vpn.AuthDone{Who: who, Method: auth.PAP, Name: "alice", Verdict: auth.NotAllowed, Message: "no", Detail: "d"}, "info",
			[]map[string]string{{"level": "warning", "reply_message": "no", "detail": "d"}},
		},
		"accepted": {
			vpn.AuthDone{Who: who, Method: auth.PAP, Name: "alice", Verdict: auth.Accepted, Message: "welcome"}, "info",
			[]map[string]string{{"level": "info", "msg": "user authenticated", "reply_message": ""}},
		},
		"accepted, at debug": {
			vpn.AuthDone{Who: who, Method: auth.PAP, Name: "alice", Verdict: auth.Accepted, Message: "welcome"}, "debug",
			[]map[string]string{{"level": "info", "msg": "user authenticated", "reply_message": "welcome"}},
		},
		"with what cannot be read": {
			vpn.AuthDone{Who: who, Method: auth.PAP, Name: "alice", Verdict: auth.Accepted, Warnings: []string{"Framed-Route (22) cannot be read: x", "Framed-MTU (12) cannot be read: y"}}, "info",
			[]map[string]string{
				{"level": "warning", "name": "alice", "reason": "Framed-Route (22) cannot be read: x; Framed-MTU (12) cannot be read: y"},
				{"level": "info", "msg": "user authenticated"},
			},
		},
		"with more than a line's worth": {
			vpn.AuthDone{Who: who, Method: auth.PAP, Name: "alice", Verdict: auth.Accepted, Warnings: slices.Repeat([]string{strings.Repeat("x", 99)}, 12)}, "info",
			[]map[string]string{
				{"level": "warning", "reason": strings.Repeat(strings.Repeat("x", 99)+"; ", 9) + strings.Repeat("x", 99)},
				{"level": "warning", "reason": strings.Repeat("x", 99) + "; " + strings.Repeat("x", 99)},
				{"level": "info", "msg": "user authenticated"},
			},
		},
		"no address": {
			vpn.AuthDone{Who: who, Method: auth.MSCHAPv2, Name: "alice", Verdict: auth.NoAddress, Detail: "no address left in the pool"}, "info",
			[]map[string]string{{"level": "warning", "detail": "no address left in the pool", "msg": "no address is left for the user: network.pool is too small; the client shows that the connection was closed"}},
		},
		"no verdict": {
			vpn.AuthDone{Who: who, Method: auth.PAP, Err: errors.New("the RADIUS server's reply cannot be read: Framed-Route (22)")}, "info",
			[]map[string]string{{"level": "error", "error": "the RADIUS server's reply cannot be read: Framed-Route (22)"}},
		},
	} {
		var out bytes.Buffer
		o := &events{log: newLogger(&out, conf.Log{Level: conf.Level(tt.level), Format: "json"}), meter: newMeter()}
		o.Observe(tt.e)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(tt.want) {
			t.Errorf("%s: %d lines, want %d:\n%s", name, len(lines), len(tt.want), out.String())
			continue
		}
		for i, want := range tt.want {
			var got map[string]any
			if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
				t.Fatal(err)
			}
			for key, value := range want {
				if s, _ := got[key].(string); s != value {
					t.Errorf("%s: %s is %q, want %q", name, key, got[key], value)
				}
			}
		}
	}
}
