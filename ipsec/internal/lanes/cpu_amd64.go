//go:build amd64 && !purego

package lanes

import "golang.org/x/sys/cpu"

// hasAES says that schedules can be expanded and AES kernels run. They need
// SSE4.1 besides, which every CPU with AES-NI has.
var hasAES = cpu.X86.HasAES && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41

// hasSHA says that the CPU has the SHA extensions: instructions for SHA1 and
// SHA256. There are CPUs with AES-NI that do not.
var hasSHA = detectSHA()

// hasAVX512 says that the CPU has what the kernels of AVX512 use, and that the
// operating system saves those registers: x/sys/cpu looks at XCR0 for it.
var hasAVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VAES

// highest is the highest tier that this CPU has.
func highest() Tier {
	switch {
	case hasAES && hasAVX512:
		return AVX512
	case hasAES:
		return AESNI
	default:
		return Generic
	}
}

// detectSHA asks the CPU itself: x/sys/cpu has no flag for it.
func detectSHA() bool {
	if last, _, _, _ := cpuid(0, 0); last < 7 {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&(1<<29) != 0 && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41
}
