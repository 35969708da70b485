package l2tp

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

func TestStateIsPlainData(t *testing.T) {
	machinetest.PlainData(t, reflect.TypeFor[tunnelData]())
}

// windowsSCCRQ is the SCCRQ of Windows, with a 15-character computer name: 108
// bytes.
const windowsSCCRQ = `c802 006c 0000 0000 0000 0000
	8008 0000 0000 0001  8008 0000 0002 0100  800a 0000 0003 00000001  800a 0000 0004 00000000
	0008 0000 0006 0a00  8015 0000 0007 4445534b544f502d414243444546 31
	000f 0000 0008 4d6963726f736f6674  8008 0000 0009 0001  8008 0000 000a 0008`

// xl2tpdSCCRQ is the SCCRQ of xl2tpd, with host name "lac".
const xl2tpdSCCRQ = `c802 0064 0000 0000 0000 0000
	8008 0000 0000 0001  8008 0000 0002 0100  800a 0000 0003 00000003  800a 0000 0004 00000000
	0008 0000 0006 0690  8009 0000 0007 6c6163  0013 0000 0008 78656c6572616e63652e636f6d
	8008 0000 0009 b4c5  8008 0000 000a 0008`

// In appleSCCRQ the length of the Host Name includes a NUL; androidSCCRQ has a
// window of one.
const (
	appleSCCRQ = `c802 0046 0000 0000 0000 0000
	8008 0000 0000 0001  8008 0000 0002 0100  800a 0000 0003 00000003
	800c 0000 0007 6d6163626b00  8008 0000 0009 0001  8008 0000 000a 0004  0008 0000 0006 0001`
	androidSCCRQ = `c802 0046 0000 0000 0000 0000
	8008 0000 0000 0001  8008 0000 0002 0100  800f 0000 0007 616e6f6e796d6f7573
	800a 0000 0003 00000003  8008 0000 0009 4d2b  8008 0000 000a 0001`
)

// fix writes the true length into a control message.
func fix(b []byte) []byte {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func TestClientsSCCRQs(t *testing.T) {
	tests := []struct {
		name, raw string
		want      Peer
	}{
		{"Windows", windowsSCCRQ, Peer{HostName: "DESKTOP-ABCDEF1", Vendor: "Microsoft", Firmware: 0x0a00, Tunnel: 1, Window: 8, Framing: 1}},
		{"xl2tpd", xl2tpdSCCRQ, Peer{HostName: "lac", Vendor: "xelerance.com", Firmware: 0x0690, Tunnel: 0xb4c5, Window: 8, Framing: 3}},
		{"Apple", appleSCCRQ, Peer{HostName: "macbk", Firmware: 1, Tunnel: 1, Window: 4, Framing: 3}},
		{"Android", androidSCCRQ, Peer{HostName: "anonymous", Tunnel: 0x4d2b, Window: 1, Framing: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := fix(machinetest.Unhex(t, tt.raw))
			if id, ok := IsSCCRQ(b); !ok || id != tt.want.Tunnel {
				t.Errorf("IsSCCRQ = %d, %v", id, ok)
			}
			lns := NewLNS(Env{Config: testConfig(), Rand: machinetest.Rand(1)}, machinetest.Epoch)
			if err := lns.HandlePacket(machinetest.Epoch, b); err != nil {
				t.Fatal(err)
			}
			if lns.s.peer != tt.want {
				t.Errorf("peer = %+v, want %+v", lns.s.peer, tt.want)
			}
			// The message has exactly these AVPs; Android compares the first one.
			s, _ := machinetest.Find[Send](drain(lns))
			want := fmt.Sprintf("8008000000000002 8008000000020100 800a0000000300000003 800a00000007%x 800800000009%04x 80080000000a0004",
				"adit", lns.ID())
			if got := s.Data[controlHeaderLen:]; !bytes.Equal(got, machinetest.Unhex(t, want)) {
				t.Errorf("SCCRP\n%x, want\n%s", got, want)
			}
			head := fmt.Sprintf("c802%04x%04x000000000001", len(s.Data), tt.want.Tunnel)
			if !bytes.Equal(s.Data[:controlHeaderLen], machinetest.Unhex(t, head)) {
				t.Errorf("header %x, want %s", s.Data[:controlHeaderLen], head)
			}
		})
	}
	if len(fix(machinetest.Unhex(t, windowsSCCRQ))) != 108 {
		t.Error("the Windows SCCRQ is not the one that was seen")
	}
}

func TestEveryStrictPrefixFails(t *testing.T) {
	for _, raw := range []string{windowsSCCRQ, xl2tpdSCCRQ, appleSCCRQ, androidSCCRQ} {
		whole := fix(machinetest.Unhex(t, raw))
		for n := range whole {
			short := bytes.Clone(whole[:n])
			if _, ok := IsSCCRQ(short); ok {
				t.Errorf("%d of %d bytes, with the old length, are an SCCRQ", n, len(whole))
			}
			if n < controlHeaderLen+1 {
				continue
			}
			h, body, err := parseHeader(fix(short))
			if err != nil {
				t.Fatal(err)
			}
			// A cut between two AVPs leaves a shorter message; any other cut fails.
			if _, err := parseMessage(h, body, nil); (err == nil) != between(body) {
				t.Errorf("%d of %d bytes: %v", n, len(whole), err)
			}
		}
	}
}

// between reports whether b consists of whole AVPs.
func between(b []byte) bool {
	for len(b) >= 6 {
		n := int(b[0]&3)<<8 | int(b[1])
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}

func TestMalformedControlMessages(t *testing.T) {
	const sound = "8008 0000 0000 0006"
	for name, raw := range map[string]string{
		"empty":                 "",
		"one byte":              "c8",
		"header cut":            "c802 000c 0001 0000 0000 00",
		"length too great":      "c802 000d 0001 0000 0000 0000",
		"length too small":      "c802 000b 0001 0000 0000 0000",
		"no L bit":              "8802 000c 0001 0000 0000 0000",
		"no S bit":              "c002 000c 0001 0000 0000 0000",
		"O bit":                 "ca02 000c 0001 0000 0000 0000",
		"version 3":             "c803 000c 0001 0000 0000 0000",
		"AVP length 5":          "c802 0014 0001 0000 0000 0000 8005 0000 0000 0006",
		"AVP length 0":          "c802 0014 0001 0000 0000 0000 8000 0000 0000 0006",
		"AVP too long":          "c802 0014 0001 0000 0000 0000 8009 0000 0000 0006",
		"AVP header cut":        "c802 0017 0001 0000 0000 0000" + sound + "8008 00",
		"Message Type late":     "c802 001c 0001 0000 0000 0000 8008 0000 0009 0006" + sound,
		"Message Type hidden":   "c802 0014 0001 0000 0000 0000 c008 0000 0000 0006",
		"Message Type too long": "c802 0016 0001 0000 0000 0000 800a 0000 0000 0006 0000",
		"Message Type's vendor": "c802 0014 0001 0000 0000 0000 8008 0009 0000 0006",
	} {
		t.Run(name, func(t *testing.T) {
			lns := NewLNS(Env{Config: testConfig(), Rand: machinetest.Rand(1)}, machinetest.Epoch)
			if err := lns.HandlePacket(machinetest.Epoch, machinetest.Unhex(t, raw)); !errors.Is(err, ErrMalformed) {
				t.Errorf("error = %v, want %v", err, ErrMalformed)
			}
		})
	}
}

// hide implements RFC 2661, section 4.3, literally: the Hidden AVP Subformat is
// the length, the value and padding, and is enciphered in 16-byte segments.
func hide(kind uint16, secret, vector string, value, padding []byte) []byte {
	p := append([]byte{byte(len(value) >> 8), byte(len(value))}, value...)
	p = append(p, padding...)
	b := md5.Sum([]byte(string([]byte{byte(kind >> 8), byte(kind)}) + secret + vector))
	var c []byte
	for i := 0; i < len(p); i += 16 {
		var segment []byte
		for j := i; j < len(p) && j < i+16; j++ {
			segment = append(segment, p[j]^b[j-i])
		}
		c = append(c, segment...)
		b = md5.Sum([]byte(secret + string(segment)))
	}
	return c
}

// hidden is a HELLO with a Random Vector and one hidden AVP.
func hidden(kind uint16, vector string, value []byte) []byte {
	b := compose(hello).add(avpRandomVector, []byte(vector)...).b
	b = binary.BigEndian.AppendUint16(b, avpMandatory|avpHidden|uint16(len(value)+avpHeaderLen))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	return append(b, value...)
}

func parseHidden(t *testing.T, b []byte, secret string) *message {
	t.Helper()
	putHeader(b, header{})
	h, body, err := parseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMessage(h, body, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestHiddenAVPs(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 7)
	for _, value := range [][]byte{[]byte("5"), []byte("5551234"), long, {}} {
		for padding := range 40 {
			cipher := hide(uint16(avpCallingNumber), "secret", "vector", value, make([]byte, padding))
			m := parseHidden(t, hidden(uint16(avpCallingNumber), "vector", cipher), "secret")
			if got := m.values[avpCallingNumber]; m.unknown || !bytes.Equal(got, value) || got == nil {
				t.Errorf("%d bytes, %d of padding: %q", len(value), padding, got)
			}
		}
	}
	cipher := hide(uint16(avpAssignedTunnel), "secret", "vector", []byte{1, 2}, nil)
	for name, m := range map[string]*message{
		"no secret":          parseHidden(t, hidden(uint16(avpAssignedTunnel), "vector", cipher), ""),
		"may not be hidden":  parseHidden(t, hidden(uint16(avpHostName), "vector", cipher), "secret"),
		"no Random Vector":   parseHidden(t, append(compose(hello).b, hidden(uint16(avpAssignedTunnel), "", cipher)[len(compose(hello).b)+6:]...), "secret"),
		"nothing to decrypt": parseHidden(t, hidden(uint16(avpAssignedTunnel), "vector", nil), "secret"),
		"half a length":      parseHidden(t, hidden(uint16(avpAssignedTunnel), "vector", []byte{0}), "secret"),
	} {
		if !m.unknown {
			t.Errorf("%s: the AVP is taken for known", name)
		}
	}
}

// accel-ppp trusted the deciphered length inside a hidden AVP, and copied that many bytes out
// of a shorter buffer; in another version the length wrapped around in 16 bits.
func TestHiddenAVPLengthWrap(t *testing.T) {
	for _, inner := range []int{3, 14, 15, 255, 1017, 0x7fff, 0xfffd, 0xfffe, 0xffff} {
		plain := append(binary.BigEndian.AppendUint16(nil, uint16(inner)), 'a', 'b')
		// The length in the output of hide() is replaced: XOR is its own inverse.
		cipher := hide(uint16(avpCallingNumber), "secret", "vector", []byte("ab"), nil)
		cipher[0] ^= 0 ^ plain[0]
		cipher[1] ^= 2 ^ plain[1]
		m := parseHidden(t, hidden(uint16(avpCallingNumber), "vector", cipher), "secret")
		if !m.unknown || m.has(avpCallingNumber) {
			t.Errorf("a length of %d in 2 bytes gave %q", inner, m.values[avpCallingNumber])
		}
	}
}

func TestUnknownAVPs(t *testing.T) {
	for name, tt := range map[string]struct {
		avp     string
		unknown bool
	}{
		"optional":               {"0008 0000 0064 0000", false},
		"mandatory":              {"8008 0000 0064 0000", true},
		"unassigned number":      {"8008 0000 0014 0000", true},
		"vendor's":               {"8008 0009 0002 0100", true},
		"vendor's and optional":  {"0008 0de9 0002 0100", false},
		"reserved bit":           {"8408 0000 0009 0001", true},
		"known but out of place": {"800a 0000 0019 00000001", false},
	} {
		b := append(compose(hello).b, machinetest.Unhex(t, tt.avp)...)
		m := parseHidden(t, b, "")
		if m.unknown != tt.unknown {
			t.Errorf("%s: unknown = %v", name, m.unknown)
		}
		if m.has(avpProtocolVersion) || m.has(avpAssignedTunnel) {
			t.Errorf("%s was read as one of ours", name)
		}
	}
}

func TestEveryAVPRoundTrips(t *testing.T) {
	n := 0
	for a := attribute(0); a < avpCount; a++ {
		if !a.known() {
			continue
		}
		n++
		r := avpRules[a]
		for _, size := range []int{r.min, r.max} {
			value := bytes.Repeat([]byte{7}, size)
			o := compose(hello)
			if a == avpMessageType {
				o = &outline{b: make([]byte, controlHeaderLen)}
			}
			m := parseHidden(t, o.add(a, value...).b, "")
			if got := m.values[a]; !bytes.Equal(got, value) || !m.has(a) {
				t.Errorf("%v of %d bytes: got %d", a, size, len(got))
			}
		}
		if r.min > 0 && a != avpMessageType {
			if m := parseHidden(t, compose(hello).add(a, make([]byte, r.min-1)...).b, ""); m.has(a) {
				t.Errorf("%v of %d bytes was taken", a, r.min-1)
			}
		}
		if !strings.HasPrefix(r.section, "4.4.") {
			t.Errorf("%v: section %q", a, r.section)
		}
	}
	if n != 39 {
		t.Errorf("%d AVPs, RFC 2661 has 39", n)
	}
}

func TestResultCodes(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        Result
	}{
		{"short form", "0001", Result{Code: StopRequest}},
		{"long form", "0002 0008", Result{Code: StopError, Error: ErrorUnknownAVP}},
		{"with a message", "0002 0006 68656c6c6f", Result{Code: CallError, Error: ErrorVendor, Message: "hello"}},
		{"Apple's", "0300 0000 0000 0000", Result{Code: CallAdmin}},
		{"Apple's, stale bytes", "0100 c0ff ee00 0102", Result{Code: StopRequest}},
		{"none", "", Result{}},
	} {
		if got := parseHidden(t, compose(cdn).add(avpResultCode, machinetest.Unhex(t, tt.value)...).b, "").result(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if b := compose(cdn).result(Result{Code: CallAdmin}).b[controlHeaderLen+8:]; !bytes.Equal(b, machinetest.Unhex(t, "800a 0000 0001 0003 0000")) {
		t.Errorf("our Result Code is %x, want the form of 10 bytes", b)
	}
}

// Our messages have every AVP that RFC 2661, section 6, says MUST be present.
func TestOurMessagesAreComplete(t *testing.T) {
	must := map[messageType][]attribute{
		sccrq:   {avpProtocolVersion, avpHostName, avpFraming, avpAssignedTunnel},
		sccrp:   {avpProtocolVersion, avpFraming, avpHostName, avpAssignedTunnel},
		scccn:   {},
		stopccn: {avpAssignedTunnel, avpResultCode},
		icrq:    {avpAssignedSession, avpCallSerial},
		icrp:    {avpAssignedSession},
		iccn:    {avpTxSpeed, avpFramingType},
		cdn:     {avpResultCode, avpAssignedSession},
		hello:   {},
	}
	w := newWire(t, testConfig(), testConfig())
	local, err := w.ends[0].Call(w.Now, Call{})
	if err != nil {
		t.Fatal(err)
	}
	w.run(1e9, w.sessionsUp)
	w.run(2*60*1e9, func() bool { return false })
	w.ends[0].Hangup(w.Now, local, Result{Code: CallAdmin})
	w.run(1e9, func() bool { return false })
	w.ends[1].Close(w.Now, Result{Code: StopShutdown})
	w.run(1e9, func() bool { return false })
	seen := map[messageType]bool{}
	for _, b := range append(w.sent[0], w.sent[1]...) {
		h, body, err := parseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(body) == 0 {
			continue
		}
		m, err := parseMessage(h, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[m.kind] = true
		for _, a := range must[m.kind] {
			if !m.has(a) {
				t.Errorf("%v lacks %v", m.kind, a)
			}
		}
	}
	if len(seen) != len(must) {
		t.Errorf("saw %v", seen)
	}
}

func TestDataHeaders(t *testing.T) {
	tests := []struct {
		name, raw string
		want      DataHeader
	}{
		{"L (Windows, Apple)", "4002 000a 0001 0002 ff03", DataHeader{Tunnel: 1, Session: 2, Off: 8, End: 10}},
		{"none (Android)", "0002 0001 0002 ff03", DataHeader{Tunnel: 1, Session: 2, Off: 6, End: 8}},
		{"S", "0802 0001 0002 0003 0004 ff03", DataHeader{Tunnel: 1, Session: 2, HasSequence: true, Ns: 3, Nr: 4, Off: 10, End: 12}},
		{"L S", "4802 000e 0001 0002 0003 0004 ff03", DataHeader{Tunnel: 1, Session: 2, HasSequence: true, Ns: 3, Nr: 4, Off: 12, End: 14}},
		{"O", "0202 0001 0002 0000 ff03", DataHeader{Tunnel: 1, Session: 2, Off: 8, End: 10}},
		{"O with padding", "0202 0001 0002 0003 aaaaaa ff03", DataHeader{Tunnel: 1, Session: 2, Off: 11, End: 13}},
		{"L S O P", "4b02 0012 0001 0002 0003 0004 0002 aaaa ff03", DataHeader{Tunnel: 1, Session: 2, HasSequence: true, Ns: 3, Nr: 4, Priority: true, Off: 16, End: 18}},
		{"L and padding behind", "4002 0009 0001 0002 ff03", DataHeader{Tunnel: 1, Session: 2, Off: 8, End: 9}},
		{"no payload", "4002 0008 0001 0002", DataHeader{Tunnel: 1, Session: 2, Off: 8, End: 8}},
	}
	for _, tt := range tests {
		got, err := ParseData(machinetest.Unhex(t, tt.raw))
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
	for name, raw := range map[string]string{
		"empty": "", "five bytes": "0002000100", "control": "c802 000c 0001 0000 0000 0000", "version 1": "4001 0008 0001 0002",
		"L too great": "4002 000b 0001 0002 ff03", "L too small": "4002 0007 0001 0002 ff03", "L cut": "4002 0007 0001 02",
		"S cut": "0802 0001 0002 0003 00", "L within S": "4802 000b 0001 0002 0003 0004", "O cut": "0202 0001 0002 00",
		"O too great": "0202 0001 0002 0003 ff03", "O wraps": "0202 0001 0002 ffff ff03", "L within O": "4202 0009 0001 0002 0000 ff03",
	} {
		if h, err := ParseData(machinetest.Unhex(t, raw)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

func TestDataHeaderRoundTrip(t *testing.T) {
	for _, seq := range []*Sequence{nil, {Ns: 0xfffe}} {
		b := AppendDataHeader([]byte{}, 0x1234, 0x5678, 5, seq)
		want := DataHeaderLen
		if seq != nil {
			want = SequencedDataHeaderLen
		}
		if len(b) != want {
			t.Errorf("%d bytes, want %d", len(b), want)
		}
		h, err := ParseData(append(b, "hello"...))
		if err != nil || h.Tunnel != 0x1234 || h.Session != 0x5678 || h.Off != want || h.End != want+5 ||
			h.HasSequence != (seq != nil) || seq != nil && h.Ns != seq.Ns {
			t.Errorf("%+v, %v", h, err)
		}
	}
	b, buf := machinetest.Unhex(t, "4802 000e 0001 0002 0003 0004 ff03"), make([]byte, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseData(b); err != nil {
			t.Fatal(err)
		}
		AppendDataHeader(buf, 1, 2, 1400, nil)
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func TestIsControl(t *testing.T) {
	for raw, want := range map[string]bool{"c802 000c": true, "4002": false, "c803": false, "c8": false, "": false} {
		if got := IsControl(machinetest.Unhex(t, raw)); got != want {
			t.Errorf("IsControl(%s) = %v", raw, got)
		}
	}
}
