package ppp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// ladder drives one server link with a client's own bytes, and records what happens: ">"
// from the client, "<" to the client, "*" to the driver.
type ladder struct {
	t      *testing.T
	l      *Link
	now    time.Time
	out    strings.Builder
	last   map[uint16][]byte // our last Configure-Request, by protocol
	ticket uint32
	id     byte // of our last Challenge
}

func newLadder(t *testing.T, c *Config) *ladder {
	d := &ladder{t: t, l: New(Env{Config: c, Rand: machinetest.Rand(1)}), now: machinetest.Epoch, last: map[uint16][]byte{}}
	d.l.Start(d.now)
	d.drain()
	return d
}

func (d *ladder) drain() {
	for _, e := range drain(d.l) {
		switch e := e.(type) {
		case Send:
			fmt.Fprintf(&d.out, "< %s\n", render(e.Frame))
			if proto := binary.BigEndian.Uint16(e.Frame[2:]); e.Frame[4] == codeConfigureRequest {
				d.last[proto] = e.Frame
				if proto == ProtocolCHAP {
					d.id = e.Frame[5]
				}
			}
		case AuthRequest:
			d.ticket = e.Ticket
			fmt.Fprintf(&d.out, "* AuthRequest %v %q challenge=%x response=%x password=%d bytes\n",
				e.Method, e.User, e.Challenge, e.Response, e.Password.Len())
		case Note:
			fmt.Fprintf(&d.out, "* Note: %v %s %d %q\n", e.Kind, ProtocolName(e.Protocol), e.Code, e.Text)
		case NetworkUp:
			fmt.Fprintf(&d.out, "* NetworkUp %v %v %v mtu=%d\n", e.Network.Local, e.Network.Peer, e.Network.DNS, e.MTU)
		case Network6Up:
			fmt.Fprintf(&d.out, "* Network6Up %v %v mtu=%d\n", e.Network.Local.LinkLocal(), e.Network.Peer.LinkLocal(), e.MTU)
		case Down:
			fmt.Fprintf(&d.out, "* Down: %v (%q)\n", e.Why, e.PeerText)
		default:
			fmt.Fprintf(&d.out, "* %T%+v\n", e, e)
		}
	}
}

// recv hands the link a frame, as hex.
func (d *ladder) recv(frame string) {
	d.t.Helper()
	b := machinetest.Unhex(d.t, frame)
	fmt.Fprintf(&d.out, "> %s\n", render(b))
	if err := d.l.HandlePacket(d.now, b); err != nil {
		fmt.Fprintf(&d.out, "* dropped: %v\n", err)
	}
	d.drain()
}

// ack acknowledges our last Configure-Request of a protocol.
func (d *ladder) ack(proto uint16) {
	d.t.Helper()
	b := bytes.Clone(d.last[proto])
	if len(b) < 8 {
		d.t.Fatalf("no Configure-Request of %s to acknowledge", ProtocolName(proto))
	}
	b[4] = codeConfigureAck
	d.recv(fmt.Sprintf("%x", b))
}

// respond sends a CHAP Response of size bytes to our last Challenge.
func (d *ladder) respond(size int, name string) {
	d.t.Helper()
	value := bytes.Repeat([]byte{0xab}, size)
	d.recv(fmt.Sprintf("ff03c22302%02x%04x%02x%x%x", d.id, 5+size+len(name), size, value, name))
}

func (d *ladder) verdict(a AuthAnswer) {
	d.l.HandleAuth(d.now, d.ticket, a)
	d.drain()
}

func (d *ladder) wait(by time.Duration) {
	fmt.Fprintf(&d.out, "... %v\n", by)
	end := d.now.Add(by)
	for {
		next := d.l.Deadline()
		if next.IsZero() || next.After(end) {
			break
		}
		d.now = next
		d.l.HandleTimer(next)
		d.drain()
	}
	d.now = end
}

const someProof = "S=407A5589115FD0D6209F510FE9C04566932CDA56"

func TestWindowsTranscript(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	d.recv("ff03 c021 01 00 0015 0104 0578 0506 5a1b2c3d 0702 0802 0d0306")
	d.recv("ff03 c021 01 01 0012 0104 0578 0506 5a1b2c3d 0702 0802")
	d.ack(ProtocolLCP)
	d.recv("ff03 c021 0c 02 0012 5a1b2c3d 4d5352415356352e3230")
	d.recv("ff03 c021 0c 03 0016 5a1b2c3d 4d535241532d302d4d4152595043")
	d.recv("ff03 c021 0c 04 0018 5a1b2c3d 00112233445566778899aabbccddeeff")
	d.respond(49, `CORP\mary`)
	d.verdict(AuthAnswer{OK: true, Success: someProof, Network: testNetwork})
	d.recv("8057 01 05 000e 010a 1122334455667788")
	d.recv("8021 01 06 0022 0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000")
	d.ack(ProtocolIPCP)
	d.recv("8021 01 07 0016 0306 00000000 8106 00000000 8306 00000000")
	d.recv("8021 01 08 0016 0306 0a53000a 8106 09090909 8306 01010101")
	d.recv("80fd 01 09 000a 1206 00000001")
	d.recv("ff03 c021 05 0a 0010 5a1b2c3d 003ccd74 00000000")
	d.recv("ff03 c021 05 0a 0010 5a1b2c3d 003ccd74 00000000")
	d.wait(4 * time.Second)
	machinetest.Transcript(t, "windows", d.out.String())
}

func TestAppleTranscript(t *testing.T) {
	c := serverConfig(MethodMSCHAPv2)
	c.Echo = 0
	d := newLadder(t, c)
	d.wait(3 * time.Second) // our first request was lost
	d.recv("ff03 c021 01 01 0014 0206 00000000 0506 69112233 0702 0802")
	d.ack(ProtocolLCP)
	d.wait(3 * time.Second) // the Challenge was lost
	d.respond(49, "mary")
	d.respond(49, "mary") // repeated while the backend thinks
	d.verdict(AuthAnswer{OK: true, Success: someProof, Message: "Welcome", Network: testNetwork})
	d.wait(3 * time.Second) // Success was lost
	d.recv("8021 01 01 0016 0306 00000000 8106 00000000 8306 00000000")
	d.recv("8057 01 01 000e 010a 1122334455667788")
	d.recv("8235 01 01 0010 0106 00000001 0206 00000001")
	d.ack(ProtocolIPCP)
	d.recv("8021 01 02 0016 0306 0a53000a 8106 09090909 8306 01010101")
	d.recv("ff03 c021 09 01 0008 69112233")
	d.wait(30 * time.Second)
	d.recv("ff03 c021 05 02 0010 557365722072657175657374")
	d.wait(4 * time.Second)
	machinetest.Transcript(t, "apple", d.out.String())
}

func TestAndroidTranscript(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2, MethodCHAP, MethodPAP))
	d.recv("ff03 c021 01 01 0018 0104 0578 0206 00000000 0506 0badcafe 0702 0802")
	d.recv("ff03 c021 03 01 0009 0305 c22305") // Configure-Nak: the client asks for plain CHAP
	d.ack(ProtocolLCP)
	d.respond(16, "mary")
	d.verdict(AuthAnswer{OK: true, Network: testNetwork})
	d.recv("80fd 01 01 000f 1a04 7800 1804 7800 1503 2f")
	d.recv("8021 01 01 001c 0206 002d0f01 0306 00000000 8106 00000000 8306 00000000")
	d.recv("8021 01 02 0016 0306 00000000 8106 00000000 8306 00000000")
	d.recv("8021 01 03 0016 0306 0a53000a 8106 09090909 8306 01010101")
	d.ack(ProtocolIPCP)
	d.recv("21 4500001400000000400100000a53000a0a530001") // IP, all short forms
	machinetest.Transcript(t, "android", d.out.String())
}

func TestPppdTranscript(t *testing.T) {
	c := serverConfig(MethodPAP)
	d := newLadder(t, c)
	d.recv("ff03 c021 01 01 0018 0104 0582 0206 00000000 0506 11223344 0702 0802")
	d.ack(ProtocolLCP)
	d.recv("ff03 c023 01 01 0011 04 6d617279 07 68756e74657232")
	d.recv("ff03 c023 01 02 0011 04 6d617279 07 68756e74657232") // after 3 s, next identifier
	d.verdict(AuthAnswer{OK: true, Network: Network{Local: testNetwork.Local, Peer: testNetwork.Peer, DNS: testNetwork.DNS[:1]}})
	d.recv("ff03 c023 01 03 0011 04 6d617279 07 68756e74657232") // the Ack crossed this repeat
	d.recv("8021 01 01 001c 0206 002d0f01 0306 c0a80105 8106 00000000 8306 00000000")
	d.recv("8021 01 02 0010 0306 c0a80105 8106 00000000")
	d.recv("8021 01 03 0010 0306 0a53000a 8106 09090909")
	d.ack(ProtocolIPCP)
	d.wait(81 * time.Second) // the client is gone: three echoes, then the end
	d.wait(10 * time.Second)
	machinetest.Transcript(t, "pppd", d.out.String())
}

func TestRouterTranscript(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	// RRAS demand-dial: multilink, endpoint discriminator, and its own demand that we
	// authenticate.
	d.recv("ff03 c021 01 00 0032 0305 c22381 0104 064e 0506 01020304 0702 0802 1104 064e" +
		"1317 01 00112233445566778899aabbccddeeff00000000")
	d.recv("ff03 c021 01 01 0012 0104 064e 0506 01020304 0702 0802")
	d.ack(ProtocolLCP)
	d.respond(49, "branch")
	d.verdict(AuthAnswer{Error: 691})
	d.recv("ff03 c021 06 02 0004")
	machinetest.Transcript(t, "router", d.out.String())
}
