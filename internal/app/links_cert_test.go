package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/pki"
	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// certifiedAs makes a certificate for a name, and returns the lines of [ipsec] that use it.
func certifiedAs(t *testing.T, ca *pki.CA, dir, name string) settingsOf {
	t.Helper()
	if _, err := ca.Server([]string{name}, pki.ECDSA, time.Now()); err != nil {
		t.Fatal(err)
	}
	lines := settingsOf{"ipsec.ca": fmt.Sprintf("[%q]", filepath.Join(dir, pki.CAFile))}
	for key, file := range map[string]string{"ipsec.certificate": pki.ServerFile, "ipsec.private_key": pki.ServerKeyFile} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, name+file)
		if err := os.WriteFile(copied, b, 0o600); err != nil {
			t.Fatal(err)
		}
		lines[key] = fmt.Sprintf("%q", copied)
	}
	return lines
}

// A link with certificates takes as the other end only what has the name that is dialled,
// or peer_id: another client of the same CA is not the other end.
func TestALinkWithCertificates(t *testing.T) {
	for peer, up := range map[string]bool{"head.example.com": true, "other.example.com": false, "": false} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			ca, err := pki.CreateCA(dir, "Test CA", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			n := udptest.New(1)
			head, branch := certifiedAs(t, ca, dir, "head.example.com"), certifiedAs(t, ca, dir, "branch.example.com")
			a := newSite(t, n.Host(headAddr), settingsOf{"name": `"branch"`, "dial": `"never"`, "peer_user": `"branch"`, "peer_password": `"two"`, "routes": `["10.2.0.0/16"]`}, head)
			link := settingsOf{"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"branch"`, "password": `"two"`, "routes": `["10.1.0.0/16"]`, "certificate": "true"}
			if peer != "" {
				link["peer_id"] = fmt.Sprintf("%q", peer)
			}
			b := newSite(t, n.Host(branchAddr), link, branch)
			time.Sleep(20 * time.Second)
			if up {
				wantOne(t, a, b)
				passes(t, a, b, 100)
				if list := a.server.List(); list[0].Cert != `"branch.example.com"` {
					t.Errorf("the branch showed the certificate %s", list[0].Cert)
				}
				return
			}
			if b.link().State == "up" || a.sessions() != 0 {
				t.Errorf("with peer_id %q the link is up", peer)
			}
			if why := b.link().Error; !strings.Contains(why, "it is of \"head.example.com\", and not of") {
				t.Errorf("the reason is %s", why)
			}
		})
	}
}
