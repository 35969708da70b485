package machinetest

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// Epoch is the time at which a test begins.
var Epoch = time.Unix(1_700_000_000, 0)

// Rand returns a random source that yields the same bytes in every run.
func Rand(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// Unhex returns the bytes of hex digits, which may be separated by spaces.
func Unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("bad hex in the test: %v", err)
	}
	return b
}

// Drain returns a machine's pending events.
func Drain[E any](m machine.Machine[E]) (events []E) {
	for {
		e, ok := m.NextEvent()
		if !ok {
			return events
		}
		events = append(events, e)
	}
}

// Find returns the first event of type T.
func Find[T, E any](events []E) (T, bool) {
	for _, e := range events {
		if e, ok := any(e).(T); ok {
			return e, true
		}
	}
	var none T
	return none, false
}

// Count returns how many events are of type T.
func Count[T, E any](events []E) (n int) {
	for _, e := range events {
		if _, ok := any(e).(T); ok {
			n++
		}
	}
	return n
}

// WantLine fails the test if out, the output of a ladder, has no such line.
func WantLine(t testing.TB, out, line string) {
	t.Helper()
	if !strings.Contains(out, line) {
		t.Errorf("want a line with %q, got:\n%s", line, out)
	}
}

// WantNoLine fails the test if out has such a line.
func WantNoLine(t testing.TB, out, line string) {
	t.Helper()
	if strings.Contains(out, line) {
		t.Errorf("want no line with %q, got:\n%s", line, out)
	}
}
