package app

import (
	"strings"
	"testing"
)

// A second server would undo what the first changed in the host's network.
func TestASecondServerIsKeptFromTheFirstOnesState(t *testing.T) {
	dir := t.TempDir()
	release, err := lockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockState(dir); err == nil || !strings.Contains(err.Error(), "another adit runs") {
		t.Errorf("a second server got %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, err := lockState(dir)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	_ = again()
}
