package lanes

import "crypto/sha512"

// hasher is what an Engine needs to compute HMACs with the standard library.
type hasher struct {
	hashes [hashes]*savedHash
	buf    [sha512.Size]byte
}

// savedHash is a hash after one block, and the same as bytes.
type savedHash struct {
	resumable
	saved []byte
	state []byte // of saved
}

func newSavedHash(h Hash) *savedHash {
	f := &savedHash{resumable: h.new()}
	f.Write(make([]byte, f.BlockSize()))
	f.saved, _ = f.AppendBinary(nil) // no hash returns an error
	f.state = stateOf(f.saved, f.BlockSize())
	return f
}

// resume sets the state. It cannot fail, since all else is what the hash wrote
// itself.
func (f *savedHash) resume(s *state) {
	copy(f.state, s[:])
	_ = f.UnmarshalBinary(f.saved)
}

func (h *hasher) sumGeneric(jobs []MAC) {
	for i := range jobs {
		j := &jobs[i]
		copy(j.Sum, h.sumOne(j.Key, j.Data))
	}
	h.forget()
}

// forget overwrites what is left of keys.
func (h *hasher) forget() {
	for _, f := range h.hashes {
		if f != nil {
			f.Reset()
			clear(f.state)
		}
	}
}

// sumOne returns the HMAC of data, valid until the next call.
func (h *hasher) sumOne(k *MACKey, data []byte) []byte {
	f := h.hashes[k.hash]
	if f == nil {
		f = newSavedHash(k.hash)
		h.hashes[k.hash] = f
	}
	f.resume(&k.inner)
	f.Write(data)
	inner := f.Sum(h.buf[:0])
	f.resume(&k.outer)
	f.Write(inner)
	return f.Sum(h.buf[:0])
}
