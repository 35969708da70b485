package lanes

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// guard is how many bytes in front of and behind a packet must stay as they
// are.
const guard = 80

// packet is a CBC job in a buffer with guards, and what the buffer should be.
type packet struct {
	job         CBC
	buf         []byte
	plain, want []byte
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0xad17)) }

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func newKey(t testing.TB, r *rand.Rand, size int) (*CipherKey, cipher.Block) {
	t.Helper()
	raw := randomBytes(r, size)
	k, err := NewCipherKey(raw, Encrypt|Decrypt)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k, block
}

// newPacket makes a job of n bytes of data, at an odd place, and asks the
// standard library what becomes of it.
func newPacket(r *rand.Rand, k *CipherKey, block cipher.Block, n int) *packet {
	at := guard + r.IntN(64)
	p := &packet{buf: randomBytes(r, at+n+guard)}
	p.job = CBC{k, p.buf[at : at+n : at+n]}
	p.plain, p.want = bytes.Clone(p.buf), bytes.Clone(p.buf)
	if blocks := n/BlockSize - 1; blocks > 0 {
		body := p.want[at+BlockSize : at+(blocks+1)*BlockSize]
		cipher.NewCBCEncrypter(block, p.want[at:at+BlockSize]).CryptBlocks(body, body)
	}
	return p
}

// there and back: all jobs in one call, in place.
func check(t *testing.T, e *Engine, packets []*packet) {
	t.Helper()
	jobs := make([]CBC, len(packets))
	for i, p := range packets {
		jobs[i] = p.job
	}
	e.EncryptCBC(jobs)
	for i, p := range packets {
		if !bytes.Equal(p.buf, p.want) {
			t.Fatalf("%v: encrypted job %d of %d, %d bytes with a key of %d:\n got %x\nwant %x",
				e.Tier(), i, len(packets), len(p.job.Data), p.job.Key.size, p.buf, p.want)
		}
	}
	e.DecryptCBC(jobs)
	for i, p := range packets {
		if !bytes.Equal(p.buf, p.plain) {
			t.Fatalf("%v: decrypted job %d of %d, %d bytes with a key of %d:\n got %x\nwant %x",
				e.Tier(), i, len(packets), len(p.job.Data), p.job.Key.size, p.buf, p.plain)
		}
	}
}

// Every number of lanes, with one key for all, with a key each, and with keys
// of all sizes; equal lengths and different ones; among them packets without a
// whole block, and such that do not end on one.
func TestCBCAgreesWithTheStandardLibrary(t *testing.T) {
	eachTier(func(tier Tier) {
		e, r := New(tier), newRand(1)
		for n := range 41 {
			for _, equal := range []bool{true, false} {
				for _, sizes := range [][]int{{16}, {24}, {32}, {16, 24, 32}} {
					for _, oneKey := range []bool{true, false} {
						var packets []*packet
						k, block := newKey(t, r, sizes[0])
						for i := range n {
							if !oneKey || len(sizes) > 1 {
								k, block = newKey(t, r, sizes[i%len(sizes)])
							}
							length := 16 * 24
							if !equal {
								length = r.IntN(16 * 40)
							}
							packets = append(packets, newPacket(r, k, block, length))
						}
						check(t, e, packets)
					}
				}
			}
		}
	})
}

// Every length, alone.
func TestCBCOfEveryLength(t *testing.T) {
	eachTier(func(tier Tier) {
		e, r := New(tier), newRand(2)
		for _, size := range []int{16, 24, 32} {
			k, block := newKey(t, r, size)
			for n := range 16 * 45 {
				check(t, e, []*packet{newPacket(r, k, block, n)})
			}
		}
	})
}

// Several sessions take turns in a batch: their keys come and go in the lanes.
func TestCBCOfFewKeysInTurn(t *testing.T) {
	eachTier(func(tier Tier) {
		e, r := New(tier), newRand(3)
		for keys := 2; keys < 20; keys += 3 {
			var all []*CipherKey
			var blocks []cipher.Block
			for i := range keys {
				k, block := newKey(t, r, 16+8*(i%3))
				all, blocks = append(all, k), append(blocks, block)
			}
			var packets []*packet
			for range 70 {
				i := r.IntN(keys)
				packets = append(packets, newPacket(r, all[i], blocks[i], 32+16*r.IntN(90)))
			}
			check(t, e, packets)
		}
	})
}

// FuzzCBC reads jobs from its input: for each a key size, whether it is the key
// of the job before, and a length.
func FuzzCBC(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte{0, 0, 48, 5, 1, 200, 1, 0, 31})
	f.Add(uint64(3), bytes.Repeat([]byte{2, 5, 160}, 17))
	f.Add(uint64(4), bytes.Repeat([]byte{4, 0, 64, 0, 1, 16, 1, 5, 144}, 13))
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) {
		r := newRand(seed)
		var packets []*packet
		k, block := newKey(t, r, 32)
		for ; len(script) >= 3 && len(packets) < 80; script = script[3:] {
			if kind := script[0] % 6; kind < 3 {
				k, block = newKey(t, r, 16+8*int(kind))
			}
			n := int(binary.BigEndian.Uint16(script[1:]) % 1600)
			packets = append(packets, newPacket(r, k, block, n))
		}
		eachTier(func(tier Tier) { check(t, New(tier), packets) })
	})
}

func TestCBCAllocatesNothing(t *testing.T) {
	eachTier(func(tier Tier) {
		e, r := New(tier), newRand(4)
		var jobs []CBC
		for i := range 40 {
			k, _ := newKey(t, r, 16+8*(i%3))
			jobs = append(jobs, CBC{k, make([]byte, 16*i)})
		}
		if n := testing.AllocsPerRun(100, func() { e.EncryptCBC(jobs); e.DecryptCBC(jobs) }); n != 0 {
			t.Errorf("%v: %v allocations", tier, n)
		}
	})
}

// What an Engine computed with does not stay in it.
func TestNoKeyStaysInTheEngine(t *testing.T) {
	eachTier(func(tier Tier) {
		e, r := New(tier), newRand(5)
		var jobs []CBC
		for range 20 {
			k, _ := newKey(t, r, 32)
			jobs = append(jobs, CBC{k, make([]byte, 64)})
		}
		e.EncryptCBC(jobs)
		if e.cbcScratch != (cbcScratch{}) {
			t.Errorf("%v: round keys are left", tier)
		}
	})
}

func TestRefusedCipherKeys(t *testing.T) {
	for n := range 70 {
		_, err := NewCipherKey(make([]byte, n), Encrypt|Decrypt)
		if ok := n == 16 || n == 24 || n == 32; (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
