//go:build !amd64 || purego

package lanes

// Without assembly there is no kernel that encrypts and hashes at once.
func (e *Engine) suits(*Packet) bool { return false }

func (e *Engine) sealTogether([]*Packet) {}

func (e *Engine) finishTogether() {}
