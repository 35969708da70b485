package conf

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// MinPSK is the least number of characters of a pre-shared key. An attacker who answers a
// client's handshake in the server's place can try keys on its message 5 offline.
const MinPSK = 16

// wellKnownPSKs stand in tutorials and are tried first.
var wellKnownPSKs = []string{
	"vpn", "ipsec", "secret", "password", "changeme", "12345678", "your_ipsec_pre_shared_key",
	"your-pre-shared-key", "mysupersecretpsk", "presharedkey", "pre-shared-key", "thisismypsk", "verysecurepsk",
	"0123456789abcdef", "1234567890123456", "passwordpassword",
}

func validate(d *decoder, c *Config) {
	validateServer(d, c)
	validateIPsec(d, c)
	if c.L2TP.RequireSecret && c.L2TP.Secret.Len() == 0 && c.L2TP.SecretFile == "" {
		d.fail("l2tp.require_secret", "needs l2tp.secret, or l2tp.secret_file")
	}
	for i, m := range c.PPP.Compression {
		if slices.Contains(c.PPP.Compression[:i], m) {
			d.fail("ppp.compression", "names %q twice: leave one out", m)
		}
	}
	validateNetwork(d, c)
	validateAuth(d, c)
	validateUsers(d, c)
	validateGroups(d, c)
	validateFilters(d, c)
	validateInterfaces(d, c)
	validateLinks(d, c)
	validateTunnels(d, c)
	validateRadius(d, c)
	for key, n := range map[string]int{
		"limits.connections": c.Limits.Connections, "limits.half_open": c.Limits.HalfOpen,
		"limits.half_open_per_source": c.Limits.HalfOpenPerSource,
	} {
		if n < 1 {
			d.fail(key, "must be at least 1")
		}
		if n > 1<<20 {
			d.fail(key, "must be at most %d", 1<<20)
		}
	}
	if m := c.Limits.StrangerMemory; m < 4 || m > 1<<20 {
		d.fail("limits.stranger_memory", "must be from 4 to %d MiB", 1<<20)
	}
	if c.Limits.SessionsPerUser < 0 {
		d.fail("limits.sessions_per_user", "must not be negative; 0 means no limit")
	}
}

func validateServer(d *decoder, c *Config) {
	if len(c.Server.Listen) == 0 {
		d.fail("server.listen", `must name at least one address, as in ["0.0.0.0", "::"]`)
	}
	if c.Server.DeadPeer < 20*time.Second || c.Server.DeadPeer > time.Hour {
		d.fail("server.dead_peer_timeout", "must be from 20s to 1h: within it a silent client is asked five times whether it is there, and with less than 4 seconds for each answer one that only changes from Wi-Fi to the mobile network would be put out")
	}
	if c.Server.StateDir == "" {
		d.fail("server.state_dir", "must name a directory")
	}
}

func validateIPsec(d *decoder, c *Config) {
	unread := slices.Contains(c.IPsec.VendorIDs, "") // it may have been meant
	if c.IPsec.NATTraversal == NATAlways && !unread && !slices.Contains(c.IPsec.VendorIDs, vendorNATT) {
		d.fail("ipsec.vendor_ids", "must contain \"nat-t\": without it nothing is encapsulated in UDP, and nobody gets through")
	}
	validateSuites(d, c)
	validateCertificates(d, c)
	validatePSKs(d, c)
	if len(c.psks()) == 0 && c.IPsec.Aggressive {
		d.fail("ipsec.aggressive", "needs a pre-shared key, in [ipsec] or in a [[group]]: with certificates clients use Main Mode")
	}
}

// keyed is one pre-shared key and where it stands.
type keyed struct {
	where string
	key   secret.Bytes
}

// psks are all pre-shared keys, the groups' and the links' among them.
func (c *Config) psks() []keyed {
	var list []keyed
	for _, key := range c.IPsec.PSK {
		list = append(list, keyed{"ipsec.psk", key})
	}
	for i, g := range c.Groups {
		for _, key := range g.PSK {
			list = append(list, keyed{fmt.Sprintf("group[%d].psk", i), key})
		}
	}
	for i, l := range c.Links {
		if l.PSK.Len() > 0 {
			list = append(list, keyed{fmt.Sprintf("link[%d].psk", i), l.PSK})
		}
	}
	for i, t := range c.Tunnels {
		if t.PSK.Len() > 0 {
			list = append(list, keyed{fmt.Sprintf("tunnel[%d].psk", i), t.PSK})
		}
	}
	return list
}

// maxPSKs bounds the trials that one handshake may cost.
const maxPSKs = 64

func validatePSKs(d *decoder, c *Config) {
	list := c.psks()
	file := c.IPsec.PSKFile != "" || slices.ContainsFunc(c.Groups, func(g Group) bool { return g.PSKFile != "" }) ||
		slices.ContainsFunc(c.Links, func(l Link) bool { return l.PSKFile != "" }) ||
		slices.ContainsFunc(c.Tunnels, func(t Tunnel) bool { return t.PSKFile != "" })
	if len(list) == 0 && !file && c.IPsec.Certificate == "" {
		d.fail("ipsec.psk", "missing: set a random pre-shared key of %d characters or more, or run `adit up`, which makes one; or set ipsec.certificate", MinPSK)
	}
	if len(list) > maxPSKs {
		d.fail("ipsec.psk", "at most %d pre-shared keys can be live, those of groups among them", maxPSKs)
		return
	}
	for i, psk := range list {
		if psk.key.Len() == 0 {
			d.fail(psk.where, "is empty: set a random pre-shared key of %d characters or more, or remove the line", MinPSK)
			continue
		}
		if why := weakPSK(psk.key); why != "" && !c.IPsec.AllowWeakPSK {
			d.fail(psk.where, "%s: whoever answers a client's handshake in the server's place can find it; use a random one, or set ipsec.allow_weak_psk = true", why)
		}
		for _, other := range list[:i] {
			if other.where != psk.where && other.key.Equal(psk.key) {
				d.fail(psk.where, "is the key of %s, too: the key alone tells groups and links apart, so give each its own", other.where)
			}
		}
	}
}

// weakPSK says why a key is weak, or "".
func weakPSK(psk secret.Bytes) string {
	if slices.Contains(wellKnownPSKs, strings.ToLower(string(psk.Reveal()))) {
		return "the pre-shared key is a well-known one"
	}
	if psk.Len() < MinPSK {
		return fmt.Sprintf("the pre-shared key is shorter than %d characters", MinPSK)
	}
	return ""
}

// WeakPSK reports whether a pre-shared key is in use that allow_weak_psk alone
// admits.
func (c *Config) WeakPSK() bool {
	return slices.ContainsFunc(c.psks(), func(psk keyed) bool { return weakPSK(psk.key) != "" })
}

func validateAuth(d *decoder, c *Config) {
	if len(c.Auth.Methods) == 0 {
		d.fail("auth.methods", `must name at least one method, as in ["mschapv2"]`)
	}
	eap := slices.Contains(c.Auth.Methods, EAP)
	switch tls := slices.Contains(c.Auth.EAP, EAPTLS); {
	case slices.Contains(c.Auth.EAP, ""): // which could not be read
	case c.Auth.Backend == BackendRadius && len(c.Auth.EAP) > 0:
		d.fail("auth.eap", "is for local users: with auth.backend = \"radius\" the RADIUS server has the methods of EAP; leave it empty")
	case c.Auth.Backend == BackendLocal && eap && len(c.Auth.EAP) == 0:
		d.fail("auth.eap", `missing: auth.methods has eap: name its methods, as in ["mschapv2"]`)
	case !eap && len(c.Auth.EAP) > 0:
		d.fail("auth.eap", `does nothing: add "eap" to auth.methods`)
	case tls && c.IPsec.Certificate == "":
		d.fail("auth.eap", "tls needs ipsec.certificate, which is shown to users, and ipsec.ca, whose certificates they show")
	}
	if c.Auth.Backend == BackendRadius && len(c.Radius.Servers) == 0 {
		d.fail("radius.servers", `missing: auth.backend is radius: name a server, as in [{ address = "192.0.2.1:1812", secret_file = "radius-secret" }], or ADIT_RADIUS_SERVERS=192.0.2.1:1812`)
	}
}
