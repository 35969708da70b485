//go:build !amd64 || purego

package lanes

// schedules are the round keys for kernels; there are none.
type schedules struct{}

func (schedules) expand([]byte) {}
func (schedules) wipe()         {}

// cbcScratch is what an Engine needs for kernels.
type cbcScratch struct{}
