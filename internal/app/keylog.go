package app

import (
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
)

// keyLog writes the two tables that Wireshark and tshark decrypt with:
// ikev1_decryption_table and esp_sa.
type keyLog struct {
	mu       sync.Mutex
	ike, esp *os.File
}

// openKeyLog opens the tables in dir, for the owner alone; "" means none. A file that
// somebody else has put there would receive the keys of all sessions, or a server that
// runs as root would overwrite what it links to.
func openKeyLog(dir string, cleanup *closers) (vpn.KeyLog, error) {
	if dir == "" {
		return nil, nil
	}
	d, err := openPrivateDir(dir)
	if err != nil {
		return nil, fmt.Errorf("ipsec.key_log: %w", err)
	}
	defer d.Close()
	k := &keyLog{}
	for name, file := range map[string]**os.File{"ikev1_decryption_table": &k.ike, "esp_sa": &k.esp} {
		f, err := openPrivate(d, name)
		if err != nil {
			return nil, fmt.Errorf("ipsec.key_log: %w", err)
		}
		*file = f
		cleanup.add(f.Close)
	}
	return k, nil
}

// IKE implements vpn.KeyLog.
func (k *keyLog) IKE(cookie [8]byte, key secret.Bytes) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fmt.Fprintf(k.ike, "%x,%x\n", cookie, key.Reveal())
}

// ESP implements vpn.KeyLog.
func (k *keyLog) ESP(src, dst netip.Addr, spi uint32, suite ike.ESPSuite, cut bool, keys ike.ChildKeys) {
	ciphers := map[ike.ESPCipher]string{
		ike.ESPAESCBC: "AES-CBC [RFC3602]", ike.ESP3DES: "TripleDES-CBC [RFC2451]", ike.ESPAESGCM16: "AES-GCM with 16 octet ICV [RFC4106]",
	}
	macs := map[ike.ESPAuth]string{
		ike.ESPAuthNone: "NULL", ike.ESPAuthSHA1_96: "HMAC-SHA-1-96 [RFC2404]",
		ike.ESPAuthSHA256_128: "HMAC-SHA-256-128 [RFC4868]", ike.ESPAuthSHA384_192: "HMAC-SHA-384-192 [RFC4868]",
		ike.ESPAuthSHA512_256: "HMAC-SHA-512-256 [RFC4868]",
	}
	mac := macs[suite.Auth]
	if cut && suite.Auth == ike.ESPAuthSHA256_128 {
		mac = "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]"
	}
	family := "IPv6"
	if src.Is4() {
		family = "IPv4"
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fmt.Fprintf(k.esp, "\"%s\",\"%v\",\"%v\",\"0x%08x\",\"%s\",\"0x%x\",\"%s\",\"0x%x\"\n",
		family, src, dst, spi, ciphers[suite.Cipher], keys.Enc.Reveal(), mac, keys.Auth.Reveal())
}
