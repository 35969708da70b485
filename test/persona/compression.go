package persona

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// compressed is the protocol of compressed packets (RFC 1962 section 2.1).
const compressed = 0x00fd

// Options and codes of CCP.
const (
	optMPPC    = 18
	optDeflate = 26

	codeResetReq = 14
	codeResetAck = 15
)

// CompressionStats count what a client had of compression.
type CompressionStats struct {
	Sent, Received        int // packets that were compressed
	SentLen, ReceivedLen  int // bytes of these, compressed
	SentOf, ReceivedOf    int // and before, or after
	Asked, Answered, Lost int // Reset-Requests to the server and from it, packets that could not be opened
}

// coders are what a link compresses by, each way: as its peers do, with a history.
type coders struct {
	out, in          byte // the option that was agreed, 0: none
	outMPPC, inMPPC  wire.MPPC
	outFlate, inFlat wire.Deflate
	resetID          byte
	resetting        bool
	stats            CompressionStats
}

// judgeCCP acknowledges a request for one thing that the client can do.
func (c *Client) judgeCCP(list []wire.Option) (byte, []wire.Option) {
	var rejected []wire.Option
	for i, o := range list {
		mppc := o.Type == optMPPC && bytes.Equal(o.Value, wire.U32(1))
		deflate := o.Type == optDeflate && bytes.Equal(o.Value, []byte{0x78, 0})
		asks := slices.ContainsFunc(c.PPP.CCP, func(x wire.Option) bool { return x.Type == o.Type })
		switch {
		case !mppc && !deflate || !asks:
			rejected = append(rejected, o)
		case i > 0:
			c.refuse("the server asks for two things by CCP: %v", list)
		}
	}
	if rejected != nil {
		return wire.ConfRej, rejected
	}
	return wire.ConfAck, nil
}

// sends says that the client has acknowledged what the server can receive.
func (k *coders) sends(list []wire.Option) {
	k.out, k.outMPPC, k.outFlate = 0, wire.MPPC{}, wire.Deflate{}
	if len(list) > 0 {
		k.out = list[0].Type
	}
}

// receives says that the server has acknowledged what the client can receive.
func (k *coders) receives(list []wire.Option) {
	k.in, k.inMPPC, k.inFlat = 0, wire.MPPC{}, wire.Deflate{}
	if len(list) > 0 {
		k.in = list[0].Type
	}
}

// pack compresses a packet, as soon as CCP is open.
func (l *link) pack(protocol uint16, body []byte) (uint16, []byte) {
	k := &l.coders
	if k.out == 0 || protocol > 0xff {
		return protocol, body
	}
	data := append([]byte{byte(protocol)}, body...)
	var packet []byte
	shorter, open := true, l.cps[wire.CCP].opened()
	switch {
	case k.out == optDeflate:
		packet, shorter = k.outFlate.Pack(data) // is counted, whether it is sent so or not
	case open:
		packet = k.outMPPC.Pack(data, true)
	}
	if !open || !shorter {
		return protocol, body
	}
	k.stats.Sent++
	k.stats.SentLen += len(packet)
	k.stats.SentOf += len(body)
	return compressed, packet
}

// unpack opens a compressed packet, and reports whether it could.
func (c *Client) unpack(b []byte) (protocol uint16, body []byte, ok bool) {
	k := &c.link.coders
	var data []byte
	err := errors.New("nothing was agreed on")
	switch k.in {
	case optMPPC:
		data, err = k.inMPPC.Open(b)
	case optDeflate:
		data, err = k.inFlat.Open(b)
	}
	switch {
	case errors.Is(err, wire.ErrMPPCCount), errors.Is(err, wire.ErrDeflateSequence):
		k.stats.Lost++
		c.askReset()
		return 0, nil, false
	case err != nil:
		c.refuse("a compressed packet cannot be opened: %v: %x", err, b)
	}
	protocol, body, _, err = wire.ParseFrame(append([]byte{0xff, 3}, data...))
	if err != nil || protocol > 0x3fff {
		c.refuse("a compressed packet has the protocol %04x: %v", protocol, err)
	}
	k.stats.Received++
	k.stats.ReceivedLen += len(b)
	k.stats.ReceivedOf += len(body)
	return protocol, body, true
}

// skip takes note of a packet that came as it is.
func (k *coders) skip(protocol uint16, body []byte) {
	if k.in == optDeflate && protocol <= 0xff {
		k.inFlat.Skip(append([]byte{byte(protocol)}, body...))
	}
}

// askReset asks the server to begin anew, once until it does.
func (c *Client) askReset() {
	k := &c.link.coders
	if k.resetting {
		return
	}
	k.resetting = true
	k.resetID = c.nextID(wire.CCP)
	k.stats.Asked++
	c.sendCP(wire.CCP, wire.CP{Code: codeResetReq, ID: k.resetID})
	c.after(time.Second, func() { k.resetting = false }) // as pppd repeats it
}

// ccpPacket handles what only CCP has.
func (c *Client) ccpPacket(p wire.CP) {
	k := &c.link.coders
	switch {
	case p.Code == codeResetReq && k.out == optMPPC:
		k.stats.Answered++
		k.outMPPC.Flush() // "synchronization is achieved without a CCP Reset-Ack" (RFC 2118 section 4.3)
	case p.Code == codeResetReq && k.out == optDeflate:
		k.stats.Answered++
		c.sendCP(wire.CCP, wire.CP{Code: codeResetAck, ID: p.ID, Body: p.Body})
		k.outFlate = wire.Deflate{}
	case p.Code == codeResetAck && k.in == optDeflate && p.ID == k.resetID:
		k.inFlat, k.resetting = wire.Deflate{}, false
	default:
		c.refuse("CCP code %d, id %d, was not asked for", p.Code, p.ID)
	}
}

// Compression is what the client had of compression.
func (c *Client) Compression() (s CompressionStats) {
	_ = c.do(func() { s = c.link.coders.stats })
	return s
}
