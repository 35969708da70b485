//go:build amd64 && !purego

package lanes

import (
	"bytes"
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
		{unsafe.Offsetof(g.ring), 1536},
		{unsafe.Offsetof(g.ends), 3584},
		{unsafe.Offsetof(g.icvs), 5632},
		{unsafe.Offsetof(g.keys), 5888},
	} {
		if v.got != v.want {
			t.Errorf("a field is at %d, not at %d: gen/vector.go must agree", v.got, v.want)
		}
	}
}

// A lower tier than the best chooses no kernel of the best.
func TestTiersKeepToTheirKernels(t *testing.T) {
	r := newRand(29)
	k := newKeys(t, r, 32, SHA1)
	p := newSealing(r, k, 20).packet
	for _, e := range engines() {
		if got, want := e.suits(&p), e.tier == AVX512 && !NoCrypto; got != want {
			t.Errorf("%s: packets are sealed together: %v, want %v", e.name, got, want)
		}
	}
}

// What kernels keep of keys meanwhile is overwritten.
func TestNoKeyIsLeft(t *testing.T) {
	r := newRand(26)
	k := newKeys(t, r, 32, SHA1)
	for _, e := range engines() {
		if e.group == nil {
			continue
		}
		var packets []Packet
		var jobs []MAC
		for range 20 {
			packets = append(packets, newSealing(r, k, 10).packet)
			jobs = append(jobs, newMessage(t, r, SHA1, 300, 12).job)
		}
		e.group.keys[3][5], e.group.rows[0] = 1, 1
		e.Seal(packets)
		e.Sum(jobs)
		if e.tier == AVX512 && e.group.keys != [15][64]byte{} || e.group.rows != [64]uint64{} {
			t.Errorf("%s: keys are left: %x, %x", e.name, e.group.keys, e.group.rows)
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

// What an Engine computed with does not stay in it.
func TestNoMACKeyStaysInTheEngine(t *testing.T) {
	r := newRand(17)
	for _, e := range engines() {
		for n := range 20 {
			var jobs []MAC
			for i := range n {
				jobs = append(jobs, newMessage(t, r, allHashes[i%4], 100*i, 12).job)
			}
			e.Sum(jobs)
			if g := e.group; g != nil { // Generic has none
				left := unsafe.Slice(g.pointer(), unsafe.Sizeof(*g))
				for _, j := range jobs {
					if bytes.Contains(left, j.Key.inner[:20]) || bytes.Contains(left, j.Key.outer[:20]) {
						t.Errorf("%s: a state of HMAC-%v is left of %d jobs", e.name, j.Key.hash, n)
					}
				}
				if g.rows != [64]uint64{} || e.held != [16]unsafe.Pointer{} {
					t.Errorf("%s: %d jobs are left where the kernel worked", e.name, n)
				}
			}
			for _, f := range e.hashes {
				if f != nil && !bytes.Equal(f.state, make([]byte, len(f.state))) {
					t.Errorf("%s: a state is left in the standard library's hash", e.name)
				}
			}
		}
	}
}

func TestNoKeyStaysWhereItIsSealedTogether(t *testing.T) {
	r := newRand(24)
	for _, e := range engines() {
		for _, n := range []int{9, 16, 20} {
			k := newKeys(t, r, 32, SHA1)
			var packets []Packet
			for range n {
				packets = append(packets, newSealing(r, k, 30).packet)
			}
			e.Seal(packets)
			g := e.group
			if g == nil { // Generic has none
				continue
			}
			left := unsafe.Slice(g.pointer(), unsafe.Sizeof(*g))
			if bytes.Contains(left, k.mac.inner[:20]) || bytes.Contains(left, k.mac.outer[:20]) || bytes.Contains(left, k.cipher.enc[0][:]) {
				t.Errorf("%s: keys are left of %d packets", e.name, n)
			}
			if g.rows != [64]uint64{} || e.held != [16]unsafe.Pointer{} {
				t.Errorf("%s: %d packets are left where the kernel worked", e.name, n)
			}
		}
	}
}
