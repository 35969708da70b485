//go:build amd64 && !purego

package lanes

import "encoding/binary"

// maxRounds is the number of rounds of AES-256.
const maxRounds = 14

// schedule is the round keys of one direction in the order of their use. The
// first is at 0 and the others at the end, so that AES-128 and AES-192, which
// have fewer rounds, leave a gap behind the first, and kernels jump over it.
type schedule [maxRounds + 1][BlockSize]byte

// schedules are the round keys for kernels.
type schedules struct {
	rounds   int
	enc, dec *schedule // nil: not wanted; dec is of the equivalent inverse cipher (FIPS 197, section 5.3.5)
}

// expand makes the schedules (FIPS 197, section 5.2) of a key of 16, 24 or 32
// bytes that its use needs. Neither branches nor addresses depend on what the key is.
func (s *schedules) expand(key []byte, use Use) {
	if !hasAES {
		return
	}
	words := len(key) / 4
	s.rounds = words + 6
	var w [4 * (maxRounds + 1)]uint32
	defer clear(w[:])
	for i := range words {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	constant := uint32(1)
	for i := words; i < 4*(s.rounds+1); i++ {
		t := w[i-1]
		switch {
		case i%words == 0:
			t = subWord(t>>8|t<<24) ^ constant // RotWord, of little-endian words
			constant = constant<<1 ^ constant>>7*0x11b
		case words == 8 && i%words == 4:
			t = subWord(t)
		}
		w[i] = w[i-words] ^ t
	}
	at := func(round int) int {
		if round == 0 {
			return 0
		}
		return round + maxRounds - s.rounds
	}
	if use&Encrypt != 0 {
		s.enc = new(schedule)
	}
	if use&Decrypt != 0 {
		s.dec = new(schedule)
	}
	var k [BlockSize]byte
	defer clear(k[:])
	for round := range s.rounds + 1 {
		for i := range 4 {
			binary.LittleEndian.PutUint32(k[4*i:], w[4*round+i])
		}
		if s.enc != nil {
			s.enc[at(round)] = k
		}
		if s.dec == nil {
			continue
		}
		inverse := &s.dec[at(s.rounds-round)]
		if *inverse = k; round > 0 && round < s.rounds {
			inverseMix(inverse, &k)
		}
	}
}

// wipe overwrites the round keys. How many there were is not a secret.
func (s *schedules) wipe() {
	for _, k := range []*schedule{s.enc, s.dec} {
		if k != nil {
			*k = schedule{}
		}
	}
}
