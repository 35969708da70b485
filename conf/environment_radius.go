package conf

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/adit-vpn/adit/internal/secret"
)

// radiusVariables are those of radius.servers, which is a list of tables: all
// servers in one, in the same order in each.
var radiusVariables = []string{
	"ADIT_RADIUS_SERVERS", "ADIT_RADIUS_ACCOUNTING", "ADIT_RADIUS_SECRET", "ADIT_RADIUS_SECRET_FILE",
	"ADIT_RADIUS_ACCOUNTING_SECRET", "ADIT_RADIUS_ACCOUNTING_SECRET_FILE",
	"ADIT_RADIUS_PRIORITY", "ADIT_RADIUS_WEIGHT", "ADIT_RADIUS_REALMS", "ADIT_RADIUS_ALLOW_UNSIGNED",
	"ADIT_RADIUS_TLS_CA", "ADIT_RADIUS_TLS_CERTIFICATE", "ADIT_RADIUS_TLS_PRIVATE_KEY", "ADIT_RADIUS_TLS_NAME",
}

// radiusKeys are the keys of servers that have one element for each server, or one for all.
var radiusKeys = []string{"priority", "weight", "realms", "allow_unsigned", "tls_ca", "tls_certificate", "tls_private_key", "tls_name"}

// applyRadius takes RADIUS servers from the environment. Secrets and other keys may be set for
// those of the file, too. from is where each key was set.
func applyRadius(d *decoder, c *Config, env, from map[string]string) {
	servers := c.Radius.Servers
	if text := env["ADIT_RADIUS_SERVERS"]; text != "" {
		servers = nil
		for i, address := range elements(text) {
			var s RadiusServer
			s.read(d, i, "address", "ADIT_RADIUS_SERVERS", address)
			servers = append(servers, s)
		}
		from["radius.servers"] = "ADIT_RADIUS_SERVERS"
	}
	c.Radius.Servers = servers
	for _, name := range radiusVariables {
		if env[name] != "" && len(servers) == 0 {
			d.fail(name, "does nothing without servers: set ADIT_RADIUS_SERVERS, as in 192.0.2.1:1812")
			return
		}
	}
	if list := elements(env["ADIT_RADIUS_ACCOUNTING"]); list != nil {
		if len(list) != len(servers) {
			d.fail("ADIT_RADIUS_ACCOUNTING", "has %d elements for %d servers: name one for each, in the same order; an empty one means none", len(list), len(servers))
			return
		}
		for i := range servers {
			servers[i].set(d, i, "accounting", "ADIT_RADIUS_ACCOUNTING", list[i], from)
		}
	}
	applyRadiusSecrets(d, servers, "secret", "ADIT_RADIUS_SECRET", env, from)
	applyRadiusSecrets(d, servers, "accounting_secret", "ADIT_RADIUS_ACCOUNTING_SECRET", env, from)
	for _, key := range radiusKeys {
		name := variableOf("radius." + key)
		list := elements(env[name])
		if len(list) > 1 && len(list) != len(servers) {
			d.fail(name, "has %d elements for %d servers: name one for each, in the same order, or one for all", len(list), len(servers))
			continue
		}
		for i := range servers {
			if list != nil {
				servers[i].set(d, i, key, name, list[i%len(list)], from)
			}
		}
	}
}

// applyRadiusSecrets takes one secret for all servers, or files with one for each. Other
// services than that of the name need none.
func applyRadiusSecrets(d *decoder, servers []RadiusServer, key, name string, env, from map[string]string) {
	text, files := env[name], elements(env[name+"_FILE"])
	if text != "" && files != nil {
		d.fail(name+"_FILE", "set %s or %s_FILE, not both", name, name)
	}
	if len(files) > 1 && len(files) != len(servers) {
		d.fail(name+"_FILE", "names %d files for %d servers: name one for each, in the same order, or one for all", len(files), len(servers))
		return
	}
	for i := range servers {
		s, at := &servers[i], fmt.Sprintf("radius.servers[%d].%s", i, key)
		of, file := &s.Secret, &s.SecretFile
		if key == "accounting_secret" {
			if of, file = &s.AccountingSecret, &s.AccountingSecretFile; !s.Accounting.IsValid() {
				continue
			}
		}
		switch {
		case text != "":
			from[at] = name
			*of, *file = secret.String(text), ""
		case files != nil:
			*of, *file = secret.Bytes{}, files[i%len(files)]
			from[at+"_file"] = name + "_FILE"
		}
	}
}

// set sets a key of the ith server, and says where it was set.
func (s *RadiusServer) set(d *decoder, i int, key, variable, text string, from map[string]string) {
	if key == "realms" {
		text = strings.Join(strings.Fields(text), ",") // of one server, between the commas
	}
	if text == "" && key != "accounting" && key != "realms" {
		return
	}
	s.read(d, i, key, variable, text)
	from[fmt.Sprintf("radius.servers[%d].%s", i, key)] = variable
}

// read sets a key of the ith server to an element of a variable.
func (s *RadiusServer) read(d *decoder, i int, key, variable, text string) {
	field, tag, _ := fieldOf(reflect.ValueOf(s).Elem(), key)
	if err := setText(field, tag, text); err != nil {
		d.fail(variable, "%v", err)
		d.markUnread(fmt.Sprintf("radius.servers[%d].%s", i, key))
	}
}

// elements are those of a list that is separated by commas, nil if there is
// nothing.
func elements(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	list := strings.Split(text, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}
