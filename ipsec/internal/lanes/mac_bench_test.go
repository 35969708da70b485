package lanes

import (
	"fmt"
	"testing"
)

func BenchmarkSum(b *testing.B) {
	for tier := range highest() + 1 {
		for h := SHA1; h <= SHA512; h++ {
			for _, n := range []int{1, 2, 4, 8, 12, 16, 64} {
				b.Run(fmt.Sprintf("%v/%v/%d", tier, h, n), func(b *testing.B) {
					k, _ := NewMACKey(h, make([]byte, 20))
					jobs := make([]MAC, n)
					for i := range jobs {
						buf := make([]byte, 1600)
						jobs[i] = MAC{k, buf[24:][:1448], buf[24+1448:][:12]}
					}
					e := New(tier)
					b.SetBytes(int64(1448 * n))
					for b.Loop() {
						e.Sum(jobs)
					}
				})
			}
		}
	}
}
