package packet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// kernels are all ways to sum up that this machine has. Those that do not copy
// get dst nevertheless.
var kernels = map[string]func(dst, src []byte) uint64{
	"words": func(dst, src []byte) uint64 { copy(dst, src); return sumWords(src) },
	"kernel": func(dst, src []byte) uint64 {
		copy(dst, src)
		if len(src) == 0 {
			return 0
		}
		return sumKernel(src)
	},
	"kernel that copies": func(dst, src []byte) uint64 {
		if len(src) == 0 {
			return 0
		}
		return copySumKernel(dst, src)
	},
}

// checkKernels sums up src[from:to] by every kernel, and copies it to an offset
// of a buffer: nothing else there may change.
func checkKernels(t *testing.T, src []byte, from, to, at int) {
	t.Helper()
	want := slowSum(src[from:to])
	for name, kernel := range kernels {
		dst := bytes.Repeat([]byte{0xa5}, at+to-from+40)
		got := ^Fold(addSum(0, kernel(dst[at:at+to-from], src[from:to])))
		if got != want {
			t.Fatalf("%s: the sum of %d bytes from %d is %04x, want %04x", name, to-from, from, got, want)
		}
		if !bytes.Equal(dst[at:at+to-from], src[from:to]) {
			t.Fatalf("%s: %d bytes from %d were not copied to %d", name, to-from, from, at)
		}
		if bytes.Count(dst[:at], []byte{0xa5}) != at || bytes.Count(dst[at+to-from:], []byte{0xa5}) != 40 {
			t.Fatalf("%s: %d bytes from %d were copied to more than their place at %d", name, to-from, from, at)
		}
	}
}

func TestKernels(t *testing.T) {
	random, ones := make([]byte, 70000), bytes.Repeat([]byte{0xff}, 70000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	step := 1
	if testing.Short() {
		step = 9
	}
	for _, src := range [][]byte{random, ones, make([]byte, 70000)} {
		for n := 0; n < 700; n += step {
			checkKernels(t, src, n%67, n%67+n, n%33)
		}
		for _, n := range []int{1460, 9000, 65535, 65536, 69000} {
			checkKernels(t, src, 3, 3+n, 5)
		}
	}
	// One byte alone, wherever it is.
	for at := range 300 {
		b := make([]byte, 300)
		b[at] = 0x81
		checkKernels(t, b, 0, 300, 1)
	}
}

// Sums of parts are the sum of the whole.
func TestSumGoesOn(t *testing.T) {
	b := bytes.Repeat([]byte{0xff, 0xfe, 0x80, 0x01, 0xff}, 300)
	for _, cut := range []int{0, 2, 8, 62, 64, 66, 130, 1000} {
		if got, want := Fold(Sum(Sum(^uint64(0), b[:cut]), b[cut:])), ^slowSum([]byte{0xff, 0xff}, b); got != want {
			t.Errorf("cut at %d: %04x, want %04x", cut, got, want)
		}
	}
	if Fold(Sum(0, make([]byte, 99))) != 0xffff {
		t.Error("the sum of zeros is not zero")
	}
}

func FuzzKernels(f *testing.F) {
	f.Add([]byte("abc"), 0, 0)
	f.Add(bytes.Repeat([]byte{0xff}, 333), 5, 17)
	f.Fuzz(func(t *testing.T, b []byte, from, at int) {
		from = min(max(from, 0), len(b))
		checkKernels(t, b, from, len(b), min(max(at, 0), 100))
	})
}

// The assembly is what the generator writes.
func TestGeneratedFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "gen"), os.DirFS("gen")); err != nil {
		t.Fatal(err)
	}
	files := []string{"sum_amd64.s", "sum_amd64.go"}
	cmd := exec.Command("go", "run", ".", "-out", "../"+files[0], "-stubs", "../"+files[1], "-pkg", "packet")
	cmd.Dir = filepath.Join(dir, "gen")
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range files {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what go generate writes, %v", name, err)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for _, size := range []int{20, 64, 256, 1360, 64000} {
		src, dst := make([]byte, size), make([]byte, size)
		for _, name := range []string{"words", "kernel", "kernel that copies"} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					switch name {
					case "words":
						sumWords(src)
					case "kernel":
						sumKernel(src)
					default:
						copySumKernel(dst, src)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("kernel, then copy/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(dst, src)
				sumKernel(src)
			}
		})
	}
}
