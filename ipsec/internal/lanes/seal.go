package lanes

// HeadSize is the size in bytes of what is in front of a Packet's IV.
const HeadSize = 8

// Packet is one packet to be encrypted and then authenticated. Data is 8 bytes
// that are authenticated only, the IV, 16 bytes, and whole blocks, which are
// encrypted in place. Sum receives the first bytes of the HMAC over all of Data,
// and may lie right behind it. Packets of one call must not overlap.
type Packet struct {
	Cipher    *CipherKey
	MAC       *MACKey
	Data, Sum []byte
}

// few is how many packets are divided into jobs at a time.
const few = 64

// divided is an Engine's room for the two jobs that are to be done for a packet.
type divided struct {
	n    int
	cbcs [few]CBC
	macs [few]MAC
}

// Seal encrypts every packet and computes its HMAC. Where there is a kernel that
// does both at once, neighbours of the same length under the same keys are
// sealed with it; all other packets are encrypted together, and then
// authenticated together.
func (e *Engine) Seal(packets []Packet) {
	for len(packets) > 0 {
		if n := e.together(packets); n > 0 {
			e.sealTogether(packets[:n])
			packets = packets[n:]
			continue
		}
		e.divide(&packets[0])
		packets = packets[1:]
		if e.divided.n == few {
			e.sealDivided()
		}
	}
	e.sealDivided()
	e.finishTogether()
}

func (e *Engine) divide(p *Packet) {
	d := &e.divided
	c, m := &d.cbcs[d.n], &d.macs[d.n]
	c.Key, c.Data = p.Cipher, p.Data[HeadSize:]
	m.Key, m.Data, m.Sum = p.MAC, p.Data, p.Sum
	d.n++
}

// sealDivided seals what was divided. It keeps no packet and no key alive.
func (e *Engine) sealDivided() {
	d := &e.divided
	if d.n == 0 {
		return
	}
	cbcs, macs := d.cbcs[:d.n], d.macs[:d.n]
	e.EncryptCBC(cbcs)
	e.Sum(macs)
	clear(cbcs)
	clear(macs)
	d.n = 0
}
