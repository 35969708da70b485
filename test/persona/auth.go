package persona

import (
	"bytes"
	"crypto/md5" //nolint:gosec // RFC 1994 is made of it
	"regexp"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Values of LCP's authentication option.
var (
	authMSCHAPv2 = []byte{0xc2, 0x23, 0x81}
	authCHAP     = []byte{0xc2, 0x23, 0x05}
	authPAP      = []byte{0xc0, 0x23}
)

// CHAP's codes (RFC 1994 section 4).
const (
	chapChallenge = 1
	chapResponse  = 2
	chapSuccess   = 3
	chapFailure   = 4
)

// authenticate waits until the server accepts the user and, if it has agreed to, has
// authenticated itself.
func (c *Client) authenticate() {
	c.authenticateUser()
	if l := c.link; l.asked != nil {
		c.await("the server's response", 2*time.Minute, func() bool { return l.proved },
			func(p uint16, x wire.CP) bool { return p == wire.CHAP })
	}
}

func (c *Client) authenticateUser() {
	l := c.link
	if l.method == nil {
		l.authed = true
		return
	}
	if bytes.Equal(l.method, authPAP) {
		body := append([]byte{byte(len(c.User))}, c.User...)
		body = append(append(body, byte(len(c.Password))), c.Password...)
		id := c.nextID(wire.PAP)
		var retry []time.Duration
		for range c.PPP.Tries {
			retry = append(retry, c.PPP.Retry)
		}
		c.ask("PAP Authenticate-Request", retry, c.isPPP(func(p uint16, x wire.CP) bool { return p == wire.PAP }),
			func() []byte { return c.sendCP(wire.PAP, wire.CP{Code: 1, ID: id, Body: body}) },
			func() bool { return l.authed })
		return
	}
	c.await("the verdict on the user", 2*time.Minute, func() bool { return l.authed },
		func(p uint16, x wire.CP) bool { return p == wire.CHAP || p == wire.EAP })
}

func (c *Client) papAnswer(p wire.CP) {
	if !bytes.Equal(c.link.method, authPAP) {
		c.refuse("PAP was not agreed on")
	}
	switch p.Code {
	case 2:
		c.link.authed = true
	case 3:
		c.stats.PAPMessage = string(p.Body)
		c.over("the server refused the user: %q", p.Body)
	}
}

// failureForm is what RFC 2759 section 6 prescribes.
var failureForm = regexp.MustCompile(`^E=\d{1,10} R=[01] C=[0-9A-F]{32} V=3( M=.*)?$`)

// chap handles a CHAP packet (RFC 1994, RFC 2759).
func (c *Client) chap(p wire.CP) {
	l := c.link
	if p.Code == chapResponse {
		c.judgeResponse(p)
		return
	}
	if len(l.method) != 3 {
		c.refuse("CHAP was not agreed on")
	}
	switch p.Code {
	case chapChallenge:
		if c.Answers != nil && c.Answers.Shy {
			c.sendCP(wire.LCP, wire.CP{Code: wire.TermReq, ID: c.nextID(wire.LCP)})
			c.over("it was challenged")
		}
		c.respond(p)
	case chapSuccess:
		if l.proof == nil && bytes.Equal(l.method, authMSCHAPv2) {
			c.refuse("CHAP Success came before a Response")
		}
		if l.proof != nil && !l.proof.Proves(string(p.Body)) {
			c.refuse("the Success message %q does not prove that the server knows the password (RFC 2759 section 5)", p.Body)
		}
		l.authed = true
	case chapFailure:
		c.stats.ChapFailure = string(p.Body)
		if bytes.Equal(l.method, authMSCHAPv2) && !failureForm.Match(p.Body) {
			c.refuse("a Failure must read E=eeee R=r C=cc… V=3 M=… (RFC 2759 section 6), or the user sees no reason: %q", p.Body)
		}
		if !c.change(p) {
			c.over("the server refused the user: %q", p.Body)
		}
	default:
		c.refuse("CHAP code %d is the peer's", p.Code)
	}
}

// respond answers a challenge.
func (c *Client) respond(p wire.CP) {
	l := c.link
	if len(p.Body) < 1 || len(p.Body) < 1+int(p.Body[0]) {
		c.refuse("a CHAP challenge is malformed")
	}
	value := p.Body[1 : 1+p.Body[0]]
	var answer []byte
	switch {
	case bytes.Equal(l.method, authMSCHAPv2):
		if len(value) != 16 {
			c.refuse("an MS-CHAPv2 challenge has 16 bytes (RFC 2759 section 3), not %d", len(value))
		}
		peer := c.random(16)
		m := wire.NewMSCHAPv2(c.User, c.Password, [16]byte(value), [16]byte(peer))
		l.proof = &m
		answer = append(append(peer, make([]byte, 8)...), append(m.Response[:], 0)...)
	case bytes.Equal(l.method, authCHAP):
		sum := md5.Sum(append(append([]byte{p.ID}, c.Password...), value...)) //nolint:gosec // see above
		answer = sum[:]
	default:
		c.refuse("authentication %x was not agreed on", l.method)
	}
	body := append(append([]byte{byte(len(answer))}, answer...), c.User...)
	c.sendCP(wire.CHAP, wire.CP{Code: chapResponse, ID: p.ID, Body: body})
}

// challenge has the server authenticate itself by MS-CHAPv2.
func (c *Client) challenge() {
	if c.PeerUser == "" {
		c.refuse("the server agreed to prove who it is, and has no name to show")
	}
	l := c.link
	l.asked = c.random(16)
	c.sendCP(wire.CHAP, wire.CP{Code: chapChallenge, ID: c.nextID(wire.CHAP), Body: append(append([]byte{16}, l.asked...), c.User...)})
}

// judgeResponse judges the server's answer to our challenge.
func (c *Client) judgeResponse(p wire.CP) {
	l := c.link
	switch {
	case l.asked == nil:
		c.refuse("the server answers a challenge that was not sent")
	case c.Answers == nil && !l.authed:
		c.refuse("the server shows a proof to somebody who has not shown one: a password can be guessed from it")
	case len(p.Body) < 50 || p.Body[0] != 49:
		c.refuse("an MS-CHAPv2 response has 49 bytes (RFC 2759 section 4): %x", p.Body)
	}
	value, name := p.Body[1:50], string(p.Body[50:])
	m := wire.NewMSCHAPv2(name, c.PeerPassword, [16]byte(l.asked), [16]byte(value[:16]))
	if name != c.PeerUser || !bytes.Equal(m.Response[:], value[24:48]) {
		c.refuse("the server shows the name %q, and not %q, or does not know its password", name, c.PeerUser)
	}
	c.sendCP(wire.CHAP, wire.CP{Code: chapSuccess, ID: p.ID, Body: []byte(m.Proof() + " M=Welcome")})
	l.proved = true
	l.authed = l.authed || c.Answers != nil && l.method == nil
}
