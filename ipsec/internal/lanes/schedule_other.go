//go:build !amd64 || purego

package lanes

// schedules are the round keys for kernels; there are none.
type schedules struct{}

func (schedules) expand([]byte) {}
