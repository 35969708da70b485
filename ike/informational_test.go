package ike

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

func TestDeleteOfChildren(t *testing.T) {
	p := newPair(t).establish()
	c1, s1 := p.quick(p.client, ChildRequest{})
	c2, s2 := p.quick(p.client, ChildRequest{})
	p.client.sa.DeleteChildren(p.now, []uint32{c1.InSPI, c2.InSPI})
	p.run()
	got := take[ChildDeleted](p.server)
	if len(got) != 2 || got[0].OutSPI != s1.OutSPI || got[1].OutSPI != s2.OutSPI {
		t.Errorf("%+v", got)
	}
	if !p.server.sa.Established() {
		t.Error("phase 1 ended with its children")
	}
	many := make([]uint32, 100)
	for i := range many {
		many[i] = 0x1000 + uint32(i)
	}
	p.client.sa.DeleteChildren(p.now, many)
	p.run()
	if got := take[ChildDeleted](p.server); len(got) != 100 || got[99].OutSPI != 0x1063 {
		t.Errorf("%d deleted", len(got))
	}
}

// If either end deletes a child that waits for message 3, nothing waits for that
// message any longer.
func TestDeleteBeforeMessage3(t *testing.T) {
	for _, byClient := range []bool{true, false} {
		p := newPair(t).establish()
		p.tamper = func(d datagram) []datagram {
			if d.fromClient && Exchange(d.data[18]) == ExchangeQuick && len(d.data) < 100 {
				return nil
			}
			return []datagram{d}
		}
		if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
			t.Fatal(err)
		}
		p.run()
		c, s := one[ChildReceiving](t, p.client).Child, one[ChildReceiving](t, p.server).Child
		if byClient {
			p.client.sa.DeleteChildren(p.now, []uint32{c.InSPI})
		} else {
			p.server.sa.DeleteChildren(p.now, []uint32{s.InSPI})
		}
		p.run()
		if f := one[ChildFailed](t, p.server); f.Why != FailureDeleted || f.InSPI != s.InSPI {
			t.Errorf("%+v", f)
		}
		p.wait(time.Minute)
		if failed := take[ChildFailed](p.server); len(failed) != 0 {
			t.Errorf("and again %+v", failed)
		}
	}
}

func TestCloseSaysSo(t *testing.T) {
	p := newPair(t).establish()
	c, _ := p.quick(p.client, ChildRequest{})
	p.server.sa.Close(p.now, ReasonShutdown)
	p.run()
	if why := one[Closed](t, p.server).Why; why != ReasonShutdown {
		t.Errorf("the server closed because of %v", why)
	}
	if why := one[Closed](t, p.client).Why; why != ReasonDeleted {
		t.Errorf("the client closed because of %v", why)
	}
	if d := take[ChildDeleted](p.client); len(d) != 0 {
		t.Errorf("children went with phase 1: %+v", d)
	}
	if c.In.Enc.Equal(Child{}.In.Enc) || allZero(c.In.Enc.Reveal()) {
		t.Error("the child's keys are gone")
	}
	p.server.sa.Close(p.now, ReasonLocal)
	p.client.sa.Close(p.now, ReasonLocal)
	p.run()
	if len(take[Closed](p.server))+len(take[Closed](p.client)) != 0 {
		t.Error("closed twice")
	}
	for name, key := range map[string][]byte{
		"SKEYID": p.server.sa.st.Keys.SKEYID.Reveal(), "SKEYID_a": p.server.sa.st.Keys.A.Reveal(), "the cipher key": p.server.sa.st.Keys.Cipher.Reveal(),
	} {
		if !allZero(key) {
			t.Errorf("%s outlives the SA", name)
		}
	}
	if err := p.server.sa.Negotiate(p.now, ChildRequest{}); !errors.Is(err, ErrUnexpected) {
		t.Errorf("a closed SA negotiates: %v", err)
	}
	p.server.sa.Probe(p.now, 0)
	p.server.sa.DeleteChildren(p.now, []uint32{1})
	p.run()
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func TestCloseBeforePhase1IsSilent(t *testing.T) {
	p := newPair(t)
	sent := 0
	p.tamper = func(datagram) []datagram { sent++; return nil }
	p.initiate()
	p.client.sa.Close(p.now, ReasonLocal)
	p.wait(time.Minute)
	if one[Closed](t, p.client); sent != 1 {
		t.Errorf("%d messages", sent)
	}
}

func TestQuickModesUnderWayFailWithPhase1(t *testing.T) {
	p := newPair(t).establish()
	if err := p.client.sa.Negotiate(p.now, ChildRequest{}); err != nil {
		t.Fatal(err)
	}
	p.client.sa.Close(p.now, ReasonReplaced)
	p.drain(p.client)
	if f := one[ChildFailed](t, p.client); f.Why != FailureClosed || f.InSPI == 0 {
		t.Errorf("%+v", f)
	}
}

func TestExpiry(t *testing.T) {
	p := newPair(t)
	p.client.env.Policy.Lifetime = time.Hour
	p.establish().works()
	p.wait(time.Hour + lifetimeGrace - time.Second)
	if len(take[Closed](p.server)) != 0 {
		t.Fatal("the SA ended before its lifetime and grace")
	}
	var sent int
	p.tamper = func(datagram) []datagram { sent++; return nil }
	p.wait(time.Second)
	if why := one[Closed](t, p.server).Why; why != ReasonExpired {
		t.Errorf("closed because of %v", why)
	}
	if len(take[ChildDeleted](p.server)) != 0 || sent != 0 {
		t.Error("expiry of phase 1 is more than that")
	}
}

func TestForeignDelete(t *testing.T) {
	p := newPair(t).establish()
	p.client.sa.inform(isakmp.Delete{Protocol: isakmp.ProtocolISAKMP, SPIs: [][]byte{bytes.Repeat([]byte{9}, 16)}})
	p.client.sa.inform(isakmp.Delete{Protocol: isakmp.ProtocolAH, SPIs: [][]byte{{1, 2, 3, 4}}})
	p.run()
	if notes := take[Note](p.server); len(notes) != 2 || notes[0].Kind != NoteOtherDelete || notes[1].Type != uint16(isakmp.ProtocolAH) {
		t.Errorf("%+v", notes)
	}
	if !p.server.sa.Established() {
		t.Error("a Delete of another SA closed this one")
	}
}

func TestNothingFollowsClosed(t *testing.T) {
	p := newPair(t).establish()
	c := p.client.sa
	cookies := c.Cookies()
	id := must(c.newMessageID())
	msg, _, err := c.sealHashed(c.st.Peer.Suite.iv2(c.st.IV, id), c.header(ExchangeInformational, id), nil,
		isakmp.Delete{Protocol: isakmp.ProtocolESP, SPIs: [][]byte{{0, 0, 1, 1}}},
		isakmp.Delete{Protocol: isakmp.ProtocolISAKMP, SPIs: [][]byte{append(cookies.Initiator[:], cookies.Responder[:]...)}},
		isakmp.Delete{Protocol: isakmp.ProtocolESP, SPIs: [][]byte{{0, 0, 2, 2}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.sa.HandlePacket(p.now, p.server.sa.st.Path, msg); err != nil {
		t.Fatal(err)
	}
	p.drain(p.server)
	if n := len(p.server.events); n != 2 || p.server.events[0] != (ChildDeleted{0x101}) || p.server.events[1] != (Closed{ReasonDeleted}) {
		t.Errorf("%+v", p.server.events)
	}
}

func TestNotifies(t *testing.T) {
	p := newPair(t).establish()
	p.client.sa.inform(isakmp.Notify{Protocol: isakmp.ProtocolISAKMP, SPI: make([]byte, 16), Message: isakmp.NotifyInitialContact})
	p.client.sa.inform(isakmp.Notify{Protocol: isakmp.ProtocolESP, Message: isakmp.NotifyReplayStatus})
	p.client.sa.inform(isakmp.Notify{Protocol: isakmp.ProtocolESP, Message: isakmp.NotifyNoProposalChosen})
	p.run()
	one[InitialContact](t, p.server)
	notes := take[Note](p.server)
	if len(notes) != 2 || notes[0].Type != uint16(isakmp.NotifyReplayStatus) || notes[1].Type != uint16(isakmp.NotifyNoProposalChosen) {
		t.Errorf("%+v", notes)
	}
}

// Apple's INITIAL-CONTACT is inside message 5.
func TestInitialContactInMessage5(t *testing.T) {
	p := newPair(t)
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient || Exchange(d.data[18]) != ExchangeMain || d.data[19] == 0 {
			return []datagram{d}
		}
		c := p.client.sa
		id := isakmp.AddrID(p.path.Local.Addr(), 17, 500)
		msg, next, err := c.seal(c.st.Keys, c.st.Peer.Suite.iv1(c.st.publics()), c.header(ExchangeMain, 0), id,
			isakmp.Hash(c.st.hashI(c.st.Keys.SKEYID, id.AppendBody(nil))),
			isakmp.Notify{Protocol: isakmp.ProtocolISAKMP, SPI: make([]byte, 16), Message: isakmp.NotifyInitialContact},
			isakmp.Raw{Kind: isakmp.PayloadAttributes, Body: []byte{4}})
		if err != nil {
			t.Fatal(err)
		}
		c.st.IV = next
		d.data = msg
		return []datagram{d}
	}
	p.establish()
	one[InitialContact](t, p.server)
	if n := one[Note](t, p.server); n.Kind != NotePayload || n.Type != uint16(isakmp.PayloadAttributes) {
		t.Errorf("%+v", n)
	}
	p.tamper = nil
	p.works()
}

func TestDeadPeerDetection(t *testing.T) {
	p := newPair(t)
	p.server.env.Policy.DPDTimeout = 20 * time.Second
	p.establish()
	for range 3 {
		p.server.sa.Probe(p.now, 0)
		p.server.sa.Probe(p.now, 0) // one at a time
		p.run()
		one[Alive](t, p.server)
		one[Alive](t, p.client)
	}
	p.client.sa.Probe(p.now, 0)
	p.run()
	one[Alive](t, p.client)
	one[Alive](t, p.server)
	p.wait(time.Minute)
	if len(p.dropped)+len(take[Note](p.server)) != 0 {
		t.Errorf("dropped: %v", p.dropped)
	}

	probes := 0
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient {
			probes++
		}
		return nil
	}
	p.server.sa.Probe(p.now, 0)
	p.wait(19 * time.Second)
	if len(take[Closed](p.server)) != 0 || probes != 4 {
		t.Errorf("%d probes in 19 seconds", probes)
	}
	p.wait(time.Second)
	if why := one[Closed](t, p.server).Why; why != ReasonDead {
		t.Errorf("closed because of %v", why)
	}
}

func TestALostProbeIsRepeatedWithItsNumber(t *testing.T) {
	p := newPair(t).establish()
	lost := false
	p.tamper = func(d datagram) []datagram {
		if !lost {
			lost = true
			return nil
		}
		return []datagram{d}
	}
	p.server.sa.Probe(p.now, 0)
	p.wait(6 * time.Second)
	one[Alive](t, p.server)
	p.wait(time.Minute)
	if len(take[Closed](p.server)) != 0 {
		t.Error("the answer came and the SA closed all the same")
	}
}

func TestProbeNumbers(t *testing.T) {
	p := newPair(t).establish()
	c := p.client.sa
	for _, tt := range []struct {
		seq uint32
		ok  bool
	}{{1 << 30, true}, {1<<30 + 1, true}, {1<<30 + 1, true}, {1 << 30, false}, {1<<30 + 1000, true}, {5, false}} {
		c.inform(c.probeNotify(isakmp.NotifyRUThere, tt.seq))
		p.run()
		if alive := len(take[Alive](p.server)); (alive == 1) != tt.ok {
			t.Errorf("R-U-THERE %d: alive %d times", tt.seq, alive)
		}
		// The client did not send this probe, so the answer has no effect.
		if n := take[Alive](p.client); len(n) != 0 {
			t.Errorf("an answer to no question is taken for life")
		}
	}
	p.client.events, p.server.events = nil, nil
	p.server.sa.Probe(p.now, 0)
	p.server.sa.st.Probe.Seq++ // the answer belongs to the previous probe
	p.run()
	if n := one[Note](t, p.server); n.Kind != NoteProbe {
		t.Errorf("%+v", n)
	}
	short := c.probeNotify(isakmp.NotifyRUThere, 0)
	short.Data = binary.BigEndian.AppendUint16(nil, 1)
	c.inform(short)
	p.run()
	if notes := take[Note](p.server); len(notes) != 1 {
		t.Errorf("%+v", notes)
	}
}

func TestNoProbeForPeersThatDidNotOfferIt(t *testing.T) {
	p := newPair(t)
	p.client.env.Policy.VendorIDs = []VendorID{VendorRFC3947}
	p.establish()
	p.server.sa.Probe(p.now, 0)
	p.drain(p.server)
	if len(p.wire) != 0 {
		t.Error("Windows is asked whether it is there, and does not understand")
	}
}

func TestMoveRedirectsWhatWeSend(t *testing.T) {
	p := newPair(t).establish()
	to := p.server.sa.st.Path
	to.Remote = serverPath.Remote
	p.server.sa.Move(to)
	p.server.sa.Probe(p.now, 0)
	p.drain(p.server)
	if len(p.wire) != 1 || p.wire[0].path != to {
		t.Errorf("sent %+v", p.wire)
	}
}

// RouterOS probes every two minutes in a phase 1 of a day, others more often, all
// with random message ids. None of these probes may be taken for a replay.
func TestADayOfProbesIsAnswered(t *testing.T) {
	p := newPair(t).establish()
	c := p.client.sa
	for i := range uint32(24 * 60 * 2) {
		c.st.LastID = 0 // the next id is random
		c.inform(c.probeNotify(isakmp.NotifyRUThere, 1<<20+i))
		answered := false
		p.tamper = func(d datagram) []datagram {
			answered = answered || !d.fromClient
			return []datagram{d}
		}
		p.run()
		if !answered {
			t.Fatalf("probe %d was not answered", i)
		}
	}
	if n := max(len(p.server.sa.st.Used), len(p.server.sa.st.Seen)); n > 24*60*2+2 {
		t.Errorf("it remembers %d spans: its own ids are to be one", n)
	}
}

func TestRanges(t *testing.T) {
	var r ranges
	for _, id := range []uint32{5, 3, 4, 1, 2, 0xffffffff, 0, 7, 9, 8, 5} {
		r.add(id)
	}
	if len(r) != 3 || r[0] != (span{0, 5}) || r[1] != (span{7, 9}) || r[2] != (span{0xffffffff, 0xffffffff}) {
		t.Errorf("%+v", r)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	r = nil
	added := map[uint32]bool{}
	for range 10000 {
		id := dice.Uint32()
		if !added[id] && r.has(id) && len(added) < maxSpans {
			t.Fatalf("%d is in the set of %d", id, len(added))
		}
		r.add(id)
		added[id] = true
		if len(r) > maxSpans {
			t.Fatalf("%d spans", len(r))
		}
	}
	for id := range added {
		if !r.has(id) {
			t.Fatalf("%d was forgotten", id)
		}
	}
	for i := 1; i < len(r); i++ {
		if r[i].First <= r[i-1].Last {
			t.Fatalf("spans %v and %v overlap", r[i-1], r[i])
		}
	}
	r = nil
	for id := uint32(1); id < 100000; id++ {
		r.add(id)
	}
	if len(r) != 1 || r.has(0) || r.has(100000) {
		t.Errorf("a counter takes %d spans", len(r))
	}
}
