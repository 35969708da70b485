//go:build amd64 && !purego

package lanes

// leastSteps is how many times 64 bytes a packet has to have to be sealed
// together with others.
const (
	leastSteps = 3
	stepSize   = 4 * BlockSize
)

// suits reports whether a packet can be sealed together with others like it.
func (e *Engine) suits(p *Packet) bool {
	return e.tier == AVX512 && !NoCrypto && p.MAC.hash == SHA1 && len(p.Data) >= HeadSize+BlockSize+leastSteps*stepSize
}

// sealTogether seals packets that are alike. The kernel encrypts all but the
// last blocks, and hashes what is encrypted one step later. Lanes without a
// packet encrypt the first one: they write the same at the same time to the same
// place.
func (e *Engine) sealTogether(packets []*Packet) {
	g, f, key := e.group, &forms[SHA1], packets[0].Cipher
	blocks := (len(packets[0].Data)-HeadSize)/BlockSize - 1
	steps := blocks * BlockSize / stepSize
	var at [maxLanes]*byte
	for lane := range at {
		if lane >= len(packets) {
			at[lane] = at[0]
			e.rest(lane)
			continue
		}
		at[lane] = &packets[lane].Data[0]
		e.begin(lane, uint8(lane), packets[lane].MAC)
	}
	sealSHA1x16(g.pointer(), &at, (steps-1)*stepSize, &key.enc[0][0], key.rounds)
	if left := blocks*BlockSize - steps*stepSize; left > 0 {
		for lane := range at {
			at[lane] = &packets[lane%len(packets)].Data[HeadSize+steps*stepSize]
		}
		encryptAVX512x16Shared(&at, left, &key.enc[0][0], key.rounds)
	}
	for lane := range packets {
		e.goOn(f, lane, packets[lane].Data, steps-1)
	}
	sha1x16(g.pointer(), int(g.total[0]))
	for lane := range packets {
		e.finish(f, lane)
		e.startOuter(lane, uint8(lane), packets[lane].MAC)
	}
	sha1x16(g.pointer(), 1)
	for lane := range packets {
		copy(packets[lane].Sum, g.sums[lane][:f.size])
	}
}

// finishTogether overwrites what is left of keys.
func (e *Engine) finishTogether() {
	if e.group != nil {
		e.release()
	}
}
