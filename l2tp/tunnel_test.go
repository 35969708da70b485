package l2tp

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// mtpd accepts messages as strictly as Android's daemon does.
type mtpd struct{ ns, nr uint16 }

func (p *mtpd) accepts(b []byte) error {
	switch {
	case len(b) < 12 || binary.BigEndian.Uint16(b)&0xcb0f != 0xc802:
		return errors.New("flags")
	case int(binary.BigEndian.Uint16(b[2:])) != len(b):
		return errors.New("length")
	case binary.BigEndian.Uint16(b[10:]) != p.ns:
		return fmt.Errorf("Nr %d, want exactly %d", binary.BigEndian.Uint16(b[10:]), p.ns)
	case binary.BigEndian.Uint16(b[8:]) != p.nr:
		return fmt.Errorf("Ns %d, want %d", binary.BigEndian.Uint16(b[8:]), p.nr)
	case len(b) > 12 && (len(b) < 20 || string(b[12:18]) != "\x80\x08\x00\x00\x00\x00"):
		return errors.New("first AVP")
	}
	if len(b) > 12 {
		p.nr++
	}
	return nil
}

// Old Android waits for an explicit acknowledgement after SCCCN and ICCN, with
// exactly its own number, and accepts nothing else in the meantime. A PPP frame
// before the second acknowledgement is lost.
func TestOldAndroidIsAnsweredAsStrictlyAsItReads(t *testing.T) {
	d := newLadder(t, testConfig())
	peer := &mtpd{}
	step := func(kind messageType, session uint16, avps string, zlb bool) {
		t.Helper()
		var b []byte
		if kind == sccrq {
			b = fix(machinetest.Unhex(t, androidSCCRQ))
		} else {
			b = d.build(d.l.ID(), session, peer.ns, peer.nr, kind, avps)
		}
		peer.ns++
		if err := d.l.HandlePacket(d.now, b); err != nil {
			t.Fatal(err)
		}
		answers := 0
		for _, e := range drain(d.l) {
			switch e := e.(type) {
			case Send:
				answers++
				if err := peer.accepts(e.Data); err != nil {
					t.Errorf("the answer to %v is not accepted: %v", kind, err)
				}
				if (len(e.Data) == 12) != zlb {
					t.Errorf("the answer to %v is %s", kind, render(e.Data))
				}
				if len(e.Data) > 20 && e.Data[19] == byte(icrp) {
					d.seen = binary.BigEndian.Uint16(e.Data[26:])
				}
			case SessionUp:
				if answers == 0 {
					t.Error("SessionUp comes before the acknowledgement of ICCN")
				}
			}
		}
		if answers != 1 {
			t.Errorf("%d answers to %v, want one at once", answers, kind)
		}
	}
	step(sccrq, 0, "", false)
	step(scccn, 0, "", true)
	step(icrq, 0, "8008 0000 000e 77aa 800a 0000 000f 12345678", false)
	step(iccn, d.seen, "800a 0000 0018 05f5e100 800a 0000 0013 00000003", true)
	step(hello, 0, "", true)
	step(stopccn, 0, "8008 0000 0009 4d2b 8008 0000 0001 0006", true)
}

func TestRetransmission(t *testing.T) {
	d := newLadder(t, testConfig())
	d.sccrq(windowsSCCRQ)
	var at []time.Duration
	for next := d.l.Deadline(); !next.IsZero(); next = d.l.Deadline() {
		d.l.HandleTimer(next)
		for _, e := range drain(d.l) {
			switch e := e.(type) {
			case Send:
				at = append(at, next.Sub(machinetest.Epoch))
			case TunnelDown:
				at = append(at, -next.Sub(machinetest.Epoch))
				_ = e
			}
		}
	}
	// The setup timeout of 30 s expires first. Its StopCCN waits behind the SCCRP,
	// which is repeated for as long as a closing tunnel repeats messages.
	want := "[1s 3s 7s 15s 23s -30s]"
	if got := fmt.Sprint(at); got != want {
		t.Errorf("sent again at %v, want %v", got, want)
	}
}

func TestRetransmissionsGiveUp(t *testing.T) {
	c := testConfig()
	c.SetupTimeout = 0
	d := newLadder(t, c)
	d.sccrq(windowsSCCRQ)
	out := d.since(func() { d.wait(time.Minute) })
	if n := strings.Count(out, "< SCCRP"); n != maxSends-1 {
		t.Errorf("sent again %d times, want %d", n, maxSends-1)
	}
	machinetest.WantLine(t, out, "peer does not answer")
	machinetest.WantLine(t, out, "* l2tp.Closed{}")
	if !d.l.Deadline().IsZero() {
		t.Error("a tunnel that is gone has a deadline")
	}
	if err := d.l.HandlePacket(d.now, fix(machinetest.Unhex(t, windowsSCCRQ))); !errors.Is(err, ErrClosed) {
		t.Errorf("a tunnel that is gone says %v", err)
	}
}

func TestAPeersWindowIsKept(t *testing.T) {
	c := testConfig()
	c.Sessions = 6
	w := newWire(t, testConfig(), c)
	w.ends[0].env.Config.Sessions = 6
	for range 6 {
		if _, err := w.ends[0].Call(w.Now, Call{}); err != nil {
			t.Fatal(err)
		}
	}
	w.run(5*time.Second, func() bool { return false })
	if n := machinetest.Count[SessionUp](w.events[1]); n != 6 {
		t.Fatalf("%d sessions", n)
	}
	lac := &w.ends[0].s.channel
	w.Loss = 1
	before := len(w.sent[0])
	for _, s := range append([]session(nil), w.ends[0].s.sessions...) {
		w.ends[0].Hangup(w.Now, s.Local, Result{Code: CallAdmin})
	}
	w.collect(0)
	if n := len(w.sent[0]) - before; n != 4 || len(lac.queue) != 2 {
		t.Errorf("%d CDNs left at once and %d wait; the peer's window is 4", n, len(lac.queue))
	}
	w.Loss = 0
	w.run(30*time.Second, func() bool { return machinetest.Count[SessionDown](w.events[1]) == 6 })
	if n := machinetest.Count[SessionDown](w.events[1]); n != 6 {
		t.Errorf("%d sessions ended at the LNS", n)
	}
}

// RFC 2661, appendix A.
func TestSlowStart(t *testing.T) {
	var c channel
	c.start()
	c.setWindow(8)
	for range 20 {
		c.queue = append(c.queue, outgoing{data: make([]byte, controlHeaderLen)})
	}
	burst := func() int {
		n := 0
		for _, ok := c.next(machinetest.Epoch); ok; _, ok = c.next(machinetest.Epoch) {
			n++
		}
		return n
	}
	var bursts []int
	for range 4 {
		bursts = append(bursts, burst())
		c.acknowledge(machinetest.Epoch, c.ns)
	}
	if fmt.Sprint(bursts) != "[1 2 4 8]" {
		t.Errorf("windows of %v messages, want [1 2 4 8]", bursts)
	}
	burst()
	c.backOff(machinetest.Epoch)
	if c.congested != 1 || c.threshold != 4 {
		t.Errorf("after a loss, CWND = %d and SSTHRESH = %d, want 1 and 4", c.congested, c.threshold)
	}
}

func TestMessagesAreTakenInOrderAndOnce(t *testing.T) {
	d := newLadder(t, testConfig())
	d.sccrq(windowsSCCRQ)
	avps := "8008 0000 000e 0009 800a 0000 000f 00000000"
	far := d.build(d.l.ID(), 0, 6, 1, hello, "")
	out := d.since(func() { d.deliver(far) })
	machinetest.WantLine(t, out, "not expected now")
	d.deliver(d.build(d.l.ID(), 0, 2, 1, icrq, avps))
	d.deliver(d.build(d.l.ID(), 0, 2, 1, icrq, avps)) // twice ahead of its time
	d.deliver(d.build(d.l.ID(), 0, 1, 1, scccn, ""))
	if n := len(d.l.s.sessions); n != 1 {
		t.Fatalf("%d sessions, want 1", n)
	}
	out = d.since(func() {
		d.deliver(d.build(d.l.ID(), 0, 2, 2, icrq, avps))
		d.deliver(d.build(d.l.ID(), 0, 1, 2, scccn, ""))
	})
	if n := strings.Count(out, "< ZLB tunnel=1 session=0 Ns=2 Nr=3"); n != 2 {
		t.Errorf("duplicates are not acknowledged again:\n%s", out)
	}
	out = d.since(func() { d.deliver(d.build(d.l.ID(), 0, 3, 9, hello, "")) })
	machinetest.WantLine(t, out, "acknowledges 9 of 2")
	machinetest.WantNoLine(t, out, "< ")
}

func TestSequenceNumbersWrap(t *testing.T) {
	d := newLadder(t, testConfig())
	d.open()
	d.l.s.channel.nr, d.ns = 0xfffe, 0xfffe
	d.l.s.channel.ns, d.nr = 0xffff, 0xffff
	d.zlb()
	for range 4 {
		machinetest.WantLine(t, d.since(func() { d.recv(0, hello, "") }), "< ZLB")
	}
	if d.l.s.channel.nr != 2 {
		t.Errorf("Nr = %d, want 2", d.l.s.channel.nr)
	}
	for i := range uint16(4) {
		d.l.HandleTimer(d.l.s.heard.Add(time.Minute))
		if len(d.l.s.channel.sent) != 1 {
			t.Fatal("no HELLO is outstanding")
		}
		d.deliver(d.build(d.l.ID(), 0, d.ns, 0xffff+i+1, 0, ""))
		if len(d.l.s.channel.sent) != 0 {
			t.Fatalf("HELLO %d is not acknowledged", i)
		}
	}
}

func TestUnknownMandatoryAVPs(t *testing.T) {
	const unknown = "8008 0000 0064 0000"
	t.Run("in a call's message end the call", func(t *testing.T) {
		d := newLadder(t, testConfig())
		d.open()
		out := d.since(func() { d.recv(d.seen, wen, "8020 0000 0022"+strings.Repeat("00", 26)+unknown) })
		machinetest.WantLine(t, out, "< CDN")
		machinetest.WantLine(t, out, "Code:2 Error:unknown mandatory AVP")
		machinetest.WantLine(t, out, fmt.Sprintf("%x", "vendor 0 attribute 100"))
		if !d.l.Established() {
			t.Error("the tunnel went down")
		}
	})
	t.Run("in an ICRQ refuse it", func(t *testing.T) {
		d := newLadder(t, testConfig())
		d.sccrq(windowsSCCRQ)
		d.recv(0, scccn, "")
		out := d.since(func() { d.recv(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000"+unknown) })
		machinetest.WantLine(t, out, "< CDN tunnel=1 session=9 ")
		machinetest.WantLine(t, out, "* l2tp.CallFailed")
	})
	t.Run("in the tunnel's message end the tunnel", func(t *testing.T) {
		for _, kind := range []messageType{scccn, hello} {
			d := newLadder(t, testConfig())
			if kind == scccn {
				d.sccrq(windowsSCCRQ)
			} else {
				d.open()
			}
			out := d.since(func() { d.recv(0, kind, unknown) })
			machinetest.WantLine(t, out, "< StopCCN tunnel=1 ")
			machinetest.WantLine(t, out, "* l2tp.TunnelDown{Result:{Code:2 Error:unknown mandatory AVP")
		}
	})
	t.Run("in an SCCRQ refuse it", func(t *testing.T) {
		d := newLadder(t, testConfig())
		out := d.since(func() { d.sccrq(windowsSCCRQ + unknown) })
		machinetest.WantLine(t, out, "< StopCCN tunnel=1 ")
		machinetest.WantNoLine(t, out, "SCCRP tunnel")
	})
	t.Run("an optional one is ignored", func(t *testing.T) {
		d := newLadder(t, testConfig())
		machinetest.WantLine(t, d.since(func() { d.sccrq(windowsSCCRQ + "0008 0000 0064 0000") }), "< SCCRP")
	})
	t.Run("known ones that are mandatory where they do not belong are ignored", func(t *testing.T) {
		d := newLadder(t, testConfig())
		d.sccrq(windowsSCCRQ)
		d.recv(0, scccn, "")
		d.recv(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000 800a 0000 0019 00000001 8008 0000 0006 0001")
		machinetest.WantLine(t, d.out.String(), "< ICRP")
	})
}

func TestUnknownMessages(t *testing.T) {
	d := newLadder(t, testConfig())
	d.open()
	optional := d.build(d.l.ID(), 0, d.ns, d.nr, messageType(99), "")
	optional[12] &^= 0x80
	d.ns++
	out := d.since(func() { d.deliver(optional) })
	machinetest.WantLine(t, out, "< ZLB")
	if !d.l.Established() {
		t.Error("an optional message ended the tunnel")
	}
	out = d.since(func() { d.recv(0, messageType(99), "") })
	machinetest.WantLine(t, out, "< StopCCN")
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct{ raw, want string }{
		"version 2": {strings.Replace(windowsSCCRQ, "0002 0100", "0002 0200", 1), "TunnelDown{Result:{Code:5"},
		"challenge without a secret": {windowsSCCRQ + "800a 0000 000b 01020304",
			"TunnelDown{Result:{Code:4 Error:no error Message:tunnel authentication is not configured"},
		"no tunnel id":     {strings.Replace(windowsSCCRQ, "8008 0000 0009 0001", "", 1), "TunnelDown{Result:{Code:2 Error:wrong length"},
		"tunnel id 0":      {strings.Replace(windowsSCCRQ, "0009 0001", "0009 0000", 1), "TunnelDown{Result:{Code:2"},
		"tunnel id's size": {strings.Replace(windowsSCCRQ, "8008 0000 0009 0001", "800a 0000 0009 00000001", 1), "TunnelDown{Result:{Code:2"},
	} {
		d := newLadder(t, testConfig())
		out := d.since(func() { d.sccrq(tt.raw) })
		machinetest.WantLine(t, out, tt.want)
		machinetest.WantNoLine(t, out, "< SCCRP")
		if len(d.l.s.peer.HostName) == 0 {
			t.Errorf("%s: the peer's name is lost to the log", name)
		}
	}
}

func TestTolerance(t *testing.T) {
	for name, raw := range map[string]string{
		"no Host Name":            strings.Replace(windowsSCCRQ, "8015 0000 0007 4445534b544f502d414243444546 31", "", 1),
		"empty Host Name":         strings.Replace(windowsSCCRQ, "8015 0000 0007 4445534b544f502d414243444546 31", "8006 0000 0007", 1),
		"no Bearer Capabilities":  strings.Replace(windowsSCCRQ, "800a 0000 0004 00000000", "", 1),
		"no Framing Capabilities": strings.Replace(windowsSCCRQ, "800a 0000 0003 00000001", "", 1),
		"no Receive Window":       strings.Replace(windowsSCCRQ, "8008 0000 000a 0008", "", 1),
		"a Receive Window of 0":   strings.Replace(windowsSCCRQ, "000a 0008", "000a 0000", 1),
		"a Tie Breaker":           windowsSCCRQ + "000e 0000 0005 0102030405060708",
	} {
		d := newLadder(t, testConfig())
		if out := d.since(func() { d.sccrq(raw) }); !strings.Contains(out, "< SCCRP") {
			t.Errorf("%s: refused:\n%s", name, out)
		}
		d.recv(0, scccn, "")
		d.recv(0, icrq, "8008 0000 000e 0009") // it has no Call Serial Number, either
		d.recv(d.seen, iccn, "")
		machinetest.WantLine(t, d.out.String(), "* l2tp.SessionUp")
	}
}

func TestStateMachineErrors(t *testing.T) {
	d := newLadder(t, testConfig())
	d.open()
	out := d.since(func() { d.recv(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000") })
	machinetest.WantLine(t, out, "< CDN tunnel=1 session=9 ")
	machinetest.WantLine(t, out, "ICRQ in state established")

	d = newLadder(t, testConfig())
	d.open()
	machinetest.WantLine(t, d.since(func() { d.recv(d.seen, iccn, "") }), "< CDN tunnel=1 session=9 ")

	d = newLadder(t, testConfig())
	d.open()
	out = d.since(func() { d.recv(0, scccn, "") })
	machinetest.WantLine(t, out, "* l2tp.SessionDown")
	machinetest.WantLine(t, out, "* l2tp.TunnelDown{Result:{Code:7 Error:no error Message:SCCCN in state established}")
	machinetest.WantLine(t, out, "< StopCCN")

	d = newLadder(t, testConfig())
	d.sccrq(windowsSCCRQ)
	out = d.since(func() { d.recv(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000") })
	machinetest.WantLine(t, out, "ICRQ in state wait-ctl-conn")
	machinetest.WantLine(t, out, "< ZLB")
}

func TestOutgoingCallsAreRefused(t *testing.T) {
	d := newLadder(t, testConfig())
	d.open()
	out := d.since(func() {
		d.recv(0, ocrq, "8008 0000 000e 0011 800a 0000 000f 00000000 800a 0000 0010 00000000 800a 0000 0011 00000000"+
			"800a 0000 0012 00000001 800a 0000 0013 00000001 8009 0000 0015 353535")
	})
	machinetest.WantLine(t, out, "< CDN tunnel=1 session=17 ")
	machinetest.WantLine(t, out, "<1! 00050000")
	machinetest.WantLine(t, d.since(func() { d.recv(0, occn, "") }), "< ZLB")
	if len(d.l.s.sessions) != 1 {
		t.Error("the session went down")
	}
}

func TestLinkInfo(t *testing.T) {
	d := newLadder(t, testConfig())
	d.open()
	out := d.since(func() { d.recv(d.seen, sli, "8010 0000 0023 0000 ffffffff 000a0000") })
	machinetest.WantLine(t, out, fmt.Sprintf("* l2tp.LinkInfo{Local:%d SendACCM:4294967295 ReceiveACCM:655360}", d.seen))
	out = d.since(func() { d.recv(d.seen, wen, "8020 0000 0022"+strings.Repeat("00", 26)) })
	machinetest.WantLine(t, out, "< ZLB")
	machinetest.WantNoLine(t, out, "* ")
}

func TestSequencingIsWhatTheLACAsksFor(t *testing.T) {
	d := newLadder(t, testConfig())
	d.sccrq(windowsSCCRQ)
	d.recv(0, scccn, "")
	d.recv(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000")
	d.recv(d.seen, iccn, "800a 0000 0018 05f5e100 800a 0000 0013 00000001 8006 0000 0027")
	machinetest.WantLine(t, d.out.String(), "Sequencing:true")
}

func TestDuplicateSCCRQ(t *testing.T) {
	first := fix(machinetest.Unhex(t, windowsSCCRQ))
	other := fix(machinetest.Unhex(t, strings.Replace(windowsSCCRQ, "0009 0001", "0009 0002", 1)))
	vendor := fix(machinetest.Unhex(t, windowsSCCRQ+"0006 0000 0008")) // of the same tunnel, and different
	d := newLadder(t, testConfig())
	if d.l.Duplicate(machinetest.Epoch, first, true) {
		t.Error("a tunnel that has seen nothing calls it a duplicate")
	}
	d.sccrq(windowsSCCRQ)
	for _, tt := range []struct {
		name string
		b    []byte
		at   time.Duration
		late bool
		want bool
	}{
		{"at once", first, 0, false, true},
		{"at once, overtaken", first, 0, true, true},
		{"after 30 s", first, 30 * time.Second, false, true},
		{"after more", first, 31 * time.Second, false, false},
		{"another id", other, 0, true, false},
		{"the same id of another client", vendor, 0, true, false},
		{"not an SCCRQ", d.build(0, 0, 0, 0, hello, ""), 0, true, false},
		{"rubbish", []byte{1, 2, 3}, 0, true, false},
	} {
		if got := d.l.Duplicate(machinetest.Epoch.Add(tt.at), tt.b, tt.late); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	d.recv(0, scccn, "")
	if d.l.Duplicate(machinetest.Epoch, first, false) {
		t.Error("a client that starts again with the same tunnel id is called a duplicate")
	}
	if !d.l.Duplicate(machinetest.Epoch, first, true) {
		t.Error("a copy that SCCCN overtook is called a new beginning")
	}
	d.recv(0, stopccn, "8008 0000 0009 0001 800a 0000 0001 0006 0000")
	if d.l.Duplicate(machinetest.Epoch, first, true) {
		t.Error("a client that hung up and comes back is called a duplicate")
	}
}

// CVE-2021-42054: accel-ppp continued to use a session that its client had just
// ended. Packets and timers that come late, in any order, must find nothing.
func TestCVE_2021_42054_LateUseOfWhatEnded(t *testing.T) {
	for name, leave := range map[string]func(*ladder){
		"CDN":     func(d *ladder) { d.recv(d.seen, cdn, "800a 0000 0001 0003 0000 8008 0000 000e 0009") },
		"StopCCN": func(d *ladder) { d.recv(0, stopccn, "8008 0000 0009 0001 800a 0000 0001 0006 0000") },
		"silence": func(d *ladder) { d.wait(5 * time.Minute) },
		"our end": func(d *ladder) { d.l.Close(d.now, Result{Code: StopShutdown}); d.drain() },
	} {
		d := newLadder(t, testConfig())
		d.open()
		local := d.seen
		leave(d)
		out := d.since(func() {
			d.l.Hangup(d.now, local, Result{Code: CallAdmin})
			d.l.HandleData(d.now)
			d.drain()
			d.recv(local, iccn, "")
			d.recv(local, cdn, "800a 0000 0001 0003 0000 8008 0000 000e 0009")
			d.recv(local, sli, "8010 0000 0023 0000 ffffffff 000a0000")
			d.l.Close(d.now, Result{Code: StopShutdown})
			d.wait(time.Minute)
			d.l.HandleData(d.now)
			d.l.Close(d.now, Result{Code: StopShutdown})
			d.l.HandleTimer(d.now)
			d.drain()
		})
		machinetest.WantNoLine(t, out, "* l2tp.SessionDown")
		machinetest.WantNoLine(t, out, "* l2tp.LinkInfo")
		if n := strings.Count(d.out.String(), "* l2tp.TunnelDown"); n != 1 {
			t.Errorf("%s: TunnelDown was said %d times", name, n)
		}
		if n := strings.Count(d.out.String(), "* l2tp.Closed"); n != 1 {
			t.Errorf("%s: Closed was said %d times", name, n)
		}
	}
}

func TestAPeerThatAcknowledgesNothingIsBounded(t *testing.T) {
	d := newLadder(t, testConfig())
	d.open()
	for i := range uint16(500) {
		avps := fmt.Sprintf("8008 0000 000e %04x 800a 0000 000f 00000000", 1000+i)
		b := d.build(d.l.ID(), 0, d.ns, 2, icrq, avps)
		d.ns++
		_ = d.l.HandlePacket(d.now, b)
		drain(d.l)
		if n := len(d.l.s.channel.queue); n > maxQueue {
			t.Fatalf("%d messages wait", n)
		}
	}
	if d.l.s.ending != gone {
		t.Error("the tunnel lives on")
	}
}

func TestCallNeedsALACThatIsAlive(t *testing.T) {
	lns := NewLNS(Env{Config: testConfig(), Rand: machinetest.Rand(1)}, machinetest.Epoch)
	if _, err := lns.Call(machinetest.Epoch, Call{}); !errors.Is(err, ErrUnexpected) {
		t.Errorf("an LNS says %v", err)
	}
	lac := NewLAC(Env{Config: testConfig(), Rand: machinetest.Rand(1)}, machinetest.Epoch)
	if _, err := lac.Call(machinetest.Epoch, Call{}); err != nil {
		t.Error(err)
	}
	if _, err := lac.Call(machinetest.Epoch, Call{}); !errors.Is(err, ErrLimit) {
		t.Errorf("a second call says %v", err)
	}
	lac.Close(machinetest.Epoch, Result{Code: StopShutdown})
	if _, err := lac.Call(machinetest.Epoch, Call{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed LAC says %v", err)
	}
}

// RFC 2661, sections 5.1.1 and 4.4.3 (Challenge Response): the CHAP ID is the
// Message Type of the answering message.
func TestChallengeResponsesAreTheRFCs(t *testing.T) {
	d := newLadder(t, withSecret(testConfig(), "tunnel secret"))
	d.sccrq(windowsSCCRQ + "800a 0000 000b 01020304")
	sum := md5.Sum([]byte("\x02tunnel secret\x01\x02\x03\x04"))
	machinetest.WantLine(t, d.out.String(), fmt.Sprintf("<13! %x>", sum))
	sum = md5.Sum([]byte("\x03tunnel secret" + string(d.l.s.challenge)))
	d.recv(0, scccn, fmt.Sprintf("8016 0000 000d %x", sum))
	machinetest.WantLine(t, d.out.String(), "* l2tp.TunnelUp")
}

// An AVP that is hidden with another secret is named, and its deciphered bytes are not used.
func TestWhatIsHiddenByAnotherSecretIsNamed(t *testing.T) {
	for length := range 12 { // bytes of padding
		d := newLadder(t, withSecret(testConfig(), "one"))
		hidden := hide(uint16(avpAssignedTunnel), "two", "vector", []byte{0, 7}, make([]byte, length))
		raw := strings.Replace(windowsSCCRQ, "8008 0000 0009 0001", "", 1) +
			fmt.Sprintf("%04x 0000 0024 %x", 0x8000|6+len("vector"), "vector") + fmt.Sprintf("%04x 0000 0009 %x", 0xc000|6+len(hidden), hidden)
		out := d.since(func() { d.sccrq(raw) })
		machinetest.WantLine(t, out, "TunnelDown{Result:{Code:2 Error:unknown mandatory AVP Message:Assigned Tunnel ID is hidden: the secrets differ, or one end has none")
	}
}
