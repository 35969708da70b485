package vpn

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ipsec"
)

// The first packet of a pair may be opened with a view that was published before message
// 3 made the pair send. What that packet says about the client's ICVs is not lost.
func TestTheFirstPacketTellsOfItsICVWhenTheNoteOfItComes(t *testing.T) {
	now := time.Unix(1e9, 0)
	suite := ipsec.Suite{Cipher: ipsec.AESCBC, KeyBits: 128, Auth: ipsec.HMACSHA256_128}
	keys := ipsec.Keys{Enc: secret.New(make([]byte, 16)), Auth: secret.New(make([]byte, 32))}
	in, err1 := ipsec.NewInbound(1<<20, suite, keys, 64)
	out, err2 := ipsec.NewOutbound(2<<20, suite, keys)
	client, err3 := ipsec.NewOutbound(1<<20, suite, keys)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	c := &Conn{policy: &Policy{}}
	p := &pair{Child: ike.Child{InSPI: 1 << 20, OutSPI: 2 << 20}, in: in, out: out, confirmed: true}
	c.kids.pairs, c.kids.sending = []*pair{p}, p // as message 3 does

	client.SetTruncated(true)
	head := suite.HeadRoom()
	b := make([]byte, head+100+suite.TailRoom())
	sealed := []ipsec.Out{{SA: client, Buf: b, Off: head, End: head + 100}}
	client.Lock()
	ipsec.NewSealer(rand.Reader).Seal(sealed)
	client.Unlock()
	opened := []ipsec.In{{SA: in, Buf: b[sealed[0].Off:], End: sealed[0].End - sealed[0].Off}}
	ipsec.NewOpener().Open(opened)
	if opened[0].Drop != ipsec.DropNone || !in.Truncated() {
		t.Fatalf("the packet is dropped: %v", opened[0].Drop)
	}
	c.used(now, in.SPI())
	if !out.Truncated() {
		t.Error("what is sent has ICVs that the client does not take")
	}
}
