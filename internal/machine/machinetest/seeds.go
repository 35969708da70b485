package machinetest

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Seeds are messages of a layer as the built-in clients send them, for fuzz targets to
// start from. The layer is "udp", "ike", "esp", "l2tp", "ppp" or "ip". The models of
// those clients in test/persona write the file from which Seeds reads.
func Seeds(t testing.TB, layer string) (messages [][]byte) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = filepath.Dir(dir)
	}
	file := filepath.Join(dir, "test", "persona", "testdata", "seeds.txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 {
			t.Fatalf("%s: not a seed: %q", file, line)
		}
		if f[0] != layer {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		messages = append(messages, b)
	}
	if len(messages) == 0 {
		t.Fatalf("%s has no seed of layer %q", file, layer)
	}
	return messages
}
