//go:build real

package real

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/eap"
	"github.com/adit-vpn/adit/internal/pki"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/test/real/lab"
)

// pem makes PEM files of a client's bundle.
func (a *authority) pem(name string) (cert, key string) {
	a.t.Helper()
	bundle, password := a.client(name)
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	for _, args := range [][]string{{"-nokeys", "-clcerts", "-out", cert}, {"-nocerts", "-nodes", "-out", key}} {
		c := exec.Command("openssl", append([]string{"pkcs12", "-legacy", "-in", bundle, "-passin", "pass:" + password}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			a.t.Fatalf("openssl: %v\n%s", err, out)
		}
	}
	return cert, key
}

// builtIn is the server's own EAP, as adit has it, with one user.
func builtIn(t *testing.T, a *authority, methods ...eap.Type) auth.Backend {
	t.Helper()
	own, err := tls.LoadX509KeyPair(a.file("server.pem"), a.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(a.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	users := auth.NewLocal([]auth.User{{Name: lab.User, Password: secret.String(lab.Password), Certificate: true}})
	return eap.New(eap.Config{
		Name: "adit", Methods: func() []eap.Type { return methods }, Users: users,
		TLS: func() *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
		},
		Certified: func(_ context.Context, r *auth.Request, c *x509.Certificate) (auth.Response, error) {
			return users.Certified(r.User, func(name string) bool { return slices.Contains(pki.UserNames(c), name) }), nil
		},
	})
}

// The methods of EAP that are built in, against a peer that others have written.
func TestBuiltInEAPAgainstWPASupplicant(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pem(lab.User)
	other, otherKey := a.pem("mallory")
	byTLS := func(cert, key, more string) string {
		return fmt.Sprintf("\teap=TLS\n\tidentity=%q\n\tca_cert=%q\n\tclient_cert=%q\n\tprivate_key=%q\n%s", lab.User, a.file("ca.pem"), cert, key, more)
	}
	for name, tt := range map[string]struct {
		network string
		methods []eap.Type
		want    auth.Verdict
	}{
		"EAP-MSCHAPv2":                   {fmt.Sprintf("\teap=MSCHAPV2\n\tidentity=%q\n\tpassword=%q", lab.User, lab.Password), []eap.Type{eap.MSCHAPv2}, auth.Accepted},
		"EAP-MSCHAPv2, after a Nak":      {fmt.Sprintf("\teap=MSCHAPV2\n\tidentity=%q\n\tpassword=%q", lab.User, lab.Password), []eap.Type{eap.TLS, eap.MSCHAPv2}, auth.Accepted},
		"EAP-MSCHAPv2, a wrong password": {fmt.Sprintf("\teap=MSCHAPV2\n\tidentity=%q\n\tpassword=%q", lab.User, "wrong"), []eap.Type{eap.MSCHAPv2}, auth.BadCredentials},
		"EAP-TLS":                        {byTLS(cert, key, ""), []eap.Type{eap.TLS}, auth.Accepted},
		"EAP-TLS 1.3":                    {byTLS(cert, key, "\tphase1=\"tls_disable_tlsv1_3=0\""), []eap.Type{eap.TLS}, auth.Accepted},
		"EAP-TLS, in small pieces":       {byTLS(cert, key, "\tfragment_size=150"), []eap.Type{eap.TLS}, auth.Accepted},
		"EAP-TLS, of another user":       {byTLS(other, otherKey, ""), []eap.Type{eap.TLS}, auth.BadCredentials},
		"PEAP, which is not built in":    {fmt.Sprintf("\teap=PEAP\n\tidentity=%q\n\tpassword=%q", lab.User, lab.Password), []eap.Type{eap.MSCHAPv2}, auth.MethodImpossible},
	} {
		t.Run(name, func(t *testing.T) {
			s := lab.ServeEAP(t, builtIn(t, a, tt.methods...))
			ok, out := s.Try(t, tt.network)
			if got := s.Last(); got.Verdict != tt.want || ok != (tt.want == auth.Accepted) {
				t.Errorf("eapol_test says %v, the server %v: %s\n%s", ok, got.Verdict, got.Detail, tailOf(out, 40))
			}
			if strings.Contains(name, "1.3") && !strings.Contains(out, "TLSv1.3") {
				t.Errorf("it was not TLS 1.3:\n%s", tailOf(out, 60))
			}
		})
	}
}

func tailOf(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
