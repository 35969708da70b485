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

// The least numbers of packets to seal, or sign, together: with fewer, the other kernels
// are as fast or faster.
const (
	leastSealed = 5
	leastSigned = 7
)

// few is how many packets are divided into jobs at a time.
const few = 64

// divided is an Engine's room for the two jobs that are to be done for a packet.
type divided struct {
	n    int
	cbcs [few]CBC
	macs [few]MAC
}

// waiting is packets that one kernel can seal together: their keys and their
// lengths are the same.
type waiting struct {
	n       int
	packets [maxTogether]*Packet
}

const maxTogether = 16

// Seal encrypts every packet and computes its HMAC. Where there is a kernel that
// does both at once, packets of the same length under the same keys are sealed
// with it, although others lie between them, such as the short ones that
// super-packets end in. All other packets are encrypted together, and then
// authenticated together.
func (e *Engine) Seal(packets []Packet) {
	w := &e.waiting
	w.n, e.divided.n = 0, 0 // a call that panicked may have left packets, whose buffers now belong to others
	for i := range packets {
		p := &packets[i]
		switch {
		case w.n > 0 && alike(w.packets[0], p):
		case e.suits(p) && (w.n == 0 || i+1 < len(packets) && alike(p, &packets[i+1])):
			e.sealWaiting()
		default:
			e.divide(p)
			continue
		}
		w.packets[w.n] = p
		if w.n++; w.n == maxTogether {
			e.sealWaiting()
		}
	}
	e.sealWaiting()
	e.sealDivided()
	e.finishTogether()
}

// alike reports whether two packets can be sealed together, if one of them can be
// sealed with another at all.
func alike(p, q *Packet) bool {
	return p.Cipher == q.Cipher && p.MAC == q.MAC && len(p.Data) == len(q.Data) && len(p.Sum) == len(q.Sum)
}

// sealWaiting seals what waits, if it is enough, or divides it. It keeps none of
// it alive.
func (e *Engine) sealWaiting() {
	w := &e.waiting
	if w.n >= leastSealed {
		e.sealTogether(w.packets[:w.n])
	} else {
		for _, p := range w.packets[:w.n] {
			e.divide(p)
		}
	}
	clear(w.packets[:w.n])
	w.n = 0
}

func (e *Engine) divide(p *Packet) {
	d := &e.divided
	c, m := &d.cbcs[d.n], &d.macs[d.n]
	c.Key, c.Data = p.Cipher, p.Data[HeadSize:]
	m.Key, m.Data, m.Sum = p.MAC, p.Data, p.Sum
	if d.n++; d.n == few {
		e.sealDivided()
	}
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
