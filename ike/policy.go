package ike

import (
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Policy is what an administrator allows. It is immutable and may be shared.
type Policy struct {
	Suites    []Suite    // phase 1, most wanted first
	ESP       []ESPSuite // phase 2, most wanted first
	PFS       []Group    // groups that phase 2 may have if the peer wants one; nil: all known groups
	PSKs      []PSK      // all that are valid; at most MaxPSKs
	NATT      NATTMode
	Public    []netip.Addr // addresses that clients dial, in addition to our own
	VendorIDs []VendorID   // those to answer if the peer offered them

	// Aggressive makes a responder accept Aggressive Mode, and an initiator use
	// it.
	Aggressive bool

	// For peers with certificates: both are set or neither.
	Identity  *Identity
	Authority Authority

	// As initiator we ask for these lifetimes; as responder we obey the peer's.
	Lifetime      time.Duration // phase 1
	ChildLifetime time.Duration
	ChildKB       uint64

	DPDTimeout time.Duration // after a Probe was unanswered for this long the SA closes
}

// fragments reports whether we take messages in fragments.
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
	Group   Group // the agreed PFS group, 0: none; ignored in a Policy
}

// NATTMode says how NAT traversal is negotiated.
type NATTMode uint8

const (
	// NATTAlways pretends that the client is behind NAT, so that ESP always goes
	// in UDP.
	NATTAlways NATTMode = iota
	// NATTAuto tells both ends the truth, and allows raw ESP.
	NATTAuto
)

// Env is what an SA uses but does not own.
type Env struct {
	Policy *Policy
	Rand   io.Reader

	// NewSPI returns an unused inbound SPI, 0 if there is none left.
	NewSPI func() uint32

	// Addresses returns candidates for our own identity in addition to
	// Policy.Public and the local address: addresses that authenticated clients
	// dialled. May be nil.
	Addresses func() []netip.Addr

	// Cookie makes the responder cookie for the answer to a first message with
	// this initiator cookie on this path, so that a driver can find the Embryo
	// again without a table. It must be unpredictable and never zero. nil: cookies
	// are random.
	Cookie func(Path, [8]byte) [8]byte

	// Decoy is a secret from which keys are made, in Aggressive Mode, for groups
	// that do not exist. It must be known to nobody else.
	Decoy []byte

	// Carries reports whether ESP with this peer may carry an IP protocol other than
	// L2TP's UDP, as GRE. nil: it may not.
	Carries func(protocol uint8) bool

	// NATTPorts returns the path on which an initiator continues after it found or
	// feigned a NAT (RFC 3947, section 4). nil: port 4500 at both ends.
	NATTPorts func(Path) Path
}
