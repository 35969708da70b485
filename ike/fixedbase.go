package ike

import (
	"crypto/subtle"
	"sync"

	"filippo.io/bigmod"
)

// Half of what a handshake in a MODP group costs is a power of 2, the group's generator.
// Since that base is always the same, its powers are computed once, and each later one is
// a product with a factor for each digit of the exponent: no squarings (Brickell, Gordon,
// McCurley and Wilson, "Fast Exponentiation with Precomputation", 1992).

const (
	digitBits = 4
	radix     = 1 << digitBits
)

// fixedBase has 2^(v * radix^i) mod p for each digit i of an exponent and each value v of
// it. It is safe for concurrent use.
type fixedBase struct {
	p      *bigmod.Modulus
	size   int    // of p, in bytes
	width  int    // of p, in words
	powers []uint // by digit, the least significant first, value, and word
}

// lazyBase makes a table when it is needed: it takes a quarter of a megabyte and two
// milliseconds for the group of 2048 bits.
func lazyBase(modulus func() *bigmod.Modulus, size, exponent int) func() *fixedBase {
	return sync.OnceValue(func() *fixedBase {
		t := &fixedBase{p: modulus(), size: size}
		base := t.number(2)
		t.width = len(base.Bits())
		for range exponent * 8 / digitBits {
			power := t.number(1)
			for range radix {
				t.powers = append(t.powers, power.Bits()...)
				power.Mul(base, t.p)
			}
			copy(base.Bits(), power.Bits())
		}
		return t
	})
}

// number is a small number as wide as p.
func (t *fixedBase) number(n byte) *bigmod.Nat {
	b := make([]byte, t.size)
	b[t.size-1] = n
	x, err := bigmod.NewNat().SetBytes(b, t.p)
	if err != nil {
		panic(err) // it is less than every prime here
	}
	return x
}

// power computes 2^x mod p in a time that depends only on the length of x, which is that
// of the group's exponents.
func (t *fixedBase) power(x []byte) []byte {
	product, factor := t.number(1), t.number(1)
	for i, b := range x {
		digit := 2 * (len(x) - 1 - i)
		t.pick(factor.Bits(), digit, b&(radix-1))
		product.Mul(factor, t.p)
		t.pick(factor.Bits(), digit+1, b>>digitBits)
		product.Mul(factor, t.p)
	}
	return product.Bytes(t.p)
}

// pick copies the power for the value of a digit. It reads all of that digit: which one it
// is shows neither in time nor in what lies in the processor's cache.
func (t *fixedBase) pick(to []uint, digit int, value byte) {
	clear(to)
	row := t.powers[digit*radix*t.width:]
	for v := range byte(radix) {
		mask := -uint(subtle.ConstantTimeByteEq(v, value))
		for i, word := range row[:len(to)] {
			to[i] |= word & mask
		}
		row = row[t.width:]
	}
}
