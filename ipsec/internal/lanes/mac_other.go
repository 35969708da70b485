//go:build !amd64 || purego

package lanes

func (e *Engine) sum(jobs []MAC) { e.sumGeneric(jobs) }
