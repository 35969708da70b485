// Package machinetest holds the assertions that the tests of every protocol machine
// share: that the machine's state is plain data, and that its transcripts match the ones
// committed under testdata.
package machinetest

import (
	"fmt"
	"reflect"
	"testing"
)

// PlainData fails the test unless typ, the type of a machine's state, consists of plain
// values only: it contains no func, channel, interface or unsafe pointer at any depth. So
// a live connection can be handed to another process.
func PlainData(t testing.TB, typ reflect.Type) {
	t.Helper()
	if err := plain(typ, typ.String(), map[reflect.Type]bool{}); err != nil {
		t.Errorf("state of a machine must be plain data: %v", err)
	}
}

func plain(typ reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[typ] || typ.PkgPath() == "time" || typ.PkgPath() == "net/netip" {
		return nil // both are documented to behave as values
	}
	seen[typ] = true
	switch typ.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.UnsafePointer, reflect.Uintptr:
		return fmt.Errorf("%s is a %s", path, typ.Kind())
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return plain(typ.Elem(), path+"[]", seen)
	case reflect.Map:
		if err := plain(typ.Key(), path+"[key]", seen); err != nil {
			return err
		}
		return plain(typ.Elem(), path+"[value]", seen)
	case reflect.Struct:
		for field := range typ.Fields() {
			if err := plain(field.Type, path+"."+field.Name, seen); err != nil {
				return err
			}
		}
	}
	return nil
}
