package conf

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/adit-vpn/adit/internal/secret"
)

// CoAClient is one element of radius.coa_clients.
type CoAClient struct {
	Address       Source       `toml:"address" reload:"live" doc:"address or network from which its requests come"`
	Secret        secret.Bytes `toml:"secret" reload:"live" doc:"shared secret"`
	SecretFile    string       `toml:"secret_file" reload:"live" doc:"file that holds the shared secret"`
	AllowUnsigned bool         `toml:"allow_unsigned" reload:"live" doc:"accept its requests without Message-Authenticator"`
}

// Source is an address or a network from which somebody comes.
type Source struct{ netip.Prefix }

// UnmarshalText reads "192.0.2.1", "192.0.2.0/24" or "2001:db8::/64".
func (s *Source) UnmarshalText(text []byte) error {
	if a, err := netip.ParseAddr(string(text)); err == nil && a.Zone() == "" {
		a = a.Unmap()
		s.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(string(text))
	switch {
	case err != nil:
		return fmt.Errorf(`%q is neither an address such as "192.0.2.1" nor a network such as "192.0.2.0/24"`, text)
	case p != p.Masked():
		return fmt.Errorf(`"%v" has bits behind the prefix: write %v`, p, p.Masked())
	}
	s.Prefix = p
	return nil
}

// String is the text that it is read from.
func (s Source) String() string {
	switch {
	case !s.IsValid():
		return ""
	case s.IsSingleIP():
		return s.Addr().String()
	}
	return s.Prefix.String()
}

// MarshalText implements encoding.TextMarshaler.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func validateCoA(d *decoder, c *Config) {
	r := &c.Radius
	for i := range r.CoAClients {
		s, key := &r.CoAClients[i], fmt.Sprintf("radius.coa_clients[%d]", i)
		if d.isUnread(key + ".address") {
			return // the rest may be about it
		}
		if !s.Address.IsValid() {
			d.fail(key+".address", `missing: name the host that asks, as in "192.0.2.1"`)
		}
		if s.Secret.Len() == 0 && s.SecretFile == "" {
			d.fail(key+".secret", "missing: set it, or secret_file to a file that holds it; in the environment ADIT_RADIUS_COA_SECRET or ADIT_RADIUS_COA_SECRET_FILE")
		}
	}
	switch {
	case !r.CoAListen.IsValid() && len(r.CoAClients) > 0 && !d.isUnread("radius.coa_listen"):
		d.fail("radius.coa_clients", `does nothing without radius.coa_listen: set it, as in ":3799"`)
	case r.CoAListen.IsValid() && len(r.CoAClients) == 0 && !r.hasSecrets():
		d.fail("radius.coa_clients", `missing: nobody may ask at radius.coa_listen, since radius.servers has no server with a secret: name who may, as in [{ address = "192.0.2.1", secret_file = "coa-secret" }]`)
	}
}

// hasSecrets reports whether a server is asked by UDP: it may ask, too.
func (r *Radius) hasSecrets() bool {
	for i := range r.Servers {
		if s := &r.Servers[i]; !s.TLS() && (s.Secret.Len() > 0 || s.SecretFile != "" || hasAccountingSecret(s)) {
			return true
		}
	}
	return false
}

// readCoAFiles reads the secrets that files hold.
func readCoAFiles(d *decoder, c *Config) {
	for i := range c.Radius.CoAClients {
		s := &c.Radius.CoAClients[i]
		readSecretFile(d, fmt.Sprintf("radius.coa_clients[%d].secret_file", i), s.SecretFile, &s.Secret)
	}
}

// applyCoA takes radius.coa_clients from the environment: all that may ask, with one secret.
func applyCoA(d *decoder, c *Config, env, from map[string]string) {
	text, file := env["ADIT_RADIUS_COA_SECRET"], env["ADIT_RADIUS_COA_SECRET_FILE"]
	if text != "" && file != "" {
		d.fail("ADIT_RADIUS_COA_SECRET_FILE", "set ADIT_RADIUS_COA_SECRET or ADIT_RADIUS_COA_SECRET_FILE, not both")
		return
	}
	if list := elements(env["ADIT_RADIUS_COA_CLIENTS"]); list != nil {
		c.Radius.CoAClients = make([]CoAClient, len(list))
		from["radius.coa_clients"] = "ADIT_RADIUS_COA_CLIENTS"
		for i, address := range list {
			if err := c.Radius.CoAClients[i].Address.UnmarshalText([]byte(address)); err != nil {
				d.fail("ADIT_RADIUS_COA_CLIENTS", "%v", err)
				d.markUnread(fmt.Sprintf("radius.coa_clients[%d].address", i))
			}
		}
	}
	if (text != "" || file != "") && len(c.Radius.CoAClients) == 0 {
		d.fail(strings.TrimSuffix("ADIT_RADIUS_COA_SECRET_FILE", map[bool]string{true: "_FILE"}[text != ""]), "does nothing without those who have it: set ADIT_RADIUS_COA_CLIENTS, as in 192.0.2.1")
		return
	}
	for i := range c.Radius.CoAClients {
		s := &c.Radius.CoAClients[i]
		switch {
		case text != "":
			s.Secret, s.SecretFile = secret.String(text), ""
		case file != "":
			s.Secret, s.SecretFile = secret.Bytes{}, file
		}
	}
}
