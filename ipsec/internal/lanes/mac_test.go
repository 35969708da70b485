package lanes

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"math/rand/v2"
	"testing"
)

var constructors = map[Hash]func() hash.Hash{SHA1: sha1.New, SHA256: sha256.New, SHA384: sha512.New384, SHA512: sha512.New}

// macCase is a job and what must come of it.
type macCase struct {
	MAC
	hash Hash
	want []byte
}

func newCase(t testing.TB, r *rand.Rand, h Hash, length, sum int) macCase {
	key := make([]byte, r.IntN(150))
	fill(r, key)
	k, err := NewMACKey(h, key)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, length+sum)
	fill(r, buf)
	m := hmac.New(constructors[h], key)
	m.Write(buf[:length])
	want := m.Sum(nil)
	return macCase{MAC{k, buf[:length:length], buf[length:]}, h, want[:min(sum, len(want))]}
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

func check(t *testing.T, e *Engine, cases []macCase) {
	t.Helper()
	jobs := make([]MAC, len(cases))
	data := make([][]byte, len(cases))
	for i, c := range cases {
		jobs[i], data[i] = c.MAC, bytes.Clone(c.Data)
	}
	e.Sum(jobs)
	for i, c := range cases {
		if !bytes.Equal(c.Sum[:len(c.want)], c.want) {
			t.Fatalf("%v: job %d of %d: HMAC-%v of %d bytes is\n %x, want\n %x", e.Tier(), i, len(cases), c.hash, len(c.Data), c.Sum[:len(c.want)], c.want)
		}
		if !bytes.Equal(data[i], c.Data) {
			t.Fatalf("%v: HMAC-%v of %d bytes wrote to them", e.Tier(), c.hash, len(c.Data))
		}
	}
}

func TestMixed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	eachTier(func(tier Tier) {
		e := New(tier)
		for n := range 140 {
			for h := SHA1; h <= SHA512; h++ {
				var cases []macCase
				for range n {
					cases = append(cases, newCase(t, r, h, r.IntN(1500), 64))
				}
				check(t, e, cases)
			}
		}
	})
}
