package machinetest

import (
	"bytes"
	"encoding/hex"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// compared records the transcripts that were compared since EveryTranscript began.
var compared = map[string]bool{}

// EveryTranscript runs tests, and fails if none of them compares one of the transcripts
// under testdata.
func EveryTranscript(t *testing.T, tests map[string]func(*testing.T)) {
	t.Helper()
	clear(compared)
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, tests[name])
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if !compared[name] && !strings.HasPrefix(name, frozenPrefix) {
			t.Errorf("no test here compares the transcript %s", file)
		}
	}
}

const frozenPrefix = "frozen-"

// FrozenForm compares a frozen state in which every field is filled with the one
// committed for that version. A change of the fields must raise the version and commit
// another state.
func FrozenForm(t testing.TB, version string, state []byte) {
	t.Helper()
	Transcript(t, frozenPrefix+version, hex.Dump(state))
}

// SameLife runs two ends of a conversation as life does with each seed: once as they are,
// and once with thaw set, so that each is frozen and thawed each time it has been drained.
// It fails unless both times the events of both ends, their final states and the time of
// the end are the same.
func SameLife[E any](t *testing.T, thaw *func([]byte), life func(testing.TB, byte) ([2][]E, [2][]byte, time.Time)) {
	t.Helper()
	defer func() { *thaw = nil }()
	for seed := range byte(24) {
		*thaw = nil
		events, states, end := life(t, seed)
		frozen := 0
		*thaw = func([]byte) { frozen++ }
		events2, states2, end2 := life(t, seed)
		if frozen < 20 || !end.Equal(end2) {
			t.Errorf("seed %d: frozen %d times; it ended at %v, and thawed at %v", seed, frozen, end, end2)
		}
		if diff := StateDiff(events, events2); diff != "" {
			t.Errorf("seed %d: thawed machines do other things (-plain +thawed):\n%s", seed, diff)
		}
		for i := range states {
			if !bytes.Equal(states[i], states2[i]) {
				t.Errorf("seed %d: end %d is in another state", seed, i)
			}
		}
	}
}
