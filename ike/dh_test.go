package ike

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	modpGroups = []Group{GroupMODP1024, GroupMODP1536, GroupMODP2048, GroupMODP3072, GroupMODP4096}
	allGroups  = append([]Group{GroupECP256, GroupECP384, GroupECP521, GroupCurve25519}, modpGroups...)
)

// pi is floor(2^bits * pi), by Machin's formula with 64 guard bits.
func pi(bits uint) *big.Int {
	one := new(big.Int).Lsh(big.NewInt(1), bits+64)
	arctan := func(inverse int64) *big.Int {
		term := new(big.Int).Div(one, big.NewInt(inverse))
		sum := new(big.Int).Set(term)
		square := big.NewInt(inverse * inverse)
		for n, sign := int64(3), int64(-1); term.Sign() != 0; n, sign = n+2, -sign {
			term.Div(term, square)
			part := new(big.Int).Div(term, big.NewInt(n))
			sum.Add(sum, part.Mul(part, big.NewInt(sign)))
		}
		return sum
	}
	a, b := arctan(5), arctan(239)
	a.Mul(a, big.NewInt(16))
	return a.Rsh(a.Sub(a, b.Mul(b, big.NewInt(4))), 64)
}

// The primes are 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) pi) + k) with
// the k that RFC 2409, section 6.2 and RFC 3526 give.
func TestPrimesFollowTheirFormula(t *testing.T) {
	k := map[Group]int64{
		GroupMODP1024: 129093, GroupMODP1536: 741804, GroupMODP2048: 124476, GroupMODP3072: 1690314, GroupMODP4096: 240904,
	}
	power := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	for _, g := range modpGroups {
		m := g.modp()
		n := uint(8 * m.size)
		want := pi(n - 130)
		want.Add(want, big.NewInt(k[g])).Lsh(want, 64)
		want.Add(want, power(n)).Sub(want, power(n-64)).Sub(want, big.NewInt(1))
		if got := modulusOf(g); got.Cmp(want) != 0 {
			t.Errorf("%v is not the prime of the RFC: %x", g, got)
		}
		// RFC 3526, section 8 lists these as the least exponents.
		least := map[Group]int{GroupMODP1536: 180, GroupMODP2048: 220, GroupMODP3072: 260, GroupMODP4096: 300}
		if m.exponent*8 < least[g] || m.exponent*8 > 400 {
			t.Errorf("%v has exponents of %d bits", g, m.exponent*8)
		}
	}
}

func modulusOf(g Group) *big.Int {
	return new(big.Int).SetBytes(g.modp().modulus().Nat().Bytes(g.modp().modulus()))
}

// RFC 5903, section 8, and RFC 7748, section 6.1.
func TestCurveVectors(t *testing.T) {
	tests := []struct {
		group                Group
		i, gi, r, gr, shared string
	}{
		{
			GroupECP256,
			"C88F01F5 10D9AC3F 70A292DA A2316DE5 44E9AAB8 AFE84049 C62A9C57 862D1433",
			`DAD0B653 94221CF9 B051E1FE CA5787D0 98DFE637 FC90B9EF 945D0C37 72581180
			 5271A046 1CDB8252 D61F1C45 6FA3E59A B1F45B33 ACCF5F58 389E0577 B8990BB3`,
			"C6EF9C5D 78AE012A 011164AC B397CE20 88685D8F 06BF9BE0 B283AB46 476BEE53",
			`D12DFB52 89C8D4F8 1208B702 70398C34 2296970A 0BCCB74C 736FC755 4494BF63
			 56FBF3CA 366CC23E 8157854C 13C58D6A AC23F046 ADA30F83 53E74F33 039872AB`,
			"D6840F6B 42F6EDAF D13116E0 E1256520 2FEF8E9E CE7DCE03 812464D0 4B9442DE",
		},
		{
			GroupECP384,
			"099F3C70 34D4A2C6 99884D73 A375A67F 7624EF7C 6B3C0F16 0647B674 14DCE655 E35B5380 41E649EE 3FAEF896 783AB194",
			`667842D7 D180AC2C DE6F74F3 7551F557 55C7645C 20EF73E3 1634FE72 B4C55EE6 DE3AC808 ACB4BDB4 C88732AE E95F41AA
			 9482ED1F C0EEB9CA FC498462 5CCFC23F 65032149 E0E144AD A0241815 35A0F38E EB9FCFF3 C2C947DA E69B4C63 4573A81C`,
			"41CB0779 B4BDB85D 47846725 FBEC3C94 30FAB46C C8DC5060 855CC9BD A0AA2942 E0308312 916B8ED2 960E4BD5 5A7448FC",
			`E558DBEF 53EECDE3 D3FCCFC1 AEA08A89 A987475D 12FD950D 83CFA417 32BC509D 0D1AC43A 0336DEF9 6FDA41D0 774A3571
			 DCFBEC7A ACF31964 72169E83 8430367F 66EEBE3C 6E70C416 DD5F0C68 759DD1FF F83FA401 42209DFF 5EAAD96D B9E6386C`,
			"11187331 C279962D 93D60424 3FD592CB 9D0A926F 422E4718 7521287E 7156C5C4 D6031355 69B9E9D0 9CF5D4A2 70F59746",
		},
		{
			GroupECP521,
			`0037ADE9 319A89F4 DABDB3EF 411AACCC A5123C61 ACAB57B5 393DCE47 608172A0 95AA85A3 0FE1C295 2C6771D9 37BA9777
			 F5957B26 39BAB072 462F68C2 7A57382D 4A52`,
			`0015417E 84DBF28C 0AD3C278 713349DC 7DF153C8 97A1891B D98BAB43 57C9ECBE E1E3BF42 E00B8E38 0AEAE57C 2D107564
			 94188594 2AF5A7F4 601723C4 195D176C ED3E
			 017CAE20 B6641D2E EB695786 D8C94614 6239D099 E18E1D5A 514C739D 7CB4A10A D8A78801 5AC405D7 799DC75E 7B7D5B6C
			 F2261A6A 7F150743 8BF01BEB 6CA3926F 9582`,
			`0145BA99 A847AF43 793FDD0E 872E7CDF A16BE30F DC780F97 BCCC3F07 8380201E 9C677D60 0B343757 A3BDBF2A 3163E4C2
			 F869CCA7 458AA4A4 EFFC311F 5CB15168 5EB9`,
			`00D0B397 5AC4B799 F5BEA16D 5E13E9AF 971D5E9B 984C9F39 728B5E57 39735A21 9B97C356 436ADC6E 95BB0352 F6BE64A6
			 C2912D4E F2D0433C ED2B6171 640012D9 460F
			 015C6822 6383956E 3BD066E7 97B623C2 7CE0EAC2 F551A10C 2C724D98 52077B87 220B6536 C5C408A1 D2AEBB8E 86D678AE
			 49CB5709 1F473229 6579AB44 FCD17F0F C56A`,
			`01144C7D 79AE6956 BC8EDB8E 7C787C45 21CB086F A64407F9 7894E5E6 B2D79B04 D1427E73 CA4BAA24 0A347868 59810C06
			 B3C715A3 A8CC3151 F2BEE417 996D19F3 DDEA`,
		},
		{
			GroupCurve25519,
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
			"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
		},
	}
	for _, tt := range tests {
		for _, side := range []struct{ private, public, peer string }{{tt.i, tt.gi, tt.gr}, {tt.r, tt.gr, tt.gi}} {
			// Reading the vector's scalar as randomness yields the vector's key.
			key, err := newDHKey(bytes.NewReader(unhex(t, side.private)), tt.group)
			if err != nil {
				t.Fatalf("%v: %v", tt.group, err)
			}
			if !bytes.Equal(key.Public, unhex(t, side.public)) {
				t.Errorf("%v: public value %x", tt.group, key.Public)
			}
			z, err := key.shared(unhex(t, side.peer))
			if err != nil || !bytes.Equal(z, unhex(t, tt.shared)) {
				t.Errorf("%v: shared secret %x, %v", tt.group, z, err)
			}
		}
	}
}

func TestMODPAgreesWithTheDefinition(t *testing.T) {
	for _, g := range modpGroups {
		a, err := newDHKey(machinetest.Rand(1), g)
		if err != nil {
			t.Fatal(err)
		}
		b, err := newDHKey(machinetest.Rand(2), g)
		if err != nil {
			t.Fatal(err)
		}
		p := modulusOf(g)
		x, y := new(big.Int).SetBytes(a.Private.Reveal()), new(big.Int).SetBytes(b.Private.Reveal())
		want := new(big.Int).Exp(big.NewInt(2), x.Mul(x, y), p)
		for _, z := range [][]byte{must(a.shared(b.Public)), must(b.shared(a.Public))} {
			if len(z) != g.publicLen() || new(big.Int).SetBytes(z).Cmp(want) != 0 {
				t.Errorf("%v: g^xy is %x", g, z)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// One public value in 256 begins with a zero byte. It must not be lost, because
// the peer would compute other hashes and other keys.
func TestValuesWithLeadingZerosKeepTheirLength(t *testing.T) {
	peer := must(newDHKey(machinetest.Rand(3), GroupMODP1024))
	var public, shared bool
	for n := 0; !public || !shared; n++ {
		if n == 8192 {
			t.Fatal("no value begins with zero")
		}
		key := must(newDHKey(rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}), GroupMODP1024))
		z := must(key.shared(peer.Public))
		if len(key.Public) != 128 || len(z) != 128 {
			t.Fatalf("values of %d and %d bytes", len(key.Public), len(z))
		}
		if key.Public[0] == 0 || z[0] == 0 {
			public, shared = public || key.Public[0] == 0, shared || z[0] == 0
			if !bytes.Equal(z, must(peer.shared(key.Public))) {
				t.Errorf("shared secrets differ for %x", key.Public)
			}
		}
	}
}

func TestPublicValuesOutOfRange(t *testing.T) {
	for _, g := range allGroups {
		key := must(newDHKey(machinetest.Rand(1), g))
		n := g.publicLen()
		bad := map[string][]byte{
			"zero":      make([]byte, n),
			"empty":     nil,
			"too short": key.Public[1:],
			"too long":  append([]byte{0}, key.Public...),
		}
		if m := g.modp(); m != nil {
			p := modulusOf(g)
			fill := func(v *big.Int) []byte { return v.FillBytes(make([]byte, n)) }
			bad["one"] = fill(big.NewInt(1))
			bad["p-1"] = fill(new(big.Int).Sub(p, big.NewInt(1)))
			bad["p"] = fill(p)
			bad["p+1"] = fill(new(big.Int).Add(p, big.NewInt(1)))
			bad["all ones"] = bytes.Repeat([]byte{0xff}, n)
		} else {
			bad["one"] = append(make([]byte, n-1), 1) // small order, or not on the curve
			if g == GroupCurve25519 {
				bad["one"] = append([]byte{1}, make([]byte, n-1)...)
			} else {
				flipped := bytes.Clone(key.Public)
				flipped[n-1] ^= 1
				bad["not on the curve"] = flipped
			}
		}
		for name, public := range bad {
			if z, err := key.shared(public); !errors.Is(err, ErrKeyExchange) {
				t.Errorf("%v accepts a public value that is %s: %x, %v", g, name, z, err)
			}
		}
		if err := checkPublic(g, key.Public); err != nil {
			t.Errorf("%v refuses a good value: %v", g, err)
		}
	}
	if _, err := newDHKey(machinetest.Rand(1), Group(1)); !errors.Is(err, ErrKeyExchange) {
		t.Errorf("a key in an unknown group: %v", err)
	}
}

// The time of bigmod does not depend on the exponent's value, that of math/big
// does. This measures what that costs.
func BenchmarkExponentiation(b *testing.B) {
	for _, g := range modpGroups {
		m := g.modp()
		key := must(newDHKey(machinetest.Rand(1), g))
		y := must(newDHKey(machinetest.Rand(2), g)).Public
		b.Run("bigmod/"+g.String(), func(b *testing.B) {
			for b.Loop() {
				must(key.shared(y))
			}
		})
		b.Run("big/"+g.String(), func(b *testing.B) {
			p, base, x := modulusOf(g), new(big.Int).SetBytes(y), new(big.Int).SetBytes(key.Private.Reveal())
			for b.Loop() {
				new(big.Int).Exp(base, x, p).FillBytes(make([]byte, m.size))
			}
		})
	}
}
