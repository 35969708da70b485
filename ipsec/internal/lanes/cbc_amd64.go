//go:build amd64 && !purego

package lanes

import "unsafe"

// maxLanes is the width of the widest kernel.
const maxLanes = 16

// cbcChunk is how many jobs are planned together.
const cbcChunk = 64

// keyTable is the round keys of lanes with keys of their own, round by round.
type keyTable [maxRounds + 1][maxLanes][BlockSize]byte

// cbcScratch is what an Engine needs to encrypt with several keys at once. The
// table is within room, where a cache line begins.
type cbcScratch struct {
	room [unsafe.Sizeof(keyTable{}) + cacheLine]byte
}

const cacheLine = 64

func (s *cbcScratch) table() *keyTable {
	skip := -uintptr(unsafe.Pointer(&s.room)) % cacheLine
	return (*keyTable)(unsafe.Pointer(&s.room[skip]))
}

// keySizes is how many numbers of rounds there are: 10, 12 and 14.
const keySizes = 3

// plan is the jobs of one key size.
type cbcPlan struct {
	n       int
	order   [cbcChunk]uint8
	class   int        // that of the first
	key     *CipherKey // likewise
	mixed   bool       // there are other keys
	unequal bool       // there are other classes
}

// cbcClasses is how many lengths are told apart: all that are longer than a
// network's packets count as one.
const cbcClasses = 64

// cbcClass is lower for longer packets.
func cbcClass(blocks int) int { return max(0, cbcClasses-1-blocks/2) }

func (e *Engine) encrypt(jobs []CBC) {
	if e.tier == Generic {
		encryptGeneric(jobs)
		return
	}
	for len(jobs) > 1 {
		n := min(len(jobs), cbcChunk)
		e.encryptChunk(jobs[:n])
		jobs = jobs[n:]
	}
	if len(jobs) == 1 && jobs[0].blocks() > 0 {
		e.encryptOne(&jobs[0])
	}
}

// encryptOne encrypts a packet that is alone, and needs no plan.
func (e *Engine) encryptOne(j *CBC) {
	var packets [maxLanes]*byte
	for i := range packets[:4] {
		packets[i] = &j.Data[0]
	}
	e.runCBC(&packets, 4, j.blocks()*BlockSize, j.Key, nil)
}

// encryptChunk encrypts the jobs of each key size together.
func (e *Engine) encryptChunk(jobs []CBC) {
	var plans [keySizes]cbcPlan
	for i := range jobs {
		j := &jobs[i]
		blocks := j.blocks()
		if blocks <= 0 {
			continue
		}
		p, class := &plans[(j.Key.rounds-10)/2], cbcClass(blocks)
		if p.n == 0 {
			p.key, p.class = j.Key, class
		}
		p.mixed = p.mixed || j.Key != p.key
		p.unequal = p.unequal || class != p.class
		p.order[p.n] = uint8(i)
		p.n++
	}
	for i := range plans {
		if p := &plans[i]; p.n > 0 {
			if p.unequal {
				p.sort(jobs)
			}
			e.encryptPlan(jobs, p)
		}
	}
}

// sort orders the jobs from long to short: a long one that begins last is alone
// at the end.
func (p *cbcPlan) sort(jobs []CBC) {
	var count [cbcClasses]uint8
	unsorted := p.order
	for _, i := range unsorted[:p.n] {
		count[cbcClass(jobs[i].blocks())]++
	}
	at := uint8(0)
	for class, n := range count {
		count[class] = at
		at += n
	}
	for _, i := range unsorted[:p.n] {
		next := &count[cbcClass(jobs[i].blocks())]
		p.order[*next] = i
		*next++
	}
}

// encryptPlan encrypts with the one key that all jobs of the plan share, or with
// keys of their own by way of the table. A lane whose packet is done takes the
// next one.
func (e *Engine) encryptPlan(jobs []CBC, p *cbcPlan) {
	var live lanes
	var table *keyTable
	if p.mixed {
		table = e.table()
		defer clear(table[:])
	}
	width := maxLanes
	if e.tier == AESNI {
		width = 8
	}
	for order := p.order[:p.n]; ; {
		for ; live.n < width && len(order) > 0; order = order[1:] {
			live.add(&jobs[order[0]])
		}
		if live.n == 0 {
			return
		}
		w := width
		if live.n <= 4 {
			w = 4
		}
		bytes := live.prepare(w, table)
		e.runCBC(&live.packets, w, bytes, p.key, table)
		live.advance(bytes)
	}
}

// runCBC runs the kernel for that many lanes, with the key for all or a table of
// their own.
func (e *Engine) runCBC(packets *[maxLanes]*byte, width, bytes int, k *CipherKey, table *keyTable) {
	four, eight := (*[4]*byte)(packets[:]), (*[8]*byte)(packets[:])
	keys := &k.enc[0][0]
	if table != nil {
		keys = &table[0][0][0]
	}
	switch shared := table == nil; {
	case e.tier == AVX512 && width == 4 && shared:
		encryptAVX512x4Shared(four, bytes, keys, k.rounds)
	case e.tier == AVX512 && width == 4:
		encryptAVX512x4(four, bytes, keys, k.rounds)
	case e.tier == AVX512 && shared:
		encryptAVX512x16Shared(packets, bytes, keys, k.rounds)
	case e.tier == AVX512:
		encryptAVX512x16(packets, bytes, keys, k.rounds)
	case width == 4 && shared:
		encryptAESNIx4Shared(four, bytes, keys, k.rounds)
	case width == 4:
		encryptAESNIx4(four, bytes, keys, k.rounds)
	case shared:
		encryptAESNIx8Shared(eight, bytes, keys, k.rounds)
	default:
		encryptAESNIx8(eight, bytes, keys, k.rounds)
	}
}

// lanes are the packets that are being encrypted.
type lanes struct {
	n       int
	packets [maxLanes]*byte      // the block before the next one of each
	left    [maxLanes]int        // bytes of each from there on
	keys    [maxLanes]*CipherKey // each packet's key
	inTable [maxLanes]*CipherKey // the key that the table has in each lane
}

func (l *lanes) add(j *CBC) {
	l.packets[l.n], l.left[l.n], l.keys[l.n] = &j.Data[0], j.blocks()*BlockSize, j.Key
	l.n++
}

// prepare makes the first w lanes ready for a kernel and returns how many bytes
// it can encrypt before a packet ends. Lanes without a packet do what the first
// one does: they write the same at the same time to the same place.
func (l *lanes) prepare(w int, table *keyTable) int {
	bytes := l.left[0]
	for _, left := range l.left[1:l.n] {
		bytes = min(bytes, left)
	}
	for i := l.n; i < w; i++ {
		l.packets[i], l.keys[i] = l.packets[0], l.keys[0]
	}
	if table == nil {
		return bytes
	}
	for i := range w {
		if k := l.keys[i]; l.inTable[i] != k {
			l.inTable[i] = k
			for round := range k.enc {
				table[round][i] = k.enc[round]
			}
		}
	}
	return bytes
}

// advance moves all lanes on, and fills the places of packets that are done
// from the end.
func (l *lanes) advance(bytes int) {
	for i := l.n - 1; i >= 0; i-- {
		if l.left[i] > bytes {
			l.left[i] -= bytes
			l.packets[i] = (*byte)(unsafe.Add(unsafe.Pointer(l.packets[i]), bytes)) // still within Data
			continue
		}
		l.n--
		l.packets[i], l.left[i], l.keys[i] = l.packets[l.n], l.left[l.n], l.keys[l.n]
	}
}

// decrypt decrypts packet by packet: the blocks of one do not wait for each
// other.
func (e *Engine) decrypt(jobs []CBC) {
	if e.tier == Generic {
		decryptGeneric(jobs)
		return
	}
	for i := range jobs {
		j := &jobs[i]
		bytes := j.blocks() * BlockSize
		if bytes <= 0 {
			continue
		}
		keys := &j.Key.dec[0][0]
		if e.tier == AVX512 {
			decryptAVX512(&j.Data[0], bytes, keys, j.Key.rounds)
			continue
		}
		decryptAESNI(&j.Data[0], bytes, keys, j.Key.rounds)
	}
}
