//go:build amd64 && !purego

package lanes

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a kernel may use is what is looked for before it is chosen. CPUs that
// have no more cannot be had for every test, but the generator knows, and says
// above each function, what its instructions need.
func TestKernelsUseOnlyWhatIsLookedFor(t *testing.T) {
	aes := []string{"AES", "SSE", "SSE2", "SSSE3", "SSE4.1", "CMOV"}
	sha := []string{"SHA", "SSE", "SSE2", "SSSE3", "SSE4.1", "CMOV"}
	avx2 := []string{"AVX", "AVX2"}
	avx512 := []string{"AES", "VAES", "AVX", "AVX2", "AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL", "CMOV"}
	type kernels struct {
		name string
		may  []string
	}
	allowed := []kernels{
		{"cpuid", []string{"CPUID"}},
		{"subWord|inverseMix|(en|de)cryptAESNI.*", aes},
		{"(en|de)cryptAVX512.*", avx512},
		{"sha1x16|sha256x16|sha512x8|sealSHA1x16|signSHA1x16", avx512},
		{"sha1x8|sha256x8|sha512x4", avx2},
		{"sha1x2|sha256x2", sha},
	}
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	function := regexp.MustCompile(`(?m)^(?:// Requires: (.*)\n)?TEXT ·(\w+)\(SB\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			needs, name := m[1], m[2]
			i := slices.IndexFunc(allowed, func(k kernels) bool {
				return regexp.MustCompile("^(" + k.name + ")$").MatchString(name)
			})
			if i < 0 || needs == "" {
				t.Errorf("%s: it is not known when %s can be chosen, or what it needs (%q)", file, name, needs)
				continue
			}
			for _, need := range strings.Split(needs, ", ") {
				if !slices.Contains(allowed[i].may, need) {
					t.Errorf("%s: %s needs %s, and is chosen without asking for it", file, name, need)
				}
			}
		}
	}
}
