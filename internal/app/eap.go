package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/eap"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/pki"
)

// withEAP adds the methods of EAP that local users have to a backend of theirs.
func (a *instance) withEAP(users auth.Backend) auth.Backend {
	return eap.New(eap.Config{Name: "adit", Users: users, Methods: a.eapMethods, TLS: a.eapTLS, Certified: a.certified})
}

// eapMethods are the methods of EAP of the configuration that is in force.
func (a *instance) eapMethods() (list []eap.Type) {
	for _, m := range a.config.Load().Auth.EAP {
		switch m {
		case conf.EAPMSCHAPv2:
			list = append(list, eap.MSCHAPv2)
		case conf.EAPTLS:
			list = append(list, eap.TLS)
		}
	}
	return list
}

// eapTLS is how the server meets users' certificates, by the files of the last reload. They
// are judged as those of IPsec are. There are no tickets: each login is judged anew.
func (a *instance) eapTLS() *tls.Config {
	certs := a.certs.Load()
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: certs.identity.Chain, PrivateKey: certs.identity.Key, Leaf: certs.leaf}},
		MinVersion:   tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			list := make([][]byte, len(s.PeerCertificates))
			for i, c := range s.PeerCertificates {
				list[i] = c.Raw
			}
			peer, err := certs.authority.(*clients).Authority.Verify(time.Now(), list)
			if err == nil && !peer.Leaf.Equal(s.PeerCertificates[0]) {
				err = errNotFirst
			}
			return err
		},
	}
}

// errNotFirst says that the certificate whose key the client has proved is not the one that
// was judged.
var errNotFirst = errors.New("the client's own certificate is not the first that it sends")

// certified is the verdict on a user with a certificate.
func (a *instance) certified(_ context.Context, r *auth.Request, c *x509.Certificate) (auth.Response, error) {
	names := pki.UserNames(c)
	return a.local.Certified(r.User, func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}), nil
}
