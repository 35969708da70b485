package ike

import (
	"crypto"
	"net/netip"
	"time"
)

// Identity is our own certificate and its key. A Policy without an Identity uses
// pre-shared keys only.
type Identity struct {
	Chain   [][]byte // DER, our own certificate first, then intermediates
	Subject []byte   // DER of our certificate's subject
	Key     crypto.Signer
}

// Authority judges peers' certificates. Its methods are safe for concurrent use.
type Authority interface {
	// Verify checks a peer's certificates in the order in which they came, in DER.
	// The peer's own is normally the first, and there may be none. An error says
	// what is wrong with them, for the administrator.
	Verify(now time.Time, certs [][]byte) (PeerCert, error)

	// Names are the DER subject names of the authorities, for certificate
	// requests.
	Names() [][]byte
}

// PeerCert is a certificate that an Authority accepted.
type PeerCert struct {
	Name  string // for logs and status
	Group string // admits only this group's users; "": any

	// The names that the certificate gives its owner. The peer's identification
	// must be one of them.
	Subject []byte   // DER
	DNS     []string // subject alternative names
	Emails  []string
	IPs     []netip.Addr

	PublicKey   crypto.PublicKey
	Fingerprint [32]byte // SHA-256 of the certificate
}
