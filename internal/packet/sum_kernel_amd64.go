//go:build !purego

package packet

import (
	"os"

	"golang.org/x/sys/cpu"
)

// vectors says that the kernels can be used. ADIT_CPU=generic forbids them, as
// it does the kernels of package ipsec.
var vectors = cpu.X86.HasAVX2 && os.Getenv("ADIT_CPU") != "generic"

// sumKernel and copySumKernel are never called for nothing.
func sumKernel(b []byte) uint64 {
	if vectors {
		return sumAVX2(&b[0], len(b))
	}
	return sumWords(b)
}

func copySumKernel(dst, src []byte) uint64 {
	if vectors {
		return copySumAVX2(&dst[0], &src[0], len(dst))
	}
	copy(dst, src)
	return sumWords(src)
}
