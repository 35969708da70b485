package machinetest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts under testdata; commit only what you understand")

// Transcript compares got, the output of a machine's run, with testdata/<name>.txt, and
// rewrites that file under -rewrite.
func Transcript(t testing.TB, name, got string) {
	t.Helper()
	compared[name] = true
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("no transcript: %v (run the test with -rewrite, read the file, commit it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("transcript %s differs (-want +got):\n%s", file, diff)
	}
}
