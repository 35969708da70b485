package lanes

import "crypto/sha512"

// hasher is what an Engine needs to compute HMACs with the standard library.
type hasher struct {
	hashes [hashes]resumable
	buf    [sha512.Size]byte
}

func (h *hasher) sumGeneric(jobs []MAC) {
	for i := range jobs {
		j := &jobs[i]
		copy(j.Sum, h.sumOne(j.Key, j.Data))
	}
}

// sumOne returns the HMAC of data, valid until the next call.
func (h *hasher) sumOne(k *MACKey, data []byte) []byte {
	f := h.hashes[k.hash]
	if f == nil {
		f = k.hash.new()
		h.hashes[k.hash] = f
	}
	// The states came from this hash and were restored once by newState. Those
	// of a key that was zeroed are refused, and then the sum is meaningless.
	_ = f.UnmarshalBinary(k.inner.saved)
	f.Write(data)
	inner := f.Sum(h.buf[:0])
	_ = f.UnmarshalBinary(k.outer.saved)
	f.Write(inner)
	return f.Sum(h.buf[:0])
}
