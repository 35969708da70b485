package lanes

// BlockSize is the size in bytes of an AES block and of a CBC job's IV.
const BlockSize = 16

// CBC is one packet to be encrypted or decrypted in place. Data is the IV, 16
// bytes that are left as they are, and whole blocks; what is behind the last
// whole block is left alone. Jobs of one call must not overlap.
type CBC struct {
	Key  *CipherKey
	Data []byte
}

// blocks is how many blocks there are to do.
func (j *CBC) blocks() int { return len(j.Data)/BlockSize - 1 }

// MAC is one HMAC (RFC 2104) to be computed over Data. Sum receives its first
// bytes, as many as it has room for and the hash has. It may lie right behind
// Data, but not in any job's Data.
type MAC struct {
	Key       *MACKey
	Data, Sum []byte
}

// Engine computes jobs for one worker. It is not safe for concurrent use, and
// allocates nothing once it was used.
type Engine struct {
	tier Tier
	cbcScratch
	hasher
	macScratch
	divided divided
	waiting waiting
}

// New returns an Engine of that tier, or of the highest that this CPU has if
// that is lower.
func New(t Tier) *Engine {
	e := &Engine{tier: min(t, highest())}
	e.initMACs(e.tier)
	return e
}

// Tier is the tier that the Engine computes with.
func (e *Engine) Tier() Tier { return e.tier }

// EncryptCBC encrypts every job's blocks in place (RFC 3602).
func (e *Engine) EncryptCBC(jobs []CBC) {
	if !NoCrypto {
		e.encrypt(jobs)
	}
}

// DecryptCBC decrypts every job's blocks in place.
func (e *Engine) DecryptCBC(jobs []CBC) {
	if !NoCrypto {
		e.decrypt(jobs)
	}
}

// Sum computes every job's HMAC.
func (e *Engine) Sum(jobs []MAC) {
	if !NoCrypto {
		e.sum(jobs)
		return
	}
	for i := range jobs {
		clear(jobs[i].Sum)
	}
}
