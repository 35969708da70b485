//go:build !amd64 || purego

package lanes

// schedules is empty: there are no kernels on this platform.
type schedules struct{}

func (schedules) expand([]byte, Use) {}
func (schedules) wipe()              {}

// cbcScratch is what an Engine needs for kernels.
type cbcScratch struct{}
