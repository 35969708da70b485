package conf

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// MinPSK is how many characters a pre-shared key has at least: whoever answers
// a client's handshake in the server's place can try keys on its message 5,
// offline.
const MinPSK = 16

// wellKnownPSKs stand in tutorials and are tried first.
var wellKnownPSKs = []string{
	"vpn", "ipsec", "secret", "password", "changeme", "12345678", "your_ipsec_pre_shared_key",
	"your-pre-shared-key", "mysupersecretpsk", "presharedkey", "pre-shared-key", "thisismypsk", "verysecurepsk",
	"0123456789abcdef", "1234567890123456", "passwordpassword",
}

// later are values whose feature does not exist yet.
var later = map[string]string{
	"network.mode=user": "user-space networking is not built yet: use tun or tap",
	"auth.methods=eap":  "EAP is not built yet: use mschapv2, chap or pap",
	"radius.coa_listen": "CoA and Disconnect are not built yet: leave it empty",
}

func validate(d *decoder, c *Config) {
	validateServer(d, c)
	validateIPsec(d, c)
	if c.L2TP.RequireSecret && c.L2TP.Secret.Len() == 0 && c.L2TP.SecretFile == "" {
		d.fail("l2tp.require_secret", "needs l2tp.secret, or l2tp.secret_file")
	}
	validateNetwork(d, c)
	validateAuth(d, c)
	validateUsers(d, c)
	validateGroups(d, c)
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
	if c.Limits.SessionsPerUser < 0 {
		d.fail("limits.sessions_per_user", "must not be negative; 0 means no limit")
	}
	oneOf(d, "log.level", c.Log.Level, "error", "warn", "info", "debug")
	oneOf(d, "log.format", c.Log.Format, "auto", "text", "json")
	if c.Admin.Metrics != "" {
		hostPort(d, "admin.metrics", c.Admin.Metrics, "9701")
	}
}

func oneOf(d *decoder, key, got string, allowed ...string) {
	if text, ok := later[key+"="+got]; ok {
		d.fail(key, "%s", text)
	} else if !slices.Contains(allowed, got) {
		d.fail(key, "%q is not one of %s", got, strings.Join(allowed, ", "))
	}
}

func hostPort(d *decoder, key, s, usual string) {
	_, port, err := net.SplitHostPort(s)
	if err != nil || port == "" {
		d.fail(key, `%q is not host:port, as in "127.0.0.1:%s"`, s, usual)
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		d.fail(key, "%q has no valid port", s)
	}
}

func validateServer(d *decoder, c *Config) {
	if len(c.Server.Listen) == 0 {
		d.fail("server.listen", `must name at least one address, as in ["0.0.0.0", "::"]`)
	}
	for i, s := range c.Server.Listen {
		if _, err := netip.ParseAddr(s); err != nil {
			d.fail(fmt.Sprintf("server.listen[%d]", i), "%q is not an IP address", s)
		}
	}
	if !isHost(c.Server.Public) {
		d.fail("server.public", `%q is not a name such as "vpn.example.com" or an IP address, without a port`, c.Server.Public)
	}
	if c.Server.DeadPeer < 20*time.Second || c.Server.DeadPeer > time.Hour {
		d.fail("server.dead_peer_timeout", "must be from 20s to 1h: within it a silent client is asked five times whether it is there, and with less than 4 seconds for each answer one that only changes from Wi-Fi to the mobile network would be put out")
	}
	if c.Server.StateDir == "" {
		d.fail("server.state_dir", "must name a directory")
	}
}

// isHost reports whether s is empty, an address, or a name that clients can dial.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); s == "" || err == nil {
		return true
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`/:@"'<>[](),;?#%`, r) {
			return false
		}
	}
	return len(s) <= 253
}

func validateIPsec(d *decoder, c *Config) {
	oneOf(d, "ipsec.nat_traversal", c.IPsec.NATTraversal, "always", "auto")
	for i, name := range c.IPsec.VendorIDs {
		oneOf(d, fmt.Sprintf("ipsec.vendor_ids[%d]", i), name, VendorIDs...)
	}
	if c.IPsec.NATTraversal == "always" && !slices.Contains(c.IPsec.VendorIDs, "nat-t") {
		d.fail("ipsec.vendor_ids", "must contain \"nat-t\": without it nothing is encapsulated in UDP, and nobody gets through")
	}
	validateSuites(d, c)
	validateCertificates(d, c)
	validatePSKs(d, c)
	if len(c.psks()) == 0 && c.IPsec.Aggressive {
		d.fail("ipsec.aggressive", "needs a pre-shared key, in [ipsec] or in a [[group]]: with certificates clients use Main Mode")
	}
}

// VendorIDs are the words that ipsec.vendor_ids may have.
var VendorIDs = []string{"nat-t", "dpd", "fragmentation", "ms", "initial-contact"}

// keyed is one pre-shared key and where it stands.
type keyed struct {
	where string
	key   secret.Bytes
}

// psks are all pre-shared keys, the groups' among them.
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
	return list
}

// maxPSKs bounds the trials that one handshake may cost.
const maxPSKs = 64

func validatePSKs(d *decoder, c *Config) {
	list := c.psks()
	file := c.IPsec.PSKFile != "" || slices.ContainsFunc(c.Groups, func(g Group) bool { return g.PSKFile != "" })
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
				d.fail(psk.where, "is the key of %s, too: the key alone tells the groups apart, so give each its own", other.where)
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
	for i, m := range c.Auth.Methods {
		if m == "eap" {
			d.fail("auth.methods", "%s", later["auth.methods=eap"])
			continue
		}
		oneOf(d, fmt.Sprintf("auth.methods[%d]", i), m, "mschapv2", "chap", "pap")
	}
	oneOf(d, "auth.backend", c.Auth.Backend, "local", "radius")
	if c.Auth.Backend == "radius" && len(c.Radius.Servers) == 0 {
		d.fail("radius.servers", `missing: auth.backend is radius: name a server, as in [{ address = "192.0.2.1:1812", secret_file = "radius-secret" }], or ADIT_RADIUS_SERVERS=192.0.2.1:1812`)
	}
}

func validateUsers(d *decoder, c *Config) {
	switch {
	case c.Auth.Backend != "local" || len(c.Users) > 0:
	case d.file == "":
		d.fail("ADIT_USERS", "missing: set name:password of each user, separated by commas, or name a file of them in ADIT_USERS_FILE, or run `adit user add NAME`")
	default:
		d.fail("user", "there is none: add a [[user]] with name and password, or run `adit user add NAME`")
	}
	seen := map[string]int{}
	for i, u := range c.Users {
		first, twice := seen[u.Name]
		switch {
		case u.Name == "":
			d.failUser(i, "name", "missing")
		case twice && d.userPlace(first) == d.userPlace(i):
			d.failUser(i, "name", "%q is there twice", u.Name)
		case twice:
			d.failUser(i, "name", "%q is there twice: in %s, too", u.Name, d.userPlace(first))
		default:
			seen[u.Name] = i
		}
		validateUser(c, &u, func(field, format string, args ...any) { d.failUser(i, field, format, args...) })
	}
}

// validateUser checks one user by itself.
func validateUser(c *Config, u *User, fail func(field, format string, args ...any)) {
	switch {
	case u.Password.Len() == 0 && u.NTHash.Len() == 0 && u.PasswordFile == "":
		fail("password", "missing: user %q has neither password nor nt_hash", u.Name)
	case u.Password.Len() > 0 && u.NTHash.Len() > 0:
		fail("nt_hash", "user %q has a password and an nt_hash: keep one", u.Name)
	}
	if u.NTHash.Len() > 0 {
		if b, err := hex.DecodeString(string(u.NTHash.Reveal())); err != nil || len(b) != 16 {
			fail("nt_hash", "is not 32 hex digits")
		}
	}
	validateSettings(u.DNS, u.Routes, u.Domain, fail)
	validateUser6(c, u, fail)
	if u.Address != "" {
		if err := c.CheckAddress(u.Address); err != nil {
			fail("address", "%v", err)
		}
	}
}

// CheckUser says why the server would refuse what a user gets: addresses, name
// servers, routes. Password and group are for others to look at.
func (c *Config) CheckUser(u User) error {
	var errs []error
	fail := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	u.Password, u.NTHash = secret.String("one"), secret.Bytes{}
	validateUser(c, &u, fail)
	return errors.Join(errs...)
}

// CheckAddress says why no user can have a static address. What is wrong with
// network.pool is not for it to say.
func (c *Config) CheckAddress(address string) error {
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil || !a.Is4():
		return fmt.Errorf("%q is not an IPv4 address", address)
	case !a.IsGlobalUnicast() || a.As4()[0] == 0 || a.As4()[0] >= 240:
		return fmt.Errorf("%v is no address that a client can have", a)
	}
	for _, s := range c.Network.Pool {
		r, err := ParseRange(s)
		p := r.Prefix
		switch {
		case err != nil:
		case a == r.First || p.IsValid() && a == p.Addr().Next():
			return fmt.Errorf("%v is the server's own, as the first address of %s in network.pool", a, s)
		case p.Contains(a) && (a == p.Addr() || !p.Contains(a.Next())):
			return fmt.Errorf("%v is the address of all of the network %s in network.pool, not of one client", a, s)
		}
	}
	return nil
}

func validateRadius(d *decoder, c *Config) {
	if c.Radius.CoAListen != "" {
		d.fail("radius.coa_listen", "%s", later["radius.coa_listen"])
	}
	for i, s := range c.Radius.Servers {
		key := fmt.Sprintf("radius.servers[%d]", i)
		hostPort(d, key+".address", s.Address, "1812")
		if s.Accounting != "" {
			hostPort(d, key+".accounting", s.Accounting, "1813")
		}
		if s.Secret.Len() == 0 && s.SecretFile == "" {
			d.fail(key+".secret", "missing: set it, or secret_file to a file that holds it; in the environment ADIT_RADIUS_SECRET or ADIT_RADIUS_SECRET_FILE")
		}
	}
	if c.Radius.Tries < 1 {
		d.fail("radius.tries", "must be at least 1")
	}
	if c.Radius.Timeout <= 0 {
		d.fail("radius.timeout", "must be more than 0")
	}
}
