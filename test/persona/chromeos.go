package persona

import (
	"bytes"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// ChromeOSOptions are what a user or an administrator may choose, and the differences
// between releases.
type ChromeOSOptions struct {
	Echo   bool // LCP echoes every 30 s
	Length bool // data messages have a length

	// DefaultsFirst: strongSwan's own list, at the end of what is offered, names GCM
	// before CBC.
	DefaultsFirst bool
}

// ChromeOS is the built-in client of ChromeOS: strongSwan, xl2tpd and pppd.
func ChromeOS(o ChromeOSOptions) Profile {
	esp := []espSuite{
		{espGCM, 128, 0}, {espAES, 128, espSHA256}, {espAES, 128, espSHA1}, {esp3DES, 0, espSHA1}, {esp3DES, 0, espMD5},
	}
	if o.DefaultsFirst {
		esp = append(esp, espSuite{espGCM, 128, 0}, espSuite{espAES, 128, espSHA256})
	} else {
		esp = append(esp, espSuite{espAES, 128, espSHA256}, espSuite{espGCM, 128, 0})
	}
	p := Profile{
		Name: "ChromeOS",
		IKE:  charon(),
		ESP: ESPProfile{
			SA: charonESP(3960, esp...), Nonce: 32, Port: 1701, NATOA: true, Window: 32,
			KeepOld: 6 * time.Minute, Life: 3960 * time.Second, InnerChecksum: true,
		},
		L2TP: xl2tpd(xl2tpdOptions{host: "localhost", window: 4, speed: 1000000, length: o.Length}),
		PPP:  pppd(pppdOptions{mru: 1410, kernel: true, start: 100 * time.Millisecond}),
		After: func(c *Client) {
			c.hellos(time.Minute)
			if o.Echo {
				c.echoes(30 * time.Second)
			}
		},
		Leave: leaveXL2TPD,
	}
	// The list ends with the first entry of each of strongSwan's own lists.
	p.IKE.SA, p.IKE.Life = charonSA(15840,
		suite{ikeAES, 128, ikeSHA256, 15}, suite{ikeAES, 128, ikeSHA1, 14}, suite{ike3DES, 0, ikeSHA1, 5}, suite{ike3DES, 0, ikeSHA1, 2},
		suite{ikeAES, 128, ikeSHA256, 19}), 15840*time.Second
	return p
}

// echoes sends LCP Echo-Requests at this interval, and expects each answer before the
// next request.
func (c *Client) echoes(every time.Duration) {
	c.repeat(every, func() {
		c.lcpHeard = nil
		c.sendCP(wire.LCP, wire.CP{Code: wire.EchoReq, ID: c.nextID(wire.LCP), Body: bytes.Clone(c.link.magic)})
		c.after(every-time.Millisecond, func() {
			if c.Lossless && c.online() && !bytes.Contains(c.lcpHeard, []byte{wire.EchoRep}) {
				c.refuse("an Echo-Request was not answered (RFC 1661 section 5.8)")
			}
		})
	})
}
