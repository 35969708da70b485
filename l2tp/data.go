package l2tp

import "encoding/binary"

// Lengths of the data headers that AppendDataHeader writes.
const (
	DataHeaderLen          = 8
	SequencedDataHeaderLen = 12
)

// DataHeader is the header of a data message (RFC 2661, section 3.1), and the
// place of its payload.
type DataHeader struct {
	Tunnel, Session uint16
	HasSequence     bool
	Ns, Nr          uint16
	Priority        bool
	Off, End        int // the payload is b[Off:End]
}

// Sequence is the sequence field of a data message. Nr is reserved in data
// messages, and sent as 0.
type Sequence struct{ Ns uint16 }

// ParseData reads a data message's header, with every combination of the L, S, O
// and P bits. Without the L bit the payload ends where b ends. It does not
// allocate.
func ParseData(b []byte) (DataHeader, error) {
	if len(b) < 6 {
		return DataHeader{}, ErrMalformed
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&bitType != 0 || flags&versionMask != version {
		return DataHeader{}, ErrMalformed
	}
	h := DataHeader{Priority: flags&bitPriority != 0, HasSequence: flags&bitSequence != 0, Off: 6, End: len(b)}
	ids := 2
	if flags&bitLength != 0 {
		h.End = int(binary.BigEndian.Uint16(b[2:]))
		h.Off, ids = 8, 4
	}
	if h.HasSequence {
		h.Off += 4
	}
	if flags&bitOffset != 0 {
		h.Off += 2
	}
	if h.End > len(b) || h.Off > h.End {
		return DataHeader{}, ErrMalformed
	}
	h.Tunnel = binary.BigEndian.Uint16(b[ids:])
	h.Session = binary.BigEndian.Uint16(b[ids+2:])
	if h.HasSequence {
		h.Ns = binary.BigEndian.Uint16(b[ids+4:])
		h.Nr = binary.BigEndian.Uint16(b[ids+6:])
	}
	if flags&bitOffset != 0 {
		// "Offset Size ... specifies the number of octets past the L2TP header
		// at which the payload data is expected to start."
		h.Off += int(binary.BigEndian.Uint16(b[h.Off-2:]))
		if h.Off > h.End {
			return DataHeader{}, ErrMalformed
		}
	}
	return h, nil
}

// AppendDataHeader appends the header of a data message with the L bit set: 8
// bytes, or 12 with a sequence. payload is the payload's length; with the
// header it must not exceed 65535.
func AppendDataHeader(dst []byte, tunnel, session uint16, payload int, seq *Sequence) []byte {
	flags, n := uint16(bitLength|version), DataHeaderLen
	if seq != nil {
		flags, n = flags|bitSequence, SequencedDataHeaderLen
	}
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = binary.BigEndian.AppendUint16(dst, uint16(n+payload))
	dst = binary.BigEndian.AppendUint16(dst, tunnel)
	dst = binary.BigEndian.AppendUint16(dst, session)
	if seq != nil {
		dst = binary.BigEndian.AppendUint16(dst, seq.Ns)
		dst = binary.BigEndian.AppendUint16(dst, 0)
	}
	return dst
}
