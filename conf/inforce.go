package conf

import (
	"reflect"
	"slices"
)

// InForce returns what of c applies in a process that was started with started: each key
// with the tag "restart", and what is read from files that it names, keeps its old value.
// The error, an Errors, says why the combination of the two is wrong.
func (c *Config) InForce(started *Config) (*Config, error) {
	m := *c
	if !keepStarted(reflect.ValueOf(&m).Elem(), reflect.ValueOf(started).Elem()) {
		return c, nil
	}
	d := &decoder{inEnvironment: len(c.Users), groupsInFile: len(c.Groups)}
	if c.read != nil {
		*d = *c.read
		d.errors = nil
	}
	if m.Server.StateDir != c.Server.StateDir { // where the users file lies
		m.Users = slices.Clone(c.Users[:d.inEnvironment])
		m.Groups = slices.Clone(c.Groups[:d.groupsInFile])
		readUsers(d, &m)
		readPasswordFiles(d, m.Users, d.inEnvironment)
	}
	validate(d, &m)
	if len(d.errors) > 0 {
		return nil, d.errors.sorted()
	}
	return &m, nil
}

// keepStarted copies every key with the tag "restart" from started, and reports whether
// one was different.
func keepStarted(v, started reflect.Value) (changed bool) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		switch {
		case tag.Get("toml") == "-":
		case tag.Get("reload") == "restart":
			changed = changed || !reflect.DeepEqual(v.Field(i).Interface(), started.Field(i).Interface())
			v.Field(i).Set(started.Field(i))
		case tag.Get("reload") == "": // a table
			changed = keepStarted(v.Field(i), started.Field(i)) || changed
		}
	}
	return changed
}
