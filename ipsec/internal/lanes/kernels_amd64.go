//go:build amd64 && !purego

package lanes

import "golang.org/x/sys/cpu"

// kernel is one of the hash kernels.
type kernel struct {
	run    func(lanes *byte, blocks int)
	lanes  int
	masked bool // lanes may have less to do than the call
}

var (
	sha1AVX512   = kernel{sha1x16, 16, true}
	sha1AVX2     = kernel{sha1x8, 8, true}
	sha1SHA      = kernel{sha1x2, 2, false}
	sha256AVX512 = kernel{sha256x16, 16, true}
	sha256AVX2   = kernel{sha256x8, 8, true}
	sha256SHA    = kernel{sha256x2, 2, false}
	sha512AVX512 = kernel{sha512x8, 8, true}
	sha512AVX2   = kernel{sha512x4, 4, true}
)

// plans is how to compute HMACs of one hash: with the wide kernel, but fewer
// jobs than few with the narrow one, or, where there is none, with the standard
// library.
type plans struct {
	wide, narrow *kernel
	few          int
}

// kernel is the kernel for so many jobs.
func (p *plans) kernel(jobs int) *kernel {
	if p.wide != nil && (p.narrow == nil || jobs >= p.few) {
		return p.wide
	}
	return p.narrow
}

// forKernels is how many of so many jobs are not for the standard library.
func (p *plans) forKernels(jobs int) int {
	switch {
	case p.narrow != nil:
		return jobs
	case p.wide == nil:
		return 0
	}
	if rest := jobs % p.wide.lanes; rest < p.few {
		return jobs - rest
	}
	return jobs
}

// feature is what a kernel of a tier can use beyond what the tier promises.
type feature uint8

const (
	withSHA feature = 1 << iota
	withAVX2
)

func features() (f feature) {
	if hasSHA {
		f |= withSHA
	}
	if cpu.X86.HasAVX2 {
		f |= withAVX2
	}
	return f
}

// plan chooses the kernels. How few are few was measured.
func plan(t Tier, f feature) (p [hashes]plans) {
	switch {
	case t == AVX512:
		p[SHA1] = plans{wide: &sha1AVX512, few: 3}
		p[SHA256] = plans{wide: &sha256AVX512, few: 3}
		p[SHA512] = plans{wide: &sha512AVX512, few: 3}
	case t == AESNI && f&withAVX2 != 0:
		p[SHA1] = plans{wide: &sha1AVX2, few: 3}
		p[SHA256] = plans{wide: &sha256AVX2, few: 4}
		p[SHA512] = plans{wide: &sha512AVX2, few: 3}
	}
	switch {
	case f&withSHA == 0 || t == Generic:
	case t == AVX512:
		p[SHA1].narrow, p[SHA1].few = &sha1SHA, 9
		p[SHA256].narrow, p[SHA256].few = &sha256SHA, 14
	default:
		p[SHA1] = plans{narrow: &sha1SHA}
		p[SHA256] = plans{narrow: &sha256SHA}
	}
	p[SHA384] = p[SHA512]
	return p
}
