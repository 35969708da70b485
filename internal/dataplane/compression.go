package dataplane

import (
	"time"

	"github.com/adit-vpn/adit/internal/compress"
	"github.com/adit-vpn/adit/internal/netdev"
)

// Compression is what PPP has agreed to compress on a session.
type Compression struct {
	Send, Receive compress.Codec
	Open          bool // CCP is open: what is sent is compressed
}

// codecs are what a session compresses and opens by. Sessions without compression have
// none. RFC 1979, section 2: where control packets are handled apart from others, "care
// must be taken to ensure that the transmitter synchronizes clearing the dictionary with
// the transmission of the configure-ACK or Reset-Ack that starts compression". So the data
// path looks at those packets of CCP as they pass.
type codecs struct {
	send    *compress.Sender   // nil: nothing
	receive *compress.Receiver // nil: nothing
	open    bool
	damaged limiter // NoteDamaged
}

const (
	damagedEvery, damagedBurst = 50 * time.Millisecond, 1

	// How many packets of a batch are opened before they are written, and the room
	// for each.
	plainBatch = 64
	plainLen   = netdev.HeadRoom + compress.MaxPacket

	pppCompressed  = compress.Protocol
	pppCCP         = 0x80fd // RFC 1962, section 2
	pppLastNetwork = 0x3fff // of the protocols that can be compressed

	// Codes of CCP that begin a history (RFC 1661, section 5; RFC 1962, section 3).
	codeConfigureAck = 2
	codeResetAck     = 15
)

// SetCompression says what may be compressed from now on. What stays as it is keeps its
// history. It and SetNetwork are called by one goroutine.
func (s *Session) SetCompression(c Compression) {
	was := s.codecs.Load()
	if was == nil {
		was = &codecs{}
	}
	now := &codecs{open: c.Open}
	if c.Send.Method != compress.None {
		if now.send = was.send; now.send == nil || now.send.Codec() != c.Send {
			now.send = compress.NewSender(c.Send)
		}
	}
	if c.Receive.Method != compress.None {
		if now.receive = was.receive; now.receive == nil || now.receive.Codec() != c.Receive {
			now.receive = compress.NewReceiver(c.Receive)
		}
	}
	if now.send == nil && now.receive == nil {
		now = nil
	}
	s.codecs.Store(now)
	if n := s.network.Load(); n != nil {
		network := *n
		network.overhead = s.overhead()
		s.network.Store(&network)
	}
}

// overhead is how much longer packets can become that are compressed in vain.
func (s *Session) overhead() int {
	if c := s.codecs.Load(); c != nil && c.send != nil && c.open {
		return c.send.Codec().Overhead()
	}
	return 0
}

// compress compresses the IP packet slab[at:at+n] in place. It returns the protocol and
// the length of what is there then.
func (x *transmitter) compress(c *codecs, at, n int, protocol uint16) (uint16, int) {
	if !c.open {
		c.send.Skip()
		return protocol, n
	}
	if x.encoder == nil {
		x.encoder = new(compress.Encoder)
	}
	m, ok := c.send.Pack(x.encoder, x.slab, at, n, MaxMTU, protocol)
	if !ok {
		return protocol, n
	}
	return pppCompressed, m
}

// sent looks at a PPP frame that the control plane sends.
func (s *Session) sent(frame []byte) {
	c := s.codecs.Load()
	if c == nil || c.send == nil {
		return
	}
	at, protocol, ok := pppOffset(frame)
	switch {
	case !ok:
	case protocol == pppCCP && begins(frame[at:]):
		c.send.Start()
	case isIP(protocol):
		c.send.Skip()
	}
}

// begins reports whether a packet of CCP begins a history behind it.
func begins(ccp []byte) bool {
	return len(ccp) > 0 && (ccp[0] == codeConfigureAck || ccp[0] == codeResetAck)
}

// uncompressed looks at a PPP frame that has come as it is. Its packet begins at at, behind
// the protocol.
func (c *codecs) uncompressed(frame []byte, at int, protocol uint16, late bool) {
	if c.receive == nil {
		return
	}
	switch {
	case protocol == pppCCP && begins(frame[at:]):
		c.receive.Start()
	case protocol <= 0xff:
		c.receive.Skip(frame[at-1:], late)
	case protocol <= pppLastNetwork:
		c.receive.Skip(frame[at-2:], late)
	}
}

// compressed opens a compressed packet of a session and passes it on.
func (r *receiver) compressed(o *arrivals, s *Session, c *codecs, b []byte, late bool) (Drop, bool) {
	buf := r.place()
	n, fault := c.receive.Open(r.decoder, buf[netdev.HeadRoom:], b, late)
	if fault != compress.Fine {
		if fault.Resets() && c.damaged.allow(r.now, damagedEvery, damagedBurst) {
			o.slot.inbox.Deliver(Note{Kind: NoteDamaged, Session: s.Local})
		}
		return dropCompressed(fault), false
	}
	r.used++
	end := netdev.HeadRoom + n
	at, protocol, ok := pppOffset(buf[netdev.HeadRoom:end])
	switch {
	case !ok || protocol > pppLastNetwork || protocol == pppCompressed:
		return DropPPP, false
	case !isIP(protocol):
		return o.tell(Note{Kind: NoteFrame, Session: s.Local, Data: buf[netdev.HeadRoom:end]})
	case !s.open(buf[netdev.HeadRoom+at : end]):
		r.early(o, s, buf[netdev.HeadRoom:end])
		return DropSource, false
	}
	return r.ip(buf, o, s, netdev.HeadRoom+at, end)
}

// place is room for a packet that is opened. If there is none, what is opened is written
// first.
func (r *receiver) place() []byte {
	if r.plain == nil {
		r.plain, r.decoder = make([]byte, plainBatch*plainLen), compress.NewDecoder()
	}
	if r.used == plainBatch {
		r.write()
	}
	return r.plain[r.used*plainLen : (r.used+1)*plainLen]
}

func dropCompressed(f compress.Fault) Drop {
	switch f {
	case compress.Late, compress.Lost:
		return DropHistory
	case compress.Damaged:
		return DropCompressed
	case compress.TooLong:
		return DropExpands
	case compress.Unasked, compress.Fine:
	}
	return DropUnasked
}
