package persona

import (
	"slices"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Oddities are what a client does that no client of its kind is known for, but
// that clients and what stands between do. A rule of the client is none.
type Oddities struct {
	// Padding is how many bytes follow every ISAKMP message in its datagram, or,
	// where it leaves in fragments, in what they are made of.
	Padding int

	// Extra are payloads behind those of a message, by its name: "message 3",
	// "message 5", "Quick Mode".
	Extra map[string][]wire.Payload

	// Broken is the name of a message whose last payload says that it is longer
	// than the message.
	Broken string

	// Slow is how long a message takes to make, by its name.
	Slow map[string]time.Duration

	AnyServer bool // IDcr says protocol 0 and port 0
	NoVendors bool // but NAT traversal's: message 1 is as short as can be

	// OneID, if not 0, is the message id of every exchange of phase 2.
	OneID uint32

	// Responds: the server may begin a Quick Mode. Its message 3 is dealt with so
	// much later, and the first Lost copies of it never are.
	Responds bool
	Late     time.Duration
	Lost     int

	// Notifies: a wrong hash in Aggressive Mode is answered with a notify that is
	// encrypted under the client's own keys. Else the client falls silent.
	Notifies bool
}

// pad puts bytes that mean nothing behind a message.
func (c *Client) pad(b []byte) []byte { return slices.Concat(b, c.random(c.Odd.Padding)) }

// vendorIDs are those of message 1.
func (c *Client) vendorIDs() [][]byte {
	if c.Odd.NoVendors {
		return [][]byte{vidRFC3947}
	}
	return c.IKE.Vendors
}

// odd adds the payloads that a message has beyond its own, when it is ready.
func (c *Client) odd(what string, list []wire.Payload) []wire.Payload {
	if d := c.Odd.Slow[what]; d > 0 {
		c.pause(d)
	}
	return append(list, c.Odd.Extra[what]...)
}

// chain joins the payloads of a message, and breaks it.
func (c *Client) chain(what string, list []wire.Payload) (first byte, b []byte) {
	list = c.odd(what, list)
	first, b = wire.Chain(list...)
	if c.Odd.Broken == what {
		last := len(b) - len(list[len(list)-1].Body) - 4
		b[last+2], b[last+3] = 0xff, 0xff
	}
	return first, b
}

// AskWith sends an R-U-THERE that names these cookies, of so many bytes as size
// says, and has this number. It returns how many answers came within a second.
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

// DeleteWith deletes SAs with a payload of the test's own: spi makes what follows
// the number of SPIs, of the SPI of the newest pair and of the cookies.
func (c *Client) DeleteWith(protocol, size byte, count uint16, spi func(in []byte, ci, cr [8]byte) []byte) {
	_ = c.do(func() {
		p := c.current()
		body := append([]byte{0, 0, 0, 1, protocol, size}, wire.U16(count)...)
		c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: append(body, spi(wire.U32(c.children[0].in.SPI), p.ci, p.cr)...)})
		c.pause(time.Second)
	})
}

// refuseHash ends Aggressive Mode over a wrong hash of the server's.
func (c *Client) refuseHash(p *phase1, gxi, gxr []byte) {
	if c.Odd.Notifies {
		p.five = p.keys.FirstIV(gxi, gxr)
		p.natt = true
		c.inform(p, wire.Payload{Type: wire.PayloadNotify, Body: []byte{0, 0, 0, 1, 1, 0, 0, 24}})
	}
	c.over("HASH_R is wrong: the server has another key for this group")
	panic(c.end)
}
