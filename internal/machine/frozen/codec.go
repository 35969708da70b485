package frozen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// The errors of Read.
var (
	// ErrVersion: the state was frozen by a program that uses another format version.
	ErrVersion = errors.New("frozen state of another version")
	// ErrMalformed: the bytes are not a state that this version can have written.
	ErrMalformed = errors.New("frozen state is malformed")
)

// Codec visits the fields of a state, to write or to read them.
type Codec struct {
	b       []byte // what is written, or what is left to read
	reading bool
	err     error
}

// Append appends the version and the fields that fields visits.
func Append(b []byte, version byte, fields func(*Codec)) []byte {
	c := Codec{b: append(b, version)}
	fields(&c)
	return c.b
}

// Read reads the fields that fields visits. After an error, some of them may have
// changed.
func Read(b []byte, version byte, fields func(*Codec)) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	if b[0] != version {
		return fmt.Errorf("%w: it has version %d, and this program reads version %d", ErrVersion, b[0], version)
	}
	c := Codec{b: b[1:], reading: true}
	fields(&c)
	if len(c.b) > 0 {
		c.fail("there are %d bytes more than fields", len(c.b))
	}
	return c.err
}

// fail keeps the first error and ends the reading.
func (c *Codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
	c.b = nil
}

// Check rejects a state that was read if ok is false. It checks what the machine relies
// on, so that no frozen state makes it panic. When a state is written, Check does
// nothing.
func (c *Codec) Check(ok bool, what string) {
	if c.reading && c.err == nil && !ok {
		c.fail("%s", what)
	}
}

// take returns the next n bytes, or nil if fewer are left.
func (c *Codec) take(n int64) []byte {
	if n < 0 || n > int64(len(c.b)) {
		c.fail("a field of %d bytes, and %d are left", n, len(c.b))
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

// integer is the constraint of Int.
type integer interface {
	~int | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Int visits a number.
func Int[T integer](c *Codec, v *T) {
	if !c.reading {
		c.b = binary.AppendVarint(c.b, int64(*v))
		return
	}
	x, n := binary.Varint(c.b)
	var shortest [binary.MaxVarintLen64]byte
	if n <= 0 || n != binary.PutVarint(shortest[:], x) || int64(T(x)) != x {
		c.fail("a number that is cut off, too long or out of range")
		x, n = 0, 0
	}
	c.b = c.b[n:]
	*v = T(x)
}

// Enum visits a number with values from 0 to last.
func Enum[T ~uint8 | ~uint16](c *Codec, v *T, last T) {
	Int(c, v)
	if c.reading && *v > last {
		c.fail("a value of %d, and %d is the last that there is", *v, last)
		*v = 0
	}
}

// Bool visits a boolean.
func (c *Codec) Bool(v *bool) {
	var b byte
	if *v {
		b = 1
	}
	Enum(c, &b, 1)
	*v = b == 1
}

// Time visits a time, which may be the zero time.
func (c *Codec) Time(v *time.Time) {
	set := !v.IsZero()
	c.Bool(&set)
	if !set {
		*v = time.Time{}
		return
	}
	nanoseconds := v.UnixNano()
	Int(c, &nanoseconds)
	if c.reading {
		*v = time.Unix(0, nanoseconds)
	}
}

// Fixed visits an array, passed as the slice v.
func (c *Codec) Fixed(v []byte) {
	if c.reading {
		copy(v, c.take(int64(len(v))))
		return
	}
	c.b = append(c.b, v...)
}

// Bytes visits a slice, which may be nil. The bytes that are read are a copy.
func (c *Codec) Bytes(v *[]byte) {
	n := length(c, *v)
	switch {
	case !c.reading:
		c.b = append(c.b, *v...)
	case n < 0:
		*v = nil
	default:
		*v = append([]byte{}, c.take(n)...)
	}
}

// String visits a string.
func (c *Codec) String(v *string) {
	n := len(*v)
	Int(c, &n)
	if c.reading {
		*v = string(c.take(int64(n)))
		return
	}
	c.b = append(c.b, *v...)
}

// Secret visits a secret. The secret that is read is a copy.
func (c *Codec) Secret(v *secret.Bytes) {
	n := v.Len()
	Int(c, &n)
	if c.reading {
		*v = secret.New(c.take(int64(n)))
		return
	}
	c.b = append(c.b, v.Reveal()...)
}

// Addr visits an address, which may be the invalid address.
func (c *Codec) Addr(v *netip.Addr) {
	b, _ := v.MarshalBinary() // it never fails
	text := string(b)
	c.String(&text)
	if c.reading && v.UnmarshalBinary([]byte(text)) != nil {
		c.fail("an address of %d bytes", len(text))
	}
}

// AddrPort visits an address and a port.
func (c *Codec) AddrPort(v *netip.AddrPort) {
	addr, port := v.Addr(), v.Port()
	c.Addr(&addr)
	Int(c, &port)
	*v = netip.AddrPortFrom(addr, port)
}

// Prefix visits a network, which may be the invalid prefix.
func (c *Codec) Prefix(v *netip.Prefix) {
	addr, bits := v.Addr(), v.Bits()
	c.Addr(&addr)
	Int(c, &bits)
	*v = netip.PrefixFrom(addr, bits)
	c.Check(v.Addr() == addr && v.Bits() == bits, "a network that is none")
}

// List visits a slice, which may be nil, and each of its elements.
func List[S ~[]T, T any](c *Codec, v *S, each func(*T)) {
	n := length(c, *v)
	if !c.reading {
		for i := range *v {
			each(&(*v)[i])
		}
		return
	}
	*v = nil
	if n < 0 {
		return
	}
	*v = S{}
	// Each element takes at least one byte, so the input bounds what is allocated.
	for range min(n, int64(len(c.b))+1) {
		var element T
		if each(&element); c.err != nil {
			return
		}
		*v = append(*v, element)
	}
	c.Check(int64(len(*v)) == n, "a list that is cut off")
}

// length visits the length of a slice; -1 stands for nil.
func length[T any](c *Codec, v []T) int64 {
	n := int64(len(v)) + 1
	if v == nil {
		n = 0
	}
	if Int(c, &n); n < 0 {
		c.fail("a length of %d", n-1)
		n = 0
	}
	return n - 1
}

// New allocates, when a state is read, the value to which a pointer in a list points.
func New[T any](c *Codec, v **T) *T {
	if c.reading {
		*v = new(T)
	}
	return *v
}
