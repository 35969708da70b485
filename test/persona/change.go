package persona

import (
	"bytes"
	"encoding/hex"
	"regexp"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// chapChange is the code of a Change-Password packet (RFC 2759 section 7).
const chapChange = 7

// expiredForm is a Failure that asks for another password.
var expiredForm = regexp.MustCompile(`^E=648 R=0 C=([0-9A-F]{32}) V=3`)

// change sends the new password that its user has thought of, as Windows does when its dialog
// is filled in, and reports whether there is one.
func (c *Client) change(p wire.CP) bool {
	said := expiredForm.FindSubmatch(p.Body)
	if said == nil || c.NewPassword == "" {
		return false
	}
	l := c.link
	if l.changed != nil { // the Failure again: so is the answer
		c.sendCP(wire.CHAP, *l.changed)
		return true
	}
	challenge, _ := hex.DecodeString(string(said[1]))
	peer := c.random(16)
	m := wire.NewMSCHAPv2(c.User, c.NewPassword, [16]byte(challenge), [16]byte(peer))
	password, hash := wire.ChangePassword(c.Password, c.NewPassword, c.random(516))
	body := bytes.Join([][]byte{password, hash, peer, make([]byte, 8), m.Response[:], {0, 0}}, nil)
	l.proof, l.changed = &m, &wire.CP{Code: chapChange, ID: p.ID + 1, Body: body}
	c.sendCP(wire.CHAP, *l.changed)
	return true
}
