package lanes

import (
	"fmt"
	"testing"
)

// benchSize is the IV and the blocks of a full packet.
const benchSize = 16 + 1424

// benchJobs makes n packets with keys of their own, or one key for all.
func benchJobs(b *testing.B, n int, shared bool) []CBC {
	r := newRand(1)
	jobs := make([]CBC, n)
	k, _ := newKey(b, r, 32)
	for i := range jobs {
		if !shared {
			k, _ = newKey(b, r, 32)
		}
		jobs[i] = CBC{k, make([]byte, benchSize)}
	}
	return jobs
}

func BenchmarkEncryptCBC(b *testing.B) {
	eachTier(func(tier Tier) {
		for _, n := range []int{1, 4, 8, 16, 44, 64} {
			for _, shared := range []bool{true, false} {
				keys := map[bool]string{true: "one-key", false: "a-key-each"}[shared]
				if n == 1 && !shared {
					continue
				}
				b.Run(fmt.Sprintf("%v/%d/%s", tier, n, keys), func(b *testing.B) {
					e, jobs := New(tier), benchJobs(b, n, shared)
					b.SetBytes(int64(n * (benchSize - BlockSize)))
					b.ReportAllocs()
					for b.Loop() {
						e.EncryptCBC(jobs)
					}
				})
			}
		}
	})
}

func BenchmarkDecryptCBC(b *testing.B) {
	eachTier(func(tier Tier) {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprintf("%v/%d", tier, n), func(b *testing.B) {
				e, jobs := New(tier), benchJobs(b, n, false)
				b.SetBytes(int64(n * (benchSize - BlockSize)))
				b.ReportAllocs()
				for b.Loop() {
					e.DecryptCBC(jobs)
				}
			})
		}
	})
}
