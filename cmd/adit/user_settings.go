package main

import (
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
}

// setting is one of them: its name is that of the key of [[user]].
var settingNames = []struct{ name, about string }{
	{"address", "static `address` inside, one session at a time"},
	{"address6", "static IPv6 `address`"},
	{"prefix6", "static IPv6 `prefix` of /64"},
	{"delegated6", "static `prefix` for the networks behind a client that is a router"},
	{"group", "`name` of the [[group]] that the user belongs to"},
	{"dns", "name servers in place of network.dns, separated by commas: `addresses`"},
	{"routes", "`networks` for split tunnelling in place of network.routes, separated by commas; none: everything goes through"},
	{"domain", "`domain` of the names inside, in place of network.domain"},
}

func settingsFlags(f *flag.FlagSet) settings {
	s := settings{f, map[string]*string{}}
	for _, x := range settingNames {
		s.values[x.name] = f.String(x.name, "", x.about)
	}
	return s
}

// given reports whether there is any.
func (s settings) given() bool {
	return slices.ContainsFunc(settingNames, func(x struct{ name, about string }) bool { return given(s.flags, x.name) })
}

// apply changes what the flags name.
func (s settings) apply(x *conf.User) {
	for name, to := range map[string]*string{
		"address": &x.Address, "address6": &x.Address6, "prefix6": &x.Prefix6, "delegated6": &x.Delegated6,
		"group": &x.Group, "domain": &x.Domain,
	} {
		if given(s.flags, name) {
			*to = *s.values[name]
		}
	}
	for name, to := range map[string]*[]string{"dns": &x.DNS, "routes": &x.Routes} {
		if given(s.flags, name) {
			*to = list(*s.values[name])
		}
	}
}

// list takes elements apart. Of none there is a list that has none, which says
// something else than no list.
func list(text string) []string {
	if text == "none" {
		return []string{}
	}
	var l []string
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			l = append(l, s)
		}
	}
	return l
}

// apply changes a user as the flags say, unless the server would refuse it.
func (u *userCommand) apply(set settings, x *conf.User) error {
	set.apply(x)
	if err := u.conf.CheckUser(*x); err != nil {
		return errUsage{err}
	}
	for _, f := range u.addresses(*x) {
		if f.Err != nil {
			return usagef("%s: %v", f.What, f.Err)
		}
	}
	return checkGroup(u.conf, x.Group)
}

// checkGroup fails for a group that the configuration, if there is one, does
// not have: the server would refuse users.toml with it, and ignore it in a
// certificate.
func checkGroup(c *conf.Config, name string) error {
	if name == "" || c.File == "" {
		return nil
	}
	names := make([]string, len(c.Groups))
	for i, g := range c.Groups {
		names[i] = strconv.Quote(g.Name)
	}
	switch {
	case slices.Contains(names, strconv.Quote(name)):
		return nil
	case len(names) == 0:
		return fmt.Errorf("there is no [[group]] %q in %s: there is none at all", name, c.File)
	}
	return fmt.Errorf("there is no [[group]] %q in %s: there are %s", name, c.File, strings.Join(names, ", "))
}
