package conf

import (
	"maps"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// applyEnvironment overrides keys by ADIT_<TABLE>_<KEY>, takes users from
// ADIT_USERS=alice:secret,bob:secret, and understands the variables that the
// widely used ipsec-vpn-server image taught people.
func applyEnvironment(d *decoder, c *Config, environ []string) {
	env := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok && value != "" {
			env[name] = value
		}
	}
	e := &decoder{} // no file, no lines
	from := map[string]string{}
	known := map[string]bool{"ADIT_USERS": true, "ADIT_USERS_FILE": true, "ADIT_CPU": true} // the last is ipsec's
	for _, name := range radiusVariables {
		known[name] = true
	}
	walkScalars(reflect.ValueOf(c).Elem(), "", func(key string, v reflect.Value) {
		name := variableOf(key)
		known[name] = true
		if text, ok := env[name]; ok {
			setText(e, v, name, text)
			from[key] = name
		}
	})
	for name := range env {
		if strings.HasPrefix(name, "ADIT_") && !known[name] && !strings.HasPrefix(name, "ADIT_TEST_") && !madeByPlatform(name, env) {
			e.fail(name, "unknown environment variable: it should be ADIT_<TABLE>_<KEY>, as in ADIT_IPSEC_PSK%s", didYouMean(slices.Sorted(maps.Keys(known)), name))
		}
	}
	applyRadius(e, c, env, from)
	addUsers(e, c, "ADIT_USERS", env["ADIT_USERS"])
	if file := env["ADIT_USERS_FILE"]; file != "" {
		addUsers(e, c, "ADIT_USERS_FILE", strings.Join(strings.Fields(string(readSecret(e, "ADIT_USERS_FILE", file))), ","))
	}
	noteQuotes(c, env)
	applyImage(e, c, env, from)
	sort.SliceStable(e.errors, func(i, j int) bool { return e.errors[i].Key < e.errors[j].Key })
	d.errors = append(d.errors, e.errors...)
	d.env = from
}

// noteQuotes names variables with quotation marks around all of their value: docker
// run --env-file leaves them there, and no client's user types them. They may be
// meant, so they stay; those of the ipsec-vpn-server image are for applyImage.
func noteQuotes(c *Config, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		v := env[name]
		if strings.HasPrefix(name, "ADIT_") && len(v) > 1 && strings.ContainsRune(`"'`, rune(v[0])) && v[0] == v[len(v)-1] {
			c.Notes = append(c.Notes, name+": the quotation marks around the value are part of it: leave them out unless they are meant (docker run --env-file takes every character as it is)")
		}
	}
}

// variableOf is the variable that sets a key.
func variableOf(key string) string {
	return "ADIT_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// walkScalars calls f for every key that one value can set.
func walkScalars(v reflect.Value, path string, f func(string, reflect.Value)) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("toml")
		if tag == "-" {
			continue
		}
		field, key := v.Field(i), join(path, tag)
		switch {
		case field.Kind() == reflect.Struct && field.Type() != secretType:
			walkScalars(field, key, f)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && field.Type() != secretsType:
			// tables in lists have no name of their own
		default:
			f(key, field)
		}
	}
}

// setText sets v from text; lists are separated by commas.
func setText(d *decoder, v reflect.Value, name, text string) {
	switch {
	case v.Type() == secretsType:
		v.Set(reflect.ValueOf([]secret.Bytes{secret.String(text)}))
	case v.Type() == secretType:
		v.Set(reflect.ValueOf(secret.String(text)))
	case v.Type() == durationType:
		t, err := time.ParseDuration(text)
		if err != nil || t < 0 {
			d.fail(name, `must be a duration such as "30s"`)
			return
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			d.fail(name, "must be true or false")
			return
		}
		v.SetBool(b)
	case v.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			d.fail(name, "must be a whole number")
			return
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.Slice:
		var list []string
		for _, s := range strings.Split(text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		v.Set(reflect.ValueOf(list))
	}
}

// addUsers adds name:password pairs, separated by commas.
func addUsers(d *decoder, c *Config, from, pairs string) {
	for i, pair := range strings.Split(pairs, ",") {
		if pair == "" {
			continue
		}
		name, password, ok := strings.Cut(pair, ":")
		if !ok || name == "" || password == "" {
			d.fail(from, "element %d is not name:password", i+1)
			continue
		}
		c.Users = append(c.Users, User{Name: name, Password: secret.String(password)})
	}
}
