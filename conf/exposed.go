package conf

import (
	"os"
	"reflect"

	"github.com/adit-vpn/adit/internal/secret"
)

// Exposed returns the files of the configuration that hold secrets and that others than
// their owner can read now, except where a platform has put them. Files that hold nothing
// but a secret, named by keys that end in _file, are refused earlier, when they are read.
func (c *Config) Exposed() []string {
	var list []string
	for _, name := range c.secretsIn {
		if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o044 != 0 && secret.CheckFile(name) != nil {
			list = append(list, name)
		}
	}
	return list
}

// hasSecrets reports whether any secret of v, a struct, is set.
func hasSecrets(v reflect.Value) bool {
	for i := range v.NumField() {
		field := v.Field(i)
		switch {
		case !v.Type().Field(i).IsExported():
		case field.Type() == secretType:
			if s, ok := field.Interface().(secret.Bytes); ok && s.Len() > 0 {
				return true
			}
		case field.Type() == secretsType:
			if field.Len() > 0 {
				return true
			}
		case field.Kind() == reflect.Struct:
			if hasSecrets(field) {
				return true
			}
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for j := range field.Len() {
				if hasSecrets(field.Index(j)) {
					return true
				}
			}
		}
	}
	return false
}
