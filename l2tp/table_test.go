package l2tp

import (
	"slices"
	"strings"
	"testing"
)

// rfcControl is the table of RFC 2661, section 7.2.1, one row in each line:
// states; event; actions; next state. It has no row "lose tie-breaker", because we
// send no Tie Breaker.
const rfcControl = `
idle            | open           | Send SCCRQ                          | wait-ctl-reply
idle            | SCCRQ good     | Send SCCRP                          | wait-ctl-conn
idle            | SCCRQ bad      | Send StopCCN, Clean up              | idle
idle            | SCCRP          | Send StopCCN, Clean up              | idle
idle            | SCCCN          | Clean up                            | idle
wait-ctl-reply  | SCCRP good     | Send SCCCN, tunnel-open             | established
wait-ctl-reply  | SCCRP bad      | Send StopCCN, Clean up              | idle
wait-ctl-reply  | SCCCN          | Send StopCCN, Clean up              | idle
wait-ctl-conn   | SCCCN good     | tunnel-open                         | established
wait-ctl-conn   | SCCCN bad      | Send StopCCN, Clean up              | idle
wait-ctl-conn   | SCCRP          | Send StopCCN, Clean up              | idle
wait-ctl-conn   | SCCRQ          | Send StopCCN, Clean up              | idle
established     | open           | tunnel-open                         | established
established     | close          | Send StopCCN, Clean up              | idle
established     | SCCRQ          | Send StopCCN, Clean up              | idle
established     | SCCRP          | Send StopCCN, Clean up              | idle
established     | SCCCN          | Send StopCCN, Clean up              | idle
idle            | StopCCN        | Clean up                            | idle
wait-ctl-reply  | StopCCN        | Clean up                            | idle
wait-ctl-conn   | StopCCN        | Clean up                            | idle
established     | StopCCN        | Clean up                            | idle
`

// rfcLAC is section 7.4.1, and rfcLNS section 7.4.2.
const rfcLAC = `
idle            | ready          | tunnel open                         | wait-tunnel
idle            | ICCN           | Clean up                            | idle
idle            | ICRP           | Clean up                            | idle
idle            | CDN            | Clean up                            | idle
wait-tunnel     | close          | Clean up                            | idle
wait-tunnel     | tunnel-open    | Send ICRQ                           | wait-reply
wait-reply      | ICRP good      | Send ICCN, up                       | established
wait-reply      | ICRP bad       | Send CDN, Clean up                  | idle
wait-reply      | ICRQ           | Send CDN, Clean up                  | idle
wait-reply      | CDN            | Clean up                            | idle
wait-reply      | ICCN           | Clean up                            | idle
wait-reply      | close          | Send CDN, Clean up                  | idle
established     | CDN            | Clean up                            | idle
established     | ICRQ           | Send CDN, Clean up                  | idle
established     | ICRP           | Send CDN, Clean up                  | idle
established     | ICCN           | Send CDN, Clean up                  | idle
established     | close          | Send CDN, Clean up                  | idle
`

const rfcLNS = `
idle            | ICRQ good      | Send ICRP                           | wait-connect
idle            | ICRQ bad       | Send CDN, Clean up                  | idle
idle            | ICRP           | Send CDN, Clean up                  | idle
idle            | ICCN           | Clean up                            | idle
wait-connect    | ICCN good      | up                                  | established
wait-connect    | ICCN bad       | Send CDN, Clean up                  | idle
wait-connect    | ICRQ           | Send CDN, Clean up                  | idle
wait-connect    | ICRP           | Send CDN, Clean up                  | idle
idle            | CDN            | Clean up                            | idle
wait-connect    | CDN            | Clean up                            | idle
established     | CDN            | Clean up                            | idle
wait-connect    | close          | Send CDN, Clean up                  | idle
established     | close          | Send CDN, Clean up                  | idle
established     | ICRQ           | Send CDN, Clean up                  | idle
established     | ICRP           | Send CDN, Clean up                  | idle
established     | ICCN           | Send CDN, Clean up                  | idle
`

// row is one line of a table. An event without "good" or "bad" means both.
type row struct {
	state, next string
	events      []string
	actions     []string
}

func parseRows(t *testing.T, table string) []row {
	t.Helper()
	var rows []row
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			t.Fatalf("row %q", line)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		r := row{state: cells[0], next: cells[3], events: []string{cells[1]}, actions: strings.Split(cells[2], ", ")}
		if slices.Contains([]string{"SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN"}, cells[1]) {
			r.events = []string{cells[1] + " good", cells[1] + " bad"}
		}
		rows = append(rows, r)
	}
	return rows
}

func TestTheControlTableIsTheRFCs(t *testing.T) {
	events := []string{"open", "SCCRQ good", "SCCRQ bad", "SCCRP good", "SCCRP bad", "SCCCN good", "SCCCN bad", "StopCCN", "close"}
	actions := []string{"", "Send SCCRQ", "Send SCCRP", "Send SCCCN", "Send StopCCN", "Clean up", "tunnel-open"}
	for _, r := range parseRows(t, rfcControl) {
		for _, ev := range r.events {
			var state tunnelState
			for state.String() != r.state {
				state++
			}
			got := tunnelTable[state][slices.Index(events, ev)]
			var have []string
			for _, a := range got.actions {
				if a != tunnelNothing {
					have = append(have, actions[a])
				}
			}
			if !got.possible || got.next.String() != r.next || !slices.Equal(have, r.actions) {
				t.Errorf("%s, %s: %v → %v, want %v → %s", r.state, ev, have, got.next, r.actions, r.next)
			}
		}
	}
}

func TestTheCallTablesAreTheRFCs(t *testing.T) {
	events := []string{"ready", "tunnel-open", "ICRQ good", "ICRQ bad", "ICRP good", "ICRP bad", "ICCN good", "ICCN bad", "CDN", "close"}
	actions := []string{"", "tunnel open", "Send ICRQ", "Send ICRP", "Send ICCN", "Send CDN", "Clean up", "up"}
	for name, side := range map[string]struct {
		rfc   string
		table *[sessionStates][sessionEvents]sessionTransition
	}{"LAC": {rfcLAC, &lacTable}, "LNS": {rfcLNS, &lnsTable}} {
		for _, r := range parseRows(t, side.rfc) {
			for _, ev := range r.events {
				var state sessionState
				for state.String() != r.state {
					state++
				}
				got := side.table[state][slices.Index(events, ev)]
				var have []string
				for _, a := range got.actions {
					if a != sessionNothing {
						have = append(have, actions[a])
					}
				}
				if !got.possible || got.next.String() != r.next || !slices.Equal(have, r.actions) {
					t.Errorf("%s: %s, %s: %v → %v, want %v → %s", name, r.state, ev, have, got.next, r.actions, r.next)
				}
			}
		}
	}
}
