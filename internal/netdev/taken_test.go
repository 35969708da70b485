package netdev

import (
	"strings"
	"testing"
)

// A name that a device of the host has is named, and not an argument that is invalid.
func TestANameThatIsTaken(t *testing.T) {
	const want = `this host already has a device named "lo"`
	if _, err := Open("lo", 1400, 1); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("opening: %v", err)
	}
	if err := Taken("no-such-device"); err != nil {
		t.Error(err)
	}
}
