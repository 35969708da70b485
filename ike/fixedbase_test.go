package ike

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// The table's powers are those of math/big: for digits that are zero, the greatest, and
// for exponents at random.
func TestPowersOfTheGeneratorAgreeWithTheDefinition(t *testing.T) {
	for _, g := range modpGroups {
		m := g.modp()
		exponents := [][]byte{
			make([]byte, m.exponent),
			bytes.Repeat([]byte{0xff}, m.exponent),
			bytes.Repeat([]byte{0x0f}, m.exponent),
			bytes.Repeat([]byte{0xf0}, m.exponent),
			append(make([]byte, m.exponent-1), 1),
			append([]byte{0x80}, make([]byte, m.exponent-1)...),
		}
		rand := machinetest.Rand(7)
		for range 20 {
			x := make([]byte, m.exponent)
			_ = must(rand.Read(x))
			exponents = append(exponents, x)
		}
		for _, x := range exponents {
			want := new(big.Int).Exp(big.NewInt(2), new(big.Int).SetBytes(x), modulusOf(g)).FillBytes(make([]byte, m.size))
			if got := m.base().power(x); !bytes.Equal(got, want) {
				t.Fatalf("%v: 2^%x is %x, want %x", g, x, got, want)
			}
		}
	}
}

// What a key of our own costs, by the table and without it.
func BenchmarkNewKey(b *testing.B) {
	for _, g := range modpGroups {
		m := g.modp()
		key := must(newDHKey(machinetest.Rand(1), g))
		b.Run("table/"+g.String(), func(b *testing.B) {
			for b.Loop() {
				m.base().power(key.Private.Reveal())
			}
		})
		b.Run("squarings/"+g.String(), func(b *testing.B) {
			two := m.base().number(2)
			for b.Loop() {
				m.power(two, key.Private.Reveal())
			}
		})
	}
}
