package persona

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// receiveIKE passes a message to the exchange that waits for it.
func (c *Client) receiveIKE(b []byte, marker bool) {
	m, err := wire.ParseMessage(b)
	if err != nil {
		c.refuse("an ISAKMP message is malformed: %v", err)
	}
	p := c.find(m)
	if p == nil && c.Answers != nil && m.Exchange == wire.MainMode && m.Responder == [8]byte{} {
		c.called(m, b, marker)
		return
	}
	if p == nil {
		c.logf("< an ISAKMP message of an SA that is gone")
		return
	}
	if p.natt != marker && m.Flags&wire.Encrypted != 0 {
		c.refuse("phase 1 moved to port 4500 (RFC 3947 section 4), and a message of it came to port 500")
	}
	if m.First == wire.PayloadFragment {
		c.assemble(p, m, marker)
		return
	}
	switch m.Exchange {
	case wire.MainMode, wire.Aggressive:
		if p.last != nil {
			c.logf("< a repeated message of phase 1")
			if p.final != nil {
				c.sendIKE(p, p.final)
			}
			return
		}
		if p.cr != [8]byte{} && p.cr != m.Responder {
			c.refuse("a message of phase 1 has another responder cookie than message 2")
		}
		if encrypted := m.Flags&wire.Encrypted != 0; m.Exchange == wire.MainMode && encrypted != (p.keys != nil) {
			c.logf("< a late message of phase 1")
			return
		}
		if seen := len(p.seen) > 0 && bytes.Equal(p.seen, b); seen {
			c.logf("< a repeated message of phase 1")
			return
		}
		p.seen = bytes.Clone(b)
		p.queue = append(p.queue, incoming{m, b})
	case wire.QuickMode:
		c.receiveQuick(p, incoming{m, b})
	case wire.Informational:
		c.informed(p, m)
	default:
		c.refuse("exchange type %d was not begun", m.Exchange)
	}
}

// assemble takes a fragment of a message, and handles the message once the last fragment
// has come.
func (c *Client) assemble(p *phase1, m *wire.Message, marker bool) {
	list, err := wire.Payloads(m.First, m.Body)
	switch {
	case err != nil || len(list) != 1 || len(list[0].Body) < 4:
		c.refuse("a fragment is malformed: %v", err)
	case m.Flags&wire.Encrypted != 0:
		c.refuse("a fragment is itself not encrypted, and has the flag")
	case !slices.ContainsFunc(c.IKE.Vendors, func(v []byte) bool { return bytes.HasPrefix(v, vidFragments) }):
		c.refuse("a fragment came, and it does not offer to take any")
	}
	f := list[0].Body
	id, n, last := binary.BigEndian.Uint16(f), f[2], f[3]&1 != 0
	if p.parts == nil {
		p.parts = map[uint16]map[byte][]byte{}
	}
	if p.parts[id] == nil {
		p.parts[id] = map[byte][]byte{}
	}
	parts := p.parts[id]
	parts[n] = bytes.Clone(f[4:])
	if last {
		parts[0] = []byte{n}
	}
	if parts[0] == nil || len(parts) != int(parts[0][0])+1 {
		return
	}
	var whole []byte
	for i := byte(1); i <= parts[0][0]; i++ {
		whole = append(whole, parts[i]...)
	}
	delete(p.parts, id)
	c.receiveIKE(whole, marker)
}

func (c *Client) find(m *wire.Message) *phase1 {
	for _, p := range c.phases {
		if p.ci == m.Initiator && !p.gone {
			return p
		}
	}
	return nil
}

// inform sends an authenticated Informational message (RFC 2409 section 5.7).
func (c *Client) inform(p *phase1, payload wire.Payload) {
	id := c.messageID(p)
	_, chain := wire.Chain(payload)
	hash := p.keys.PRF(p.keys.A, wire.U32(id), chain)
	m := &wire.Message{Initiator: p.ci, Responder: p.cr, Exchange: wire.Informational, Flags: wire.Encrypted, ID: id}
	var plain []byte
	m.First, plain = wire.Chain(wire.Payload{Type: wire.PayloadHash, Body: hash}, payload)
	p.tapIKE(m, plain)
	m.Body, _ = p.keys.Encrypt(p.iv(id), plain)
	c.sendIKE(p, m.Marshal())
}

// messageID chooses a message id that no exchange under p has had: a message with a used
// id would count as a replay.
func (c *Client) messageID(p *phase1) uint32 {
	if c.Odd.OneID != 0 {
		return c.Odd.OneID
	}
	id := c.rand.Uint32() | 1
	for p.used[id] {
		id = c.rand.Uint32() | 1
	}
	p.use(id)
	return id
}

func (p *phase1) use(id uint32) {
	if p.used == nil {
		p.used = map[uint32]bool{}
	}
	p.used[id] = true
}

// iv is the first initialisation vector of a phase 2 exchange (RFC 2409
// appendix B).
func (p *phase1) iv(id uint32) []byte {
	last := p.last
	if last == nil {
		last = p.five // message 5 was refused
	}
	return p.keys.Sum(last, wire.U32(id))[:p.keys.BlockSize()]
}

// informed handles an Informational message.
func (c *Client) informed(p *phase1, m *wire.Message) {
	p.use(m.ID)
	if m.Flags&wire.Encrypted == 0 {
		c.informedInClear(p, m)
		return
	}
	if p.last == nil && p.five == nil {
		c.logf("< an encrypted notify before message 5")
		return
	}
	plain, _, err := p.keys.Decrypt(p.iv(m.ID), m.Body)
	if err != nil {
		c.refuse("an Informational message: %v", err)
	}
	list, err := wire.Payloads(m.First, plain)
	if p.last == nil && (err != nil || len(list) == 0 || list[0].Type != wire.PayloadHash) {
		c.logf("< a message that only one who has message 6 can read")
		return
	}
	if err != nil || len(list) < 2 || list[0].Type != wire.PayloadHash {
		c.refuse("an Informational message must have a HASH payload, first, and another (RFC 2409 section 5.7)")
	}
	_, rest := wire.Chain(list[1:]...)
	if !bytes.Equal(list[0].Body, p.keys.PRF(p.keys.A, wire.U32(m.ID), rest)) {
		c.refuse("the HASH of an Informational message is wrong (RFC 2409 section 5.7)")
	}
	for _, x := range list[1:] {
		switch x.Type {
		case wire.PayloadNotify:
			c.notified(p, x.Body)
		case wire.PayloadDelete:
			c.deleted(p, x.Body)
		}
	}
}

// informedInClear handles an unprotected notify: it can only end a phase 1 exchange that
// is not authenticated.
func (c *Client) informedInClear(p *phase1, m *wire.Message) {
	list, err := wire.Payloads(m.First, m.Body)
	if err != nil {
		c.refuse("a notify is malformed: %v", err)
	}
	for _, x := range list {
		if x.Type == wire.PayloadNotify && len(x.Body) >= 8 && p.last == nil {
			n := binary.BigEndian.Uint16(x.Body[6:])
			c.stats.Notifies = append(c.stats.Notifies, n)
			if n < 16384 {
				c.over("the server ended phase 1 with notify %d", n)
			}
		}
	}
}

func (c *Client) notified(p *phase1, b []byte) {
	if len(b) < 8 || len(b) < 8+int(b[5]) {
		c.refuse("a notify payload is malformed")
	}
	n := binary.BigEndian.Uint16(b[6:])
	c.logf("< notify %d", n)
	c.stats.Notifies = append(c.stats.Notifies, n)
	if n < 16384 && len(c.children) == 0 {
		c.over("the server refused %s with notify %d", map[bool]string{true: "message 5", false: "Quick Mode"}[p.last == nil], n)
	}
	switch n {
	case wire.RUThere:
		if !c.IKE.DPD {
			c.refuse("R-U-THERE must not be sent to a client that does not offer RFC 3706")
		}
		if b[5] != 16 || !bytes.Equal(b[8:16], p.ci[:]) || !bytes.Equal(b[16:24], p.cr[:]) || len(b) != 28 {
			c.refuse("an R-U-THERE must have both cookies and a sequence number of 4 bytes (RFC 3706 section 5.2)")
		}
		reply := bytes.Clone(b)
		binary.BigEndian.PutUint16(reply[6:], wire.RUThereAck)
		c.inform(p, wire.Payload{Type: wire.PayloadNotify, Body: reply})
	case wire.RUThereAck:
		if len(b) != 28 || !bytes.Equal(b[8:16], p.ci[:]) || !bytes.Equal(b[16:24], p.cr[:]) {
			c.refuse("an R-U-THERE-ACK must have both cookies and a sequence number of 4 bytes (RFC 3706 section 5.2)")
		}
		c.stats.Acks = append(c.stats.Acks, binary.BigEndian.Uint32(b[24:]))
	}
}

// deleted handles a DELETE payload (RFC 2408 section 3.15).
func (c *Client) deleted(p *phase1, b []byte) {
	if len(b) < 8 {
		c.refuse("a DELETE payload is malformed")
	}
	size, count := int(b[5]), int(binary.BigEndian.Uint16(b[6:]))
	if len(b) != 8+size*count {
		c.refuse("a DELETE payload with %d SPIs of %d bytes has %d bytes", count, size, len(b))
	}
	c.stats.Deleted += count
	switch b[4] {
	case 1:
		c.logf("< the server deletes phase 1")
		p.gone = true
	case 3:
		for i := range count {
			spi := binary.BigEndian.Uint32(b[8+4*i:])
			c.logf("< the server deletes SA %08x", spi)
			c.drop(func(k *child) bool { return k.out.SPI == spi })
		}
		if len(c.children) == 0 {
			c.over("the server deleted the last SA")
		}
	}
}

// remove sends a DELETE for SAs.
func (c *Client) remove(p *phase1, kids ...*child) {
	body := append([]byte{0, 0, 0, 1, 3, 4}, wire.U16(uint16(len(kids)))...)
	for _, k := range kids {
		body = append(body, wire.U32(k.in.SPI)...)
	}
	c.logf("> delete %d SAs", len(kids))
	c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: body})
}

// removePhase1 sends a DELETE for phase 1 and forgets it.
func (c *Client) removePhase1(p *phase1) {
	body := append([]byte{0, 0, 0, 1, 1, 16, 0, 1}, p.ci[:]...)
	c.logf("> delete phase 1")
	c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: append(body, p.cr[:]...)})
	p.gone = true
}
