//go:build amd64 && !purego

package lanes

// stepSize is how many bytes of each packet the kernel encrypts at once.
const stepSize = 4 * BlockSize

// suits reports whether a packet can be sealed together with others like it.
func (e *Engine) suits(p *Packet) bool {
	return e.tier == AVX512 && !NoCrypto && p.MAC.hash == SHA1 &&
		len(p.Data) >= HeadSize+BlockSize+stepSize && (len(p.Data)-HeadSize)%BlockSize == 0 && len(p.Sum) <= BlockSize
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
	c, bytes := first.Cipher, len(first.Data)-HeadSize-BlockSize
	sealSHA1x16(g.pointer(), &at, bytes, bytes&^(stepSize-1), &c.enc[0][0], c.rounds, &first.MAC.inner[0])
	for lane, p := range packets {
		copy(p.Sum, g.icvs[lane][:])
	}
}

// finishTogether overwrites what is left of keys.
func (e *Engine) finishTogether() {
	if e.group != nil {
		e.release()
	}
}
