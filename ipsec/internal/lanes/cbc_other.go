//go:build !amd64 || purego

package lanes

func (e *Engine) encrypt(jobs []CBC) { encryptGeneric(jobs) }

func (e *Engine) decrypt(jobs []CBC) { decryptGeneric(jobs) }
