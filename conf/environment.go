package conf

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

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
	for _, name := range append(radiusVariables[:len(radiusVariables):len(radiusVariables)], "ADIT_RADIUS_COA_CLIENTS", "ADIT_RADIUS_COA_SECRET", "ADIT_RADIUS_COA_SECRET_FILE") {
		known[name] = true
	}
	walkScalars(reflect.ValueOf(c).Elem(), "", func(key string, v reflect.Value, tag reflect.StructTag) {
		name := variableOf(key)
		known[name] = true
		if text, ok := env[name]; ok {
			d.overridden(key)
			if err := setText(v, tag, text); err != nil {
				e.cannotRead(name, err)
				e.markUnread(key)
			}
			from[key] = name
		}
	})
	for name := range env {
		if strings.HasPrefix(name, "ADIT_") && !known[name] && !strings.HasPrefix(name, "ADIT_TEST_") && !madeByPlatform(name, env) {
			e.fail(name, "unknown environment variable: it should be ADIT_<TABLE>_<KEY>, as in ADIT_IPSEC_PSK%s", didYouMean(slices.Sorted(maps.Keys(known)), name))
		}
	}
	applyRadius(e, c, env, from)
	applyCoA(e, c, env, from)
	addUsers(e, c, "ADIT_USERS", env["ADIT_USERS"])
	if file := env["ADIT_USERS_FILE"]; file != "" {
		addUsers(e, c, "ADIT_USERS_FILE", strings.Join(strings.Fields(string(readSecret(e, "ADIT_USERS_FILE", file))), ","))
	}
	noteQuotes(c, env)
	applyImage(e, c, env, from)
	if from["network.dns"] != "" {
		d.overridden("network.dns")
	}
	sort.SliceStable(e.errors, func(i, j int) bool { return e.errors[i].Key < e.errors[j].Key })
	d.errors = append(d.errors, e.errors...)
	for key := range e.unread {
		d.markUnread(key)
	}
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
func walkScalars(v reflect.Value, path string, f func(string, reflect.Value, reflect.StructTag)) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if tag.Get("toml") == "-" {
			continue
		}
		field, key := v.Field(i), join(path, tag.Get("toml"))
		switch {
		case isTables(field.Type()):
			// tables in lists have no name of their own
		case field.Kind() == reflect.Struct && !isText(field.Type()):
			walkScalars(field, key, f)
		default:
			f(key, field, tag)
		}
	}
}

// setText sets v from text; lists are separated by commas. Every element that cannot be
// read is an error of its own.
func setText(v reflect.Value, tag reflect.StructTag, text string) error {
	switch {
	case v.Type() == secretsType: // a comma may be part of it
		v.Set(reflect.ValueOf([]secret.Bytes{secret.String(text)}))
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		v.SetBool(b)
	case v.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("must be a whole number")
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.Slice && !isText(v.Type()):
		return setTexts(v, tag, strings.Split(text, ","))
	default:
		return readText(v, tag, text)
	}
	return nil
}

func setTexts(v reflect.Value, tag reflect.StructTag, texts []string) error {
	v.SetZero()
	var errs []error
	for _, s := range texts {
		if s = strings.TrimSpace(s); s != "" {
			element := reflect.New(v.Type().Elem()).Elem()
			errs = append(errs, readText(element, tag, s))
			v.Set(reflect.Append(v, element))
		}
	}
	return errors.Join(errs...)
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
