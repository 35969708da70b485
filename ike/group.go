package ike

import (
	"crypto/ecdh"
	"encoding/hex"
	"sync"

	"filippo.io/bigmod"
)

// A MODP group: p = 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) pi) + k),
// generator 2 (RFC 2409, section 6.2; RFC 3526).
type modp struct {
	modulus func() *bigmod.Modulus
	size    int // of the prime, in bytes

	// exponent is the length of our exponents in bytes: twice the group's
	// strength in bits and a little more (RFC 3526, section 8). That is safe
	// in these groups because their primes are safe primes.
	exponent int

	base func() *fixedBase // powers of the generator
}

// modp returns the group's parameters, nil if it is not a MODP group.
func (g Group) modp() *modp {
	switch g {
	case GroupMODP1024:
		return &modp1024
	case GroupMODP1536:
		return &modp1536
	case GroupMODP2048:
		return &modp2048
	case GroupMODP3072:
		return &modp3072
	case GroupMODP4096:
		return &modp4096
	default:
		return nil
	}
}

// curve returns the group's curve and the length of its scalars in bytes, nil if
// the group is not a curve.
func (g Group) curve() (ecdh.Curve, int) {
	switch g {
	case GroupECP256:
		return ecdh.P256(), 32
	case GroupECP384:
		return ecdh.P384(), 48
	case GroupECP521:
		return ecdh.P521(), 66
	case GroupCurve25519:
		return ecdh.X25519(), 32
	default:
		return nil, 0
	}
}

// ecp reports whether the group is one of RFC 5903, whose public values consist of
// both coordinates.
func (g Group) ecp() bool {
	return g == GroupECP256 || g == GroupECP384 || g == GroupECP521
}

// publicLen is the length of the group's public values in bytes, 0 if the
// group is not known.
func (g Group) publicLen() int {
	if m := g.modp(); m != nil {
		return m.size
	}
	_, n := g.curve()
	if g.ecp() {
		return 2 * n
	}
	return n
}

func lazyModulus(digits string) func() *bigmod.Modulus {
	return sync.OnceValue(func() *bigmod.Modulus {
		b, err := hex.DecodeString(digits)
		if err != nil {
			panic(err) // it parses a constant
		}
		m, err := bigmod.NewModulus(b)
		if err != nil {
			panic(err)
		}
		return m
	})
}

func newMODP(prime string, exponent int) modp {
	modulus, size := lazyModulus(prime), len(prime)/2
	return modp{modulus, size, exponent, lazyBase(modulus, size, exponent)}
}

var (
	modp1024 = newMODP(prime1024, 24)
	modp1536 = newMODP(prime1536, 28)
	modp2048 = newMODP(prime2048, 32)
	modp3072 = newMODP(prime3072, 36)
	modp4096 = newMODP(prime4096, 40)
)

const (
	prime1024 = "" +
		"ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
		"020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437" +
		"4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed" +
		"ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff"

	prime1536 = "" +
		"ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
		"020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437" +
		"4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed" +
		"ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05" +
		"98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb" +
		"9ed529077096966d670c354e4abc9804f1746c08ca237327ffffffffffffffff"

	prime2048 = "" +
		"ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
		"020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437" +
		"4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed" +
		"ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05" +
		"98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb" +
		"9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b" +
		"e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718" +
		"3995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff"

	prime3072 = "" +
		"ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
		"020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437" +
		"4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed" +
		"ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05" +
		"98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb" +
		"9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b" +
		"e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718" +
		"3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33" +
		"a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7" +
		"abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864" +
		"d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e2" +
		"08e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff"

	prime4096 = "" +
		"ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
		"020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437" +
		"4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed" +
		"ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05" +
		"98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb" +
		"9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b" +
		"e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718" +
		"3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33" +
		"a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7" +
		"abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864" +
		"d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e2" +
		"08e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7" +
		"88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8" +
		"dbbbc2db04de8ef92e8efc141fbecaa6287c59474e6bc05d99b2964fa090c3a2" +
		"233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9" +
		"93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff"
)
