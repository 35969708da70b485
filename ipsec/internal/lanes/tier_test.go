package lanes

import (
	"strings"
	"testing"
)

func TestChoiceOfTheTier(t *testing.T) {
	for _, v := range []struct {
		word    string
		highest Tier
		want    Tier
		err     string
	}{
		{"", Generic, Generic, ""},
		{"", AVX512, AVX512, ""},
		{"generic", AVX512, Generic, ""},
		{"aesni", AVX512, AESNI, ""},
		{"avx512", AVX512, AVX512, ""},
		{"avx512", AESNI, AESNI, `ADIT_CPU is "avx512", which this CPU cannot do: "aesni" is the most`},
		{"aesni", Generic, Generic, `ADIT_CPU is "aesni", which this CPU cannot do: "generic" is the most`},
		{"AVX512", AVX512, AVX512, `ADIT_CPU is "AVX512": it can be generic, aesni or avx512`},
		{"fast", AESNI, AESNI, `ADIT_CPU is "fast": it can be generic, aesni or avx512`},
	} {
		got, err := choose(v.word, v.highest)
		if got != v.want {
			t.Errorf("%q where %v is the highest: %v, want %v", v.word, v.highest, got, v.want)
		}
		if (err == nil) != (v.err == "") || err != nil && !strings.HasPrefix(err.Error(), v.err) {
			t.Errorf("%q where %v is the highest: %v, want %s", v.word, v.highest, err, v.err)
		}
	}
}

// An Engine never has a tier that would crash.
func TestNoTierAboveTheHighest(t *testing.T) {
	for tier := range AVX512 + 1 {
		if got := New(tier).Tier(); got != min(tier, highest()) {
			t.Errorf("%v: got %v on a CPU with %v", tier, got, highest())
		}
	}
}

func TestNormalBuildsEncrypt(t *testing.T) {
	if NoCrypto {
		t.Error("this build has the tag nocrypto")
	}
}
