package ike

import (
	"bytes"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
)

// RFC 2202 and RFC 4231, test case 2 of each.
func TestPRFIsHMAC(t *testing.T) {
	want := map[Hash]string{
		HashMD5:    "750c783e6ab0b503eaa86e310a5db738",
		HashSHA1:   "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
		HashSHA256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		HashSHA384: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
		HashSHA512: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd" +
			"caeab1a34d4a6b4b636e070a38bce737",
	}
	for h, digest := range want {
		if got := h.prf([]byte("Jefe"), []byte("what do ya want "), []byte("for nothing?")); !bytes.Equal(got, unhex(t, digest)) {
			t.Errorf("%v: %x", h, got)
		}
	}
}

// Known answers that were computed independently of this code, with Python's hmac
// and hashlib, from inputs that count upwards. g^xy begins with a zero byte.
func TestKeyDerivation(t *testing.T) {
	count := func(n int, from byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = from + byte(i)
		}
		return b
	}
	tests := []struct {
		suite               Suite
		d, a, key, iv1, iv2 string
		child, childPFS     string
	}{
		{
			Suite{Cipher3DES, 0, HashSHA1, GroupMODP1024},
			"831151f21062dca3659e76d0724bd336ba1570a8",
			"9c0331b9eb4edb54cd2655f4a56c7dad16bd22c1",
			"011b5c215881558c8323d78e820c6c15e563dede46d03f2f",
			"9f7ee27ca4063f4c",
			"0d637f59d88bba84",
			"31f50615c143ebd775113513f435f8f8a1f734c2e44f4fdb483c4b09f270a060363d6b62627dd1ced35407b0492035b25a489cb3",
			"4a231d95304edf4408eb57241ed581d7cce25da8885237da742bad89b4721cc2e5b2b64c45c5a3c11354ce525b9d8a2caa054176" +
				"9dae5bc6a14df79c38e567f1421b31067f4166126ca543459cce4049063651a4540d7317ebbc715ec5627c84",
		},
		{
			Suite{CipherAES, 256, HashSHA1, GroupMODP1024},
			"831151f21062dca3659e76d0724bd336ba1570a8",
			"9c0331b9eb4edb54cd2655f4a56c7dad16bd22c1",
			"011b5c215881558c8323d78e820c6c15e563dede46d03f2f5c2eef8e8a220d4b",
			"9f7ee27ca4063f4c3caa6e6bb7ff6bbc",
			"597a87fea2485c71058afe9685e90635",
			"31f50615c143ebd775113513f435f8f8a1f734c2e44f4fdb483c4b09f270a060363d6b62627dd1ced35407b0492035b25a489cb3",
			"4a231d95304edf4408eb57241ed581d7cce25da8885237da742bad89b4721cc2e5b2b64c45c5a3c11354ce525b9d8a2caa054176" +
				"9dae5bc6a14df79c38e567f1421b31067f4166126ca543459cce4049063651a4540d7317ebbc715ec5627c84",
		},
		{
			Suite{CipherAES, 128, HashMD5, GroupMODP1024},
			"b0ab33cd31946e8ded43d44a4a2ea9fb",
			"8d8e033ceb15461656b41c7a673c4664",
			"a7614d76a255512a9847e9451135ddfe",
			"f09ade70227d6928e0132ac913656b51",
			"a71d93a5214f4db06f7569115eb7b7a2",
			"62b00307fdb914f1b78a95b4cb60f28a493207c2f5588e24fdc1806a9bf237723e296b61b7cfc4ce2747c4b7ed49624e3ae8ac32",
			"383ac0fc01b9f79fc5f948a8420a0d5b95eb511d1b402661e047385549a053b8503d231c4365ad3e30a9607f53e276261ab5110a" +
				"46476e7f59b8bdfb882b0bd672b5fb330cd22300aaaa7d43209f721fbf235ef8f980d4e5b35a1916e10a48a3",
		},
		{
			Suite{CipherAES, 256, HashSHA256, GroupMODP1024},
			"7a5e10c840fe09aa65beb4b303a11d5e13d9cc5a915ce9441d3dd9d2d1bb518a",
			"3c8f041e0dc07f123639fd7cb1c913e0acf49030dd38869bcf83354045c60907",
			"174e7c80336c95e883af548c82cd2bc546573ff7745bf73653728c5d11eec7b8",
			"957810d6ee82c1571d79d6e6b55d9364",
			"5e967a53c5bb365587d746354f9e0931",
			"424f16b52f3dba1c881c01b93214d3f6592a35f97717496edc78121dcfeecad2c2bfe8da841a6d5635eb56986a16b63828d34aee",
			"1ee69601a21c5f39a28f3bdf3a2b0446e4711a6dd09b520c2437d368ec81c9a690c069706c4f5e42e1783b1d91105ca997409e3a" +
				"893c4a161f689ba4fc49a38d206b5c0ab4469574599600770cc18b426d70ff63df979b610da1521c5d734eb4",
		},
		{
			Suite{CipherAES, 256, HashMD5, GroupMODP1024},
			"b0ab33cd31946e8ded43d44a4a2ea9fb",
			"8d8e033ceb15461656b41c7a673c4664",
			"438c54731d1b8fba267906f407e148f6103efd2ade69981f31b731c1da4fa219",
			"f09ade70227d6928e0132ac913656b51",
			"a71d93a5214f4db06f7569115eb7b7a2",
			"62b00307fdb914f1b78a95b4cb60f28a493207c2f5588e24fdc1806a9bf237723e296b61b7cfc4ce2747c4b7ed49624e3ae8ac32",
			"383ac0fc01b9f79fc5f948a8420a0d5b95eb511d1b402661e047385549a053b8503d231c4365ad3e30a9607f53e276261ab5110a" +
				"46476e7f59b8bdfb882b0bd672b5fb330cd22300aaaa7d43209f721fbf235ef8f980d4e5b35a1916e10a48a3",
		},
	}
	cookies := Cookies{[8]byte(count(8, 0xa0)), [8]byte(count(8, 0xb0))}
	ni, nr := count(16, 1), count(32, 0x40)
	gxy := append([]byte{0}, count(127, 9)...)
	for _, tt := range tests {
		k := deriveKeys(tt.suite, []byte("correct horse battery"), ni, nr, gxy, cookies)
		esp := ESPSuite{Cipher: ESPAESCBC, KeyBits: 256, Auth: ESPAuthSHA1_96}
		pfs := ESPSuite{Cipher: ESPAESCBC, KeyBits: 256, Auth: ESPAuthSHA512_256}
		join := func(c ChildKeys) []byte { return append(bytes.Clone(c.Enc.Reveal()), c.Auth.Reveal()...) }
		for _, c := range []struct {
			what string
			got  []byte
			want string
		}{
			{"SKEYID_d", k.D.Reveal(), tt.d},
			{"SKEYID_a", k.A.Reveal(), tt.a},
			{"cipher key", k.Cipher.Reveal(), tt.key},
			{"IV of phase 1", tt.suite.iv1(count(128, 3), count(128, 5)), tt.iv1},
			{"IV of phase 2", tt.suite.iv2(count(tt.suite.blockLen(), 7), 1), tt.iv2},
			{"KEYMAT", join(childKeys(tt.suite.Hash, k.D, esp, nil, 0xc0ffee01, ni, nr)), tt.child},
			{"KEYMAT with PFS", join(childKeys(tt.suite.Hash, k.D, pfs, count(64, 0x77), 0xc0ffee01, ni, nr)), tt.childPFS},
		} {
			if !bytes.Equal(c.got, unhex(t, c.want)) {
				t.Errorf("%v: %s is %x, want %s", tt.suite, c.what, c.got, c.want)
			}
		}
	}
}

func TestCipherChainRoundTrips(t *testing.T) {
	for _, s := range []Suite{{CipherAES, 128, HashSHA1, 2}, {CipherAES, 192, HashSHA1, 2}, {CipherAES, 256, HashSHA1, 2}, {Cipher3DES, 0, HashSHA1, 2}} {
		key, iv := secret.New(make([]byte, s.keyLen())), make([]byte, s.blockLen())
		text, next, err := s.encrypt(key, iv, []byte("seventeen bytes .."))
		if err != nil || len(text)%s.blockLen() != 0 || !bytes.HasSuffix(text, next) {
			t.Fatalf("%v: %x, %x, %v", s, text, next, err)
		}
		before := bytes.Clone(text)
		plain, after, err := s.decrypt(key, iv, text)
		if err != nil || !bytes.HasPrefix(plain, []byte("seventeen bytes ..")) || !bytes.Equal(after, next) || !bytes.Equal(text, before) {
			t.Errorf("%v: %q, %x, %v", s, plain, after, err)
		}
	}
}
