package conf

import (
	"fmt"
	"strings"

	"github.com/adit-vpn/adit/internal/secret"
)

// radiusVariables are those of radius.servers, which is a list of tables: all
// servers in one, in the same order in each.
var radiusVariables = []string{"ADIT_RADIUS_SERVERS", "ADIT_RADIUS_ACCOUNTING", "ADIT_RADIUS_SECRET", "ADIT_RADIUS_SECRET_FILE"}

// applyRadius takes RADIUS servers from the environment. Secrets may be set for
// those of the file, too. from is where each key was set.
func applyRadius(d *decoder, c *Config, env, from map[string]string) {
	servers := c.Radius.Servers
	if text := env["ADIT_RADIUS_SERVERS"]; text != "" {
		servers = nil
		for _, address := range elements(text) {
			servers = append(servers, RadiusServer{Address: address})
		}
		from["radius.servers"] = "ADIT_RADIUS_SERVERS"
	}
	c.Radius.Servers = servers
	accounting := elements(env["ADIT_RADIUS_ACCOUNTING"])
	key, files := env["ADIT_RADIUS_SECRET"], elements(env["ADIT_RADIUS_SECRET_FILE"])
	for name, set := range map[string]bool{
		"ADIT_RADIUS_ACCOUNTING": accounting != nil, "ADIT_RADIUS_SECRET": key != "", "ADIT_RADIUS_SECRET_FILE": files != nil,
	} {
		if set && len(servers) == 0 {
			d.fail(name, "does nothing without servers: set ADIT_RADIUS_SERVERS, as in 192.0.2.1:1812")
			return
		}
	}
	if key != "" && files != nil {
		d.fail("ADIT_RADIUS_SECRET_FILE", "set ADIT_RADIUS_SECRET or ADIT_RADIUS_SECRET_FILE, not both")
	}
	if accounting != nil && len(accounting) != len(servers) {
		d.fail("ADIT_RADIUS_ACCOUNTING", "has %d elements for %d servers: name one for each, in the same order; an empty one means none", len(accounting), len(servers))
		return
	}
	if len(files) > 1 && len(files) != len(servers) {
		d.fail("ADIT_RADIUS_SECRET_FILE", "names %d files for %d servers: name one for each, in the same order, or one for all", len(files), len(servers))
		return
	}
	for i := range servers {
		s, at := &servers[i], fmt.Sprintf("radius.servers[%d]", i)
		if accounting != nil {
			s.Accounting = accounting[i]
			from[at+".accounting"] = "ADIT_RADIUS_ACCOUNTING"
		}
		switch {
		case key != "":
			from[at+".secret"] = "ADIT_RADIUS_SECRET"
			s.Secret, s.SecretFile = secret.String(key), ""
		case files != nil:
			s.Secret, s.SecretFile = secret.Bytes{}, files[i%len(files)]
			from[at+".secret_file"] = "ADIT_RADIUS_SECRET_FILE"
		}
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
