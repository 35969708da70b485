// Package secret holds bytes that must never be shown.
package secret

import (
	"crypto/subtle"
	"fmt"
)

// Redacted is what every format of a Bytes prints.
const Redacted = "[secret]"

// Bytes is a secret: a key, a password, a shared secret. Every way of
// printing or encoding it yields Redacted. The zero value is the empty secret.
// It is not safe for concurrent use with Zero.
type Bytes struct{ b []byte }

// New returns a secret that owns a copy of b.
func New(b []byte) Bytes { return Bytes{append([]byte(nil), b...)} }

// String returns a secret with the bytes of s.
func String(s string) Bytes { return Bytes{[]byte(s)} }

// Reveal returns the bytes themselves, not a copy. Whoever calls it must not
// let them reach a log, an error, a metric or a command line.
func (s Bytes) Reveal() []byte { return s.b }

// Len is the length of the secret in bytes.
func (s Bytes) Len() int { return len(s.b) }

// Equal compares in constant time for secrets of equal length.
func (s Bytes) Equal(t Bytes) bool { return subtle.ConstantTimeCompare(s.b, t.b) == 1 }

// Zero overwrites the bytes. Copies of s share them and are zeroed too.
func (s Bytes) Zero() { clear(s.b) }

// Format implements fmt.Formatter for every verb.
func (s Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// String implements fmt.Stringer.
func (s Bytes) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (s Bytes) GoString() string { return Redacted }

// MarshalText implements encoding.TextMarshaler, and with it JSON and TOML.
func (s Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalText implements encoding.TextUnmarshaler: secrets are read from
// configuration as they stand.
func (s *Bytes) UnmarshalText(b []byte) error {
	*s = New(b)
	return nil
}
