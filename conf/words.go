package conf

import (
	"fmt"
	"slices"
	"strings"
)

// Mode is how clients are joined to the networks behind the server.
type Mode string

// The modes.
const (
	TUN Mode = "tun" // a routed network
	TAP Mode = "tap" // the office network itself
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error { return oneOf(m, "network.mode", text, TUN, TAP) }

// Conflict says what becomes of a session whose address a pool has given it, when a user comes
// who has that address by name.
type Conflict string

// The values of network.on_conflict.
const (
	ConflictEnd    Conflict = "end"    // it ends
	ConflictRefuse Conflict = "refuse" // it stays, and the user is refused
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (x *Conflict) UnmarshalText(text []byte) error {
	return oneOf(x, "network.on_conflict", text, ConflictEnd, ConflictRefuse)
}

// NATTraversal says when ESP is encapsulated in UDP.
type NATTraversal string

// The values of ipsec.nat_traversal.
const (
	NATAlways NATTraversal = "always"
	NATAuto   NATTraversal = "auto" // where there is a NAT
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *NATTraversal) UnmarshalText(text []byte) error {
	return oneOf(n, "ipsec.nat_traversal", text, NATAlways, NATAuto)
}

// VendorID is what an administrator calls a vendor ID, or a family of them.
type VendorID string

// VendorIDs are the words that ipsec.vendor_ids may have.
var VendorIDs = []VendorID{"nat-t", "dpd", "fragmentation", "ms", "initial-contact"}

// vendorNATT is the one that NAT traversal is announced by.
const vendorNATT VendorID = "nat-t"

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *VendorID) UnmarshalText(text []byte) error {
	return oneOf(v, "ipsec.vendor_ids", text, VendorIDs...)
}

// Method is an authentication method of PPP.
type Method string

// The methods.
const (
	MSCHAPv2 Method = "mschapv2"
	CHAP     Method = "chap"
	PAP      Method = "pap"
	EAP      Method = "eap"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Method) UnmarshalText(text []byte) error {
	return oneOf(m, "auth.methods", text, MSCHAPv2, EAP, CHAP, PAP)
}

// EAPMethod is a method of EAP that the server has for local users.
type EAPMethod string

// The methods of EAP.
const (
	EAPMSCHAPv2 EAPMethod = "mschapv2"
	EAPTLS      EAPMethod = "tls"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *EAPMethod) UnmarshalText(text []byte) error {
	return oneOf(m, "auth.eap", text, EAPMSCHAPv2, EAPTLS)
}

// Compression is a compression protocol of PPP.
type Compression string

// The compression protocols.
const (
	MPPC    Compression = "mppc"
	Deflate Compression = "deflate"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Compression) UnmarshalText(text []byte) error {
	return oneOf(m, "ppp.compression", text, MPPC, Deflate)
}

// Backend is who authenticates users.
type Backend string

// The backends.
const (
	BackendLocal  Backend = "local"
	BackendRadius Backend = "radius"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Backend) UnmarshalText(text []byte) error {
	return oneOf(b, "auth.backend", text, BackendLocal, BackendRadius)
}

// Level is the least important kind of lines that are logged.
type Level string

// The levels.
const (
	LevelError Level = "error"
	LevelWarn  Level = "warn"
	LevelInfo  Level = "info"
	LevelDebug Level = "debug"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	return oneOf(l, "log.level", text, LevelError, LevelWarn, LevelInfo, LevelDebug)
}

// Format is the form of lines in the log.
type Format string

// The formats.
const (
	FormatAuto Format = "auto"
	FormatText Format = "text"
	FormatJSON Format = "json"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Format) UnmarshalText(text []byte) error {
	return oneOf(f, "log.format", text, FormatAuto, FormatText, FormatJSON)
}

// NamePart is a part of a user's name.
type NamePart string

// The values of auth.strip.
const (
	NameDomain NamePart = "domain"
	NameRealm  NamePart = "realm"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *NamePart) UnmarshalText(text []byte) error {
	return oneOf(n, "auth.strip", text, NameDomain, NameRealm)
}

// Excess is what becomes of a user's session beyond the limit.
type Excess string

// The values of limits.on_excess.
const (
	ExcessDeny    Excess = "deny"
	ExcessReplace Excess = "replace"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Excess) UnmarshalText(text []byte) error {
	return oneOf(e, "limits.on_excess", text, ExcessDeny, ExcessReplace)
}

// later are values whose feature does not exist yet.
var later = map[string]string{
	"network.mode=user": "user-space networking is not built yet: use tun or tap",
}

// oneOf reads one of the words that a key may have.
func oneOf[W ~string](w *W, key string, text []byte, words ...W) error {
	if why, ok := later[key+"="+string(text)]; ok {
		return fmt.Errorf("%s", why)
	}
	if !slices.Contains(words, W(text)) {
		names := make([]string, len(words))
		for i, word := range words {
			names[i] = string(word)
		}
		return fmt.Errorf("%q is not one of %s", text, strings.Join(names, ", "))
	}
	*w = W(text)
	return nil
}
