package conf

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// textType is the interface of types that read themselves from a text: addresses, ranges,
// enumerations, secrets.
var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isAddress reports whether a type is an address or a network. An empty text means none.
func isAddress(t reflect.Type) bool { return t == addrType || t == prefixType }

// isTables reports whether a key of a type holds a list of tables.
func isTables(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && !isText(t.Elem())
}

// readText sets v to what a text says, wherever the text comes from. The error says what
// is wrong with the text, to a person who knows the key. v is the zero value afterwards if
// the text cannot be read.
func readText(v reflect.Value, tag reflect.StructTag, text string) error {
	v.SetZero()
	switch x := v.Addr().Interface().(type) {
	case *netip.Addr:
		return readAddr(x, tag.Get("ip"), text)
	case *netip.Prefix:
		return readPrefix(x, tag.Get("ip"), text)
	case *time.Duration:
		t, err := time.ParseDuration(text)
		if err != nil || t < 0 {
			return fmt.Errorf(`%q is not a duration such as "30s" or "5m"`, text)
		}
		*x = t
	case encoding.TextUnmarshaler:
		if err := x.UnmarshalText([]byte(text)); err != nil {
			v.SetZero()
			if example := tag.Get("as"); example != "" {
				return fmt.Errorf("%w, as in %q", err, example)
			}
			return err
		}
	default:
		v.SetString(text)
	}
	return nil
}

// readAddr reads an address of a family, "" for any.
func readAddr(a *netip.Addr, family, text string) error {
	read, err := netip.ParseAddr(text)
	if err != nil || family == "IPv4" && !read.Is4() || family == "IPv6" && (!read.Is6() || read.Zone() != "") {
		if family == "" {
			family = "IP"
		}
		return fmt.Errorf("%q is not an %s address", text, family)
	}
	*a = read
	return nil
}

// readPrefix reads a network of a family, "" for any.
func readPrefix(p *netip.Prefix, family, text string) error {
	read, err := netip.ParsePrefix(text)
	switch six := family == "IPv6"; {
	case six && (err != nil || !read.Addr().Is6() || read.Addr().Is4In6()):
		return fmt.Errorf(`%q is not an IPv6 network such as "2001:db8:1::/48"`, text)
	case err != nil || read.Addr().Is4In6():
		return fmt.Errorf(`%q is not a network such as "192.168.1.0/24" or "2001:db8:1::/48"`, text)
	}
	*p = read
	return nil
}

// cannotRead reports that the value of a key cannot be read, and why. A value of several
// parts has an error for each part.
func (d *decoder) cannotRead(key string, err error) {
	var several interface{ Unwrap() []error }
	list := []error{err}
	if errors.As(err, &several) {
		list = several.Unwrap()
	}
	for _, err := range list {
		d.fail(key, "%v", err)
	}
	d.markUnread(key)
}

func (d *decoder) markUnread(key string) {
	if d.unread == nil {
		d.unread = map[string]bool{}
	}
	d.unread[key] = true
}

// overridden forgets the errors of reading a key of the file, because a variable sets the
// key.
func (d *decoder) overridden(key string) {
	of := func(k string) bool { return d.unread[k] && (k == key || strings.HasPrefix(k, key+"[")) }
	kept := d.errors[:0]
	for _, e := range d.errors {
		if !of(e.Key) {
			kept = append(kept, e)
		}
	}
	d.errors = kept
	for k := range d.unread {
		if of(k) {
			delete(d.unread, k)
		}
	}
}

// Texts are the elements of a list as they stand in a configuration, nil for a nil list.
func Texts[T any](list []T) []string {
	if list == nil {
		return nil
	}
	texts := make([]string, len(list))
	for i, x := range list {
		texts[i] = fmt.Sprint(x)
	}
	return texts
}

// textOf is a value as it stands in a configuration, "" if it is not set.
func textOf(x interface {
	IsValid() bool
	String() string
}) string {
	if !x.IsValid() {
		return ""
	}
	return x.String()
}
