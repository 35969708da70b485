package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-vpn/adit/conf"
)

// settings are the flags that say what a user gets.
type settings struct {
	flags  *flag.FlagSet
	values map[string]*string
	yes    map[string]*bool
}

// setting is one of them: its name is that of the key, with - in place of _.
type setting struct{ name, about string }

// settingKey is the key that a flag sets.
func settingKey(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// allowanceNames are those that a user and a group have.
var allowanceNames = []setting{
	{"pool", "`name` of the [[pool]] that addresses are leased of"},
	{"upload", "the most that each session sends, as in 10M: `rate`"},
	{"download", "the most that each session receives, as in 50M: `rate`"},
	{"sessions", "`number` of sessions of one user at once"},
	{"session-timeout", "how long a session lasts at most, as in 8h: `time`"},
	{"idle-timeout", "silence after which a session ends, as in 30m: `time`"},
	{"hours", "when sessions may be up, as in \"Mo-Fr 07:00-19:00\": `hours`"},
	{"quota-day", "what one user carries in a day, as in 5GB: `volume`"},
	{"quota-month", "what one user carries in a month: `volume`"},
	{"quota-filter", "`name` of the [[filter]] for who has used a quota up; without it the session ends"},
	{"filter", "`name` of the [[filter]] for what sessions carry"},
}

// toldNames are those of what clients are told.
var toldNames = []setting{
	{"dns", "name servers in place of network.dns, separated by commas: `addresses`"},
	{"routes", "`networks` for split tunnelling in place of network.routes, separated by commas; none: everything goes through"},
	{"domain", "`domain` of the names inside, in place of network.domain"},
}

// settingNames are those of a user.
var settingNames = append(append([]setting{
	{"address", "static `address` inside, one session at a time"},
	{"address6", "static IPv6 `address`"},
	{"prefix6", "static IPv6 `prefix` of /64"},
	{"delegated6", "static `prefix` for the networks behind a client that is a router"},
	{"group", "`name` of the [[group]] that the user belongs to"},
}, toldNames...), allowanceNames...)

// yesNames are those that are true or false.
var yesNames = []struct {
	setting
	of func(*conf.User) *bool
}{
	{setting{"interface", "each session has a network device of its own; -interface=false: none"}, func(u *conf.User) *bool { return &u.Interface }},
	{setting{"certificate", "a certificate with the name proves the user, by EAP-TLS"}, func(u *conf.User) *bool { return &u.Certificate }},
	{setting{"must-change", "the password has expired: the user has to change it at the next login"}, func(u *conf.User) *bool { return &u.MustChange }},
}

func settingsFlags(f *flag.FlagSet) settings {
	s := settings{f, map[string]*string{}, map[string]*bool{}}
	for _, x := range yesNames {
		s.yes[x.name] = f.Bool(x.name, false, x.about)
	}
	for _, x := range settingNames {
		s.values[x.name] = f.String(x.name, "", x.about)
	}
	return s
}

// given reports whether there is any.
func (s settings) given() bool {
	for _, x := range yesNames {
		if given(s.flags, x.name) {
			return true
		}
	}
	return slices.ContainsFunc(settingNames, func(x setting) bool { return given(s.flags, x.name) })
}

// apply changes what the flags name.
func (s settings) apply(x *conf.User) error {
	var errs []error
	for _, key := range settingNames {
		if given(s.flags, key.name) {
			errs = append(errs, x.Set(settingKey(key.name), *s.values[key.name]))
		}
	}
	for _, y := range yesNames {
		if given(s.flags, y.name) {
			*y.of(x) = *s.yes[y.name]
		}
	}
	return errors.Join(errs...)
}

// apply changes a user as the flags say, unless the server would refuse it.
func (u userCommand) apply(set settings, x *conf.User) error {
	if err := errors.Join(set.apply(x), u.conf.CheckUser(*x)); err != nil {
		return errUsage{err}
	}
	for _, f := range u.addresses(*x) {
		if f.Err != nil {
			return usagef("%s: %v", f.What, f.Err)
		}
	}
	return checkGroup(u.conf, u.file, x.Group)
}

// checkGroup fails for a group that the configuration, if there is one, does
// not have: the server would refuse users.toml with it, and ignore it in a
// certificate.
func checkGroup(c *conf.Config, users, name string) error {
	if name == "" || c.File == "" {
		return nil
	}
	var names []string
	local, _ := conf.ReadLocal(users) // who writes it says what is wrong
	for _, g := range append(local.Groups, c.Groups...) {
		names = append(names, strconv.Quote(g.Name))
	}
	switch {
	case slices.Contains(names, strconv.Quote(name)):
		return nil
	case len(names) == 0:
		return fmt.Errorf("there is no [[group]] %q in %s: there is none at all", name, c.File)
	}
	return fmt.Errorf("there is no [[group]] %q in %s: there are %s", name, c.File, strings.Join(names, ", "))
}
