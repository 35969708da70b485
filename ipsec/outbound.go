package ipsec

import (
	"sync"
	"sync/atomic"

	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

// Outbound is the SA of one sending direction.
//
// Seal numbers packets, and the numbers must reach the wire in order: who
// seals calls Lock first and Unlock when the packets are written.
type Outbound struct {
	Usage

	spi      uint32
	suite    Suite
	protocol uint8 // what is inside

	mu        sync.Mutex
	dead      bool
	truncated atomic.Bool // changes under mu only
	seq       uint64      // the last one used
	keys      expanded    // zeroed under mu
}

// NewOutbound returns an SA that sends to spi. It keeps no reference to k. An
// error is an ErrSuite.
func NewOutbound(spi uint32, s Suite, k Keys) (*Outbound, error) {
	if err := s.check(k); err != nil {
		return nil, err
	}
	keys, err := expand(s, k, lanes.Encrypt)
	if err != nil {
		return nil, err
	}
	return &Outbound{spi: spi, suite: s, protocol: nextHeaderUDP, keys: keys}, nil
}

// Carry makes the SA carry another IP protocol than UDP, alone. Call it before the SA is
// used.
func (o *Outbound) Carry(protocol uint8) { o.protocol = protocol }

// Protocol is the IP protocol that the SA carries.
func (o *Outbound) Protocol() uint8 { return o.protocol }

// SPI is the peer's SPI.
func (o *Outbound) SPI() uint32 { return o.spi }

// Suite is what protects the SA.
func (o *Outbound) Suite() Suite { return o.suite }

// Lock excludes every other sealer, until the sealed packets are written.
func (o *Outbound) Lock() { o.mu.Lock() }

// Unlock lets the next sealer in.
func (o *Outbound) Unlock() { o.mu.Unlock() }

// SetTruncated makes later packets carry an ICV of 96 bits, or no longer, where
// the suite has HMAC-SHA2-256 (see Inbound.Truncated). Elsewhere it changes
// nothing.
func (o *Outbound) SetTruncated(on bool) {
	if o.suite.Auth != HMACSHA256_128 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.truncated.Store(on)
}

// Truncated reports whether packets carry an ICV of 96 bits.
func (o *Outbound) Truncated() bool { return o.truncated.Load() }

// Retire ends the SA: what is sealed from now on is dropped. The key material
// that belongs to this package is zeroed.
func (o *Outbound) Retire() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dead = true
	o.keys.zero()
}

// Overhead is how many bytes ESP adds now to a payload of that many bytes. The
// caller holds the lock.
func (o *Outbound) Overhead(payload int) int {
	return o.suite.Overhead(payload) - o.suite.icvLen() + o.icvLen()
}

func (o *Outbound) icvLen() int {
	if o.truncated.Load() {
		return truncatedICVLen
	}
	return o.suite.icvLen()
}
