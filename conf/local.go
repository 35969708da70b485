package conf

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// linesOf are the keys of a table that are set, as a file has them, but for some.
func linesOf(table any, but ...string) string {
	var b strings.Builder
	v := reflect.ValueOf(table).Elem()
	for _, f := range keysOf(v.Type()) {
		key, field := f.Tag.Get("toml"), v.FieldByIndex(f.Index)
		unset := field.IsZero() || field.Kind() == reflect.Slice && field.IsNil() // an empty list says something
		if !unset && !slices.Contains(but, key) {
			fmt.Fprintf(&b, "%s = %s\n", key, tomlOf(field))
		}
	}
	return b.String()
}

// Settings are the keys of the group that are set, but for its name and its keys, as texts.
func (g Group) Settings() map[string]string {
	return textsOf(linesOf(&g, "name", "psk", "psk_file", "l2tp_secret", "l2tp_secret_file"))
}

// Settings are the keys of the allowance that are set, as texts.
func (a Allowance) Settings() map[string]string { return textsOf(linesOf(&a)) }

// textsOf are the values in lines of keys.
func textsOf(lines string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(lines) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		all[key] = strings.Trim(value, `"`)
	}
	return all
}

// Set sets a key of the group to what a text says, as that of a user.
func (g *Group) Set(key, text string) error { return setKey(g, "group", key, text) }

// CheckGroup says why the server would refuse what users of a group get.
func (c *Config) CheckGroup(g Group) error {
	var errs []error
	fail := func(field, format string, args ...any) { errs = append(errs, fmt.Errorf(field+": "+format, args...)) }
	validateSettings(g.DNS, g.Routes, g.Domain, fail)
	c.namesKnown(&g.Allowance)
	c.validateAllowance(&g.Allowance, fail)
	return errors.Join(errs...)
}

// namesKnown forgets the names in an allowance where there is no configuration that could say
// whether they are right.
func (c *Config) namesKnown(a *Allowance) {
	if c.File == "" {
		a.Pool, a.Filter, a.QuotaFilter = "", "", ""
	}
}

// tomlOf writes a value as TOML does, a secret with its bytes.
func tomlOf(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case secret.Bytes:
		return quote(string(x.Reveal()))
	case NTHash:
		return quote(x.digits())
	case time.Duration:
		return quote(x.String())
	case encoding.TextMarshaler:
		text, _ := x.MarshalText() // none of ours fails
		return quote(string(text))
	case fmt.Stringer: // addresses and networks, which are texts, too, but not of the zero value
		return quote(x.String())
	case string:
		return quote(x)
	}
	if v.Kind() == reflect.Slice {
		list := make([]string, v.Len())
		for i := range list {
			list[i] = tomlOf(v.Index(i))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	return fmt.Sprint(v)
}
