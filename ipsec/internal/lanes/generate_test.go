//go:build amd64 && !purego && !race

package lanes

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What is committed is what the generator writes.
func TestAssemblyIsGenerated(t *testing.T) {
	dir := t.TempDir()
	generator := exec.Command("go", "run", "-C", "gen", ".", dir)
	if out, err := generator.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", generator, err, out)
	}
	made := map[string]bool{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		made[f.Name()] = true
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate ./ipsec/internal/lanes", f.Name())
		}
	}
	for _, pattern := range []string{"*.s", "*_stub_amd64.go"} {
		committed, err := filepath.Glob(pattern)
		if err != nil || len(committed) == 0 {
			t.Fatalf("%s: %v, %v", pattern, committed, err)
		}
		for _, name := range committed {
			if !made[name] {
				t.Errorf("%s is not generated", name)
			}
		}
	}
}
