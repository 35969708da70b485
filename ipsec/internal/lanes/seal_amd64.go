//go:build amd64 && !purego

package lanes

// stepSize is how many bytes of each packet the kernel encrypts at once.
const stepSize = 4 * BlockSize

// longestTogether is as long as IP packets are. The kernel counts the bits of a
// packet in 32 bits.
const longestTogether = 1<<16 - 1

// suits reports whether a packet can be sealed together with others like it.
func (e *Engine) suits(p *Packet) bool { return e.together(p.MAC, p.Data, p.Sum) }

// together reports whether there is a kernel for 16 packets like that.
func (e *Engine) together(k *MACKey, data, sum []byte) bool {
	blocks := len(data) - HeadSize - BlockSize
	return e.tier == AVX512 && !NoCrypto && k.hash == SHA1 && len(sum) <= BlockSize &&
		blocks%BlockSize == 0 && blocks >= stepSize && len(data) <= longestTogether
}

// sealTogether seals packets that are alike. Lanes without a packet do the same
// as the first one: they write the same at the same time to the same place.
func (e *Engine) sealTogether(packets []*Packet) {
	var at [maxTogether]*byte
	first, g := packets[0], e.group
	for lane := range at {
		at[lane] = &first.Data[0]
	}
	for lane, p := range packets {
		at[lane] = &p.Data[0]
	}
	c, blocks := first.Cipher, len(first.Data)-HeadSize-BlockSize
	sealSHA1x16(g.pointer(), &at, blocks, blocks&^(stepSize-1), &first.MAC.inner[0], &c.enc[0][0], c.rounds)
	for lane, p := range packets {
		copy(p.Sum, g.icvs[lane][:])
	}
}

// signTogether computes the HMACs of jobs that are alike.
func (e *Engine) signTogether(jobs []MAC, some []uint8) {
	var at [maxTogether]*byte
	first, g := &jobs[some[0]], e.group
	for lane := range at {
		at[lane] = &first.Data[0]
	}
	for lane, i := range some {
		at[lane] = &jobs[i].Data[0]
	}
	blocks := len(first.Data) - HeadSize - BlockSize
	signSHA1x16(g.pointer(), &at, blocks, blocks&^(stepSize-1), &first.Key.inner[0])
	for lane, i := range some {
		copy(jobs[i].Sum, g.icvs[lane][:])
	}
}

// finishTogether overwrites what is left of keys.
func (e *Engine) finishTogether() {
	if e.group != nil {
		e.release()
	}
}
