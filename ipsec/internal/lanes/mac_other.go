//go:build !amd64 || purego

package lanes

// macScratch is what kernels need, and here are none.
type macScratch struct{}

func (e *Engine) sum(jobs []MAC) { e.sumGeneric(jobs) }
