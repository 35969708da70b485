package ipsec

import (
	"sync"
	"sync/atomic"

	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

// Inbound is the SA of one receiving direction. Several Openers may open its
// packets at the same time.
type Inbound struct {
	Usage

	// UseNoted lets the caller report the SA's first packet only once.
	UseNoted Latch

	spi      uint32
	suite    Suite
	protocol uint8 // what is inside

	mu     sync.Mutex
	dead   bool
	users  int           // packets between admission and commitment, which read the keys
	keys   expanded      // zeroed under mu when there are no users
	form   atomic.Uint32 // an icvForm; changes under mu only
	window window
}

// icvForm is the length of ICV that the peer has been seen to use.
type icvForm = uint32

const (
	formUnknown icvForm = iota
	formTruncated
	formWhole // for good: nobody but the peer can make a whole one
)

// NewInbound returns an SA that receives on spi, with an anti-replay window of
// that many packets, 0 for DefaultWindow. It keeps no reference to k. An error
// is an ErrSuite.
func NewInbound(spi uint32, s Suite, k Keys, window int) (*Inbound, error) {
	if err := s.check(k); err != nil {
		return nil, err
	}
	keys, err := expand(s, k, lanes.Decrypt)
	if err != nil {
		return nil, err
	}
	return &Inbound{spi: spi, suite: s, protocol: nextHeaderUDP, keys: keys, window: newWindow(window)}, nil
}

// Carry makes the SA carry another IP protocol than UDP, alone: in transport mode, what
// was agreed for it (RFC 4303, section 2.6). Call it before the SA is used.
func (in *Inbound) Carry(protocol uint8) { in.protocol = protocol }

// Protocol is the IP protocol that the SA carries.
func (in *Inbound) Protocol() uint8 { return in.protocol }

// SPI is our SPI, which the peer's packets carry.
func (in *Inbound) SPI() uint32 { return in.spi }

// Suite is what protects the SA.
func (in *Inbound) Suite() Suite { return in.suite }

// Truncated reports whether the peer was seen to truncate HMAC-SHA2-256 to 96
// bits, and never not to. Its Outbound should then do so too: SetTruncated.
func (in *Inbound) Truncated() bool { return in.form.Load() == formTruncated }

// Retire ends the SA: packets that are not yet past the window are dropped.
// The key material that belongs to this package is zeroed, once no Opener is
// reading it.
func (in *Inbound) Retire() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.dead = true
	in.zero()
}

func (in *Inbound) zero() {
	if in.dead && in.users == 0 {
		in.keys.zero()
	}
}

// icvLen returns the length of the ICV in an ESP packet of n bytes, or false
// if no packet of the suite has that length.
//
// Deviation: RFC 4868 has 128 bits. Android before 12, and kernels older than
// the RFC, truncate HMAC-SHA2-256 to 96 bits. After SPI, sequence number and
// IV there are whole blocks, so only one of the two lengths can leave a whole
// number of them: the packet's length decides. A whole ICV ends the search:
// before that, an attacker can make a truncated one by cutting four bytes off a packet.
// Called with the lock held.
func (in *Inbound) icvLen(n int) (int, bool) {
	head, block, icv := in.suite.HeadRoom(), in.suite.blockLen(), in.suite.icvLen()
	whole := func(icv int) bool { return n >= head+block+icv && (n-head-icv)&(block-1) == 0 }
	if whole(icv) {
		return icv, true
	}
	if in.suite.Auth == HMACSHA256_128 && in.form.Load() != formWhole && whole(truncatedICVLen) {
		return truncatedICVLen, true
	}
	return 0, false
}

// learn draws a conclusion from the ICV of an authentic packet. Called with the
// lock held.
func (in *Inbound) learn(icv int) {
	form := formWhole
	if icv != in.suite.icvLen() {
		form = formTruncated
	}
	if in.form.Load() < form {
		in.form.Store(form)
	}
}
