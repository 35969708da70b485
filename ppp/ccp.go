package ppp

import (
	"encoding/binary"
	"time"
)

// CCP options (RFC 1962, section 4; RFC 2118, section 2; RFC 1979, section 3). Stac LZS,
// BSD Compress, Predictor and the number that drafts of Deflate had are rejected like every
// unknown option.
const (
	ccpMPPC    = 18
	ccpDeflate = 26
)

// mppcBit asks for compression, of the bits that MPPC and MPPE share (RFC 2118, section 2;
// RFC 3078, section 2). The others ask for encryption, which ESP provides.
const mppcBit = 0x00000001

// The data of Deflate's option: the window's binary logarithm less 8, and the method, in
// one byte; how loss is detected in the low bits of the other.
const (
	deflateMethod   = 8
	deflateSequence = 0

	minWindow = 8
	maxWindow = 15
)

// Compressor is a compression protocol.
type Compressor uint8

// The compression protocols.
const (
	CompressMPPC    Compressor = iota + 1 // RFC 2118
	CompressDeflate                       // RFC 1979
)

// Codec is what is agreed for one direction; the zero value: no compression.
type Codec struct {
	Compressor Compressor
	Window     uint8 // of Deflate: binary logarithm of the history's length
}

// ccpState is what CCP negotiates. RFC 1962, section 4: each side's request says what it
// can receive.
type ccpState struct {
	ncpState
	named   uint8      // of the configured protocols: those that the peer can receive, one bit each
	first   Compressor // of these, what its last request wants most
	refused uint8      // of the configured protocols: those that the peer does not send
	window  uint8      // of Deflate, that we ask for
	naked   unheeded
	asked   Codec       // in our last request: what the peer may send once it has acknowledged it
	agreed  Codec       // what the peer receives
	told    Compression // the last event

	reset   bool      // a Reset-Request is unanswered
	resetID byte      // of the last Reset-Request
	resetAt time.Time // when its last copy left
	resends int       // copies of it
	timer   time.Time // when the next copy leaves; zero: none does

	losses   int // of the peer's history, since lossesAt
	lossesAt time.Time
	deaf     bool // it was lost too often: the peer is not asked to compress again
}

// ccp is the CCP layer of a link. It exists if the configuration has compression.
//
// Deviation: as server we never begin. Windows rejects a server's CCP, and what nobody
// asks for need not be negotiated.
type ccp struct{ *Link }

func (y ccp) protocol() uint16  { return ProtocolCCP }
func (y ccp) auto() *automaton  { return &y.s.ccp.automaton }
func (y ccp) common() *ncpState { return &y.s.ccp.ncpState }

// begin clears what an earlier negotiation agreed. What the peer can receive stays known:
// the request that begins the new one has said it.
func (y ccp) begin() {
	s := y.s.ccp
	s.refused, s.window, s.naked = 0, maxWindow, unheeded{}
	s.asked, s.agreed, s.reset, s.timer = Codec{}, Codec{}, false, time.Time{}
}

// options composes our Configure-Request, of one option at most, so that the peer's
// acknowledgement leaves no doubt. The data path is told first: the peer's first compressed
// packet may follow its acknowledgement at once.
func (y ccp) options() []byte {
	s := y.s.ccp
	s.asked = Codec{Compressor: y.wish()}
	b := []byte{}
	switch s.asked.Compressor {
	case CompressMPPC:
		b = appendOption32(b, ccpMPPC, mppcBit)
	case CompressDeflate:
		s.asked.Window = s.window
		b = append(b, deflateOption(s.window)...)
	}
	y.tell()
	return b
}

// wish is what we ask the peer to send: what it has asked for itself, otherwise what it
// can receive. As client, it is what the configuration prefers.
func (y ccp) wish() Compressor {
	s := y.s.ccp
	if s.deaf {
		return 0
	}
	if s.first != 0 && s.refused&(1<<s.first) == 0 {
		return s.first
	}
	for _, c := range y.env.Config.Compression {
		if s.refused&(1<<c) == 0 && (y.env.Config.Client || s.named&(1<<c) != 0) {
			return c
		}
	}
	return 0
}

// judge decides about the peer's Configure-Request: the first option that we can do as it
// is, otherwise the first that we can do with another value. All others are rejected, since
// a packet is compressed once.
func (y ccp) judge(opts []option) (byte, []byte) {
	s := y.s.ccp
	s.first = 0
	v := newVerdict(y.Link, y)
	chosen, better := -1, []byte(nil)
	for i, o := range opts {
		c, want := y.know(o)
		if c == 0 {
			continue
		}
		s.named |= 1 << c
		if chosen < 0 || better != nil && want == nil {
			chosen, better, s.first = i, want, c
		}
	}
	for i, o := range opts {
		switch {
		case i != chosen:
			v.reject(o)
		case better != nil:
			v.nak(o, better)
		}
	}
	return v.result()
}

// unneeded rejects a request that has nothing which we could do, if none before it had, and
// reports whether it did. Nothing else happens: the peer may ask for something else next.
// One that goes on and on is told that we have no CCP.
//
// Deviation: in Stopped the table begins the negotiation by a request of our own, which
// would have no option.
func (y ccp) unneeded(in stimulus) bool {
	a := y.auto()
	if a.state != stopped || in.replyCode != codeConfigureReject || y.s.ccp.named != 0 {
		return false
	}
	if a.refused++; a.refused < maxRefusals {
		y.send(ProtocolCCP, in.replyCode, in.id, in.reply)
		return true
	}
	y.abandon()
	y.rejectProtocol(ProtocolCCP, in.whole)
	return true
}

// know returns which of the configured protocols an option asks for, and the option that
// we can agree to; nil: this one.
func (y ccp) know(o option) (c Compressor, want []byte) {
	switch {
	case o.kind == ccpMPPC && len(o.data) == 4 && y.compresses(CompressMPPC):
		switch bits := binary.BigEndian.Uint32(o.data); {
		case bits == mppcBit:
			return CompressMPPC, nil
		case bits&mppcBit != 0:
			return CompressMPPC, appendOption32(nil, ccpMPPC, mppcBit)
		}
	case o.kind == ccpDeflate && len(o.data) == 2 && y.compresses(CompressDeflate):
		if o.data[0]&0x0f == deflateMethod && o.data[1]&3 == deflateSequence && window(o) <= maxWindow {
			return CompressDeflate, nil
		}
		return CompressDeflate, deflateOption(maxWindow)
	}
	return 0, nil
}

// compresses tells whether the configuration includes c.
func (l *Link) compresses(c Compressor) bool {
	for _, have := range l.env.Config.Compression {
		if have == c {
			return true
		}
	}
	return false
}

func deflateOption(window uint8) []byte {
	return appendOption(nil, ccpDeflate, (window-minWindow)<<4|deflateMethod, deflateSequence)
}

// window is the binary logarithm of the window that an option of Deflate names.
func window(o option) uint8 { return o.data[0]>>4 + minWindow }

// accept applies the option that we acknowledge.
func (y ccp) accept(opts []option) {
	s := y.s.ccp
	s.agreed = Codec{}
	for _, o := range opts {
		switch c, _ := y.know(o); c {
		case CompressMPPC:
			s.agreed = Codec{Compressor: c}
		case CompressDeflate:
			s.agreed = Codec{Compressor: c, Window: window(o)}
		}
	}
	y.tell()
}

// naked takes a smaller window; any other wish ends that protocol for this direction.
func (y ccp) naked(_ time.Time, opts []option) {
	s := y.s.ccp
	for _, o := range opts {
		taken := false
		if o.kind == ccpDeflate && len(o.data) == 2 && o.data[0]&0x0f == deflateMethod {
			if taken = window(o) < s.window; taken {
				s.window = window(o)
			}
		}
		if s.naked.spent(taken) || !taken {
			s.refuse(o.kind)
		}
	}
}

// rejected leaves out what the peer rejects.
func (y ccp) rejected(_ time.Time, opts []option) {
	for _, o := range opts {
		y.s.ccp.refuse(o.kind)
	}
}

func (s *ccpState) refuse(kind byte) {
	switch kind {
	case ccpMPPC:
		s.refused |= 1 << CompressMPPC
	case ccpDeflate:
		s.refused |= 1 << CompressDeflate
	}
}

// tell emits what is agreed now, if that has changed.
func (y ccp) tell() {
	s := y.s.ccp
	now := Compression{Send: s.agreed, Receive: s.asked, Open: s.up}
	if now != s.told {
		s.told = now
		y.emit(now)
	}
}

func (y ccp) closed() Event { return Compression{} }

// up is CCP's This-Layer-Up: packets may be compressed (RFC 1962, section 2.1).
func (y ccp) up(time.Time) {
	y.s.ccp.up, y.s.ccp.failed = true, false
	y.tell()
}

// down is CCP's This-Layer-Down.
func (y ccp) down(time.Time) {
	s := y.s.ccp
	s.up = false
	s.automaton.forget()
	y.begin()
	y.tell()
}

// finished is CCP's This-Layer-Finished: the link goes on without compression.
func (y ccp) finished(now time.Time, _ trigger) {
	s := y.s.ccp
	s.failed = true
	y.begin()
	y.tell()
	if s.automaton.state.timed() && s.automaton.state != closing { // it did not converge
		y.fire(now, y, evClose, stimulus{})
	}
}

// abandon ends CCP without another packet: the peer has rejected the protocol, and "MUST
// stop sending packets of the indicated Protocol-Field" is said to us (RFC 1661, section
// 5.7). From now on we reject it, too.
func (y ccp) abandon() {
	*y.s.ccp = ccpState{told: y.s.ccp.told}
	y.tell()
}
