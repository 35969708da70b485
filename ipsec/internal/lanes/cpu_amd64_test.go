//go:build amd64 && !purego

package lanes

import (
	"os"
	"strings"
	"testing"
)

// What we find is what Linux finds.
func TestFeaturesAreThoseThatLinuxSees(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "\nflags")
	line, _, _ = strings.Cut(line, "\n")
	flags := " " + line + " "
	has := func(names ...string) bool {
		for _, name := range names {
			if !strings.Contains(flags, " "+name+" ") {
				return false
			}
		}
		return true
	}
	for _, v := range []struct {
		what      string
		got, want bool
	}{
		{"AES", hasAES, has("aes", "ssse3", "sse4_1")},
		{"SHA", hasSHA, has("sha_ni", "ssse3", "sse4_1")},
		{"AVX-512", hasAVX512, has("avx512f", "avx512bw", "avx512dq", "avx512vl", "vaes")},
	} {
		if v.got != v.want {
			t.Errorf("%s: found %v, Linux says %v", v.what, v.got, v.want)
		}
	}
}
