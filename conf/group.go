package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/internal/secret"
)

// Group is one [[group]]: users with something in common. A user belongs to it
// by user.group, or by the RADIUS attribute Filter-Id. What a user has of its own counts in
// place of the group's.
type Group struct {
	Name    string         `toml:"name" reload:"new" doc:"what user.group, or Filter-Id from RADIUS, names; clients with a group name in their settings type it, too"`
	PSK     []secret.Bytes `toml:"psk" reload:"new" doc:"pre-shared key, or a list, of this group alone: who has it gets in as a user of the group only"`
	PSKFile string         `toml:"psk_file" reload:"new" doc:"file that holds the group's pre-shared key, one a line"`
	DNS     []netip.Addr   `toml:"dns" reload:"new" doc:"instead of network.dns"`
	Routes  []netip.Prefix `toml:"routes" reload:"new" doc:"instead of network.routes; an empty list: everything goes through"`
	Domain  string         `toml:"domain" reload:"new" doc:"instead of network.domain"`

	Interface bool `toml:"interface" reload:"new" doc:"each session of the group's users has a network device of its own, network.device and the user's name, for what the host does by device: tc, nftables, SNMP"`

	Allowance

	L2TPSecret        secret.Bytes `toml:"l2tp_secret" reload:"new" doc:"instead of l2tp.secret, for clients whose key or certificate is the group's"`
	L2TPSecretFile    string       `toml:"l2tp_secret_file" reload:"new" doc:"file that holds it"`
	RequireL2TPSecret bool         `toml:"require_l2tp_secret" reload:"new" doc:"as l2tp.require_secret, for these"`
}

// readGroupFiles replaces every psk_file by what the file holds.
func readGroupFiles(d *decoder, c *Config) {
	for i := range c.Groups {
		g := &c.Groups[i]
		readPSKFile(d, fmt.Sprintf("group[%d].psk_file", i), g.PSKFile, &g.PSK)
		readSecretFile(d, fmt.Sprintf("group[%d].l2tp_secret_file", i), g.L2TPSecretFile, &g.L2TPSecret)
	}
}

// maxGroupName bounds a group's name: it travels as an identification and as a
// RADIUS attribute.
const maxGroupName = 128

func validateGroups(d *decoder, c *Config) {
	seen := map[string]bool{}
	for i, g := range c.Groups {
		fail := func(field, format string, args ...any) { d.failGroup(i, field, format, args...) }
		switch {
		case g.Name == "":
			fail("name", "missing")
		case len(g.Name) > maxGroupName:
			fail("name", "is longer than %d bytes", maxGroupName)
		case seen[g.Name]:
			fail("name", "%q is there twice", g.Name)
		}
		seen[g.Name] = true
		validateGroupL2TP(d, c, i)
		c.validateAllowance(&g.Allowance, fail)
		validateSettings(g.DNS, g.Routes, g.Domain, fail)
	}
	for i, u := range c.Users {
		if u.Group != "" && !seen[u.Group] {
			d.failUser(i, "group", "there is no [[group]] with the name %q%s", u.Group, c.groupNames())
		}
	}
}

// validateGroupL2TP checks a group's tunnel secret: it needs a pre-shared key or a
// certificate, by which a client has proved its group before L2TP begins.
func validateGroupL2TP(d *decoder, c *Config, i int) {
	g, key := &c.Groups[i], fmt.Sprintf("group[%d].", i)
	named := map[string]bool{"l2tp_secret": g.L2TPSecret.Len() > 0, "l2tp_secret_file": g.L2TPSecretFile != "", "require_l2tp_secret": g.RequireL2TPSecret}
	for field, set := range named {
		if set && len(g.PSK) == 0 && g.PSKFile == "" && c.IPsec.Certificate == "" {
			d.fail(key+field, "does nothing without psk: it is for clients whose pre-shared key, or certificate, is the group's")
		}
	}
	if g.RequireL2TPSecret && c.TunnelSecret(g).Len() == 0 && g.L2TPSecretFile == "" && c.L2TP.SecretFile == "" {
		d.fail(key+"require_l2tp_secret", "needs l2tp_secret, or l2tp.secret")
	}
}

// TunnelSecret is the tunnel secret of a group's clients.
func (c *Config) TunnelSecret(g *Group) secret.Bytes {
	if g.L2TPSecret.Len() > 0 {
		return g.L2TPSecret
	}
	return c.L2TP.Secret
}

// OwnDevices reports whether some users have a network device of their own.
func (c *Config) OwnDevices() bool {
	return slices.ContainsFunc(c.Groups, func(g Group) bool { return g.Interface }) ||
		slices.ContainsFunc(c.Users, func(u User) bool { return u.Interface })
}

// validateInterfaces refuses devices of their own where clients are neighbours in the office.
func validateInterfaces(d *decoder, c *Config) {
	if c.OwnDevices() && len(c.Network.Device) > longestOwner {
		d.fail("network.device", noRoom, c.Network.Device, longestOwner)
	} else {
		validateOwnDevices(d, c)
	}
	if c.Network.Mode != TAP {
		return
	}
	for i := range c.Groups {
		if c.Groups[i].Interface {
			d.fail(fmt.Sprintf("group[%d].interface", i), notBridged)
		}
	}
	for i := range c.Users {
		if c.Users[i].Interface {
			d.failUser(i, "interface", notBridged)
		}
	}
}

// groupNames lists the groups that there are, for errors.
func (c *Config) groupNames() string {
	var names []string
	for _, g := range c.Groups {
		if g.Name != "" {
			names = append(names, fmt.Sprintf("%q", g.Name))
		}
	}
	if len(names) == 0 {
		return ": there is none at all"
	}
	return ": there are " + strings.Join(names, ", ")
}
