package lanes

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// eachTier calls f for every tier that this CPU has.
func eachTier(f func(Tier)) {
	for t := range highest() + 1 {
		f(t)
	}
}

// RFC 2202, section 3; RFC 4231, section 4; RFC 4868, section 2.7.2: in every
// tier. Every ICV is a prefix of these.
func TestHMACVectors(t *testing.T) {
	hi, jefe := []byte("Hi There"), []byte("what do ya want for nothing?")
	rep := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	count := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i + 1)
		}
		return b
	}
	for _, v := range []struct {
		hash      Hash
		key, data []byte
		want      string
	}{
		{SHA1, rep(0x0b, 20), hi, "b617318655057264e28bc0b6fb378c8ef146be00"},
		{SHA1, []byte("Jefe"), jefe, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{SHA1, rep(0xaa, 20), rep(0xdd, 50), "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
		{SHA1, count(25), rep(0xcd, 50), "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
		{SHA1, rep(0x0c, 20), []byte("Test With Truncation"), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},

		{SHA1, rep(0xaa, 80), []byte("Test Using Larger Than Block-Size Key - Hash Key First"), "aa4ae5e15272d00e95705637ce8a3b55ed402112"},

		{SHA256, rep(0x0b, 20), hi, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{SHA256, []byte("Jefe"), jefe, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{SHA384, rep(0x0b, 20), hi, "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"},
		{SHA512, []byte("Jefe"), jefe, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},

		{SHA256, rep(0x0b, 32), hi, "198a607eb44bfbc69903a0f1cf2bbdc5"},
		{SHA256, rep(0xaa, 32), rep(0xdd, 50), "cdcb1220d1ecccea91e53aba3092f962"},
		{SHA256, count(32), rep(0xcd, 50), "372efcf9b40b35c2115b1346903d2ef4"},
		{SHA384, rep(0x0b, 48), hi, "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"},
		{SHA384, rep(0xaa, 48), rep(0xdd, 50), "809f439be00274321d4a538652164b53554a508184a0c316"},
		{SHA384, append(count(32), count(25)[9:]...), rep(0xcd, 50), "5b540085c6e6358096532b2493609ed1cb298f774f87bb5c"},
		{SHA512, rep(0x0b, 64), hi, "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"},
		{SHA512, rep(0xaa, 64), rep(0xdd, 50), "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8"},
		{SHA512, count(64), rep(0xcd, 50), "5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561bab108"},
	} {
		k, err := NewMACKey(v.hash, v.key)
		if err != nil {
			t.Fatal(err)
		}
		want := unhex(t, v.want)
		eachTier(func(tier Tier) {
			e := New(tier)
			for range 2 { // the same scratch space twice
				got := make([]byte, len(want))
				e.Sum([]MAC{{k, v.data, got}})
				if !bytes.Equal(got, want) {
					t.Errorf("%v, %v of %q:\n got %x\nwant %x", tier, v.hash, v.data, got, want)
				}
			}
		})
	}
}

// RFC 3602, section 4, cases 1 to 4, in every tier.
func TestCBCVectors(t *testing.T) {
	for _, v := range []struct{ key, iv, plain, cipher string }{
		{"06a9214036b8a15b512e03d534120006", "3dafba429d9eb430b422da802c9fac41",
			hex.EncodeToString([]byte("Single block msg")), "e353779c1079aeb82708942dbe77181a"},
		{"c286696d887c9aa0611bbb3e2025a45a", "562e17996d093d28ddb3ba695a2e6f58",
			"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			"d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1"},
		{"6c3ea0477630ce21a2ce334aa746c2cd", "c782dc4c098c66cbd9cd27d825682c81",
			hex.EncodeToString([]byte("This is a 48-byte message (exactly 3 AES blocks)")),
			"d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684"},
		{"56e47a38c5598974bc46903dba290349", "8ce82eefbea0da3c44699ed7db51b7d9",
			"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
			"c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55"},
	} {
		k, err := NewCipherKey(unhex(t, v.key), Encrypt|Decrypt)
		if err != nil {
			t.Fatal(err)
		}
		iv, plain, sealed := unhex(t, v.iv), unhex(t, v.plain), unhex(t, v.cipher)
		eachTier(func(tier Tier) {
			e, b := New(tier), append(bytes.Clone(iv), plain...)
			e.EncryptCBC([]CBC{{k, b}})
			if !bytes.Equal(b, append(bytes.Clone(iv), sealed...)) {
				t.Errorf("%v: encrypted %x, want %x", tier, b[16:], sealed)
			}
			e.DecryptCBC([]CBC{{k, b}})
			if !bytes.Equal(b, append(bytes.Clone(iv), plain...)) {
				t.Errorf("%v: decrypted %x, want %x", tier, b[16:], plain)
			}
		})
	}
}
