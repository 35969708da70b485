package app

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
)

// The key log has the names of Wireshark's esp_sa, or Wireshark ignores the line.
func TestTheKeyLogHasWiresharksNames(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	keys := ike.ChildKeys{Enc: secret.New([]byte{1, 2}), Auth: secret.New([]byte{3, 4})}
	for _, tt := range []struct {
		suite ike.ESPSuite
		cut   bool
		want  string
	}{
		{ike.ESPSuite{Cipher: ike.ESPAESCBC, Auth: ike.ESPAuthSHA256_128}, false, `"AES-CBC [RFC3602]","0x0102","HMAC-SHA-256-128 [RFC4868]","0x0304"`},
		{ike.ESPSuite{Cipher: ike.ESPAESCBC, Auth: ike.ESPAuthSHA256_128}, true, `"AES-CBC [RFC3602]","0x0102","HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]","0x0304"`},
		{ike.ESPSuite{Cipher: ike.ESP3DES, Auth: ike.ESPAuthSHA1_96}, true, `"TripleDES-CBC [RFC2451]","0x0102","HMAC-SHA-1-96 [RFC2404]","0x0304"`},
		{ike.ESPSuite{Cipher: ike.ESPAESCBC, Auth: ike.ESPAuthSHA384_192}, false, `"AES-CBC [RFC3602]","0x0102","HMAC-SHA-384-192 [RFC4868]","0x0304"`},
		{ike.ESPSuite{Cipher: ike.ESPAESCBC, Auth: ike.ESPAuthSHA512_256}, false, `"AES-CBC [RFC3602]","0x0102","HMAC-SHA-512-256 [RFC4868]","0x0304"`},
	} {
		dir := t.TempDir()
		var cleanup closers
		k, err := openKeyLog(dir, &cleanup)
		if err != nil {
			t.Fatal(err)
		}
		k.ESP(a, a, 0xc0ffee, tt.suite, tt.cut, keys)
		k.ESP(b, b, 1, tt.suite, tt.cut, keys)
		text, err := os.ReadFile(filepath.Join(dir, "esp_sa"))
		want := `"IPv4","192.0.2.1","192.0.2.1","0x00c0ffee",` + tt.want + "\n" + `"IPv6","2001:db8::1","2001:db8::1","0x00000001",` + tt.want + "\n"
		if err != nil || string(text) != want {
			t.Errorf("%v, cut %v: %s, %v; want %s", tt.suite, tt.cut, text, err, want)
		}
		if err := cleanup.close(); err != nil {
			t.Error(err)
		}
	}
}
