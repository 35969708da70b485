// Package pkitest forges RSA signatures, for tests of code that verifies them.
package pkitest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
)

// Exponent3 makes an RSA key whose public exponent is 3.
func Exponent3(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	one, three := big.NewInt(1), big.NewInt(3)
	prime := func() *big.Int {
		for {
			p, err := rand.Prime(rand.Reader, 1024)
			if err != nil {
				t.Fatal(err)
			}
			if new(big.Int).Mod(p, three).Int64() == 2 {
				return p
			}
		}
	}
	p, q := prime(), prime()
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 3},
		D:         new(big.Int).ModInverse(three, phi), Primes: []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	return key
}

// Forge makes, without the private key, a signature whose block begins with these
// bytes and has anything behind them: the cube root of such a block. It fails the test
// if there is none.
func Forge(t testing.TB, key *rsa.PublicKey, begins []byte) []byte {
	t.Helper()
	size := key.Size()
	target := new(big.Int).SetBytes(begins)
	target.Lsh(target.Add(target, big.NewInt(1)), uint(8*(size-len(begins))))
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(8*size/3+1))
	for {
		x := new(big.Int).Add(low, high)
		if x.Rsh(x, 1); x.Cmp(low) == 0 {
			break
		}
		if new(big.Int).Exp(x, big.NewInt(3), nil).Cmp(target) < 0 {
			low = x
		} else {
			high = x
		}
	}
	block := new(big.Int).Exp(low, big.NewInt(3), nil).FillBytes(make([]byte, size))
	if !bytes.HasPrefix(block, begins) {
		t.Fatalf("no forgery was found for %x: the test proves nothing", begins)
	}
	return low.FillBytes(make([]byte, size))
}
