package lanes

import (
	"bytes"
	"crypto/cipher"
	"math/rand/v2"
	"testing"
)

// keys are the keys of an SA, for an Engine and for the standard library.
type keys struct {
	cipher *CipherKey
	mac    *MACKey
	block  cipher.Block
	raw    []byte // the MAC's
	hash   Hash
}

func newKeys(t testing.TB, r *rand.Rand, size int, h Hash) *keys {
	t.Helper()
	k := &keys{raw: randomBytes(r, 20), hash: h}
	k.cipher, k.block = newKey(t, r, size)
	var err error
	if k.mac, err = NewMACKey(h, k.raw); err != nil {
		t.Fatal(err)
	}
	return k
}

// otherMAC is the same key for encryption, and another for HMAC-SHA1.
func (k *keys) otherMAC(t testing.TB, r *rand.Rand) *keys {
	t.Helper()
	other := newKeys(t, r, 32, SHA1)
	other.cipher, other.block = k.cipher, k.block
	return other
}

// otherCipher is another key for encryption, and the same for HMAC-SHA1.
func (k *keys) otherCipher(t testing.TB, r *rand.Rand) *keys {
	t.Helper()
	other := newKeys(t, r, 32, SHA1)
	other.mac, other.raw = k.mac, k.raw
	return other
}

// sealing is a packet in a buffer with guards, and what the buffer should be.
type sealing struct {
	packet    Packet
	buf, want []byte
}

// newSealing makes a packet of that many blocks, at an odd place, with its sum
// right behind it, and asks the standard library what becomes of it.
func newSealing(r *rand.Rand, k *keys, blocks int) *sealing { return newSealingOf(r, k, blocks, 12) }

func newSealingOf(r *rand.Rand, k *keys, blocks, sum int) *sealing {
	n, at := HeadSize+BlockSize*(1+blocks), guard+r.IntN(64)
	s := &sealing{buf: randomBytes(r, at+n+sum+guard)}
	s.packet = Packet{Cipher: k.cipher, MAC: k.mac, Data: s.buf[at : at+n], Sum: s.buf[at+n : at+n+sum]}
	s.want = bytes.Clone(s.buf)
	data := s.want[at : at+n]
	body := data[HeadSize+BlockSize:]
	cipher.NewCBCEncrypter(k.block, data[HeadSize:HeadSize+BlockSize]).CryptBlocks(body, body)
	m := standard(k.hash, k.raw)
	m.Write(data)
	copy(s.want[at+n:at+n+sum], m.Sum(nil))
	return s
}

// checkSealed seals all packets in one call, with every Engine, and looks at
// everything that was or was not written.
func checkSealed(t *testing.T, all []*sealing) {
	t.Helper()
	for _, e := range engines() {
		var packets []Packet
		var bufs [][]byte
		for _, s := range all {
			p, buf := s.packet, bytes.Clone(s.buf)
			place := func(b []byte) []byte { return buf[cap(s.buf)-cap(b):][:len(b)] }
			p.Data, p.Sum = place(p.Data), place(p.Sum)
			packets, bufs = append(packets, p), append(bufs, buf)
		}
		e.Seal(packets)
		for i, s := range all {
			if !bytes.Equal(bufs[i], s.want) {
				t.Fatalf("%s: packet %d of %d, %d bytes:\n got %x\nwant %x", e.name, i, len(all), len(s.packet.Data), bufs[i], s.want)
			}
		}
		if d := &e.divided; d.n != 0 || d.cbcs[0].Key != nil || d.macs[0].Key != nil || e.waiting != (waiting{}) {
			t.Fatalf("%s keeps packets or keys of %d alive", e.name, len(all))
		}
	}
}

// Every length of up to 40 blocks, in as many lanes as there are and in fewer,
// with every size of key.
func TestSealingOfEveryLength(t *testing.T) {
	r := newRand(21)
	for blocks := range 41 {
		for i, n := range []int{1, 5, 15, 33} {
			k := newKeys(t, r, 16+8*((blocks+i)%3), SHA1)
			var all []*sealing
			for range n {
				all = append(all, newSealing(r, k, blocks))
			}
			checkSealed(t, all)
		}
	}
}

// Trains of full packets of some senders, each with a shorter one at its end, as
// super-packets have them, and other hashes, keys and lengths between them.
func TestSealingOfTrains(t *testing.T) {
	r := newRand(22)
	for n := 0; n < 40; n += 3 {
		k := newKeys(t, r, 32, SHA1)
		for _, other := range []*keys{k, newKeys(t, r, 32, SHA1), newKeys(t, r, 16, SHA256), k.otherMAC(t, r), k.otherCipher(t, r)} {
			var all []*sealing
			for range n {
				all = append(all, newSealing(r, k, 89))
			}
			all = append(all, newSealing(r, other, r.IntN(89)))
			for range 40 - n {
				all = append(all, newSealing(r, other, 89))
			}
			checkSealed(t, all)
		}
	}
}

// Lengths of which the number of bits has more than 16, and sums of different
// lengths, of which some are longer than what a kernel leaves.
func TestSealingOfLongPackets(t *testing.T) {
	r := newRand(27)
	k := newKeys(t, r, 32, SHA1)
	for _, blocks := range []int{507, 508, 509, 510, 4093} {
		var all []*sealing
		for i := range 16 {
			all = append(all, newSealingOf(r, k, blocks, 12+8*(i/13)))
		}
		checkSealed(t, all)
	}
}

// After a panic, nothing of the call before is done.
func TestNothingIsSealedLater(t *testing.T) {
	r := newRand(28)
	k := newKeys(t, r, 32, SHA1)
	for _, e := range engines() {
		s := newSealing(r, k, 20)
		before := bytes.Clone(s.buf)
		func() {
			defer func() { _ = recover() }()
			e.Seal([]Packet{s.packet, s.packet, {Cipher: k.cipher, MAC: k.mac, Data: make([]byte, 3)}})
			t.Errorf("%s seals a packet of three bytes", e.name)
		}()
		copy(s.buf, before)
		e.Seal(nil)
		if !bytes.Equal(s.buf, before) {
			t.Errorf("%s sealed a packet of the call before", e.name)
		}
	}
}

// Two bytes of the script are packets: which keys they have, new ones or those
// of the ones before, how many they are, and how many blocks each has.
func FuzzSeal(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte{0xf2, 89, 0x02, 20, 0xf3, 89})
	f.Add(uint64(3), bytes.Repeat([]byte{0x92, 12, 0x08, 11}, 4))
	f.Add(uint64(4), []byte{0x83, 89, 0x0c, 3, 0x83, 89, 0x0d, 89, 0xf3, 89})
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) {
		r := newRand(seed)
		k := newKeys(t, r, 32, SHA1)
		var all []*sealing
		for ; len(script) >= 2 && len(all) < 80; script = script[2:] {
			switch kind := script[0] & 0xf; {
			case kind < 3:
				k = newKeys(t, r, 16+8*int(kind), SHA1)
			case kind == 8:
				k = newKeys(t, r, 32, SHA1+Hash(script[0]>>4)%(hashes-SHA1))
			case kind == 12:
				k = k.otherMAC(t, r)
			}
			for range 1 + script[0]>>4 {
				all = append(all, newSealing(r, k, int(script[1])%100))
			}
		}
		checkSealed(t, all)
	})
}

func TestSealingAllocatesNothing(t *testing.T) {
	r := newRand(23)
	k := newKeys(t, r, 32, SHA1)
	var packets []Packet
	for i := range 80 {
		packets = append(packets, newSealing(r, k, 88+i/70).packet)
	}
	for _, e := range engines() {
		if n := testing.AllocsPerRun(20, func() { e.Seal(packets) }); n != 0 {
			t.Errorf("%s: %v allocations", e.name, n)
		}
	}
}
