//go:build purego || !amd64

package packet

func sumKernel(b []byte) uint64 { return sumWords(b) }

func copySumKernel(dst, src []byte) uint64 {
	copy(dst, src)
	return sumWords(src)
}
