package machinetest

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adit-vpn/adit/internal/secret"
)

// filledLen is the length of the byte slices that Fill makes: one AES block, and more
// than any header.
const filledLen = 16

// Fill sets every field of a state, at any depth, to a value that is not zero and, where
// its type has enough values, differs from those of all other fields. A field of the same
// type as one of the examples is set to that example.
func Fill(t testing.TB, state any, examples ...any) {
	t.Helper()
	f := filler{t: t, examples: examples}
	v := reflect.ValueOf(state).Elem()
	f.fill(v, v.Type().String())
}

type filler struct {
	t        testing.TB
	examples []any
	n        int64
}

func (f *filler) fill(v reflect.Value, path string) {
	f.n++
	if !v.CanSet() { // an unexported field
		v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
	}
	for _, e := range f.examples {
		if reflect.TypeOf(e) == v.Type() {
			v.Set(reflect.ValueOf(e))
			f.whole(v, path)
			return
		}
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(Epoch.Add(time.Duration(f.n))))
		return
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{10, 0, byte(f.n >> 8), byte(f.n)})))
		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(f.n >> 8), byte(f.n)}), uint16(f.n))))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(f.n >> 8), byte(f.n)}), int(f.n%32)+1)))
		return
	case secret.Bytes:
		v.Set(reflect.ValueOf(secret.New(f.bytes())))
		return
	case []byte:
		v.Set(reflect.ValueOf(f.bytes()))
		return
	}
	f.fillKind(v, path)
}

func (f *filler) fillKind(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		if v.SetUint(uint64(f.n%255 + 1)); v.Type().PkgPath() != "" {
			v.SetUint(1) // an enumeration
		}
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(f.n)
	case reflect.String:
		v.SetString(string(f.bytes()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fillAll(v, path)
	case reflect.Array:
		f.fillAll(v, path)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	default:
		f.t.Fatalf("%s is a %s, which Fill does not know", path, v.Kind())
	}
}

func (f *filler) fillAll(v reflect.Value, path string) {
	for i := range v.Len() {
		f.fill(v.Index(i), path+"[]")
	}
}

// whole fails the test if an example has a field that is zero.
func (f *filler) whole(v reflect.Value, path string) {
	f.t.Helper()
	if v.IsZero() {
		f.t.Errorf("the example of %s is zero", path)
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			f.whole(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	}
}

func (f *filler) bytes() []byte {
	b := make([]byte, filledLen)
	for i := range b {
		b[i] = byte(f.n>>(i%2*8)) | 1
	}
	return b
}

// StateDiff describes how two states differ, "" if they do not. Times are equal if they
// are the same instant.
func StateDiff(want, got any) string {
	return cmp.Diff(want, got,
		cmp.Exporter(func(reflect.Type) bool { return true }),
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b secret.Bytes) bool { return a.Equal(b) }))
}
