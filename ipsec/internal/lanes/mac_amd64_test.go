//go:build amd64 && !purego

package lanes

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"
)

// engines is an Engine of every tier that this CPU has, and those as they are on
// CPUs that have less beside: no SHA extensions, or no AVX2 either.
var engines = sync.OnceValue(func() (all []namedEngine) {
	eachTier(func(tier Tier) {
		all = append(all, namedEngine{New(tier), tier.String()})
		if tier == Generic {
			return
		}
		for less := features(); less > 0; {
			less = (less - 1) & features()
			e := New(tier)
			e.plans = plan(tier, less)
			all = append(all, namedEngine{e, fmt.Sprintf("%v with features %b", tier, less)})
		}
	})
	return all
})

// The kernels know where the fields are.
func TestLayoutOfTheGroup(t *testing.T) {
	var g group
	for _, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(g.cursor), 0},
		{unsafe.Offsetof(g.after), 128},
		{unsafe.Offsetof(g.state), 256},
		{unsafe.Offsetof(g.body), 384},
		{unsafe.Offsetof(g.total), 448},
		{unsafe.Offsetof(g.rows), 512},
		{unsafe.Offsetof(g.words), 1024},
		{unsafe.Offsetof(g.tails), 1536},
	} {
		if v.got != v.want {
			t.Errorf("a field is at %d, not at %d: gen/vector.go must agree", v.got, v.want)
		}
	}
}

// Every hash has a kernel of each kind that the CPU is able to run.
func TestPlans(t *testing.T) {
	for _, v := range []struct {
		tier Tier
		f    feature
		hash Hash
		want plans
	}{
		{AVX512, withSHA | withAVX2, SHA1, plans{&sha1AVX512, &sha1SHA, 0}},
		{AVX512, withSHA | withAVX2, SHA256, plans{&sha256AVX512, &sha256SHA, 0}},
		{AVX512, withAVX2, SHA1, plans{&sha1AVX512, nil, 0}},
		{AVX512, withSHA | withAVX2, SHA384, plans{&sha512AVX512, nil, 0}},
		{AESNI, withSHA | withAVX2, SHA1, plans{nil, &sha1SHA, 0}},
		{AESNI, withSHA | withAVX2, SHA256, plans{nil, &sha256SHA, 0}},
		{AESNI, withSHA | withAVX2, SHA512, plans{&sha512AVX2, nil, 0}},
		{AESNI, withSHA, SHA1, plans{nil, &sha1SHA, 0}},
		{AESNI, withSHA, SHA512, plans{}},
		{AESNI, withAVX2, SHA1, plans{&sha1AVX2, nil, 0}},
		{AESNI, withAVX2, SHA256, plans{&sha256AVX2, nil, 0}},
		{AESNI, 0, SHA1, plans{}},
		{Generic, withSHA | withAVX2, SHA256, plans{}},
	} {
		got := plan(v.tier, v.f)[v.hash]
		if got.few = 0; got != v.want {
			t.Errorf("%v with features %b: %v is computed with %+v", v.tier, v.f, v.hash, got)
		}
	}
}
