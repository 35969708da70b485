//go:build !amd64 || purego

package lanes

// macScratch is what kernels need, and here are none.
type macScratch struct{}

func (*macScratch) initMACs(Tier) {}

func (e *Engine) sum(jobs []MAC) { e.sumGeneric(jobs) }
