package frozen

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adit-vpn/adit/internal/secret"
)

// everything has one field of each type that a Codec can visit.
type everything struct {
	Small  uint8
	Middle uint16
	Large  uint64
	Signed int
	Word   kind
	Yes    bool
	At     time.Time
	Name   string
	Body   []byte
	Array  [4]byte
	Key    secret.Bytes
	Addr   netip.Addr
	Path   netip.AddrPort
	Net    netip.Prefix
	List   []uint32
	Deep   []*everything
}

type kind uint8

const lastKind kind = 3

func (e *everything) fields(c *Codec) {
	Int(c, &e.Small)
	Int(c, &e.Middle)
	Int(c, &e.Large)
	Int(c, &e.Signed)
	Enum(c, &e.Word, lastKind)
	c.Bool(&e.Yes)
	c.Time(&e.At)
	c.String(&e.Name)
	c.Bytes(&e.Body)
	c.Fixed(e.Array[:])
	c.Secret(&e.Key)
	c.Addr(&e.Addr)
	c.AddrPort(&e.Path)
	c.Prefix(&e.Net)
	List(c, &e.List, func(v *uint32) { Int(c, v) })
	List(c, &e.Deep, func(v **everything) { New(c, v).fields(c) })
}

func full() everything {
	return everything{
		Small: 255, Middle: 65535, Large: math.MaxUint64, Signed: -7, Word: lastKind, Yes: true,
		At: time.Date(2026, 11, 30, 12, 0, 0, 1, time.UTC), Name: "a name", Body: []byte{1, 2}, Array: [4]byte{3, 4, 5, 6},
		Key: secret.String("key"), Addr: netip.MustParseAddr("fe80::1%eth0"), Path: netip.MustParseAddrPort("192.0.2.1:500"), Net: netip.MustParsePrefix("2001:db8::1/48"),
		List: []uint32{0, math.MaxUint32}, Deep: []*everything{{Name: "below", Body: []byte{}, List: []uint32{}}, {}},
	}
}

var same = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestEveryTypeComesBack(t *testing.T) {
	for _, e := range []everything{full(), {}, {Body: []byte{}, List: []uint32{}, Deep: []*everything{}}, {Signed: math.MinInt64, Addr: netip.MustParseAddr("::ffff:10.0.0.1")}} {
		b := Append([]byte("before"), 1, e.fields)
		rest, ok := bytes.CutPrefix(b, []byte("before"))
		if !ok {
			t.Fatal("what stood before is gone")
		}
		var got everything
		if err := Read(rest, 1, got.fields); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got, same); diff != "" {
			t.Errorf("it came back changed (-want +got):\n%s", diff)
		}
		if again := Append(nil, 1, got.fields); !bytes.Equal(again, rest) {
			t.Errorf("frozen again it is\n%x, not\n%x", again, rest)
		}
	}
}

// A machine distinguishes a nil slice from an empty one.
func TestNilAndEmptyAreTwo(t *testing.T) {
	for _, body := range [][]byte{nil, {}} {
		e := everything{Body: body}
		var got everything
		if err := Read(Append(nil, 1, e.fields), 1, got.fields); err != nil || (got.Body == nil) != (body == nil) {
			t.Errorf("%#v came back as %#v, %v", body, got.Body, err)
		}
	}
}

func TestWhatIsReadIsACopy(t *testing.T) {
	e := full()
	b := Append(nil, 1, e.fields)
	var got everything
	if err := Read(b, 1, got.fields); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if diff := cmp.Diff(e, got, same); diff != "" {
		t.Errorf("the bytes were cleared, and so was (-want +got):\n%s", diff)
	}
}

// Only the wall clock's reading survives, not that of the monotonic clock.
func TestTimesAreTheWallClocks(t *testing.T) {
	now := time.Now()
	e := everything{At: now}
	var got everything
	if err := Read(Append(nil, 1, e.fields), 1, got.fields); err != nil || !got.At.Equal(now) || got.At != got.At.Round(0) {
		t.Errorf("%v came back as %v, %v", now, got.At, err)
	}
}

func TestAnotherVersionIsNamed(t *testing.T) {
	e := full()
	err := Read(Append(nil, 2, e.fields), 1, e.fields)
	if !errors.Is(err, ErrVersion) || err.Error() != "frozen state of another version: it has version 2, and this program reads version 1" {
		t.Errorf("%v", err)
	}
}

// Read detects every missing or extra byte, and every varint that is not in its shortest
// form.
func TestDecodingIsStrict(t *testing.T) {
	e := full()
	b := Append(nil, 1, e.fields)
	for n := range b {
		var got everything
		if err := Read(b[:n], 1, got.fields); !errors.Is(err, ErrMalformed) {
			t.Errorf("the first %d of %d bytes: %v", n, len(b), err)
		}
	}
	for _, tt := range []struct {
		name   string
		b      []byte
		fields func(*Codec)
	}{
		{"a byte more", append(b, 0), new(everything).fields},
		{"a long form of 0", []byte{1, 0x80, 0}, func(c *Codec) { Int(c, new(uint32)) }},
		{"a varint of eleven bytes", append([]byte{1}, bytes.Repeat([]byte{0xff}, 11)...), func(c *Codec) { Int(c, new(uint64)) }},
		{"256 in a byte", Append(nil, 1, func(c *Codec) { n := 256; Int(c, &n) }), func(c *Codec) { Int(c, new(uint8)) }},
		{"-1 in a uint32", Append(nil, 1, func(c *Codec) { n := -1; Int(c, &n) }), func(c *Codec) { Int(c, new(uint32)) }},
		{"an unknown value", Append(nil, 1, func(c *Codec) { n := 4; Int(c, &n) }), func(c *Codec) { Enum(c, new(kind), lastKind) }},
		{"a truth value of 2", Append(nil, 1, func(c *Codec) { n := 2; Int(c, &n) }), func(c *Codec) { c.Bool(new(bool)) }},
		{"a string of -1 bytes", Append(nil, 1, func(c *Codec) { n := -1; Int(c, &n) }), func(c *Codec) { c.String(new(string)) }},
		{"a slice of -2 bytes", Append(nil, 1, func(c *Codec) { n := -1; Int(c, &n) }), func(c *Codec) { c.Bytes(new([]byte)) }},
		{"an address of 5 bytes", Append(nil, 1, func(c *Codec) { s := "12345"; c.String(&s) }), func(c *Codec) { c.Addr(new(netip.Addr)) }},
		{"a network of 33 bits", Append(nil, 1, func(c *Codec) { a, n := netip.MustParseAddr("192.0.2.0"), 33; c.Addr(&a); Int(c, &n) }), func(c *Codec) { c.Prefix(new(netip.Prefix)) }},
		{"a network of one link", Append(nil, 1, func(c *Codec) { a, n := netip.MustParseAddr("fe80::%eth0"), 64; c.Addr(&a); Int(c, &n) }), func(c *Codec) { c.Prefix(new(netip.Prefix)) }},
		{"what a machine refuses", []byte{1}, func(c *Codec) { c.Check(false, "an impossible state") }},
	} {
		if err := Read(tt.b, 1, tt.fields); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if b := Append(nil, 1, func(c *Codec) { c.Check(false, "an impossible state") }); len(b) != 1 {
		t.Errorf("a check wrote %x", b)
	}
}

// A forged length allocates no memory.
func TestALengthAllocatesNothing(t *testing.T) {
	huge := Append(nil, 1, func(c *Codec) { n := int64(math.MaxInt64); Int(c, &n) })
	for name, fields := range map[string]func(*Codec){
		"bytes":  func(c *Codec) { c.Bytes(new([]byte)) },
		"string": func(c *Codec) { c.String(new(string)) },
		"secret": func(c *Codec) { c.Secret(new(secret.Bytes)) },
		"list":   func(c *Codec) { List(c, new([]everything), func(e *everything) { e.fields(c) }) },
		"empty":  func(c *Codec) { List(c, new([]struct{}), func(*struct{}) {}) },
	} {
		if err := Read(huge, 1, fields); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s of the greatest length: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	e := full()
	f.Add(Append(nil, 1, e.fields))
	f.Add(Append(nil, 1, new(everything).fields))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got everything
		if Read(b, 1, got.fields) != nil {
			return
		}
		if again := Append(nil, 1, got.fields); !bytes.Equal(again, b) {
			t.Errorf("there are two forms of one state:\n%x\n%x", b, again)
		}
	})
}
