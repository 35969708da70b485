package hostnet

import (
	"bytes"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// registers are nftables' registers: 16 words of 32 bits, of which four are one
// register of the older kind. Bytes that are not known are in doubt.
type registers struct {
	b     [80]byte
	known [80]bool
}

func (r *registers) at(n uint32) int {
	switch {
	case n >= unix.NFT_REG32_00 && n <= unix.NFT_REG32_15:
		return int(n-unix.NFT_REG32_00) * 4
	case n >= unix.NFT_REG_1 && n <= unix.NFT_REG_4:
		return int(n-unix.NFT_REG_1) * 16
	}
	return 64 // nobody reads it
}

// load puts a value into a register; nil is one that is not known.
func (r *registers) load(n uint32, value []byte) {
	at := r.at(n)
	for i := range 16 {
		r.b[at+i], r.known[at+i] = 0, value != nil
	}
	copy(r.b[at:at+16], value)
}

// value is what a register begins with, nil if that is not known.
func (r *registers) value(n uint32, size int) []byte {
	at := r.at(n)
	if at+size > 64 {
		return nil
	}
	for _, known := range r.known[at : at+size] {
		if !known {
			return nil
		}
	}
	return r.b[at : at+size]
}

func bitwise(e *expr.Bitwise, value []byte) []byte {
	if value == nil || len(e.Mask) != len(value) || len(e.Xor) != len(value) {
		return nil
	}
	out := make([]byte, len(value))
	for i := range value {
		out[i] = value[i]&e.Mask[i] ^ e.Xor[i]
	}
	return out
}

func compares(op expr.CmpOp, value, with []byte) (matches, known bool) {
	if value == nil {
		return false, false
	}
	c := bytes.Compare(value, with)
	switch op {
	case expr.CmpOpEq:
		return c == 0, true
	case expr.CmpOpNeq:
		return c != 0, true
	case expr.CmpOpLt:
		return c < 0, true
	case expr.CmpOpLte:
		return c <= 0, true
	case expr.CmpOpGt:
		return c > 0, true
	case expr.CmpOpGte:
		return c >= 0, true
	}
	return false, false
}

func within(e *expr.Range, value []byte) (matches, known bool) {
	if value == nil {
		return false, false
	}
	in := bytes.Compare(value, e.FromData) >= 0 && bytes.Compare(value, e.ToData) <= 0
	return in == (e.Op == expr.CmpOpEq), true
}
