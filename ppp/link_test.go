package ppp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

func TestStateIsPlainData(t *testing.T) {
	machinetest.PlainData(t, reflect.TypeFor[linkState]())
}

// since runs f and returns only what it wrote.
func (d *ladder) since(f func()) string {
	before := d.out.Len()
	f()
	return d.out.String()[before:]
}

// RFC 1661, section 3.4.
func TestNothingButLCPIsHeardBeforeLCPOpens(t *testing.T) {
	for _, frame := range []string{
		"c223 01 01 0015 10 000102030405060708090a0b0c0d0e0f",
		"c223 02 01 0015 10 000102030405060708090a0b0c0d0e0f",
		"c023 01 01 0011 04 6d617279 07 68756e74657232",
		"8021 01 01 000a 0306 00000000",
		"80fd 01 01 0004", "8235 01 01 0004", "21 4500",
	} {
		d := newLadder(t, serverConfig(MethodMSCHAPv2))
		out := d.since(func() { d.recv(frame) })
		machinetest.WantLine(t, out, "not expected now")
		machinetest.WantNoLine(t, out, "< ")
	}
}

// RFC 1661, section 3.5. No unknown protocol is rejected, either, before the peer has
// authenticated.
func TestNothingButAuthenticationIsHeardBeforeItPasses(t *testing.T) {
	for _, frame := range []string{
		"8021 01 01 000a 0306 00000000", "80fd 01 01 0004", "8057 01 01 000e 010a 1122334455667788",
		"c023 01 01 0011 04 6d617279 07 68756e74657232", "c227 02 01 0009 01 6d617279", "21 4500", "57 6000",
	} {
		d := newLadder(t, serverConfig(MethodMSCHAPv2))
		openLCP(d)
		out := d.since(func() { d.recv(frame) })
		machinetest.WantLine(t, out, "not expected now")
		machinetest.WantNoLine(t, out, "< ")
	}
}

func TestWhatWasNotNegotiatedIsRejectedOnAnOpenLink(t *testing.T) {
	for _, p := range []string{"8057", "80fd", "8235", "8281", "c227", "c025", "c029", "c023", "0057", "002d"} {
		d := newLadder(t, serverConfig(MethodMSCHAPv2))
		openNetwork(d)
		body := "01010008 deadbeef"
		out := d.since(func() { d.recv("ff03" + p + body) })
		machinetest.WantLine(t, out, "< LCP Protocol-Reject id=2 "+p+"01010008deadbeef")
		if !d.l.s.ipcp.up {
			t.Errorf("%s took the network down", p)
		}
	}
}

func TestAProtocolRejectFitsThePeersMRU(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	openNetwork(d)
	d.drain()
	if err := d.l.HandlePacket(d.now, append(machinetest.Unhex(t, "ff0380fd"), make([]byte, 1900)...)); err != nil {
		t.Fatal(err)
	}
	s, ok := machinetest.Find[Send](drain(d.l))
	if want := 1400 + 4; !ok || len(s.Frame) != want {
		t.Errorf("the frame has %d bytes, want %d", len(s.Frame), want)
	}
}

func TestCodes(t *testing.T) {
	tests := []struct{ name, frame, want, not string }{
		{"unknown code", "c021 0e 07 0008 11223344", "< LCP Code-Reject id=2 0e07000811223344", ""},
		{"unknown IPCP code", "8021 09 07 0008 11223344", "< IPCP Code-Reject id=2 0907000811223344", ""},
		{"Identification", "c021 0c 07 000b 11223344 616263", "* Note: peer identified itself", "< "},
		{"Time-Remaining", "c021 0d 07 000c 11223344 00000e10", "", "< "},
		{"Discard-Request", "c021 0b 07 0008 11223344", "", "< "},
		{"Echo-Request", "c021 09 07 000a 11223344 aabb", "< LCP Echo-Reply id=7 6ae6783faabb", ""},
		{"Echo-Request without magic", "c021 09 07 0008 00000000", "< LCP Echo-Reply id=7 6ae6783f", ""},
		{"Echo-Reply", "c021 0a 07 0008 11223344", "", "< "},
		{"Echo-Request with our magic", "c021 09 07 000a 6ae6783f aabb", "< LCP Echo-Reply id=7 6ae6783faabb", ""},
		{"Echo-Request of four bytes", "c021 09 07 0004", "< LCP Echo-Reply id=7 6ae6783f", ""},
		{"Echo-Request of seven bytes", "c021 09 07 0007 112233", "< LCP Echo-Reply id=7 6ae6783f", ""},
		{"Echo-Request of four bytes and padding", "c021 09 07 0004 0000000000", "< LCP Echo-Reply id=7 6ae6783f\n", ""},
		{"Echo-Request shorter than it says", "c021 09 07 0009 00000000", "malformed", "< "},
		{"Echo-Reply of four bytes", "c021 0a 07 0004", "", "dropped"},
		{"Discard-Request of four bytes", "c021 0b 07 0004", "", "dropped"},
		{"echo is not known", "c021 07 07 000c 09 01 0008 6ae6783f", "", "< "},
		{"Protocol-Reject of something", "c021 08 07 0006 80fd", "peer rejected a protocol CCP", "< "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newLadder(t, serverConfig(MethodMSCHAPv2))
			openNetwork(d)
			out := d.since(func() { d.recv(tt.frame) })
			machinetest.WantLine(t, out, tt.want)
			if tt.not != "" {
				machinetest.WantNoLine(t, out, tt.not)
			}
			if !d.l.s.ipcp.up || d.l.s.why != 0 {
				t.Error("the network went down")
			}
		})
	}
}

func TestCatastrophicRejectsEndTheLink(t *testing.T) {
	tests := []struct {
		name, frame string
		why         Reason
	}{
		{"Code-Reject of Configure-Request", "c021 07 07 0008 01 01 0004", ReasonRejected},
		{"Protocol-Reject of LCP", "c021 08 07 0006 c021", ReasonRejected},
		{"Protocol-Reject of IPCP", "c021 08 07 0006 8021", ReasonNoNetwork},
		{"Terminate-Request of IPCP", "8021 05 07 0004", ReasonNoNetwork},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newLadder(t, serverConfig(MethodMSCHAPv2))
			openNetwork(d)
			d.recv(tt.frame)
			out := d.since(func() { d.wait(30 * time.Second) })
			machinetest.WantLine(t, out, "* Down: "+tt.why.String())
		})
	}
}

func TestALoopedLinkIsRecognised(t *testing.T) {
	for _, c := range []*Config{serverConfig(MethodPAP), clientConfig("User", "pass")} {
		l := New(Env{Config: c, Rand: machinetest.Rand(3)})
		l.Start(machinetest.Epoch)
		var down Down
		pending := drain(l)
		for range 100 {
			if len(pending) == 0 {
				break
			}
			e := pending[0]
			pending = pending[1:]
			switch e := e.(type) {
			case Send:
				_ = l.HandlePacket(machinetest.Epoch, e.Frame)
				pending = append(pending, drain(l)...)
			case Down:
				down = e
			}
		}
		if down.Why != ReasonLoop {
			t.Errorf("client %v: link ended because of %v, want %v", c.Client, down.Why, ReasonLoop)
		}
	}
}

func TestMagicNumberZeroIsNaked(t *testing.T) {
	d := newLadder(t, serverConfig(MethodPAP))
	out := d.since(func() { d.recv("c021 01 01 000a 0506 00000000") })
	machinetest.WantLine(t, out, "< LCP Configure-Nak id=1 <magic ")
	machinetest.WantNoLine(t, out, "<magic 00000000>\n<")
}

func TestEchoes(t *testing.T) {
	tests := []struct {
		name  string
		alive func(d *ladder) // called every 15 s
		dead  bool
	}{
		{"silence", func(*ladder) {}, true},
		{"data", func(d *ladder) { d.l.HandleData(d.now) }, false},
		{"echo replies", func(d *ladder) { d.recv("c021 0a 01 0008 11223344") }, false},
		{"rubbish", func(d *ladder) { d.recv("c021 0a 01 0108 11223344") }, true},
		{"own requests", func(d *ladder) { d.recv("c021 09 01 0008 6ae6783f") }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newLadder(t, serverConfig(MethodMSCHAPv2))
			openNetwork(d)
			for range 10 {
				tt.alive(d)
				d.wait(15 * time.Second)
			}
			if dead := d.l.s.phase == phaseDone; dead != tt.dead {
				t.Errorf("dead = %v, want %v:\n%s", dead, tt.dead, d.out.String())
			}
		})
	}
	t.Run("nothing is asked while data flows", func(t *testing.T) {
		d := newLadder(t, serverConfig(MethodMSCHAPv2))
		openNetwork(d)
		out := d.since(func() {
			for range 10 {
				d.l.HandleData(d.now)
				d.wait(15 * time.Second)
			}
		})
		machinetest.WantNoLine(t, out, "Echo-Request")
	})
}

func TestAnAnswerThatIsNotOursIsDropped(t *testing.T) {
	for _, frame := range []string{
		"c021 02 02 0004",                            // wrong identifier
		"c021 02 01 0012 0104 0578 0506 6ae6783f",    // one option is missing
		"c021 04 01 0006 0702",                       // rejects what we did not ask for
		"c021 04 01 0008 0104 0579",                  // rejects another value
		"c021 03 01 0008 0105 0579",                  // an option longer than the packet
		"c021 03 01 0006 0100",                       // an option shorter than its header
		"c021 01 01 000a 0104 0578 05ff",             // the same for a Configure-Request
		"c021 01 01 0040 0104 0578",                  // a packet longer than the frame
		"c021 01 01 0003", "c021 01", "c0", "", "ff", // no packet at all
	} {
		d := newLadder(t, serverConfig(MethodMSCHAPv2))
		out := d.since(func() { d.recv(frame) })
		machinetest.WantLine(t, out, "* dropped: ")
		machinetest.WantNoLine(t, out, "< ")
		openNetwork(d)
	}
}

// CVE-2020-8597: pppd copied a peer's EAP name by a length that it had checked
// the wrong way round, and did so although EAP had not been negotiated.
func TestCVE_2020_8597(t *testing.T) {
	name := strings.Repeat("41", 1000)
	eap := "c227 01 01 03fe 04 10 00112233445566778899aabbccddeeff" + name
	eapResponse := "c227 02 01 03fe 04 10 00112233445566778899aabbccddeeff" + name
	t.Run("EAP that was not negotiated is not parsed", func(t *testing.T) {
		for _, frame := range []string{eap, eapResponse} {
			d := newLadder(t, serverConfig(MethodMSCHAPv2))
			d.recv(frame)
			openLCP(d)
			out := d.since(func() { d.recv(frame) })
			machinetest.WantLine(t, out, "not expected now")
			c := New(Env{Config: clientConfig("User", "pass"), Rand: machinetest.Rand(1)})
			c.Start(machinetest.Epoch)
			if err := c.HandlePacket(machinetest.Epoch, machinetest.Unhex(t, frame)); !errors.Is(err, ErrUnexpected) {
				t.Errorf("a client says %v", err)
			}
		}
	})
	t.Run("lengths inside CHAP and PAP are checked", func(t *testing.T) {
		for _, body := range []string{
			"0004", "0005 10", "0005 ff", "0014 10 000102030405060708090a0b0c0d0e", // 15 of 16
			"0036 32" + strings.Repeat("ab", 49), // says 50
		} {
			d := newLadder(t, serverConfig(MethodMSCHAPv2))
			openLCP(d)
			out := d.since(func() { d.recv(fmt.Sprintf("c223 02 %02x %s", d.id, body)) })
			machinetest.WantLine(t, out, "malformed")
			machinetest.WantNoLine(t, out, "AuthRequest")
		}
		for _, body := range []string{"0004", "0005 00", "0005 01", "0009 04 6d617279", "000a 04 6d617279 01", "000b 06 6d617279 0000"} {
			d := newLadder(t, serverConfig(MethodPAP))
			openLCP(d)
			out := d.since(func() { d.recv("c023 01 01 " + body) })
			machinetest.WantLine(t, out, "malformed")
			machinetest.WantNoLine(t, out, "AuthRequest")
		}
	})
	t.Run("names are bounded", func(t *testing.T) {
		d := newLadder(t, serverConfig(MethodMSCHAPv2))
		openLCP(d)
		out := d.since(func() { d.respond(49, strings.Repeat("a", maxName+1)) })
		machinetest.WantLine(t, out, "malformed")
		out = d.since(func() { d.respond(49, strings.Repeat("a", maxName)) })
		machinetest.WantLine(t, out, "AuthRequest")
	})
}

func TestFramesThatAreTooLongAreDropped(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	frame := append(machinetest.Unhex(t, "c021 01 01 0fa0"), bytes.Repeat([]byte{7, 2}, 4000)...)
	if err := d.l.HandlePacket(d.now, frame); !errors.Is(err, ErrTooLong) {
		t.Errorf("error = %v, want %v", err, ErrTooLong)
	}
}

// RFC 1994, section 4.1.
func TestRepeatedResponsesGetTheVerdictThatStands(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	openNetwork(d)
	out := d.since(func() { d.respond(16, "root") })
	machinetest.WantLine(t, out, `< CHAP Success id=1 "Access granted"`)
	machinetest.WantNoLine(t, out, "AuthRequest")
	d.id++
	out = d.since(func() { d.respond(16, "mary") })
	machinetest.WantLine(t, out, "not expected now")
}

func TestSuccessIsRepeatedUntilTheNetworkIsUsed(t *testing.T) {
	for _, sign := range []string{"8021 01 01 0004", "8057 01 01 0004", "80fd 01 01 0004", "21 4500"} {
		d := newLadder(t, serverConfig(MethodCHAP))
		openLCP(d)
		d.respond(16, "mary")
		d.verdict(AuthAnswer{OK: true, Network: testNetwork})
		// Any authentic packet is a sign of life, for example an L2TP acknowledgement. It
		// does not show that Success arrived.
		d.l.HandleData(d.now)
		out := d.since(func() { d.wait(7 * time.Second) })
		if n := strings.Count(out, "CHAP Success"); n != 2 {
			t.Errorf("Success was repeated %d times in 7 s, want 2", n)
		}
		d.recv(sign)
		machinetest.WantNoLine(t, d.since(func() { d.wait(7 * time.Second) }), "CHAP Success")
	}
}

func TestAnUnansweredChallengeEndsTheLink(t *testing.T) {
	c := serverConfig(MethodCHAP)
	c.Echo, c.SetupTimeout = 0, 0
	d := newLadder(t, c)
	openLCP(d)
	out := d.since(func() { d.wait(time.Minute) })
	if n := strings.Count(out, "CHAP Challenge"); n != maxAuthTries-1 {
		t.Errorf("challenged %d more times, want %d", n, maxAuthTries-1)
	}
	machinetest.WantLine(t, out, "* Down: authentication timed out")
}

func TestSetupTimeout(t *testing.T) {
	t.Run("ends a link that nobody authenticates", func(t *testing.T) {
		c := serverConfig(MethodPAP)
		c.Echo = 0
		d := newLadder(t, c)
		openLCP(d)
		d.wait(59 * time.Second)
		// A restart of LCP gives no extra time.
		d.recv("ff03 c021 01 02 000e 0104 0578 0506 11223345")
		d.ack(ProtocolLCP)
		machinetest.WantLine(t, d.since(func() { d.wait(10 * time.Second) }), "* Down: setup took too long")
	})
	t.Run("waits for a pending verdict", func(t *testing.T) {
		d := newLadder(t, serverConfig(MethodPAP))
		openLCP(d)
		d.wait(50 * time.Second)
		d.recv("ff03 c023 01 01 0011 04 6d617279 07 68756e74657232")
		machinetest.WantNoLine(t, d.since(func() { d.wait(20 * time.Second) }), "< PAP")
		machinetest.WantLine(t, d.since(func() { d.verdict(AuthAnswer{OK: true, Network: testNetwork}) }), "PAP Authenticate-Ack")
	})
	t.Run("is LCP's when nobody answers", func(t *testing.T) {
		d := newLadder(t, serverConfig(MethodPAP))
		out := d.since(func() { d.wait(time.Minute) })
		if n := strings.Count(out, "Configure-Request"); n != maxConfigure-1 {
			t.Errorf("asked %d more times, want %d", n, maxConfigure-1)
		}
		machinetest.WantLine(t, out, "* Down: peer does not answer")
	})
}

func TestLCPRenegotiationStartsEverythingAfresh(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	openNetwork(d)
	first := d.ticket
	out := d.since(func() { d.recv("ff03 c021 01 02 000e 0104 0514 0506 99999999") })
	machinetest.WantLine(t, out, "* ppp.NetworkDown{}")
	machinetest.WantLine(t, out, "< LCP Configure-Request id=2")
	machinetest.WantLine(t, out, "< LCP Configure-Ack id=2")
	d.recv("8021 01 02 000a 0306 0a53000a")
	d.ack(ProtocolLCP)
	d.respond(16, "mary")
	d.l.HandleAuth(d.now, first, AuthAnswer{OK: true, Network: testNetwork})
	if d.l.s.auth.passed {
		t.Error("a stale ticket opened the link")
	}
	d.verdict(AuthAnswer{OK: true, Network: testNetwork})
	d.recv("8021 01 03 000a 0306 0a53000a")
	machinetest.WantLine(t, d.since(func() { d.ack(ProtocolIPCP) }), "* NetworkUp 10.83.0.1 10.83.0.10 [9.9.9.9 1.1.1.1] mtu=1300")
}

func TestALostAckIsRepeatedWithoutStartingOver(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	openNetwork(d)
	for _, frame := range []string{
		"ff03 c021 01 01 000e 0104 0578 0506 11223344", "ff03 8021 01 01 000a 0306 0a53000a",
	} {
		out := d.since(func() { d.recv(frame) })
		machinetest.WantLine(t, out, "Configure-Ack id=1")
		machinetest.WantNoLine(t, out, "NetworkDown")
	}
	for _, proto := range []uint16{ProtocolLCP, ProtocolIPCP} { // a repeated Ack does nothing, either
		machinetest.WantNoLine(t, d.since(func() { d.ack(proto) }), "NetworkDown")
	}
}

func TestIPCPRenegotiationKeepsTheLogin(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	openNetwork(d)
	out := d.since(func() { d.recv("8021 01 02 0010 0306 0a53000a 8106 09090909") })
	machinetest.WantLine(t, out, "* ppp.NetworkDown{}")
	machinetest.WantLine(t, out, "< IPCP Configure-Ack id=2")
	machinetest.WantLine(t, d.since(func() { d.ack(ProtocolIPCP) }), "* NetworkUp")
	machinetest.WantNoLine(t, d.out.String()[len(d.out.String())-200:], "AuthRequest")
}

func TestIPCPAnswers(t *testing.T) {
	some := Network{Local: testNetwork.Local, Peer: testNetwork.Peer}
	wins := func(servers ...string) Network {
		n := testNetwork
		for _, s := range servers {
			n.NBNS = append(n.NBNS, netip.MustParseAddr(s))
		}
		return n
	}
	tests := []struct {
		name    string
		network Network
		request string
		want    string
	}{
		{"granted address", testNetwork, "0306 0a53000a", "Configure-Ack id=2 <addr 10.83.0.10>"},
		{"none yet", testNetwork, "0306 00000000", "Configure-Nak id=2 <addr 10.83.0.10>"},
		{"another's", testNetwork, "0306 0a53000b", "Configure-Nak id=2 <addr 10.83.0.10>"},
		{"too long", testNetwork, "0307 0a53000a00", "Configure-Nak id=2 <addr 10.83.0.10>"},
		{"too short", testNetwork, "0302", "Configure-Nak id=2 <addr 10.83.0.10>"},
		{"not named", testNetwork, "", "Configure-Nak id=2 <addr 10.83.0.10>"},
		{"old addresses option", testNetwork, "010a 0a53000a 0a530001", "Configure-Reject id=2 <1 "},
		{"VJ", testNetwork, "0206 002d0f01 0306 00000000", "Configure-Reject id=2 <compress 0.45.15.1>\n"},
		{"NBNS granted", wins("10.0.0.42"), "0306 0a53000a 8206 00000000 8406 00000000", "Configure-Reject id=2 <nbns2 0.0.0.0>\n"},
		{"NBNS granted and named", wins("10.0.0.42", "10.0.0.43"), "0306 0a53000a 8206 00000000 8406 00000000", "Configure-Nak id=2 <nbns1 10.0.0.42> <nbns2 10.0.0.43>\n"},
		{"NBNS", testNetwork, "0306 00000000 8206 00000000 8406 00000000", "Configure-Reject id=2 <nbns1 0.0.0.0> <nbns2 0.0.0.0>\n"},
		{"DNS that we have not", some, "0306 0a53000a 8106 00000000", "Configure-Reject id=2 <dns1 0.0.0.0>\n"},
		{"its own DNS", testNetwork, "0306 0a53000a 8106 08080808", "Configure-Nak id=2 <dns1 9.9.9.9>\n"},
		{"address twice", testNetwork, "0306 00000000 0306 00000000", "Configure-Nak id=2 <addr 10.83.0.10>\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newLadder(t, serverConfig(MethodCHAP))
			openLCP(d)
			d.respond(16, "mary")
			d.verdict(AuthAnswer{OK: true, Network: tt.network})
			b := machinetest.Unhex(t, tt.request)
			out := d.since(func() { d.recv(fmt.Sprintf("8021 01 02 %04x %x", 4+len(b), b)) })
			machinetest.WantLine(t, out, "< IPCP "+tt.want)
		})
	}
}

func TestAPeerThatInsistsOnAWrongAddressGetsNone(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	openLCP(d)
	d.respond(16, "mary")
	d.verdict(AuthAnswer{OK: true, Network: testNetwork})
	for id := range maxFailure {
		out := d.since(func() { d.recv(fmt.Sprintf("8021 01 %02x 000a 0306 c0a80001", id)) })
		machinetest.WantLine(t, out, "Configure-Nak")
	}
	out := d.since(func() { d.recv("8021 01 09 000a 0306 c0a80001") })
	machinetest.WantLine(t, out, "< IPCP Configure-Reject id=9 <addr 192.168.0.1>")
	machinetest.WantNoLine(t, d.out.String(), "NetworkUp")
}

func TestAServerWithoutMethodsLetsNobodyIn(t *testing.T) {
	d := newLadder(t, serverConfig())
	machinetest.WantLine(t, d.out.String(), "* Down: peer accepts no offered")
}

func TestNoRandomnessNoLink(t *testing.T) {
	c := serverConfig(MethodCHAP)
	l := New(Env{Config: c, Rand: bytes.NewReader(machinetest.Unhex(t, "11223344 00"))}) // enough for the magic number
	l.Start(machinetest.Epoch)
	d := &ladder{t: t, l: l, now: machinetest.Epoch, last: map[uint16][]byte{}}
	d.drain()
	d.recv("ff03 c021 01 01 000e 0104 0578 0506 11223344")
	d.ack(ProtocolLCP)
	machinetest.WantLine(t, d.out.String(), "* Down: internal failure")
	machinetest.WantNoLine(t, d.out.String(), "Challenge")
}

func TestMethodWords(t *testing.T) {
	for m, want := range map[Method]string{MethodPAP: "pap", MethodCHAP: "chap", MethodMSCHAPv2: "mschapv2", 9: "method 9"} {
		if got := m.String(); got != want {
			t.Errorf("method %d is %q, want %q", uint8(m), got, want)
		}
	}
}

func TestAFrameMayHaveEveryForm(t *testing.T) {
	for _, frame := range []string{"ff03 0021 45", "0021 45", "ff03 21 45", "21 45"} {
		if protocol, ip, ok := splitFrame(machinetest.Unhex(t, frame)); !ok || protocol != ProtocolIP || len(ip) != 1 || ip[0] != 0x45 {
			t.Errorf("%s: %04x, %x, %v", frame, protocol, ip, ok)
		}
	}
	for _, frame := range []string{"ff03 0057 45", "ff03 c021 45", "ff03", "", "00"} {
		if protocol, _, ok := splitFrame(machinetest.Unhex(t, frame)); ok && protocol == ProtocolIP {
			t.Errorf("%s is IP", frame)
		}
	}
}

func TestRejectedLCPOptionsAreLeftOut(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	out := d.since(func() { d.recv("c021 04 01 000e 0104 0578 0506 6ae6783f") })
	machinetest.WantLine(t, out, "< LCP Configure-Request id=2 <auth c22305>\n")
	openLCP(d)
	machinetest.WantLine(t, d.since(func() { d.recv("c021 09 07 0008 11223344") }), "< LCP Echo-Reply id=7 00000000")
}

func TestAPeerThatRejectsAuthenticationIsLeft(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	d.recv("c021 04 01 0009 0305 c22305")
	machinetest.WantLine(t, d.since(func() { d.recv("c021 06 02 0004") }), "* Down: peer accepts no offered")
}

func TestANakOfTheMRUIsFollowedDownwards(t *testing.T) {
	for _, tt := range []struct{ nak, want string }{
		{"0514", "mru 1300"}, {"05dc", "mru 1400"}, {"0010", "mru 1400"},
	} {
		d := newLadder(t, serverConfig(MethodCHAP))
		machinetest.WantLine(t, d.since(func() { d.recv("c021 03 01 0008 0104 " + tt.nak) }), tt.want)
	}
}

func TestTheMRUIsACeiling(t *testing.T) {
	c := serverConfig(MethodCHAP)
	c.MRU = 0
	d := newLadder(t, c)
	machinetest.WantLine(t, d.out.String(), "<mru 1500>")
	machinetest.WantLine(t, d.since(func() { d.recv("c021 01 01 0008 0104 0010") }), "< LCP Configure-Nak id=1 <mru 1500>")
}

func TestEverlastingNaksEndTheLink(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	for range maxRefusals + 1 {
		id := d.last[ProtocolLCP][5]
		d.recv(fmt.Sprintf("c021 03 %02x 0008 0104 0578", id))
	}
	machinetest.WantLine(t, d.out.String(), `< LCP Terminate-Request id=11 "LCP did not converge: the peer refuses option 1 (MRU)"`)
	machinetest.WantLine(t, d.since(func() { d.recv("c021 06 0b 0004") }), "* Down: LCP did not converge")
}

func TestTheFirstReasonStands(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	openNetwork(d)
	d.l.Close(d.now, ReasonIdleTimeout)
	d.l.Close(d.now, ReasonAdmin)
	d.drain()
	d.recv("c021 05 09 0004")
	out := d.since(func() { d.wait(10 * time.Second) })
	machinetest.WantLine(t, out, "* Down: idle timeout")
	d.l.Close(d.now, ReasonAdmin)
	if events := drain(d.l); len(events) > 0 {
		t.Errorf("a closed link says %v", events)
	}
	early := New(Env{Config: serverConfig(MethodCHAP), Rand: machinetest.Rand(1)})
	early.Close(machinetest.Epoch, ReasonServerStop)
	if down, _ := machinetest.Find[Down](drain(early)); down.Why != ReasonServerStop {
		t.Errorf("a link that had not started: %v", down.Why)
	}
}

func TestAPeerThatNamesNoAddressIsAskedOnce(t *testing.T) {
	d := newLadder(t, serverConfig(MethodCHAP))
	openLCP(d)
	d.respond(16, "mary")
	d.verdict(AuthAnswer{OK: true, Network: testNetwork})
	machinetest.WantLine(t, d.since(func() { d.recv("8021 01 02 0004") }), "< IPCP Configure-Nak id=2 <addr 10.83.0.10>")
	machinetest.WantLine(t, d.since(func() { d.recv("8021 01 03 0004") }), "< IPCP Configure-Ack id=3")
}
