package ipsec

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
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
	mac := hmac.New(sha1.New, auth)
	mac.Write(packet)
	packet = append(packet, mac.Sum(nil)[:12]...)
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
