package ppp

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// stages are the situations in which HandlePacket is tried.
var stages = []struct {
	name   string
	client bool
	method Method
	until  func(w *wire) bool
}{
	{"server before LCP", false, MethodMSCHAPv2, func(*wire) bool { return true }},
	{"server awaits CHAP", false, MethodMSCHAPv2, func(w *wire) bool { return w.ends[0].s.phase == phaseAuthenticate }},
	{"server awaits PAP", false, MethodPAP, func(w *wire) bool { return w.ends[0].s.phase == phaseAuthenticate }},
	{"server awaits a verdict", false, MethodCHAP, func(w *wire) bool { return w.ends[0].s.auth.pending }},
	{"server before IPCP", false, MethodCHAP, func(w *wire) bool { return w.ends[0].s.phase == phaseNetwork }},
	{"server open", false, MethodMSCHAPv2, (*wire).up},
	{"client before LCP", true, MethodMSCHAPv2, func(*wire) bool { return true }},
	{"client after LCP", true, MethodMSCHAPv2, func(w *wire) bool { return w.ends[1].s.phase == phaseAuthenticate }},
	{"client awaits a PAP verdict", true, MethodPAP, func(w *wire) bool { return w.ends[1].s.phase == phaseAuthenticate }},
	{"client open", true, MethodMSCHAPv2, (*wire).up},
	{"server before IPV6CP", false, MethodPAP, func(w *wire) bool { return w.ends[0].s.phase == phaseNetwork }},
	{"server open with IPv6", false, MethodPAP, (*wire).up6},
	{"client open with IPv6", true, MethodPAP, (*wire).up6},
	{"server open, compressing", false, MethodPAP, func(w *wire) bool { return w.up() && w.ends[0].Compression().Open }},
	{"client open, compressing", true, MethodPAP, func(w *wire) bool { return w.up() && w.ends[1].Compression().Open }},
}

// stage returns a line, and the end of it that is in stage n.
func stage(t testing.TB, n int) (*wire, int) {
	t.Helper()
	s := stages[n]
	c := clientConfig("User", "clientPass")
	if c.IPv6 = strings.Contains(s.name, "v6") || strings.Contains(s.name, "V6"); c.IPv6 {
		c.User = "User6"
	}
	server := serverConfig(s.method)
	if strings.Contains(s.name, "compressing") {
		server.Compression, c.Compression = bothCompressors, bothCompressors
	}
	w := newWire(t, server, c)
	if n%2 == 0 {
		w.measured()
	}
	w.start()
	if !w.run(10*time.Second, func() bool { return s.until(w) }) {
		t.Fatalf("stage %q was not reached", s.name)
	}
	if s.client {
		return w, 1
	}
	return w, 0
}

func FuzzHandlePacket(f *testing.F) {
	for i := range stages {
		f.Add(byte(i), []byte("\x12\xff\x03\xc0\x21\x01\x01\x00\x0e\x01\x04\x05\x78\x05\x06\x11\x22\x33\x44"))
		f.Add(byte(i), []byte("\x08\xc0\x21\x09\x01\x00\x08\x00\x00\x00\x00"))
		f.Add(byte(i), []byte("\x10\x80\x21\x01\x01\x00\x0a\x03\x06\x00\x00\x00\x00"))
		f.Add(byte(i), []byte("\x10\x80\x57\x01\x01\x00\x0e\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x01"))
		f.Add(byte(i), []byte("\x17\xc2\x23\x02\x01\x00\x15\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
		f.Add(byte(i), []byte("\x06\xc0\x21\x05\x01\x00\x04"))
		f.Add(byte(i), []byte("\x0c\x80\xfd\x01\x01\x00\x0a\x12\x06\x00\x00\x00\x01"))
		f.Add(byte(i), []byte("\x06\x80\xfd\x0e\x01\x00\x04"))
		f.Add(byte(i), []byte("\x06\xc0\x21\x09\x01\x00\x04"))                                               // an Echo-Request without magic number
		f.Add(byte(i), []byte("\x0a\xc0\x21\x03\x01\x00\x08\x01\x04\x05\xdc"))                               // a Nak with a larger MRU
		f.Add(byte(i), []byte("\x07\xc0\x21\x03\x01\x00\x05\x01"))                                           // a Nak with half an option
		f.Add(byte(i), []byte("\x16\x21\x45"+strings.Repeat("\x00", 11)+"\x0a\x53\x00\x0a\x01\x01\x01\x01")) // data from the client's address
	}
	for i, frame := range machinetest.Seeds(f, "ppp") {
		if len(frame) < 256 {
			f.Add(byte(i), append([]byte{byte(len(frame))}, frame...))
		}
	}
	f.Fuzz(func(t *testing.T, n byte, data []byte) {
		w, end := stage(t, int(n)%len(stages))
		l := w.ends[end]
		now := w.Now
		for len(data) > 0 {
			size := min(int(data[0]), len(data)-1)
			frame := bytes.Clone(data[1 : 1+size])
			data = data[1+size:]
			_ = l.HandlePacket(now, frame)
			checkEvents(t, l, drain(l))
			now = now.Add(time.Second)
			l.HandleTimer(now)
			checkEvents(t, l, drain(l))
			if d := l.Deadline(); !d.IsZero() && !d.After(now) {
				t.Fatalf("deadline %v is not after %v", d, now)
			}
		}
	})
}

// checkEvents asserts what must hold for any input.
func checkEvents(t *testing.T, l *Link, events []Event) {
	t.Helper()
	for i, e := range events {
		switch e := e.(type) {
		case Send:
			if len(e.Frame) < 8 || len(e.Frame) > maxFrame+16 || e.Frame[0] != 0xff || e.Frame[1] != 3 {
				t.Fatalf("bad frame %x", e.Frame)
			}
			if _, err := parsePacket(e.Frame[4:]); err != nil {
				t.Fatalf("frame %x: %v", e.Frame, err)
			}
		case Note:
			if len(e.Text) > maxText {
				t.Fatalf("a text of %d bytes", len(e.Text))
			}
		case Down:
			if i != len(events)-1 || l.s.phase != phaseDone || len(e.PeerText) > maxText {
				t.Fatalf("Down = %+v, as event %d of %d", e, i, len(events))
			}
		case AuthRequest:
			if len(e.User) > maxName {
				t.Fatalf("a user of %d bytes", len(e.User))
			}
		}
	}
}

// damaged calls f with every one-bit change and every strict prefix of frame.
func damaged(frame []byte, f func([]byte)) {
	for i := range len(frame) * 8 {
		b := bytes.Clone(frame)
		b[i/8] ^= 1 << (i % 8)
		f(b)
	}
	for i := range frame {
		f(frame[:i])
	}
}

// mayEnd tells whether a frame says explicitly that its sender is done, or cannot do LCP
// or IPCP. Then a link may end.
func mayEnd(frame []byte) bool {
	proto, info, ok := splitFrame(frame)
	p, err := parsePacket(info)
	if !ok || err != nil {
		return false
	}
	switch {
	case proto != ProtocolLCP && proto != ProtocolIPCP:
		return false
	case p.code == codeTerminateRequest, p.code == codeCodeReject && len(p.data) >= 4 && p.data[0] <= codeCodeReject:
		return true
	}
	return p.code == codeProtocolReject && len(p.data) >= 2 &&
		(p.data[0] == 0x80 && p.data[1] == 0x21 || p.data[0] == 0xc0 && p.data[1] == 0x21)
}

// Damage never ends an open link: at worst the link negotiates again.
func TestDamagedFramesNeverKillAnOpenLink(t *testing.T) {
	n := -1
	for i, s := range stages {
		if s.name == "server open" {
			n = i
		}
	}
	for _, s := range []string{
		"ff03 c021 09 01 0008 11223344", "ff03 c021 0a 01 000c 11223344 00112233", "c021 0c 02 000b 11223344 616263",
		"ff03 c021 01 01 000e 0104 0578 0506 11223344", "ff03 8021 01 01 000a 0306 0a53000a",
		"8021 02 01 000a 0306 0a530001", "80fd 01 01 000a 1206 00000001", "ff03 c223 03 01 0005 4d",
		"ff03 c021 08 05 000a 80fd 01010004", "8021 06 09 0004", "21 45000014",
	} {
		frame := machinetest.Unhex(t, s)
		damaged(frame, func(b []byte) {
			if mayEnd(b) {
				return
			}
			w, end := stage(t, n)
			_ = w.ends[end].HandlePacket(w.Now, b)
			w.collect(end)
			w.run(15*time.Second, func() bool { return false })
			if !w.up() {
				t.Errorf("%x killed the link:\n%s", b, w.describe())
			}
		})
	}
}
