package persona

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// tunnel is the control connection and its only session.
type tunnel struct {
	local, remote    uint16
	session, distant uint16 // session ids, ours and the server's

	ns, nr  uint16 // the next to send, and the next expected
	acked   uint16 // what the server expects next, as far as we know
	told    uint16 // the highest Nr that the server may have seen
	window  int    // the server's
	sending []*control
	in      []*wire.Control
	ack     *timer
	callUp  bool // PPP frames are accepted
	closed  bool
}

// control is a control message that has not been acknowledged.
type control struct {
	*wire.Control
	what   string
	copies [][]byte
	repeat *timer
}

// order sends a control message reliably (RFC 2661 section 5.8).
func (c *Client) order(session uint16, what string, t uint16, avps ...wire.AVP) {
	if c.L2TP.Hide {
		avps = wire.Hide(c.L2TP.Secret, []byte(what), int(c.tun.ns%20), avps)
	}
	m := &control{what: what, Control: &wire.Control{
		Tunnel: c.tun.remote, Session: session, Ns: c.tun.ns, AVPs: append([]wire.AVP{wire.M(0, wire.U16(t)...)}, avps...),
	}}
	c.tun.ns++
	c.logf("> %s", what)
	c.tun.sending = append(c.tun.sending, m)
	c.flush()
}

// flush sends what the server's window allows.
func (c *Client) flush() {
	for i, m := range c.tun.sending {
		if i < c.tun.window && m.copies == nil {
			c.transmit(m)
		}
	}
}

// transmit sends a control message, and repeats it until it is acknowledged.
func (c *Client) transmit(m *control) {
	m.Nr = c.tun.nr
	m.copies = append(m.copies, c.sendControl(m.Control))
	c.tun.acknowledges()
	n := len(m.copies)
	m.repeat = c.after(c.L2TP.Retry[n-1], func() {
		if n == len(c.L2TP.Retry) {
			panic(&GaveUp{What: m.what, Copies: m.copies, Answers: c.isControl(func(r *wire.Control) bool { return int16(r.Nr-m.Ns) > 0 })})
		}
		c.transmit(m)
	})
}

// sendControl sends a control message in this client's encoding.
func (c *Client) sendControl(m *wire.Control) []byte {
	sent := *m
	if c.L2TP.IDs != nil && (m.Tunnel != 0 || c.L2TP.AllIDs) {
		sent.Tunnel, sent.Session = c.L2TP.IDs(c, m.Tunnel, m.Session)
	}
	return c.sendUDP(append(sent.Marshal(), c.L2TP.Behind...))
}

func (t *tunnel) acknowledges() { t.told = t.nr }

// isControl recognises the server's control messages.
func (c *Client) isControl(is func(*wire.Control) bool) func([]byte) bool {
	return func(b []byte) bool {
		k, _, payload, _, err := c.openESP(b)
		if k == nil || err != nil || len(payload) < 8 || !wire.IsControl(payload[8:]) {
			return false
		}
		m, err := wire.ParseControl(payload[8:])
		return err == nil && is(m)
	}
}

// acknowledge sends a ZLB.
func (c *Client) acknowledge() {
	t := c.tun
	c.sendControl(&wire.Control{Tunnel: t.remote, Ns: t.ns, Nr: t.nr})
	t.acknowledges()
}

// receiveControl handles a control message.
func (c *Client) receiveControl(b []byte) {
	m, err := wire.ParseControl(b)
	if err != nil {
		c.refuse("L2TP: %v", err)
	}
	t := c.tun
	if t == nil || m.Tunnel != t.local {
		if c.Lossless && t != nil && !t.closed {
			c.refuse("a control message is for tunnel %d, and its tunnel is %d", m.Tunnel, t.local)
		}
		return
	}
	zlb := m.Type() == wire.ZLB
	c.logf("< control message %d, Ns %d Nr %d", m.Type(), m.Ns, m.Nr)
	if c.L2TP.Exact && (m.Ns != t.nr || m.Nr != t.ns) {
		if c.Lossless {
			c.refuse("it takes a message only if Ns is %d and Nr is %d exactly, and drops this one with Ns %d and Nr %d", t.nr, t.ns, m.Ns, m.Nr)
		}
		c.logf("< dropped: Ns %d Nr %d, not %d and %d", m.Ns, m.Nr, t.nr, t.ns)
		return
	}
	if int16(m.Nr-t.ns) > 0 {
		c.refuse("Nr %d acknowledges what was never sent; the next Ns is %d", m.Nr, t.ns)
	}
	c.acknowledged(m.Nr)
	if zlb {
		return
	}
	if !zlb && int(int16(m.Ns-t.told)) >= c.L2TP.Window {
		c.refuse("its receive window is %d, and Ns %d came while only those before %d are acknowledged (RFC 2661 section 5.8)", c.L2TP.Window, m.Ns, t.told)
	}
	switch d := int16(m.Ns - t.nr); {
	case d < 0:
		if c.Lossless {
			c.refuse("control message Ns %d came again though nothing was lost", m.Ns)
		}
		c.acknowledge()
	case d > 0: // out of order: it will come again
	default:
		t.nr++
		c.control(m)
		if t.ack == nil {
			t.ack = c.after(c.L2TP.Ack, func() {
				t.ack = nil
				if t.told != t.nr {
					c.acknowledge()
				}
			})
		}
	}
}

func (c *Client) acknowledged(nr uint16) {
	t := c.tun
	for len(t.sending) > 0 && int16(nr-t.sending[0].Ns) > 0 {
		c.cancel(t.sending[0].repeat)
		t.sending = t.sending[1:]
	}
	if int16(nr-t.acked) > 0 {
		t.acked = nr
	}
	c.flush()
}

// known are the attributes that RFC 2661 section 4.4 defines for a message.
var known = map[int][]uint16{
	wire.SCCRQ: {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, wire.SCCCN: {0, 13}, wire.ICRQ: {0, 14, 15, 18}, wire.ICCN: {0, 19, 24},
	wire.SCCRP: {0, 2, 3, 4, 6, 7, 8, 9, 10, 11, 13}, wire.ICRP: {0, 14, 25},
	wire.StopCCN: {0, 1, 9}, wire.CDN: {0, 1, 14, 12}, wire.Hello: {0},
}

// control handles the control message that is next in order.
func (c *Client) control(m *wire.Control) {
	list, ok := known[m.Type()]
	if !ok {
		c.refuse("control message type %d was not expected", m.Type())
	}
	for _, a := range m.AVPs {
		if a.Reserved != 0 || a.Hidden {
			c.refuse("an AVP of type %d has reserved bits or is hidden", a.Type)
		}
		is := false
		for _, k := range list {
			is = is || a.Vendor == 0 && a.Type == k
		}
		if !is && a.Mandatory {
			c.refuse("an unknown AVP (vendor %d, type %d) with the M bit ends the tunnel (RFC 2661 section 4.2)", a.Vendor, a.Type)
		}
	}
	switch m.Type() {
	case wire.StopCCN, wire.CDN:
		r := m.Find(1)
		if len(r) < 2 {
			c.refuse("a message that closes has no result code")
		}
		if len(r) < 4 {
			c.refuse("a Result Code AVP has 10 bytes: peers call 8 a wrong length")
		}
		c.stats.Result = r
		c.over("the server sent %s with result %d, error %d", map[int]string{4: "StopCCN", 14: "CDN"}[m.Type()],
			binary.BigEndian.Uint16(r), binary.BigEndian.Uint16(r[2:]))
	case wire.Hello:
	default:
		c.tun.in = append(c.tun.in, m)
	}
}

// reply waits for a control message from the server.
func (c *Client) reply(t int, within time.Duration) *wire.Control {
	what := fmt.Sprintf("control message %d", t)
	if !c.wait(within, func() bool { return len(c.tun.in) > 0 }) {
		panic(&GaveUp{What: what, Answers: c.isControl(func(r *wire.Control) bool { return r.Type() == t })})
	}
	m := c.tun.in[0]
	c.tun.in = c.tun.in[1:]
	if m.Type() != t {
		c.refuse("%s was due, and %d came", what, m.Type())
	}
	return m
}

// value returns an attribute that a message must have and that has n bytes, 0 for any
// number.
func (c *Client) value(m *wire.Control, t uint16, n int) []byte {
	v := m.Find(t)
	if v == nil || n != 0 && len(v) != n {
		c.refuse("control message %d must have attribute %d with %d bytes of value, and it is %x", m.Type(), t, n, v)
	}
	return v
}

// silence stops the repetition of control messages.
func (c *Client) silence() {
	for _, m := range c.tun.sending {
		c.cancel(m.repeat)
	}
	c.tun.sending = nil
}

// drained waits until every control message is acknowledged.
func (c *Client) drained(within time.Duration) {
	if !c.wait(within, func() bool { return len(c.tun.sending) == 0 }) {
		m := c.tun.sending[0]
		panic(&GaveUp{What: m.what, Copies: m.copies, Answers: c.isControl(func(r *wire.Control) bool { return int16(r.Nr-m.Ns) > 0 })})
	}
}

// call opens the tunnel and the session (RFC 2661 sections 5.1 and 5.2).
func (c *Client) call() {
	const patience = 30 * time.Second
	t := &tunnel{local: c.L2TP.Tunnel(c), session: c.L2TP.Session(c), window: 4}
	c.tun = t
	ask := c.L2TP.SCCRQ(t.local)
	challenge := []byte("any bytes at all")
	if c.L2TP.Challenge {
		ask = append(ask, wire.M(11, challenge...))
	}
	c.order(0, "SCCRQ", wire.SCCRQ, ask...)
	m := c.reply(wire.SCCRP, patience)
	if c.L2TP.Challenge && !bytes.Equal(c.value(m, 13, 16), wire.ChallengeResponse(wire.SCCRP, c.L2TP.Secret, challenge)) {
		c.refuse("the answer to its challenge is wrong: the secrets differ")
	}
	if v := c.value(m, 2, 2); v[0] != 1 || v[1] != 0 {
		c.refuse("the protocol version must be 1.0, not %x", v)
	}
	c.value(m, 3, 4)
	c.value(m, 7, 0)
	if t.remote = binary.BigEndian.Uint16(c.value(m, 9, 2)); t.remote == 0 {
		c.refuse("the assigned tunnel id is 0")
	}
	if v := m.Find(10); v != nil {
		t.window = int(binary.BigEndian.Uint16(v))
	}
	var proof []wire.AVP
	if theirs := m.Find(11); theirs != nil {
		if c.L2TP.Secret == "" {
			c.refuse("it has no tunnel secret, and the server sent a challenge")
		}
		proof = append(proof, wire.M(13, wire.ChallengeResponse(wire.SCCCN, c.L2TP.Secret, theirs)...))
	}
	c.order(0, "SCCCN", wire.SCCCN, proof...)
	if c.L2TP.WaitsForZLB {
		c.drained(patience)
	}
	c.order(0, "ICRQ", wire.ICRQ, c.L2TP.ICRQ(t.session)...)
	m = c.reply(wire.ICRP, patience)
	if m.Session != t.session {
		c.refuse("ICRP must have its session id, %d, in the header, and has %d", t.session, m.Session)
	}
	if t.distant = binary.BigEndian.Uint16(c.value(m, 14, 2)); t.distant == 0 {
		c.refuse("the assigned session id is 0")
	}
	c.order(t.distant, "ICCN", wire.ICCN, c.L2TP.ICCN...)
	if c.L2TP.WaitsForZLB {
		c.drained(patience)
	}
}
