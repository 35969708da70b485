package l2tp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// render formats a control message as the ladders in testdata show it. It shares
// no parser with the tested code.
func render(b []byte) string {
	if len(b) < 12 {
		return fmt.Sprintf("%x", b)
	}
	at := func(i int) uint16 { return binary.BigEndian.Uint16(b[i:]) }
	head := fmt.Sprintf("tunnel=%d session=%d Ns=%d Nr=%d", at(4), at(6), at(8), at(10))
	if len(b) < 20 {
		return "ZLB " + head
	}
	names := []string{"?", "SCCRQ", "SCCRP", "SCCCN", "StopCCN", "?", "HELLO", "OCRQ", "OCRP", "OCCN", "ICRQ", "ICRP", "ICCN", "?", "CDN", "WEN", "SLI"}
	name := fmt.Sprintf("message-%d", at(18))
	if int(at(18)) < len(names) {
		name = names[at(18)]
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s", name, head)
	for b = b[20:]; len(b) >= 6; {
		n := int(at(0) & 0x3ff)
		if n < 6 || n > len(b) {
			break
		}
		mark := ""
		if b[0]&0x80 != 0 {
			mark = "!"
		}
		fmt.Fprintf(&out, " <%d%s %x>", at(4), mark, b[6:n])
		b = b[n:]
	}
	return out.String()
}

// ladder drives one LNS with the bytes of a client and records what happens: ">"
// from the client, "<" to it, "*" to the driver.
type ladder struct {
	t    *testing.T
	l    *Tunnel
	now  time.Time
	out  strings.Builder
	ns   uint16 // of the client's next message
	nr   uint16
	seen uint16 // our session id, from ICRP
}

func newLadder(t *testing.T, c *Config) *ladder {
	return &ladder{t: t, l: NewLNS(Env{Config: c, Rand: machinetest.Rand(1)}, machinetest.Epoch), now: machinetest.Epoch}
}

func (d *ladder) drain() {
	for _, e := range drain(d.l) {
		s, ok := e.(Send)
		if !ok {
			fmt.Fprintf(&d.out, "* %T%+v\n", e, e)
			continue
		}
		fmt.Fprintf(&d.out, "< %s\n", render(s.Data))
		if len(s.Data) > 12 {
			d.nr = max(d.nr, binary.BigEndian.Uint16(s.Data[8:])+1)
			if s.Data[19] == byte(icrp) {
				d.seen = binary.BigEndian.Uint16(s.Data[26:])
			}
		}
	}
}

// build makes a control message from AVPs, which are given as hex and follow the
// Message Type.
func (d *ladder) build(tunnel, session, ns, nr uint16, kind messageType, avps string) []byte {
	d.t.Helper()
	b := make([]byte, controlHeaderLen)
	if kind != 0 {
		b = append(b, machinetest.Unhex(d.t, fmt.Sprintf("8008 0000 0000 %04x", uint16(kind)))...)
	}
	b = append(b, machinetest.Unhex(d.t, avps)...)
	putHeader(b, header{tunnel: tunnel, session: session, ns: ns, nr: nr})
	return b
}

func (d *ladder) deliver(b []byte) {
	d.t.Helper()
	fmt.Fprintf(&d.out, "> %s\n", render(b))
	if err := d.l.HandlePacket(d.now, b); err != nil {
		fmt.Fprintf(&d.out, "* dropped: %v\n", err)
	}
	d.drain()
}

// recv passes the client's next message to the tunnel.
func (d *ladder) recv(session uint16, kind messageType, avps string) {
	d.t.Helper()
	b := d.build(d.l.ID(), session, d.ns, d.nr, kind, avps)
	if kind != 0 {
		d.ns++
	}
	d.deliver(b)
}

// zlb acknowledges everything that was received.
func (d *ladder) zlb() { d.t.Helper(); d.recv(0, 0, "") }

func (d *ladder) sccrq(raw string) {
	d.t.Helper()
	d.deliver(fix(machinetest.Unhex(d.t, raw)))
	d.ns = 1
}

func (d *ladder) wait(by time.Duration) {
	fmt.Fprintf(&d.out, "... %v\n", by)
	end := d.now.Add(by)
	for next := d.l.Deadline(); !next.IsZero() && !next.After(end); next = d.l.Deadline() {
		d.now = next
		d.l.HandleTimer(next)
		d.drain()
	}
	d.now = end
}

// since runs f and returns only what f added to the record.
func (d *ladder) since(f func()) string {
	before := d.out.Len()
	f()
	return d.out.String()[before:]
}

// open establishes a tunnel and a session, with remote ids 1 and 9.
func (d *ladder) open() {
	d.t.Helper()
	d.sccrq(windowsSCCRQ)
	d.recv(0, scccn, "")
	d.recv(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000")
	d.recv(d.seen, iccn, "800a 0000 0018 05f5e100 800a 0000 0013 00000001")
	if len(d.l.s.sessions) != 1 || d.l.s.sessions[0].state != sessionEstablished {
		d.t.Fatalf("no session:\n%s", d.out.String())
	}
}

func TestWindowsTranscript(t *testing.T) {
	d := newLadder(t, testConfig())
	d.sccrq(windowsSCCRQ)
	d.wait(500 * time.Millisecond)
	d.deliver(fix(machinetest.Unhex(t, windowsSCCRQ))) // our answer got lost
	d.recv(0, scccn, "")
	d.recv(0, icrq, "8008 0000 000e 0001 800a 0000 000f 00000000 800a 0000 0012 00000002 800a 0000 0019 00000000")
	d.recv(d.seen, iccn, "800a 0000 0018 05f5e100 800a 0000 0013 00000001 0008 0000 001d 0004")
	d.wait(60 * time.Second) // idle: we send a HELLO
	d.zlb()
	d.recv(0, hello, "") // and Windows sends one
	d.recv(d.seen, cdn, "800a 0000 0001 0003 0000 8008 0000 000e 0001")
	d.recv(0, stopccn, "8008 0000 0009 0001 800a 0000 0001 0006 0000")
	d.deliver(d.build(d.l.ID(), 0, d.ns-1, d.nr, stopccn, "8008 0000 0009 0001 800a 0000 0001 0006 0000"))
	d.wait(31 * time.Second)
	machinetest.Transcript(t, "windows", d.out.String())
}

func TestAppleTranscript(t *testing.T) {
	d := newLadder(t, testConfig())
	d.sccrq(appleSCCRQ)
	// SCCCN and ICRQ are sent together, and arrive in reverse order.
	one := d.build(d.l.ID(), 0, 1, 1, scccn, "")
	two := d.build(d.l.ID(), 0, 2, 1, icrq, "8008 0000 000e 1f3d 800a 0000 000f 00000001")
	d.deliver(two)
	d.deliver(one)
	d.ns = 3
	d.recv(d.seen, iccn, "800a 0000 0018 000f4240 800a 0000 0013 00000003")
	// CDN and StopCCN come together, with Apple's own form of Result Code.
	d.recv(d.seen, cdn, "800e 0000 0001 0300 c0ff ee00 0102 8008 0000 000e 1f3d")
	d.recv(0, stopccn, "800e 0000 0001 0100 c0ff ee00 0102 8008 0000 0009 0001")
	machinetest.Transcript(t, "apple", d.out.String())
}

func TestAndroidTranscript(t *testing.T) {
	d := newLadder(t, testConfig())
	d.sccrq(androidSCCRQ)
	d.recv(0, scccn, "")
	d.recv(0, icrq, "8008 0000 000e 77aa 800a 0000 000f 12345678")
	d.recv(d.seen, iccn, "800a 0000 0018 05f5e100 800a 0000 0013 00000003")
	d.recv(0, stopccn, "8008 0000 0009 4d2b 8008 0000 0001 0006")
	machinetest.Transcript(t, "android", d.out.String())
}

func TestXl2tpdTranscript(t *testing.T) {
	d := newLadder(t, testConfig())
	d.sccrq(xl2tpdSCCRQ)
	d.recv(0, scccn, "")
	d.recv(0, icrq, "8008 0000 000e 2c1e 800a 0000 000f 00000001 800a 0000 0012 00000000")
	d.recv(d.seen, iccn, "800a 0000 0018 00989680 800a 0000 0013 00000001 800a 0000 0026 00989680")
	d.l.Hangup(d.now, d.l.s.sessions[0].Local, Result{Code: CallAdmin})
	d.drain()
	d.l.Close(d.now, Result{Code: StopShutdown, Message: "server is stopping"})
	d.drain()
	d.wait(2500 * time.Millisecond)
	d.zlb()
	machinetest.Transcript(t, "xl2tpd", d.out.String())
}
