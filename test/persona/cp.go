package persona

import (
	"bytes"
	"slices"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// cp is one control protocol (RFC 1661 section 4), in both directions.
type cp struct {
	c        *Client
	protocol uint16
	name     string

	want     []wire.Option // what the next Configure-Request asks for
	id       byte
	asked    []byte // body of the outstanding Configure-Request
	begun    bool
	acked    bool // the server has acknowledged our request
	acking   bool // we have acknowledged the server's request
	rejected bool // by Protocol-Reject
	was      bool // it has been open before
	copies   [][]byte
	repeat   *timer
	verdicts map[byte]byte // code that answered each of our requests

	judge func([]wire.Option) (code byte, list []wire.Option)
	nak   func(wire.Option) (wire.Option, bool)
	open  func()
}

func (s *cp) opened() bool { return s != nil && s.acked && s.acking }

func (c *Client) newCP(protocol uint16, name string, want []wire.Option) *cp {
	s := &cp{
		c: c, protocol: protocol, name: name, verdicts: map[byte]byte{},
		nak: func(o wire.Option) (wire.Option, bool) { return o, true },
	}
	for _, o := range want {
		s.want = append(s.want, wire.Option{Type: o.Type, Value: bytes.Clone(o.Value)})
	}
	c.link.cps[protocol] = s
	return s
}

// begin sends the first Configure-Request.
func (s *cp) begin() {
	s.begun = true
	s.request()
}

// request sends a new Configure-Request.
func (s *cp) request() {
	s.stop()
	s.acked, s.copies = false, nil
	s.id, s.asked = s.c.nextID(s.protocol), wire.Options(s.want)
	s.transmit()
}

func (s *cp) stop() {
	if s.repeat != nil {
		s.c.cancel(s.repeat)
		s.repeat = nil
	}
}

// transmit sends the outstanding request, and repeats it until it is answered.
func (s *cp) transmit() {
	c := s.c
	if len(s.copies) > c.PPP.Tries {
		panic(&GaveUp{What: s.name + " Configure-Request", Copies: s.copies, Answers: c.isPPP(func(p uint16, x wire.CP) bool {
			return p == s.protocol && x.Code >= wire.ConfAck && x.Code <= wire.ConfRej && x.ID == s.id ||
				p == wire.LCP && x.Code == wire.ProtRej && len(x.Body) > 1 && bytes.Equal(x.Body[:2], wire.U16(s.protocol))
		})})
	}
	s.copies = append(s.copies, c.sendCP(s.protocol, wire.CP{Code: wire.ConfReq, ID: s.id, Body: s.asked}))
	s.repeat = c.after(c.PPP.Retry, s.transmit)
}

// receive handles a packet.
func (s *cp) receive(p wire.CP) {
	if s.rejected || !s.begun && s.protocol != wire.LCP {
		return
	}
	switch p.Code {
	case wire.ConfReq:
		s.requested(p)
	case wire.ConfAck, wire.ConfNak, wire.ConfRej:
		s.answered(p)
	case wire.TermReq:
		s.c.sendCP(s.protocol, wire.CP{Code: wire.TermAck, ID: p.ID})
		s.c.stats.Terminated = string(p.Body)
		s.c.over("the server terminated %s: %q", s.name, p.Body)
	case wire.CodeRej:
		s.c.refuse("%s code %d was rejected, which the server must know or ignore", s.name, slices.Concat(p.Body, []byte{0})[0])
	default:
		switch s.protocol {
		case wire.LCP:
			s.c.lcpPacket(p)
		case wire.CCP:
			s.c.ccpPacket(p)
		}
	}
}

// requested answers the server's Configure-Request.
func (s *cp) requested(p wire.CP) {
	c := s.c
	list, err := wire.ParseOptions(p.Body)
	if err != nil {
		c.refuse("%s: %v", s.name, err)
	}
	if c.PPP.DeafOnceAcked && s.protocol == wire.LCP && s.acked {
		c.logf("a Configure-Request is ignored: it has its Ack")
		return
	}
	if s.opened() { // RFC 1661 section 4.1: an open link is negotiated anew
		if c.Lossless {
			c.refuse("the server sent a Configure-Request of %s again, when it was open", s.name)
		}
		if s.protocol == wire.IPCP {
			c.stats.Reopened++
		}
		s.request()
	}
	code, answer := s.judge(list)
	if c.PPP.Naks != nil {
		if other := c.PPP.Naks(s.protocol, list); other != nil {
			code, answer = wire.ConfNak, other
		}
	}
	s.acking = code == wire.ConfAck
	body := wire.Options(answer)
	if s.acking {
		body = p.Body
	}
	c.sendCP(s.protocol, wire.CP{Code: code, ID: p.ID, Body: body})
	if s.protocol == wire.CCP && s.acking {
		c.link.coders.sends(list)
	}
	s.settle()
}

// settle notices that the protocol has opened.
func (s *cp) settle() {
	if s.opened() && !s.was && s.open != nil {
		s.was = true
		s.open()
	}
}

// answered handles the server's answer to our Configure-Request.
func (s *cp) answered(p wire.CP) {
	c := s.c
	if p.ID != s.id || s.acked {
		if before, ok := s.verdicts[p.ID]; ok && before != p.Code && c.PPP.NeverNakZero {
			c.refuse("%s request %d was answered by code %d and by code %d: Nak and Reject must not be mixed", s.name, p.ID, before, p.Code)
		}
		return
	}
	s.verdicts[p.ID] = p.Code
	list, err := wire.ParseOptions(p.Body)
	if err != nil {
		c.refuse("%s: %v", s.name, err)
	}
	switch p.Code {
	case wire.ConfAck:
		if !bytes.Equal(p.Body, s.asked) {
			c.refuse("a Configure-Ack must repeat the request %x byte for byte (RFC 1661 section 5.2), and is %x", s.asked, p.Body)
		}
		s.stop()
		s.acked = true
		if s.protocol == wire.CCP {
			c.link.coders.receives(list)
		}
		s.settle()
	case wire.ConfNak:
		s.naked(list)
		s.request()
	case wire.ConfRej:
		s.strip(list)
		s.request()
	}
}

// naked takes the values that the server proposes.
func (s *cp) naked(list []wire.Option) {
	for _, o := range list {
		i := slices.IndexFunc(s.want, func(w wire.Option) bool { return w.Type == o.Type })
		if i < 0 {
			continue // an option that the server would like to see
		}
		if s.c.PPP.NeverNakZero && s.protocol == wire.IPCP && bytes.Equal(o.Value, make([]byte, 4)) {
			s.c.refuse("IPCP option %d was answered by a Nak with 0.0.0.0", o.Type)
		}
		v, ok := s.nak(o)
		if !ok {
			s.want = slices.Delete(s.want, i, i+1)
			continue
		}
		s.want[i] = v
	}
}

// strip leaves out what the server rejected (RFC 1661 section 5.4).
func (s *cp) strip(list []wire.Option) {
	for _, o := range list {
		i := slices.IndexFunc(s.want, func(w wire.Option) bool { return w.Type == o.Type && bytes.Equal(w.Value, o.Value) })
		if i < 0 {
			s.c.refuse("a Configure-Reject must have options of the %s request unchanged (RFC 1661 section 5.4), and has %d: %x", s.name, o.Type, o.Value)
		}
		s.want = slices.Delete(s.want, i, i+1)
	}
}
