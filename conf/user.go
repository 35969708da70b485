package conf

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
)

// NTHash is the NT hash of a password, 16 bytes. It is as secret as the password.
type NTHash struct{ secret.Bytes }

// UnmarshalText reads 32 hex digits.
func (h *NTHash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != 16 && len(b) != 0 {
		return errors.New("is not 32 hex digits") // without the digits
	}
	*h = NTHash{secret.New(b)}
	return nil
}

// digits are what the hash is read from.
func (h NTHash) digits() string { return hex.EncodeToString(h.Reveal()) }

// Set sets a key of the user to what a text says; lists are separated by commas, and
// "none" is the empty list. An empty text removes the key.
func (u *User) Set(key, text string) error { return setKey(u, "user", key, text) }

// setKey is Set of a table.
func setKey(table any, what, key, text string) error {
	field, tag, ok := fieldOf(reflect.ValueOf(table).Elem(), key)
	switch {
	case !ok:
		return fmt.Errorf("%s: a %s has no such key", key, what)
	case text == "":
		field.SetZero()
		return nil
	case text == "none" && field.Kind() == reflect.Slice:
		field.Set(reflect.MakeSlice(field.Type(), 0, 0))
		return nil
	}
	if err := setText(field, tag, text); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func validateUsers(d *decoder, c *Config) {
	switch {
	case c.Auth.Backend != BackendLocal || len(c.Users) > 0 || len(c.Links) > 0 || len(c.Tunnels) > 0:
	case d.file == "":
		d.fail("ADIT_USERS", "missing: set name:password of each user, separated by commas, or name a file of them in ADIT_USERS_FILE, or run `adit user add NAME`")
	default:
		d.fail("user", "there is none: add a [[user]] with name and password, or run `adit user add NAME`")
	}
	seen, plan := map[string]int{}, c.Plan()
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
		hash := u.NTHash.Len() > 0 || d.unreadUser(i, "nt_hash")
		switch {
		case u.Password.Len() == 0 && !hash && u.PasswordFile == "" && !u.Certificate:
			d.failUser(i, "password", "missing: user %q has neither password nor nt_hash", u.Name)
		case u.Certificate && !slices.Contains(c.Auth.EAP, EAPTLS):
			d.failUser(i, "certificate", "user %q could not show one: add \"tls\" to auth.eap", u.Name)
		case u.Password.Len() > 0 && hash:
			d.failUser(i, "nt_hash", "user %q has a password and an nt_hash: keep one", u.Name)
		}
		switch {
		case u.MustChange && u.TOTP.Len() > 0:
			d.failUser(i, "must_change", "does not go with totp: change the password for the user, by adit user passwd")
		case u.MustChange && i < d.inFile:
			d.failUser(i, "must_change", "would lock user %q out: the new password cannot be kept in this file, which the server does not write; set another password here, or take the user out and run `adit user add -must-change %s`", u.Name, u.Name)
		}
		if why := wrongTOTP(&u); why != "" {
			d.failUser(i, "totp", "%s", why)
		}
		validateUser(c, &u, plan, func(field, format string, args ...any) { d.failUser(i, field, format, args...) })
	}
}

// leastTOTP is how many bytes a key of one-time codes has at least: RFC 4226, section 4, requires 16, and some
// servers hand out 10.
const leastTOTP = 10

// wrongTOTP says what is wrong with a user's key of one-time codes; "": nothing.
func wrongTOTP(u *User) string {
	if u.TOTP.Len() == 0 {
		return ""
	}
	text := strings.TrimRight(strings.ToUpper(string(u.TOTP.Reveal())), "=")
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	switch {
	case err != nil: // whose text has the key in it
		return "is not base32, as authenticator apps have it: adit user totp makes a key"
	case len(key) < leastTOTP:
		return "is short: adit user totp makes a key of 32 characters"
	case u.Password.Len() == 0 && u.PasswordFile == "":
		return "needs the password itself, which the code comes behind: set password, or password_file, in place of nt_hash"
	}
	return ""
}

// validateUser checks what one user gets.
func validateUser(c *Config, u *User, plan *pool.Plan, fail func(field, format string, args ...any)) {
	validateSettings(u.DNS, u.Routes, u.Domain, fail)
	c.validateAllowance(&u.Allowance, fail)
	w := pool.Wish{
		Address: u.Address, Address6: u.Address6, Prefix6: u.Prefix6, Delegated: u.Delegated6, Without6: !c.Network.HasIPv6(),
	}
	for field, own := range map[string]*netip.Prefix{"prefix6": &w.Prefix6, "delegated6": &w.Delegated} {
		switch p := *own; {
		case p != p.Masked():
			fail(field, `"%v" has bits behind the prefix: write %v`, p, p.Masked())
		case field == "delegated6" && p.IsValid() && (p.Bits() < leastBits6 || p.Bits() > maxDelegated):
			fail(field, `"%v" is no /%d`, p, maxDelegated)
		default:
			continue
		}
		*own = netip.Prefix{}
	}
	for field, set := range map[string]bool{"address6": u.Address6.IsValid(), "prefix6": u.Prefix6.IsValid(), "delegated6": u.Delegated6.IsValid()} {
		if set && w.Without6 {
			fail(field, "does nothing without network.pool6, which gives clients IPv6")
		}
	}
	for _, r := range plan.Judge(w) {
		c.refuse(r, fail)
	}
}

// maxDelegated is how long a prefix for the networks behind a client is at most: each
// of them has a /64.
const maxDelegated = 64

// refuse says what a user cannot have, in the words of the configuration.
func (c *Config) refuse(r pool.Refusal, fail func(field, format string, args ...any)) {
	inPool6 := slices.IndexFunc(c.Network.Pool6, r.Of.Overlaps)
	switch field := partKeys[r.Part]; {
	case r.Part == pool.PartAddress:
		fail(field, "%s %s", r.What, r.Why)
	case r.Part == pool.PartAddress6 && r.Leased && inPool6 >= 0:
		fail(field, `"%v" is in a /64 that network.pool6, %v, may give to somebody else: set prefix6`, r.Of.Addr(), c.Network.Pool6[inPool6])
	case r.Part == pool.PartPrefix6 && r.Leased && inPool6 >= 0:
		fail(field, `"%v" holds addresses of network.pool6, %v, which others get: set address6`, r.Of, c.Network.Pool6[inPool6])
	case r.Of.IsSingleIP():
		fail(field, `"%v" %s`, r.Of.Addr(), r.Why)
	default:
		fail(field, `"%v" %s`, r.Of, r.Why)
	}
}

// partKeys are the keys of [[user]] by what they say a user has.
var partKeys = map[pool.Part]string{
	pool.PartAddress: "address", pool.PartAddress6: "address6", pool.PartPrefix6: "prefix6", pool.PartDelegated: "delegated6",
}

// CheckUser says why the server would refuse what a user gets: addresses, name
// servers, routes, a device. It does not look at the password, the group, or the pools themselves.
func (c *Config) CheckUser(u User) error {
	var errs []error
	c.namesKnown(&u.Allowance)
	validateUser(c, &u, c.Plan(), func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	})
	switch {
	case u.Interface && c.Network.Mode == TAP:
		errs = append(errs, errors.New("interface: "+notBridged))
	case u.Interface && len(c.Network.Device) > longestOwner:
		errs = append(errs, fmt.Errorf("interface: network.device, "+noRoom, c.Network.Device, longestOwner))
	}
	return errors.Join(errs...)
}
