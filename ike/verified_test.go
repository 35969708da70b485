package ike

import (
	"testing"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// A message whose hash verifies is read as far as possible, even if a payload
// claims to be longer than the message: the hash tells where the message ends.
func TestAVerifiedMessageIsReadAsFarAsItCanBe(t *testing.T) {
	for size := range 40 {
		p := newPair(t).establish()
		c := p.client.sa
		rest := isakmp.Append(nil, c.probeNotify(isakmp.NotifyRUThere, 77), isakmp.VendorID(make([]byte, size)))
		rest[len(rest)-size-2] = 0xff
		id := must(c.newMessageID())
		suite := c.st.Peer.Suite
		plain := append(isakmp.Append(nil, isakmp.Hash(c.hash(id, nil, rest))), rest...)
		plain[0] = byte(isakmp.PayloadNotify)
		text, _, err := suite.encrypt(c.st.Keys.Cipher, suite.iv2(c.st.IV, id), plain)
		if err != nil {
			t.Fatal(err)
		}
		h := c.header(ExchangeInformational, id)
		h.Flags, h.Next, h.Length = isakmp.FlagEncryption, isakmp.PayloadHash, uint32(isakmp.HeaderLen+len(text))
		c.send(c.st.Path, append(h.Append(nil), text...))
		p.run()
		one[Alive](t, p.server)
		if n := one[Note](t, p.server); n.Kind != NoteUnreadable || n.What() != "the rest of the message" {
			t.Errorf("with %d bytes: %+v", size, n)
		}
	}
}
