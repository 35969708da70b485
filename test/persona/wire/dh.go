package wire

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"math/big"
	"sync"
)

// Exchange is one side of a Diffie-Hellman exchange.
type Exchange struct {
	Public []byte // as sent on the wire, with the length of the group
	shared func(peer []byte) ([]byte, error)
}

// Shared returns g^xy with the length of the group (for curves: the x coordinate, RFC
// 5903 section 7).
func (e *Exchange) Shared(peer []byte) ([]byte, error) { return e.shared(peer) }

// modp is the length of each group's prime, and the number that RFC 2409 section 6 and
// RFC 3526 add to pi in it.
var modp = map[int]struct{ bits, add int64 }{
	2: {1024, 129093}, 5: {1536, 741804}, 14: {2048, 124476}, 15: {3072, 1690314}, 16: {4096, 240904},
}

var curves = map[int]ecdh.Curve{19: ecdh.P256(), 20: ecdh.P384(), 21: ecdh.P521()}

var primes sync.Map

// Prime is the prime of a MODP group. The RFCs define it in terms of pi:
// 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + add).
func Prime(group int) *big.Int {
	if p, ok := primes.Load(group); ok {
		return p.(*big.Int)
	}
	g := modp[group]
	one := big.NewInt(1)
	n := uint(g.bits)
	p := new(big.Int).Lsh(one, n)
	p.Sub(p, new(big.Int).Lsh(one, n-64))
	p.Sub(p, one)
	middle := pi(n - 130)
	middle.Add(middle, big.NewInt(g.add))
	p.Add(p, middle.Lsh(middle, 64))
	primes.Store(group, p)
	return p
}

// pi returns [2^bits pi], by Machin's formula.
func pi(bits uint) *big.Int {
	const guard = 64
	one := new(big.Int).Lsh(big.NewInt(1), bits+guard)
	arctan := func(k int64) *big.Int { // of 1/k
		sum, term, square := new(big.Int), new(big.Int).Div(one, big.NewInt(k)), big.NewInt(k*k)
		for i := int64(0); term.Sign() != 0; i++ {
			t := new(big.Int).Div(term, big.NewInt(2*i+1))
			if i%2 == 0 {
				sum.Add(sum, t)
			} else {
				sum.Sub(sum, t)
			}
			term.Div(term, square)
		}
		return sum
	}
	p := new(big.Int).Mul(arctan(5), big.NewInt(16))
	p.Sub(p, new(big.Int).Mul(arctan(239), big.NewInt(4)))
	return p.Rsh(p, guard)
}

// NewExchange draws a private value in a group of RFC 2409, 3526 or 5903.
func NewExchange(group int) (*Exchange, error) {
	if curve, ok := curves[group]; ok {
		return newCurve(curve)
	}
	if _, ok := modp[group]; !ok {
		return nil, fmt.Errorf("there is no group %d", group)
	}
	p := Prime(group)
	size := p.BitLen() / 8
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	x := new(big.Int).SetBytes(secret)
	return &Exchange{
		Public: new(big.Int).Exp(big.NewInt(2), x, p).FillBytes(make([]byte, size)),
		shared: func(peer []byte) ([]byte, error) {
			if len(peer) != size {
				return nil, fmt.Errorf("a public value of %d bytes in group %d", len(peer), group)
			}
			y := new(big.Int).SetBytes(peer)
			if y.Cmp(big.NewInt(1)) <= 0 || y.Cmp(new(big.Int).Sub(p, big.NewInt(1))) >= 0 {
				return nil, fmt.Errorf("a public value outside group %d", group)
			}
			return new(big.Int).Exp(y, x, p).FillBytes(make([]byte, size)), nil
		},
	}, nil
}

func newCurve(curve ecdh.Curve) (*Exchange, error) {
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Exchange{
		Public: key.PublicKey().Bytes()[1:], // without the point's format
		shared: func(peer []byte) ([]byte, error) {
			k, err := curve.NewPublicKey(append([]byte{4}, peer...))
			if err != nil {
				return nil, err
			}
			return key.ECDH(k)
		},
	}, nil
}
