//go:build amd64 && !purego

package lanes

import "unsafe"

// maxLanes is the width of the widest kernel.
const maxLanes = 16

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

// encrypt encrypts the jobs of each key size together.
func (e *Engine) encrypt(jobs []CBC) {
	if e.tier == Generic {
		encryptGeneric(jobs)
		return
	}
	const sizes = 3 // 10, 12 and 14 rounds
	var keys [sizes]*CipherKey
	var mixed [sizes]bool
	for i := range jobs {
		k := jobs[i].Key
		size := (k.rounds - 10) / 2
		if keys[size] == nil {
			keys[size] = k
		}
		mixed[size] = mixed[size] || keys[size] != k
	}
	for size, k := range keys {
		switch {
		case k == nil:
		case mixed[size]:
			t := e.table()
			e.encryptRounds(jobs, k.rounds, nil, t)
			clear(t[:])
		default:
			e.encryptRounds(jobs, k.rounds, k, nil)
		}
	}
}

// encryptRounds encrypts the jobs whose keys have that many rounds: with the one
// key that all of these share, or with keys of their own by way of the table.
// A lane whose packet is done takes the next one.
func (e *Engine) encryptRounds(jobs []CBC, rounds int, shared *CipherKey, table *keyTable) {
	var live lanes
	width := maxLanes
	if e.tier == AESNI {
		width = 8
	}
	for {
		for ; live.n < width && len(jobs) > 0; jobs = jobs[1:] {
			if j := &jobs[0]; j.Key.rounds == rounds && j.blocks() > 0 {
				live.data[live.n], live.next[live.n] = j.Data, j.Key
				live.n++
			}
		}
		if live.n == 0 {
			return
		}
		w := width
		if live.n <= 4 {
			w = 4
		}
		bytes := live.prepare(w, table)
		switch {
		case e.tier == AVX512 && w == 4 && table == nil:
			encryptAVX512x4Shared((*[4]*byte)(live.packets[:]), bytes, &shared.enc[0][0], rounds)
		case e.tier == AVX512 && w == 4:
			encryptAVX512x4((*[4]*byte)(live.packets[:]), bytes, &table[0][0][0], rounds)
		case e.tier == AVX512 && table == nil:
			encryptAVX512x16Shared(&live.packets, bytes, &shared.enc[0][0], rounds)
		case e.tier == AVX512:
			encryptAVX512x16(&live.packets, bytes, &table[0][0][0], rounds)
		case w == 4 && table == nil:
			encryptAESNIx4Shared((*[4]*byte)(live.packets[:]), bytes, &shared.enc[0][0], rounds)
		case w == 4:
			encryptAESNIx4((*[4]*byte)(live.packets[:]), bytes, &table[0][0][0], rounds)
		case table == nil:
			encryptAESNIx8Shared((*[8]*byte)(live.packets[:]), bytes, &shared.enc[0][0], rounds)
		default:
			encryptAESNIx8((*[8]*byte)(live.packets[:]), bytes, &table[0][0][0], rounds)
		}
		live.advance(bytes)
	}
}

// lanes are the packets that are being encrypted.
type lanes struct {
	n       int
	packets [maxLanes]*byte      // the block before the next one of each
	data    [maxLanes][]byte     // that block and what is left
	next    [maxLanes]*CipherKey // each packet's key
	inTable [maxLanes]*CipherKey // the key that the table has in each lane
}

// prepare makes the first w lanes ready for a kernel and returns how many bytes
// it can encrypt before a packet ends. Lanes without a packet do what the first
// one does: they write the same at the same time to the same place.
func (l *lanes) prepare(w int, table *keyTable) int {
	bytes := len(l.data[0])
	for i := range l.n {
		bytes = min(bytes, len(l.data[i]))
		l.packets[i] = &l.data[i][0]
	}
	for i := l.n; i < w; i++ {
		l.packets[i], l.next[i] = l.packets[0], l.next[0]
	}
	if table != nil {
		for i := range w {
			if k := l.next[i]; l.inTable[i] != k {
				l.inTable[i] = k
				for round := range k.enc {
					table[round][i] = k.enc[round]
				}
			}
		}
	}
	return (bytes/BlockSize - 1) * BlockSize
}

// advance moves all lanes on, and fills the places of packets that are done
// from the end.
func (l *lanes) advance(bytes int) {
	for i := l.n - 1; i >= 0; i-- {
		l.data[i] = l.data[i][bytes:]
		if len(l.data[i]) < 2*BlockSize {
			l.n--
			l.data[i], l.next[i] = l.data[l.n], l.next[l.n]
		}
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
		if e.tier == AVX512 {
			decryptAVX512(&j.Data[0], bytes, &j.Key.dec[0][0], j.Key.rounds)
		} else {
			decryptAESNI(&j.Data[0], bytes, &j.Key.dec[0][0], j.Key.rounds)
		}
	}
}
