package ppp

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// expired is a link whose user has been told that the password has expired, and the challenge
// that came with that.
func expired(t *testing.T) (*ladder, []byte) {
	t.Helper()
	c := serverConfig(MethodMSCHAPv2)
	c.Echo = 0
	d := newLadder(t, c)
	d.recv("ff03 c021 01 01 000e 0104 0578 0506 5a1b2c3d")
	d.ack(ProtocolLCP)
	d.respond(49, "alice")
	d.news()
	d.ticket = d.l.s.auth.ticket
	d.verdict(AuthAnswer{Error: 648, Change: true, Message: "expired"})
	said := regexp.MustCompile(`< CHAP Failure id=1 "E=648 R=0 C=([0-9A-F]{32}) V=3 M=expired"\n$`).FindStringSubmatch(d.news())
	if said == nil {
		t.Fatal("the peer is not asked for another password")
	}
	challenge := make([]byte, 16)
	fmt.Sscanf(said[1], "%X", &challenge)
	return d, challenge
}

// change sends a Change-Password packet.
func (d *ladder) change(id byte, fill byte) {
	data := bytes.Repeat([]byte{fill}, changeLen)
	d.recv(fmt.Sprintf("ff03c223%x", appendPacket(nil, chapChangePassword, id, data)))
}

// The peer answers the new challenge by a new password, and comes in, or is refused.
func TestAPasswordIsChanged(t *testing.T) {
	d, challenge := expired(t)
	if err := d.l.HandlePacket(d.now, append([]byte{0xff, 3, 0xc2, 0x23}, appendPacket(nil, chapChangePassword, 2, bytes.Repeat([]byte{7}, changeLen))...)); err != nil {
		t.Fatal(err)
	}
	ask, ok := drain(d.l)[0].(AuthRequest)
	if !ok || ask.User != "alice" || ask.ID != 2 || !bytes.Equal(ask.Challenge, challenge) || ask.Change == nil || len(ask.Response) != 49 ||
		ask.Change.Password[515] != 7 || ask.Change.Hash[15] != 7 || ask.Response[47] != 7 {
		t.Fatalf("the packet makes %+v", ask)
	}
	d.change(2, 7)
	if got := d.news(); strings.Contains(got, "AuthRequest") {
		t.Errorf("the packet again makes\n%s", got)
	}
	d.l.HandleAuth(d.now, ask.Ticket, AuthAnswer{OK: true, Success: someProof, Network: testNetwork})
	d.drain()
	if got := d.news(); !strings.Contains(got, `< CHAP Success id=2 "`+someProof) || !strings.Contains(got, "Authenticated") {
		t.Errorf("the verdict makes\n%s", got)
	}
	d.change(2, 7)
	if got := d.news(); !strings.Contains(got, "< CHAP Success id=2") {
		t.Errorf("the packet once more makes\n%s", got)
	}
}

func TestAPasswordIsNotChanged(t *testing.T) {
	for what, tt := range map[string]struct {
		do   func(d *ladder)
		want string
	}{
		"refused": {func(d *ladder) {
			d.change(2, 7)
			d.ticket = d.l.s.auth.ticket
			d.verdict(AuthAnswer{Error: 709, Message: "too short"})
		}, `< CHAP Failure id=2 "E=709 R=0`},
		"asked for again": {func(d *ladder) {
			d.change(2, 7)
			d.ticket = d.l.s.auth.ticket
			d.verdict(AuthAnswer{Error: 648, Change: true})
		}, `< CHAP Failure id=2 "E=648 R=0`},
		"not in time": {func(d *ladder) { d.wait(ChangeTime + time.Second) }, "AuthFailed"},
	} {
		d, _ := expired(t)
		tt.do(d)
		d.wait(10 * time.Second)
		if got := d.news(); !strings.Contains(got, tt.want) || !strings.Contains(got, "* Down:") {
			t.Errorf("%s:\n%s\nwant %s, and the end", what, got, tt.want)
		}
	}
	d, _ := expired(t)
	d.recv("ff03c223" + "07020008" + "01020304")
	d.change(9, 7)
	if got := d.news(); strings.Count(got, "* dropped:") != 2 {
		t.Errorf("a short packet, and one of another exchange:\n%s", got)
	}
	d.respond(49, "alice") // the Failure was lost
	if got := d.news(); !strings.Contains(got, `< CHAP Failure id=1 "E=648`) {
		t.Errorf("the answer to the first challenge again makes\n%s", got)
	}
}
