package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// play runs a script on a book: words of a kind of record and a session ("S1", "I1", "E1" for
// Stop), "next", "done", "back", "later", "aside", for the entry that next named last, and
// "wait" for a minute. It returns what next found; "-" is nothing.
func play(b *book, script string) string {
	now := begin
	var found []string
	var e *Entry
	kinds := map[byte]auth.Status{'S': auth.Start, 'I': auth.Interim, 'E': auth.Stop}
	for i, word := range strings.Fields(script) {
		switch word {
		case "next":
			n, _ := b.next(now)
			if n == nil {
				found = append(found, "-")
				continue
			}
			e = n
			found = append(found, fmt.Sprintf("%c%s@%d", "?SIE"[e.Record.Status], e.Record.Call.SessionID, e.Record.InputOctets))
		case "done":
			b.remove(e)
		case "back":
			b.back(e, time.Time{}, false)
		case "later":
			b.back(e, now.Add(time.Minute), false)
		case "aside":
			b.back(e, now.Add(time.Minute), true)
		case "wait":
			now = now.Add(time.Minute)
		default:
			if e := b.put(now, record(word[1:], kinds[word[0]], uint64(i)), []byte("data")); e != nil {
				b.settled(e)
			}
		}
	}
	return strings.Join(found, " ")
}

func TestOrderIsOfASessionAlone(t *testing.T) {
	for script, want := range map[string]string{
		"S1 E1 next next":                                        "S1@0 -",
		"S1 E1 next done next":                                   "S1@0 E1@1",
		"S1 E1 S2 next next":                                     "S1@0 S2@2",
		"S1 E1 S2 next back next back next":                      "S1@0 S2@2 S1@0",
		"S1 E1 next later next wait next":                        "S1@0 - S1@0",
		"S1 I1 E1 next aside next done next wait next":           "S1@0 E1@2 - S1@0",
		"S1 next aside E1 next done wait next done":              "S1@0 E1@3 S1@0",
		"S1 next done I1 next aside wait next E1 next back next": "S1@0 I1@3 I1@3 - E1@8", // an interim on its way does not come behind the Stop
		"S1 next done I1 I1 I1 next next":                        "S1@0 I1@5 -",           // interims collapse to the newest
		"S1 next done I1 next I1 next back next":                 "S1@0 I1@3 - I1@5",      // one that is under way is not repeated after a newer one
		"S1 next done I1 next E1 back next":                      "S1@0 I1@3 E1@5",        // nor after its Stop
		"S1 next done I1 next aside E1 wait next next":           "S1@0 I1@3 E1@6 -",      // nor if it was put aside
		"S1 next done I1 next later I1 next wait next":           "S1@0 I1@3 I1@6 -",      // nor if it waits for its time
		"S1 I1 E1 next done next done next":                      "S1@0 E1@2 -",           // a Stop has an interim's figures
		"I1 next E1 next done next":                              "I1@0 - E1@2",           // a Stop waits for what is under way
		"S1 next later S2 E2 next done next done next":           "S1@0 S2@3 E2@4 -",      // others go on
		"S1 next aside S1 E1 next aside next done wait":          "S1@0 S1@3 E1@4",        // whatever comes
		"S1 next E1 I2 S3 done next next next next":              "S1@0 I2@3 S3@4 E1@2 -", // oldest first, as they can be sent
	} {
		if got := play(newBook(Limits{100, 1 << 20}), script); got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
}

func TestInterimsMakeRoomForStartsAndBothForStops(t *testing.T) {
	for name, limits := range map[string]Limits{"records": {16, 1 << 20}, "bytes": {1000, 16 * 4}} {
		b := newBook(limits)
		sessions := 0
		fill := func(kind string, n int) string {
			for range n {
				sessions++
				play(b, fmt.Sprintf("%s%d", kind, sessions))
			}
			has := map[auth.Status]int{}
			for _, lane := range b.lanes {
				has[lane[0].Record.Status]++
			}
			return fmt.Sprint(has[auth.Start], has[auth.Interim], has[auth.Stop], b.lost[Full])
		}
		var got []string
		for _, step := range []struct {
			kind string
			n    int
		}{{"I", 20}, {"S", 10}, {"S", 10}, {"E", 10}} {
			got = append(got, fill(step.kind, step.n))
		}
		// 14 places are for all, 16 for Stops; the last ten Starts are known already.
		if want := []string{"0 14 0 6", "10 4 0 16", "14 0 0 26", "14 0 2 34"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Whatever happens in whatever order: nothing but interims goes by itself, an interim never
// comes after its Stop, nor anything out of order that was not put aside, and the figures
// and the changes for the file stay true.
func TestNothingIsLostWhateverComes(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		b, now := newBook(Limits{10_000, 1 << 30}), begin
		file := map[string]bool{}
		stopped, sent, taken := map[string]bool{}, map[string]bool{}, map[string]int{}
		var busy []*Entry
		const sessions = 6
		step := [sessions]int{}
		expect := 0
		for range 400 {
			now = now.Add(time.Second)
			switch n := rnd.IntN(sessions); rnd.IntN(6) {
			case 0, 1:
				id := fmt.Sprintf("%d-%d", n, step[n]/4)
				status := []auth.Status{auth.Start, auth.Interim, auth.Interim, auth.Stop}[step[n]%4]
				step[n]++
				if status != auth.Interim {
					expect++
				}
				if e := b.put(now, record(id, status, 1), []byte("data")); e == nil {
					t.Fatal("no room")
				} else {
					b.settled(e)
				}
			case 2, 3:
				e, _ := b.next(now)
				if e == nil {
					break
				}
				id := e.Record.Call.SessionID
				if e.Record.Status == auth.Interim && sent[id] {
					t.Fatalf("seed %d: an interim after its Stop", seed)
				}
				if e.Record.Status == auth.Stop {
					sent[id] = true
				}
				busy = append(busy, e)
			default:
				if len(busy) == 0 {
					break
				}
				i := rnd.IntN(len(busy))
				e := busy[i]
				busy = slices.Delete(busy, i, i+1)
				switch rnd.IntN(4) {
				case 0:
					b.back(e, time.Time{}, false)
				case 1:
					b.back(e, now.Add(3*time.Second), rnd.IntN(2) == 0)
				default:
					b.remove(e)
					taken[fmt.Sprint(e.Record.Status, e.Record.Call.SessionID)]++
					stopped[e.Record.Call.SessionID] = e.Record.Status == auth.Stop
				}
			}
			for _, c := range b.changes {
				if !c.live {
					if file[c.key] = c.data != nil; c.data == nil {
						delete(file, c.key)
					}
				}
			}
			b.changes = nil
			stale := 0
			for _, e := range busy {
				if e.stale {
					stale++
				}
			}
			if len(file) != b.count-stale || b.bytes != 4*b.count {
				t.Fatalf("seed %d: %d in the file, %d in the book with %d bytes", seed, len(file), b.count, b.bytes)
			}
		}
		for _, e := range busy {
			b.back(e, time.Time{}, false)
		}
		now = now.Add(time.Hour)
		for e, _ := b.next(now); e != nil; e, _ = b.next(now) {
			b.remove(e)
			taken[fmt.Sprint(e.Record.Status, e.Record.Call.SessionID)]++
		}
		got := 0
		for key, n := range taken {
			if n > 1 && !strings.HasPrefix(key, fmt.Sprint(auth.Interim)) {
				t.Errorf("seed %d: %s was taken %d times", seed, key, n)
			}
			if !strings.HasPrefix(key, fmt.Sprint(auth.Interim)) {
				got++
			}
		}
		if got != expect || b.count != 0 || b.bytes != 0 || len(b.lanes) != 0 || len(b.spare) != 0 || len(b.heap) != 0 {
			t.Fatalf("seed %d: %d Starts and Stops of %d; %d left", seed, got, expect, b.count)
		}
	}
}
