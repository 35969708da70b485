package lanes

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// chains is how many packets encryptGeneric works on in turn. The blocks of
// one wait for each other, those of different packets do not, and a core that
// executes out of order overlaps them.
const chains = 4

type chain struct {
	block cipher.Block
	data  []byte // the predecessor of the next block, and what is left
}

func encryptGeneric(jobs []CBC) {
	var live [chains]chain
	n := 0
	for {
		for n < chains && len(jobs) > 0 {
			if j := &jobs[0]; j.blocks() > 0 {
				live[n] = chain{j.Key.generic(), j.Data}
				n++
			}
			jobs = jobs[1:]
		}
		if n == 0 {
			return
		}
		steps := live[0].left()
		for i := range live[:n] {
			steps = min(steps, live[i].left())
		}
		for range steps {
			for i := range live[:n] {
				live[i].chain()
			}
			for i := range live[:n] {
				live[i].step()
			}
		}
		for i := n - 1; i >= 0; i-- {
			if live[i].left() == 0 {
				n--
				live[i], live[n] = live[n], chain{}
			}
		}
	}
}

func (c *chain) left() int { return len(c.data)/BlockSize - 1 }

// chain adds the block before to the next one. XORBytes writes 16 bytes at once,
// as Encrypt reads them: a core does not forward them from two smaller writes.
func (c *chain) chain() {
	next := c.data[BlockSize : 2*BlockSize]
	subtle.XORBytes(next, next, c.data[:BlockSize])
}

// step encrypts the next block.
func (c *chain) step() {
	c.data = c.data[BlockSize:]
	next := c.data[:BlockSize]
	c.block.Encrypt(next, next)
}

// decryptGeneric works from the end of each packet, so that each block's
// predecessor is still ciphertext.
func decryptGeneric(jobs []CBC) {
	for i := range jobs {
		j := &jobs[i]
		block := j.Key.generic()
		for at := j.blocks() * BlockSize; at > 0; at -= BlockSize {
			p := j.Data[at-BlockSize : at+BlockSize : at+BlockSize]
			block.Decrypt(p[BlockSize:], p[BlockSize:])
			xorBlock(p[BlockSize:], p)
		}
	}
}

func xorBlock(dst, src []byte) {
	_, _ = dst[15], src[15]
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)^binary.LittleEndian.Uint64(src))
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(dst[8:])^binary.LittleEndian.Uint64(src[8:]))
}
