package ike

import (
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Policy is what an administrator allows. It is immutable and shared.
type Policy struct {
	Suites    []Suite    // phase 1, most wanted first
	ESP       []ESPSuite // phase 2, most wanted first
	PFS       []Group    // groups that phase 2 may have, if the peer wants one; nil: all that are known
	PSKs      []PSK      // all live; at most MaxPSKs
	NATT      NATTMode
	Public    []netip.Addr // addresses that clients dial, beside our own
	VendorIDs []VendorID   // which to answer where the peer offered them

	// Aggressive admits Aggressive Mode, as responder, and chooses it, as
	// initiator.
	Aggressive bool

	// For peers with certificates: both or neither.
	Identity  *Identity
	Authority Authority

	// As initiator we ask for these; as responder we obey the peer's.
	Lifetime      time.Duration // phase 1
	ChildLifetime time.Duration
	ChildKB       uint64

	DPDTimeout time.Duration // a Probe without an answer for so long closes the SA
}

// fragments reports whether messages in fragments are taken.
func (p *Policy) fragments() bool { return slices.Contains(p.VendorIDs, VendorFragmentation) }

// PSK is one pre-shared key.
type PSK struct {
	Name  string // for logs and status, never the key
	Key   secret.Bytes
	Group string // admits only this group's users; "": any
}

// MaxPSKs bounds the trials that one message 5 may cost.
const MaxPSKs = 64

// Suite is a phase-1 suite.
type Suite struct {
	Cipher  Cipher
	KeyBits int // 128, 192 or 256 for AES, 0 for 3DES
	Hash    Hash
	Group   Group
}

// ESPSuite is a phase-2 suite. Auth is ESPAuthNone for AEAD ciphers.
type ESPSuite struct {
	Cipher  ESPCipher
	KeyBits int // 128, 192 or 256; 0 for 3DES
	Auth    ESPAuth
	Group   Group // PFS group that was agreed, 0: none; ignored in a Policy
}

// NATTMode says how NAT traversal is negotiated.
type NATTMode uint8

const (
	// NATTAlways feigns that the client is behind NAT: ESP always goes in UDP.
	NATTAlways NATTMode = iota
	// NATTAuto tells both ends the truth, and allows raw ESP.
	NATTAuto
)

// Env is what an SA is given and does not own.
type Env struct {
	Policy *Policy
	Rand   io.Reader

	// NewSPI returns an unused inbound SPI, 0 if there is none left.
	NewSPI func() uint32

	// Addresses returns candidates for our own identity beside Policy.Public
	// and the local address: those that authenticated clients dialled. May be nil.
	Addresses func() []netip.Addr

	// Cookie makes the responder cookie that answers a first message of this
	// initiator cookie and path, so that a driver can find the Embryo again
	// without a table. It must be unpredictable and never zero; nil: random.
	Cookie func(Path, [8]byte) [8]byte

	// Decoy is a secret from which keys are made for groups that do not exist,
	// in Aggressive Mode. Nobody else may know it.
	Decoy []byte

	// NATTPorts returns the path on which an initiator goes on once it found
	// or feigned a NAT (RFC 3947, section 4). nil: port 4500 at both ends.
	NATTPorts func(Path) Path
}
