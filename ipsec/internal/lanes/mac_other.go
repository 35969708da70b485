//go:build !amd64 || purego

package lanes

// macScratch is empty: there are no kernels on this platform.
type macScratch struct{}

func (*macScratch) initMACs(Tier) {}

func (e *Engine) sum(jobs []MAC) { e.sumGeneric(jobs) }
