package ppp

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rfcTable is the state transition table in the notation of RFC 1661, section 4.1. A cell
// is "actions/next"; "-" means that the event is impossible. The letters after a state
// are the footnotes: p passive, r restart, x crossed.
const rfcTable = `
Up    2     irc,scr/6  -          -              -      -      -          -          -          -
Down  -     -          0          tls/1          0      1      1          1          1          tld/1
Open  tls/1 1          irc,scr/6  3r             5r     5r     6          7          8          9r
Close 0     tlf/0      2          2              4      4      irc,str/4  irc,str/4  irc,str/4  tld,irc,str/4
TO+   -     -          -          -              str/4  str/5  scr/6      scr/6      scr/8      -
TO-   -     -          -          -              tlf/2  tlf/3  tlf/3p     tlf/3p     tlf/3p     -
RCR+  -     -          sta/2      irc,scr,sca/8  4      5      sca/8      sca,tlu/9  sca/8      tld,scr,sca/8
RCR-  -     -          sta/2      irc,scr,scn/6  4      5      scn/6      scn/7      scn/6      tld,scr,scn/6
RCA   -     -          sta/2      sta/3          4      5      irc/7      scr/6x     irc,tlu/9  tld,scr/6x
RCN   -     -          sta/2      sta/3          4      5      irc,scr/6  scr/6x     irc,scr/8  tld,scr/6x
RTR   -     -          sta/2      sta/3          sta/4  sta/5  sta/6      sta/6      sta/6      tld,zrc,sta/5
RTA   -     -          2          3              tlf/2  tlf/3  6          6          8          tld,scr/6
RUC   -     -          scj/2      scj/3          scj/4  scj/5  scj/6      scj/7      scj/8      scj/9
RXJ+  -     -          2          3              4      5      6          6          8          9
RXJ-  -     -          tlf/2      tlf/3          tlf/2  tlf/3  tlf/3      tlf/3      tlf/3      tld,irc,str/5
RXR   -     -          2          3              4      5      6          7          8          ser/9
`

func TestTheTableIsTheRFCs(t *testing.T) {
	names := []string{"", "tlu", "tld", "tls", "tlf", "irc", "zrc", "scr", "sca", "scn", "str", "sta", "scj", "ser"}
	rows := strings.Split(strings.TrimSpace(rfcTable), "\n")
	if len(rows) != int(triggerCount) {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows {
		cells := strings.Fields(row)
		if len(cells) != 11 {
			t.Fatalf("row %s has %d cells", cells[0], len(cells))
		}
		for j, cell := range cells[1:] {
			got := transitions[i][j]
			if cell == "-" {
				if got.possible {
					t.Errorf("%s in state %d is possible", cells[0], j)
				}
				continue
			}
			actions, next, found := strings.Cut(strings.TrimRight(cell, "prx"), "/")
			if !found {
				actions, next = "", actions
			}
			var have []string
			for _, a := range got.actions {
				if a != noAction {
					have = append(have, names[a])
				}
			}
			n, err := strconv.Atoi(next)
			if err != nil {
				t.Fatalf("cell %q: %v", cell, err)
			}
			if !got.possible || int(got.next) != n || !slices.Equal(have, splitActions(actions)) {
				t.Errorf("%s in state %d: %v/%d, want %s", cells[0], j, have, got.next, cell)
			}
		}
	}
}

func splitActions(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// The restart timer runs in exactly the states in which a timeout is possible.
func TestTheTimerRunsWhereATimeoutIsPossible(t *testing.T) {
	for s := initial; s <= opened; s++ {
		if s.timed() != transitions[evTimeout][s].possible {
			t.Errorf("%v: timed = %v", s, s.timed())
		}
	}
}
