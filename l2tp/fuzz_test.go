package l2tp

import (
	"bytes"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// stages are the situations in which HandlePacket is tested.
var stages = []struct {
	name string
	lac  bool
	run  func(w *wire)
}{
	{"LNS idle", false, func(*wire) {}},
	{"LNS waits for SCCCN", false, func(w *wire) { w.run(time.Second, func() bool { return w.ends[1].s.state == waitCtlConn }) }},
	{"LNS established", false, func(w *wire) { w.run(time.Second, w.ends[1].Established) }},
	{"LNS waits for ICCN", false, func(w *wire) { w.run(time.Second, func() bool { return len(w.ends[1].s.sessions) > 0 }) }},
	{"LNS with a session", false, func(w *wire) { w.run(2*time.Second, func() bool { return false }) }},
	{"LNS leaving", false, func(w *wire) {
		w.run(time.Second, w.sessionsUp)
		w.ends[1].Close(w.Now, Result{Code: StopShutdown})
	}},
	{"LAC waits for SCCRP", true, func(*wire) {}},
	{"LAC waits for ICRP", true, func(w *wire) { w.run(time.Second, w.ends[0].Established) }},
	{"LAC with a session", true, func(w *wire) { w.run(2*time.Second, func() bool { return false }) }},
}

// stage returns a line and the end of it that is in stage n.
func stage(t testing.TB, n int) (*wire, *Tunnel) {
	t.Helper()
	w := newWire(t, withSecret(testConfig(), "secret"), withSecret(testConfig(), "secret"))
	if _, err := w.ends[0].Call(w.Now, Call{}); err != nil {
		t.Fatal(err)
	}
	stages[n].run(w)
	if stages[n].lac {
		return w, w.ends[0]
	}
	return w, w.ends[1]
}

// address makes a fuzzer's message reach the machine behind the header: it writes
// the header that the peer would write.
func address(l *Tunnel, b []byte) []byte {
	if len(b) < controlHeaderLen {
		return b
	}
	b = bytes.Clone(b)
	h, _, err := parseHeader(b)
	if err != nil {
		return b
	}
	h.tunnel = l.ID()
	if l.s.state == tunnelIdle {
		h.tunnel = 0
	}
	h.ns = l.s.channel.nr + h.ns%4
	h.nr = l.s.channel.ns
	putHeader(b, h)
	return b
}

func FuzzHandlePacket(f *testing.F) {
	for i := range stages {
		f.Add(byte(i), true, fix(machinetest.Unhex(f, windowsSCCRQ)))
		f.Add(byte(i), true, machinetest.Unhex(f, "c802 0014 0000 0000 0000 0000 8008 0000 0000 0006"))
		f.Add(byte(i), true, machinetest.Unhex(f, "c802 0022 0000 0000 0000 0000 8008 0000 0000 000e 800a 0000 0001 0003 0000 0000"))
		f.Add(byte(i), true, machinetest.Unhex(f, "c802 0028 0000 0000 0001 0000 8008 0000 0000 000a 8008 0000 000e 0009 800a 0000 000f 0000 0000 0000"))
		f.Add(byte(i), false, machinetest.Unhex(f, "c802 000c 0001 0000 0000 0000"))
	}
	for i, b := range machinetest.Seeds(f, "l2tp") {
		if IsControl(b) {
			f.Add(byte(i), true, b)
		}
	}
	f.Fuzz(func(t *testing.T, n byte, addressed bool, data []byte) {
		w, l := stage(t, int(n)%len(stages))
		now := w.Now
		for range 3 {
			b := data
			if addressed {
				b = address(l, data)
			}
			_ = l.HandlePacket(now, b)
			check(t, l, drain(l))
			now = now.Add(500 * time.Millisecond)
			l.HandleTimer(now)
			check(t, l, drain(l))
			if d := l.Deadline(); !d.IsZero() && !d.After(now) {
				t.Fatalf("deadline %v is not after %v", d, now)
			}
		}
	})
}

// check asserts what must hold for any input.
func check(t *testing.T, l *Tunnel, events []Event) {
	t.Helper()
	for i, e := range events {
		switch e := e.(type) {
		case Send:
			if _, _, err := parseHeader(e.Data); err != nil {
				t.Fatalf("we sent %x: %v", e.Data, err)
			}
		case SessionUp:
			if e.Session.Remote == 0 || e.Session.Local == 0 {
				t.Fatalf("a session without ids: %+v", e.Session)
			}
		case TunnelUp:
			if len(e.Peer.HostName) > maxText || len(e.Peer.Vendor) > maxText || e.Peer.Tunnel == 0 {
				t.Fatalf("a peer like %+v", e.Peer)
			}
		case Closed:
			if i != len(events)-1 || l.s.ending != gone {
				t.Fatalf("Closed is event %d of %d", i, len(events))
			}
		}
	}
	if len(l.s.sessions) > 1 || len(l.s.channel.ahead) > maxWindow || len(l.s.channel.queue) > maxQueue {
		t.Fatalf("unbounded: %d sessions, %d ahead, %d queued", len(l.s.sessions), len(l.s.channel.ahead), len(l.s.channel.queue))
	}
}

func FuzzParseData(f *testing.F) {
	f.Add(machinetest.Unhex(f, "4b02 0012 0001 0002 0003 0004 0002 aaaa ff03"))
	f.Add(machinetest.Unhex(f, "0002 0001 0002 ff03"))
	for _, b := range machinetest.Seeds(f, "l2tp") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseData(b)
		if err == nil && (h.Off < 6 || h.Off > h.End || h.End > len(b)) {
			t.Fatalf("%x: %+v", b, h)
		}
		if err == nil && IsControl(b) {
			t.Fatalf("%x is control and data", b)
		}
		IsSCCRQ(b)
	})
}

// Every one-bit change and every strict prefix of valid messages leaves an
// established tunnel and its session alive, unless the changed message is one that
// ends them.
func TestDamagedMessagesNeverKillASession(t *testing.T) {
	for _, avps := range []string{
		"8008 0000 0000 0006",
		"8008 0000 0000 000f 8020 0000 0022 0000 000000000000000000000000000000000000000000000000",
		"8008 0000 0000 0010 8010 0000 0023 0000 ffffffff 000a0000",
	} {
		whole := append(make([]byte, controlHeaderLen), machinetest.Unhex(t, avps)...)
		try := func(change func([]byte) []byte) {
			w, l := stage(t, 4)
			b := bytes.Clone(whole)
			putHeader(b, header{tunnel: l.ID(), session: l.s.sessions[0].Local, ns: l.s.channel.nr, nr: l.s.channel.ns})
			b = change(b)
			if ends(b) {
				return
			}
			_ = l.HandlePacket(w.Now, b)
			if l.s.ending != live || len(l.s.sessions) != 1 {
				t.Errorf("%x ended the session", b)
			}
		}
		for bit := range len(whole) * 8 {
			try(func(b []byte) []byte { b[bit/8] ^= 1 << (bit % 8); return b })
		}
		for n := range len(whole) {
			try(func(b []byte) []byte { return b[:n] })
		}
	}
}

// ends reports whether a message is one for which RFC 2661 requires a session or a
// tunnel to end: a StopCCN or CDN, a message that is wrong in its state, an
// unknown AVP with the M bit, or an unknown message with the M bit.
func ends(b []byte) bool {
	h, body, err := parseHeader(b)
	if err != nil || len(body) == 0 {
		return false
	}
	m, err := parseMessage(h, body, []byte("secret"))
	if err != nil {
		return false
	}
	if _, known := messageRules[m.kind]; !known {
		return m.mandatory
	}
	if m.kind == hello || m.kind == wen || m.kind == sli {
		return m.unknown
	}
	return true
}
