package lanes

import (
	"bytes"
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
		{"avx512", AESNI, AESNI, `this CPU cannot do "avx512", "aesni" is the most: leave ADIT_CPU unset`},
		{"aesni", Generic, Generic, `this CPU cannot do "aesni", "generic" is the most: leave ADIT_CPU unset`},
		{"AVX512", AVX512, AVX512, `"AVX512" is none of generic, aesni and avx512`},
		{"fast", AESNI, AESNI, `"fast" is none of generic, aesni and avx512`},
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

// An Engine computes if and only if the build does not have the tag nocrypto.
// Without, packets stay as they are and sums are zero.
func TestNoCryptoComputesNothing(t *testing.T) {
	k, err := NewCipherKey(make([]byte, 16), Encrypt|Decrypt)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMACKey(SHA1, make([]byte, 20))
	if err != nil {
		t.Fatal(err)
	}
	eachTier(func(tier Tier) {
		e, data, sum := New(tier), make([]byte, 48), []byte("some bytes..")
		e.EncryptCBC([]CBC{{k, data}})
		if still := bytes.Equal(data, make([]byte, 48)); still != NoCrypto {
			t.Errorf("%v: encrypted nothing: %v", tier, still)
		}
		e.DecryptCBC([]CBC{{k, data}})
		if !bytes.Equal(data, make([]byte, 48)) {
			t.Errorf("%v: did not come back: %x", tier, data)
		}
		e.Sum([]MAC{{m, data, sum}})
		if zero := bytes.Equal(sum, make([]byte, 12)); zero != NoCrypto {
			t.Errorf("%v: the sum is zero: %v", tier, zero)
		}
	})
}
