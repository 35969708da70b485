package ipsec

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

// threadTime is the CPU time in nanoseconds that this thread has used.
func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}

// eachLap measures batches of several sizes of one SA, in every tier: of a lap
// what measured does, in the CPU time that it takes, which others on the same
// machine disturb less than the clock.
func eachLap(b *testing.B, prepare, measured func(*lap)) {
	for _, s := range []Suite{
		{AESCBC, 256, HMACSHA1_96}, {AESCBC, 256, HMACSHA256_128}, {AESCBC, 256, HMACSHA512_256}, {AESGCM16, 256, AuthNone},
	} {
		for tier := range lanes.Best() + 1 {
			for _, n := range []int{1, 4, 16, 64} {
				b.Run(fmt.Sprintf("%v/%v/%d", s, tier, n), func(b *testing.B) {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					l := newLap(b, s, n, tier)
					b.SetBytes(int64(n * benchPayload))
					b.ReportAllocs()
					used, laps, asking := int64(0), int64(0), askingTakes(b)
					for b.Loop() {
						prepare(l)
						from := threadTime(b)
						measured(l)
						used += threadTime(b) - from - asking
						laps++
					}
					b.ReportMetric(float64(laps*int64(n*benchPayload))*1e3/float64(used), "MB/cpu-s")
				})
			}
		}
	}
}

// askingTakes is the time in nanoseconds that threadTime sees of itself.
func askingTakes(b *testing.B) int64 {
	const often = 1000
	var sum int64
	for range often {
		from := threadTime(b)
		sum += threadTime(b) - from
	}
	return sum / often
}

func BenchmarkSeal(b *testing.B) { eachLap(b, func(*lap) {}, (*lap).seal) }

func BenchmarkOpen(b *testing.B) { eachLap(b, (*lap).seal, (*lap).open) }
