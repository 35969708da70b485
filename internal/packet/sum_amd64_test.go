//go:build !purego

package packet

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// A machine without the vectors sums up words. All tests pass so, too.
func TestWithoutVectors(t *testing.T) {
	if !cpu.X86.HasAVX2 {
		t.Log("this processor has no AVX2: the kernels are the words")
	}
	defer func(was bool) { vectors = was }(vectors)
	vectors = false
	t.Run("kernels", TestKernels)
	t.Run("cutter", TestCutter)
}
