package app

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/pki"
)

// radiusConfig is what a client of the RADIUS servers works with. It reads the files of
// those that are asked over TLS; an error is a conf.Errors.
func radiusConfig(c *conf.Config) (radius.Config, error) {
	cfg := radius.Config{
		NASIdentifier: c.Radius.NASIdentifier, NASIP: c.Radius.NASIP, NASIP6: c.Radius.NASIP6,
		Source: c.Radius.Source, Patience: c.Radius.Patience, AllowUnsigned: c.Radius.AllowUnsigned,
		ClassGroup: c.Radius.ClassGroup,
	}
	var wrong conf.Errors
	for i := range c.Radius.Servers {
		s := &c.Radius.Servers[i]
		secured, err := radiusTLS(s)
		if err != nil {
			wrong = append(wrong, &conf.Error{Key: fmt.Sprintf("radius.servers[%d]", i), Text: err.Error()})
		}
		cfg.Servers = append(cfg.Servers, radius.Server{
			Address: s.Address.String(), Accounting: s.Accounting.String(), Secret: s.Secret, AccountingSecret: s.AccountingSecret,
			AllowUnsigned: s.AllowUnsigned, Priority: s.Priority, Weight: s.Weight, Realms: s.Realms, TLS: secured,
		})
	}
	if len(wrong) > 0 {
		return radius.Config{}, wrong
	}
	return cfg, nil
}

// radiusTLS reads the certificates for one server; nil: it is asked by UDP.
func radiusTLS(s *conf.RadiusServer) (*radius.TLS, error) {
	if !s.TLS() {
		return nil, nil
	}
	own, err := pki.LoadIdentity(s.TLSCertificate, s.TLSPrivateKey)
	if err != nil {
		return nil, err
	}
	roots, err := pki.LoadCertificates(s.TLSCA)
	if err != nil {
		return nil, err
	}
	t := &radius.TLS{Roots: x509.NewCertPool(), Name: s.TLSName, Certificate: tls.Certificate{PrivateKey: own.Key, Leaf: own.Chain[0]}}
	for _, cert := range own.Chain {
		t.Certificate.Certificate = append(t.Certificate.Certificate, cert.Raw)
	}
	for _, cert := range roots {
		t.Roots.AddCert(cert)
	}
	chain, _ := own.Digests() // the key is that of the first certificate
	trusted := pki.DigestOfCertificates(roots)
	id := pki.DigestOf(chain[:], trusted[:], []byte(s.TLSName))
	t.ID = hex.EncodeToString(id[:])
	return t, nil
}

// radiusChanged says that a server is given up, or answers again.
func (a *instance) radiusChanged(e radius.Event) {
	l := a.log.WithFields(logrus.Fields{"server": e.Server, "service": e.Service})
	if e.Up {
		l.Info("a RADIUS server answers again")
		return
	}
	l.WithField("reason", errorField(e.Why)).Warn("a RADIUS server is given up until it answers a probe")
}

// errNoRadius is why the server is not healthy.
var errNoRadius = errors.New("no RADIUS server answers: nobody can log in")

// healthy says why nobody can log in, nil if they can as far as is known.
func (a *instance) healthy() error {
	if a.radius != nil && a.local == nil && !a.radius.Answers() {
		return errNoRadius
	}
	return nil
}

// downRadius are warnings of the RADIUS servers that do not answer now.
func (a *instance) downRadius() (list []string) {
	if err := a.healthy(); err != nil {
		list = append(list, err.Error())
	}
	for _, s := range a.radiusStatus() {
		if s.Error != "" {
			list = append(list, fmt.Sprintf("the RADIUS server %s is down (%s): %s", s.Server, s.Service, s.Error))
		}
	}
	return list
}

// radiusStatus is the state of the RADIUS servers, as JSON shows it.
func (a *instance) radiusStatus() (list []admin.RadiusServer) {
	if a.radius == nil {
		return nil
	}
	for _, s := range a.radius.Status() {
		st := admin.RadiusServer{Server: s.Server, Service: s.Service, State: s.State.String(), TLS: s.TLS, Waiting: s.Waiting}
		if !s.Since.IsZero() {
			st.Since = &s.Since
		}
		if !s.Heard.IsZero() {
			st.Heard = &s.Heard
		}
		if s.Why != nil {
			st.Error = errorField(s.Why)
		}
		list = append(list, st)
	}
	return list
}

// radiusWarnings are those about the RADIUS servers of a configuration.
func radiusWarnings(c *conf.Config) (list []string) {
	if c.Radius.AllowUnsigned {
		list = append(list, "RADIUS replies without Message-Authenticator are accepted (radius.allow_unsigned_replies): they can be forged (CVE-2024-3596)")
	}
	var lax []string
	for i := range c.Radius.Servers {
		if s := &c.Radius.Servers[i]; s.AllowUnsigned && !s.TLS() {
			lax = append(lax, s.Address.String())
		}
	}
	for i := range c.Radius.CoAClients {
		if s := &c.Radius.CoAClients[i]; s.AllowUnsigned {
			list = append(list, "requests to end and change sessions need no Message-Authenticator if they come from "+s.Address.String()+" (allow_unsigned in radius.coa_clients)")
		}
	}
	if len(lax) > 0 {
		list = append(list, "RADIUS replies without Message-Authenticator are accepted of "+strings.Join(lax, ", ")+" (allow_unsigned in radius.servers): they can be forged (CVE-2024-3596)")
	}
	return list
}
