package ipsec

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 2202, section 3; RFC 4231, section 4; RFC 4868, section 2.7.2: the cases
// whose keys are no longer than a block. Every longer ICV is a prefix of these.
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
		auth      Auth
		key, data []byte
		want      string
	}{
		{HMACSHA1_96, rep(0x0b, 20), hi, "b617318655057264e28bc0b6fb378c8ef146be00"},
		{HMACSHA1_96, []byte("Jefe"), jefe, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{HMACSHA1_96, rep(0xaa, 20), rep(0xdd, 50), "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
		{HMACSHA1_96, count(25), rep(0xcd, 50), "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
		{HMACSHA1_96, rep(0x0c, 20), []byte("Test With Truncation"), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},

		{HMACSHA256_128, rep(0x0b, 20), hi, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{HMACSHA256_128, []byte("Jefe"), jefe, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{HMACSHA384_192, rep(0x0b, 20), hi, "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"},
		{HMACSHA512_256, []byte("Jefe"), jefe, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},

		{HMACSHA256_128, rep(0x0b, 32), hi, "198a607eb44bfbc69903a0f1cf2bbdc5"},
		{HMACSHA256_128, rep(0xaa, 32), rep(0xdd, 50), "cdcb1220d1ecccea91e53aba3092f962"},
		{HMACSHA256_128, count(32), rep(0xcd, 50), "372efcf9b40b35c2115b1346903d2ef4"},
		{HMACSHA384_192, rep(0x0b, 48), hi, "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"},
		{HMACSHA384_192, rep(0xaa, 48), rep(0xdd, 50), "809f439be00274321d4a538652164b53554a508184a0c316"},
		{HMACSHA384_192, append(count(32), count(25)[9:]...), rep(0xcd, 50), "5b540085c6e6358096532b2493609ed1cb298f774f87bb5c"},
		{HMACSHA512_256, rep(0x0b, 64), hi, "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"},
		{HMACSHA512_256, rep(0xaa, 64), rep(0xdd, 50), "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8"},
		{HMACSHA512_256, count(64), rep(0xcd, 50), "5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561bab108"},
	} {
		k, err := newMACKey(v.auth, v.key)
		if err != nil {
			t.Fatal(err)
		}
		want := unhex(t, v.want)
		var h hasher
		for range 2 { // the same scratch space twice
			if got := h.sum(&k, v.data); !bytes.Equal(got[:len(want)], want) {
				t.Errorf("%v of %q:\n got %x\nwant %x", v.auth, v.data, got, want)
			}
		}
	}
}

// RFC 3602, section 4, cases 1 to 4.
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
		block, err := newBlock(Suite{Cipher: AESCBC}, unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		b := append(unhex(t, v.iv), unhex(t, v.cipher)...)
		decryptCBC(block, b)
		if want := unhex(t, v.plain); !bytes.Equal(b[16:], want) {
			t.Errorf("got %x, want %x", b[16:], want)
		}
	}
}

// RFC 3602, section 4, case 5: a whole transport-mode packet of a ping, to
// which an HMAC-SHA1-96 of RFC 2404 is added. It is authentic, and refused
// because L2TP/IPsec carries only UDP.
func TestESPVectorCBC(t *testing.T) {
	packet := unhex(t, `00004321 00000001 e96e8c08 ab465763 fd098d45 dd3ff893
		f663c25d 325c18c6 a9453e19 4e120849 a4870b66 cc6b9965 330013b4 898dc856
		a4699e52 3a55db08 0b59ec3a 8e4b7e52 775b07d1 db34ed9c 538ab50c 551b874a
		a269add0 47ad2d59 13ac19b7 cfbad4a6`)
	plain := unhex(t, `08000ebd a70a0000 8e9c083d b95b0700 08090a0b 0c0d0e0f 10111213 14151617
		18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637
		01020304 05060708 090a0b0c 0d0e0e01`)
	auth := bytes.Repeat([]byte{0x0b}, 20)
	k, err := newMACKey(HMACSHA1_96, auth)
	if err != nil {
		t.Fatal(err)
	}
	packet = append(packet, new(hasher).sum(&k, packet)[:12]...)
	keys := Keys{secret.New(unhex(t, "90d382b4 10eeba7a d938c46c ec1a82bf")), secret.New(auth)}
	checkVector(t, Suite{AESCBC, 128, HMACSHA1_96}, keys, packet, plain)
}

// Test cases of draft-mcgrew-gcm-test-01 for RFC 4106, those with 32-bit
// sequence numbers; their next header is not UDP.
func TestESPVectorGCM(t *testing.T) {
	for _, v := range []struct{ bits, key, packet, plain string }{
		{"256", "abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344",
			"4a2cbfe300000002 0102030405060708" +
				"ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f0545659f14e99def842d8e" +
				"b335f4eecfdbf831824b4c4915956c96",
			"4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b40101040201020201"},
		{"192", "feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe",
			"0000a5f80000000a facedbaddecaf888" +
				"a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc7795457b9652037f5318027b5b4cd7a636",
			"45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001"},
	} {
		bits := map[string]int{"192": 192, "256": 256}[v.bits]
		keys := Keys{Enc: secret.New(unhex(t, v.key))}
		checkVector(t, Suite{AESGCM16, bits, AuthNone}, keys, unhex(t, v.packet), unhex(t, v.plain))
	}
}

func checkVector(t *testing.T, s Suite, k Keys, packet, plain []byte) {
	t.Helper()
	in, err := NewInbound(binary.BigEndian.Uint32(packet), s, k, 0)
	if err != nil {
		t.Fatal(err)
	}
	batch := []In{{SA: in, Buf: packet, End: len(packet)}}
	NewOpener().Open(batch)
	if batch[0].Drop != DropNextHeader || !batch[0].Newest {
		t.Errorf("%v: drop %v, newest %v; want authentic and refused for its next header", s, batch[0].Drop, batch[0].Newest)
	}
	if got := packet[s.HeadRoom():][:len(plain)]; !bytes.Equal(got, plain) {
		t.Errorf("%v:\n got %x\nwant %x", s, got, plain)
	}
}
