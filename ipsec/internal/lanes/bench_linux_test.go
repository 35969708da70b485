package lanes

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// measure runs do over and over. Beside the time on the clock it reports the
// rate in CPU time, which others on the same machine disturb less.
func measure(b *testing.B, bytes int, do func()) {
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	from, n := threadTime(b), 0
	for b.Loop() {
		do()
		n++
	}
	b.ReportMetric(float64(n*bytes)*1e3/float64(threadTime(b)-from), "MB/cpu-s")
}

// threadTime is the CPU time in nanoseconds that this thread has used.
func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}

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
					measure(b, n*(benchSize-BlockSize), func() { e.EncryptCBC(jobs) })
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
				measure(b, n*(benchSize-BlockSize), func() { e.DecryptCBC(jobs) })
			})
		}
	})
}
