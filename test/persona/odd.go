package persona

import (
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Oddities are behaviour that is not known of any particular client, but does occur in
// clients and middleboxes. None of it is a rule of the client.
type Oddities struct {
	// Padding is how many bytes follow every ISAKMP message in its datagram or, if the
	// message is sent in fragments, in what is fragmented.
	Padding int

	// Extra are payloads after those of a message, by the message's name: "message 3",
	// "message 5", "Quick Mode".
	Extra map[string][]wire.Payload

	// Broken is the name of a message whose last payload has a length beyond the end of
	// the message.
	Broken string

	// Slow is how long it takes to make a message, by its name.
	Slow map[string]time.Duration

	AnyServer bool       // IDcr says protocol 0 and port 0
	ServerID  netip.Addr // IDcr says this address
	NoVendors bool       // only those of NAT traversal: message 1 is as short as possible

	// OneID, if not 0, is the message id of every phase 2 exchange.
	OneID uint32

	// Responds: the server may begin a Quick Mode. Its message 3 is handled after this
	// delay, and the first Lost copies of it are never handled.
	Responds bool
	Late     time.Duration
	Lost     int

	// Notifies: a wrong hash in Aggressive Mode is answered with a notify that is
	// encrypted under the client's own keys. Otherwise the client falls silent.
	Notifies bool
}

// pad appends meaningless bytes to a message.
func (c *Client) pad(b []byte) []byte { return slices.Concat(b, c.random(c.Odd.Padding)) }

// vendorIDs are those of message 1.
func (c *Client) vendorIDs() [][]byte {
	if c.Odd.NoVendors {
		return [][]byte{vidRFC3947}
	}
	return c.IKE.Vendors
}

// odd adds the extra payloads of a message when it is ready.
func (c *Client) odd(what string, list []wire.Payload) []wire.Payload {
	if d := c.Odd.Slow[what]; d > 0 {
		c.pause(d)
	}
	return append(list, c.Odd.Extra[what]...)
}

// chain joins the payloads of a message, and breaks the last one if that is wanted.
func (c *Client) chain(what string, list []wire.Payload) (first byte, b []byte) {
	list = c.odd(what, list)
	first, b = wire.Chain(list...)
	if c.Odd.Broken == what {
		last := len(b) - len(list[len(list)-1].Body) - 4
		b[last+2], b[last+3] = 0xff, 0xff
	}
	return first, b
}

// AskWith sends an R-U-THERE with these cookies, this SPI size and this sequence number.
// It returns how many answers came within a second.
func (c *Client) AskWith(cookies func(ci, cr [8]byte) []byte, size byte, seq uint32) (answers int) {
	_ = c.do(func() {
		p := c.current()
		body := append([]byte{0, 0, 0, 1, 1, size}, wire.U16(wire.RUThere)...)
		body = append(append(body, cookies(p.ci, p.cr)...), wire.U32(seq)...)
		before := len(c.stats.Acks)
		c.inform(p, wire.Payload{Type: wire.PayloadNotify, Body: body})
		c.pause(time.Second)
		answers = len(c.stats.Acks) - before
	})
	return answers
}

// DeleteWith deletes SAs with a payload of the test's own: spi returns what follows the
// number of SPIs, given the SPI of the newest pair and the cookies.
func (c *Client) DeleteWith(protocol, size byte, count uint16, spi func(in []byte, ci, cr [8]byte) []byte) {
	_ = c.do(func() {
		p := c.current()
		body := append([]byte{0, 0, 0, 1, protocol, size}, wire.U16(count)...)
		c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: append(body, spi(wire.U32(c.children[0].in.SPI), p.ci, p.cr)...)})
		c.pause(time.Second)
	})
}

// refuseHash ends Aggressive Mode because the server's hash is wrong.
func (c *Client) refuseHash(p *phase1, gxi, gxr []byte) {
	if c.Odd.Notifies {
		p.five = p.keys.FirstIV(gxi, gxr)
		p.natt = true
		c.inform(p, wire.Payload{Type: wire.PayloadNotify, Body: []byte{0, 0, 0, 1, 1, 0, 0, 24}})
	}
	c.over("HASH_R is wrong: the server has another key for this group")
	panic(c.end)
}
