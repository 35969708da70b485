//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// suite is one pair of suites, as strongSwan writes them and as adit status
// does.
type suite struct{ ike, esp, wantIKE, wantESP string }

// name is what strongSwan and adit call the same thing.
type name struct{ strongswan, adit string }

var (
	groups = []name{
		{"modp2048", "MODP2048"}, {"ecp256", "ECP256"}, {"ecp384", "ECP384"}, {"ecp521", "ECP521"},
		{"modp3072", "MODP3072"}, {"modp4096", "MODP4096"}, {"modp1536", "MODP1536"},
		{"curve25519", "CURVE25519"}, {"modp1024", "MODP1024"},
	}
	ciphers = []name{{"aes128", "AES128"}, {"aes192", "AES192"}, {"aes256", "AES256"}, {"3des", "3DES"}}
	hashes  = []name{{"sha1", "SHA1"}, {"sha256", "SHA256"}, {"sha384", "SHA384"}, {"sha512", "SHA512"}}
)

// suites has every group, cipher, hash and ESP suite at least once, every
// cipher with every hash in both phases, and every group in both.
func suites() []suite {
	var ike, esp []name
	for _, c := range ciphers {
		for _, h := range hashes {
			ike = append(ike, name{c.strongswan + "-" + h.strongswan, c.adit + "-" + h.adit})
		}
	}
	auths := map[string]string{"sha1": "SHA1-96", "sha256": "SHA256-128", "sha384": "SHA384-192", "sha512": "SHA512-256"}
	for _, c := range []name{{"aes128", "AES-CBC-128"}, {"aes192", "AES-CBC-192"}, {"aes256", "AES-CBC-256"}, {"3des", "3DES"}} {
		for _, h := range hashes {
			esp = append(esp, name{c.strongswan + "-" + h.strongswan, c.adit + "/" + auths[h.strongswan]})
		}
	}
	esp = append(esp, name{"aes128gcm16", "AES-GCM16-128"}, name{"aes192gcm16", "AES-GCM16-192"}, name{"aes256gcm16", "AES-GCM16-256"})
	for _, g := range groups { // perfect forward secrecy: a group in phase 2, too
		esp = append(esp, name{"aes256-sha256-" + g.strongswan, "AES-CBC-256/SHA256-128/" + g.adit})
	}

	var list []suite
	for i, e := range esp {
		p, g := ike[i%len(ike)], groups[i%len(groups)]
		list = append(list, suite{p.strongswan + "-" + g.strongswan, e.strongswan, p.adit + "-" + g.adit, e.adit})
	}
	return list
}

// strongSwan connects with every group, cipher and hash that it and the server
// have, one suite at a time, each with traffic.
func TestEverySuiteWithStrongSwan(t *testing.T) {
	list := suites()
	var conns strings.Builder
	for i, x := range list {
		fmt.Fprintf(&conns, "\nconn s%02d\n\talso=vpn\n\tike=%s!\n\tesp=%s!\n", i, x.ike, x.esp)
	}
	file := filepath.Join(t.TempDir(), "suites.conf")
	if err := os.WriteFile(file, []byte(conns.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := here.Serve(t, nil)
	g := here.Connect(t, lab.Client{Args: []string{"--conf", file}})
	for i, x := range list {
		t.Run(x.ike+"+"+x.esp, func(t *testing.T) {
			if code := g.Redial(t, fmt.Sprintf("s%02d", i)); code != lab.Connected {
				t.Fatalf("the client did not connect: %d\n%s", code, g.Log(t, "ike.log"))
			}
			if out, err := g.Run("ping -q -c 10 -i 0.02 -s 1300 " + lab.AppIP); err != nil {
				t.Errorf("traffic: %v\n%s", err, out)
			}
			got := s.Session(t)
			if got.IKE != x.wantIKE || got.ESP != x.wantESP {
				t.Errorf("agreed on %s and %s, want %s and %s", got.IKE, got.ESP, x.wantIKE, x.wantESP)
			}
			if got.InPackets < 10 || got.OutPackets < 10 {
				t.Errorf("%d packets in and %d out, want 10 at least", got.InPackets, got.OutPackets)
			}
			t.Logf("%s, %s: %s", got.IKE, got.ESP, g.Timing(t))
		})
	}
	s.Stop(t)
}
