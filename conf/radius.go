package conf

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Radius is the table [radius].
type Radius struct {
	Servers       []RadiusServer `toml:"servers" reload:"live" doc:"servers; those that answer are asked before those that do not"`
	NASIdentifier string         `toml:"nas_identifier" reload:"live" doc:"NAS-Identifier"`
	NASIP         netip.Addr     `toml:"nas_ip" ip:"IPv4" reload:"live" doc:"NAS-IP-Address; without it and nas_ip6 the address that the client has reached"`
	NASIP6        netip.Addr     `toml:"nas_ip6" ip:"IPv6" reload:"live" doc:"NAS-IPv6-Address, likewise"`
	Source        netip.Addr     `toml:"source" reload:"live" doc:"address from which servers are asked; empty: what the host chooses"`
	Patience      time.Duration  `toml:"patience" reload:"new" doc:"how long a login waits for a server that lives, as where the user is asked on a telephone, 5s to 2m; with pap and for Apple's clients at most 28s, since they wait no longer"`
	CoAListen     HostPort       `toml:"coa_listen" as:":3799" reload:"live" doc:"host:port at which RADIUS servers may end and change sessions: CoA and Disconnect (RFC 5176); empty: nowhere"`
	CoAClients    []CoAClient    `toml:"coa_clients" reload:"live" doc:"who may; empty: the addresses of radius.servers, by their secrets"`
	CoADated      bool           `toml:"coa_require_timestamp" reload:"live" doc:"drop requests about sessions by UDP that have no Event-Timestamp: without one a request that somebody has recorded can be sent again at any time"`
	Timeout       time.Duration  `toml:"timeout" reload:"live" doc:"has no effect any more: see patience"`
	Tries         int            `toml:"tries" reload:"live" doc:"has no effect any more: see patience"`
	Interim       time.Duration  `toml:"interim" reload:"new" doc:"interval of interim accounting; 0: none unless the server asks"`

	ClassGroup    bool `toml:"class_group" reload:"live" doc:"OU=staff; in the attribute Class is the name of a group, as Filter-Id"`
	AllowUnsigned bool `toml:"allow_unsigned_replies" reload:"live" doc:"accept replies without Message-Authenticator (CVE-2024-3596), of every server"`
}

// RadiusServer is one element of radius.servers.
type RadiusServer struct {
	Address    HostPort     `toml:"address" as:"192.0.2.1:1812" reload:"live" doc:"host:port for authentication; empty: none"`
	Accounting HostPort     `toml:"accounting" as:"192.0.2.1:1813" reload:"live" doc:"host:port for accounting; empty: none. With TLS the same as address, for one connection for both"`
	Secret     secret.Bytes `toml:"secret" reload:"live" doc:"shared secret; with TLS it may be left out"`
	SecretFile string       `toml:"secret_file" reload:"live" doc:"file that holds the shared secret"`

	AccountingSecret     secret.Bytes `toml:"accounting_secret" reload:"live" doc:"shared secret for accounting, if it is another"`
	AccountingSecretFile string       `toml:"accounting_secret_file" reload:"live" doc:"file that holds it"`

	Priority      int      `toml:"priority" reload:"live" doc:"servers with a lower number are asked first"`
	Weight        int      `toml:"weight" reload:"live" doc:"share of the logins that it gets of servers with the same priority; where all have 0, they are asked in order"`
	Realms        []string `toml:"realms" reload:"live" doc:"users whom it is asked for, by what is behind the @ of the name or in front of its backslash; users of no server's realm go to servers without realms"`
	AllowUnsigned bool     `toml:"allow_unsigned" reload:"live" doc:"accept replies without Message-Authenticator of this server (CVE-2024-3596)"`

	TLSCA          string `toml:"tls_ca" reload:"live" doc:"PEM file with the CAs of the server's certificate: the server is asked by RADIUS over TLS (RadSec), and never by UDP"`
	TLSCertificate string `toml:"tls_certificate" reload:"live" doc:"PEM file with our certificate for the server, then its intermediates"`
	TLSPrivateKey  string `toml:"tls_private_key" reload:"live" doc:"PEM file with the certificate's key, readable by its owner alone"`
	TLSName        string `toml:"tls_name" reload:"live" doc:"name that the server's certificate must have as an alternative name; empty: the host of the address"`
}

// TLS reports whether the server is asked by RADIUS over TLS.
func (s *RadiusServer) TLS() bool { return s.TLSCA != "" }

func validateRadius(d *decoder, c *Config) {
	r := &c.Radius
	validateCoA(d, c)
	for i := range r.Servers {
		validateRadiusServer(d, &r.Servers[i], fmt.Sprintf("radius.servers[%d]", i), r.Source)
	}
	refuseTwins(d, r.Servers)
	if c.Auth.Backend == BackendRadius && len(r.Servers) > 0 && !hasAuthentication(d, r.Servers) {
		d.fail("radius.servers", `none of them has an address for authentication: give one, as in address = "192.0.2.1:1812"`)
	}
	if r.Patience < 5*time.Second || r.Patience > 2*time.Minute {
		d.fail("radius.patience", "must be from 5s to 2m: no client waits longer")
	}
}

// refuseTwins refuses a service that stands there twice: a server is known by its address, and what
// is known of it, counted and said would be of both.
func refuseTwins(d *decoder, servers []RadiusServer) {
	for _, of := range []struct {
		key string
		at  func(*RadiusServer) HostPort
	}{
		{"address", func(s *RadiusServer) HostPort { return s.Address }},
		{"accounting", func(s *RadiusServer) HostPort { return s.Accounting }},
	} {
		first := map[string]int{}
		for i := range servers {
			at := strings.ToLower(of.at(&servers[i]).String())
			if at == "" {
				continue
			}
			if n, known := first[at]; known {
				d.fail(fmt.Sprintf("radius.servers[%d].%s", i, of.key), "%s is that of radius.servers[%d], too: a service has one entry, with one secret and the realms of both", at, n)
				continue
			}
			first[at] = i
		}
	}
}

func hasAuthentication(d *decoder, servers []RadiusServer) bool {
	for i, s := range servers {
		if s.Address.IsValid() || !s.Accounting.IsValid() || d.isUnread(fmt.Sprintf("radius.servers[%d].address", i)) { // the last has an error of its own
			return true
		}
	}
	return false
}

func validateRadiusServer(d *decoder, s *RadiusServer, key string, source netip.Addr) {
	if !s.Address.IsValid() && !s.Accounting.IsValid() {
		d.fail(key+".address", `missing: name the server, as in "192.0.2.1:1812"`)
	}
	if s.Secret.Len() == 0 && s.SecretFile == "" && !s.TLS() && (s.Address.IsValid() || !hasAccountingSecret(s)) {
		d.fail(key+".secret", "missing: set it, or secret_file to a file that holds it; in the environment ADIT_RADIUS_SECRET or ADIT_RADIUS_SECRET_FILE")
	}
	if hasAccountingSecret(s) && !s.Accounting.IsValid() {
		d.fail(key+".accounting_secret", "does nothing without accounting, the address of that service")
	}
	if hasAccountingSecret(s) && s.TLS() && s.Accounting == s.Address {
		d.fail(key+".accounting_secret", "cannot differ over TLS, where both services share a connection: leave it out")
	}
	if s.Weight < 0 {
		d.fail(key+".weight", "must not be negative; 0 means in order")
	}
	for i, realm := range s.Realms {
		if realm == "" || strings.ContainsAny(realm, "@\\ \t") {
			d.fail(fmt.Sprintf("%s.realms[%d]", key, i), `is no realm: write what is behind the @, as in "corp.example", or in front of the backslash, as in "CORP"`)
		}
	}
	for name, at := range map[string]HostPort{".address": s.Address, ".accounting": s.Accounting} {
		if a := at.Host.Addr; a.IsValid() && source.IsValid() && a.Unmap().Is4() != source.Unmap().Is4() {
			d.fail(key+name, "cannot be reached from radius.source, an address of the other family: change one of them")
		}
	}
	validateRadiusTLS(d, s, key)
}

func hasAccountingSecret(s *RadiusServer) bool {
	return s.AccountingSecret.Len() > 0 || s.AccountingSecretFile != ""
}

func validateRadiusTLS(d *decoder, s *RadiusServer, key string) {
	if s.TLS() {
		if s.TLSCertificate == "" {
			d.fail(key+".tls_certificate", "missing: servers want a certificate of their client (RFC 6614, section 2.3)")
		}
		if s.TLSPrivateKey == "" {
			d.fail(key+".tls_private_key", "missing: it is the key of tls_certificate")
		}
		return
	}
	for name, value := range map[string]string{"tls_certificate": s.TLSCertificate, "tls_private_key": s.TLSPrivateKey, "tls_name": s.TLSName} {
		if value != "" {
			d.fail(key+"."+name, "does nothing without tls_ca, the CAs that the server's certificate comes from")
		}
	}
}

// readRadiusFiles reads the secrets that files hold, and makes paths relative to the
// configuration's directory.
func readRadiusFiles(d *decoder, c *Config) {
	for i := range c.Radius.Servers {
		s, key := &c.Radius.Servers[i], fmt.Sprintf("radius.servers[%d]", i)
		if s.SecretFile != "" {
			s.Secret = secret.String(strings.TrimRight(string(readSecret(d, key+".secret_file", s.SecretFile)), "\r\n"))
		}
		if s.AccountingSecretFile != "" {
			s.AccountingSecret = secret.String(strings.TrimRight(string(readSecret(d, key+".accounting_secret_file", s.AccountingSecretFile)), "\r\n"))
		}
		for _, name := range []*string{&s.TLSCA, &s.TLSCertificate, &s.TLSPrivateKey} {
			d.resolve(name)
		}
	}
}

// noteRadius says which keys have no effect any more.
func noteRadius(c *Config) {
	if c.Radius.Timeout != 0 || c.Radius.Tries != 0 {
		c.Notes = append(c.Notes, "radius.timeout and radius.tries have no effect any more: a server that lives is waited for as long as radius.patience says, and one that keeps silent is given up after some seconds; take them out")
	}
}
