//go:build amd64 && !purego

package lanes

// leastTogether is how many packets are worth being sealed together, and
// leastSteps how many times 64 bytes each has to have for it.
const (
	leastTogether = 9
	leastSteps    = 3
	stepSize      = 4 * BlockSize
)

// together is how many of the first packets are to be sealed together: 16 with
// the same key, hash and length, or fewer where there are no others behind them,
// which would then be alone, or none.
func (e *Engine) together(packets []Packet) int {
	first := &packets[0]
	if e.tier != AVX512 || NoCrypto || first.MAC.hash != SHA1 || len(first.Data) < HeadSize+BlockSize+leastSteps*stepSize {
		return 0
	}
	n := 1
	for n < min(len(packets), maxLanes) {
		p := &packets[n]
		if p.Cipher != first.Cipher || p.MAC.hash != first.MAC.hash || len(p.Data) != len(first.Data) {
			break
		}
		n++
	}
	if n == maxLanes || n == len(packets) && n >= leastTogether {
		return n
	}
	return 0
}

// sealTogether seals packets that together found. The kernel encrypts all but the
// last blocks, and hashes what is encrypted one step later. Lanes without a
// packet encrypt the first one: they write the same at the same time to the same
// place.
func (e *Engine) sealTogether(packets []Packet) {
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
