package compress

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/persona/wire"
)

const ipv4 = 0x0021

var mppc = Codec{Method: MPPC}

func deflate(window uint8) Codec { return Codec{Method: Deflate, Window: window} }

// packets are what is carried, by what it is.
func packets() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1396)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	text := []byte(strings.Repeat("GET /index.html HTTP/1.1\r\nHost: intranet.example\r\nCookie: a=b; c=d\r\nAccept: text/html, */*;q=0.8\r\n\r\n", 20)[:1396])
	head := append([]byte{0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0xab, 0xcd, 10, 83, 0, 1, 10, 83, 0, 10}, noise[:20]...)
	return map[string][]byte{
		"text": text, "noise": noise, "zeroes": make([]byte, 1396), "an acknowledgement": head,
		"one byte": {0x45}, "english": prose(1396), "high bytes": bytes.Repeat([]byte{0xfe, 0xff, 0x80, 0x91, 0xa2}, 200),
		"half noise": append(append([]byte{}, noise[:700]...), text[:690]...), "two": {0x45, 0x45},
		"a long run": bytes.Repeat([]byte("abc"), 460), "noise and its copy": append(append([]byte{}, noise[:640]...), noise[:640]...),
	}
}

// prose is text with the letters of English, and few repetitions.
func prose(n int) []byte {
	words := strings.Fields("the of and a to in is you that it he was for on are as with his they I at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part")
	r := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.Bytes()[:n]
}

// room lays a packet out as the data path does.
func room(packet []byte) []byte {
	return append(append(make([]byte, 8), packet...), make([]byte, 64)...)
}

// pack sends a packet, and returns what goes out, without its protocol, and whether it is
// compressed.
func pack(s *Sender, e *Encoder, packet []byte) ([]byte, bool) {
	b := room(packet)
	n, ok := s.Pack(e, b, 8, len(packet), 1400, ipv4)
	return b[8 : 8+n], ok
}

func started(c Codec) (*Sender, *Receiver) {
	s, r := NewSender(c), NewReceiver(c)
	s.Start()
	r.Start()
	return s, r
}

// What one end sends the other opens, whatever it is, each packet by itself; what does not
// become shorter costs as much as the codec says.
func TestWhatIsSentIsOpened(t *testing.T) {
	e, d := new(Encoder), NewDecoder()
	for _, c := range []Codec{mppc, deflate(15), deflate(11), deflate(8)} {
		s, r := started(c)
		for name, p := range packets() {
			out, ok := pack(s, e, p)
			if ok && c.Window > 0 && len(p)+1 > 1<<c.Window {
				t.Errorf("%v: %s is longer than the peer's history, and was compressed", c, name)
			}
			if len(out) > len(p)+c.Overhead() {
				t.Errorf("%v: %s of %d bytes became %d", c, name, len(p), len(out))
			}
			if !ok {
				if !bytes.Equal(out, p) {
					t.Errorf("%v: %s is sent as it is, and was changed", c, name)
				}
				r.Skip(append([]byte{0, 0x21}, p...), false)
				continue
			}
			var dst [MaxPacket]byte
			n, fault := r.Open(d, dst[:], out, false)
			if fault != Fine || !bytes.Equal(unprotocol(dst[:n]), p) {
				t.Errorf("%v: %s: fault %d, %d bytes", c, name, fault, n)
			}
		}
	}
}

// unprotocol takes the protocol off, which is IPv4's in either form.
func unprotocol(b []byte) []byte {
	if rest, ok := bytes.CutPrefix(b, []byte{0, 0x21}); ok {
		return rest
	}
	rest, _ := bytes.CutPrefix(b, []byte{0x21})
	return rest
}

// An MPPC receiver that was written from the RFC alone opens what is sent, in any order,
// whatever is lost.
func TestAnIndependentMPPCReceiverOpensEveryPacket(t *testing.T) {
	e := new(Encoder)
	s := NewSender(mppc)
	s.Start()
	var far wire.MPPC
	r := rand.New(rand.NewPCG(5, 6))
	all := packets()
	for round := range 40 {
		for name, p := range all {
			out, ok := pack(s, e, p)
			if !ok {
				t.Fatalf("%s was not sent by MPPC", name)
			}
			if r.IntN(3) == 0 {
				continue // lost
			}
			got, err := far.Open(out)
			if err != nil || !bytes.Equal(unprotocol(got), p) {
				t.Fatalf("round %d: %s: %v, %x", round, name, err, out[:2])
			}
		}
	}
}

// What an independent MPPC sender makes with all of its history is opened, through many
// histories full.
func TestTheHistoryOfAnIndependentMPPCSenderIsFollowed(t *testing.T) {
	_, r := started(mppc)
	var far wire.MPPC
	all := packets()
	names := []string{"english", "an acknowledgement", "text", "half noise", "noise and its copy", "one byte", "high bytes", "noise", "english", "a long run"}
	short := 0
	for round := range 4 {
		for _, name := range names {
			p := all[name]
			sent := far.Pack(append([]byte{0x21}, p...), true)
			if len(sent) < len(p)/20 {
				short++
			}
			var dst [MaxPacket]byte
			n, fault := r.Open(nil, dst[:], sent, false)
			if fault != Fine || !bytes.Equal(unprotocol(dst[:n]), p) {
				t.Fatalf("round %d: %s: fault %d, %d bytes, header %x", round, name, fault, n, sent[:2])
			}
		}
	}
	if short < 8 {
		t.Errorf("only %d packets became a twentieth: the history was not used", short)
	}
}

// A packet that does not fit at the end of the history is moved to its front, and refers to
// what is still behind it, up to the end and from there on to itself.
func TestAFullHistoryIsContinuedAtItsFront(t *testing.T) {
	_, r := started(mppc)
	var far wire.MPPC
	text := prose(20000)
	var moved, sure int
	send := func(data []byte) {
		sent := far.Pack(data, true)
		if sent[0]&0x40 != 0 {
			moved++
		}
		dst := make([]byte, MaxPacket)
		if n, fault := r.Open(nil, dst, sent, false); fault != Fine || !bytes.Equal(dst[:n], data) {
			t.Fatalf("%d bytes, header %x: fault %d, %d bytes", len(data), sent[:2], fault, n)
		}
		sure++
	}
	for i := range 8 { // exactly full
		send(text[1024*i : 1024*(i+1)])
	}
	tail := text[8192-500 : 8192]
	send(append(bytes.Clone(tail), tail...))
	if moved != 1 {
		t.Fatalf("moved %d times", moved)
	}
	for i := range 40 {
		at := (i * 1777) % 15000
		send(append(append([]byte{0x21}, text[at:at+300+i*20]...), text[3000:3300]...))
	}
	if moved < 4 {
		t.Errorf("moved %d times in %d packets", moved, sure)
	}
}

// After a loss nothing is opened until the history is empty at both ends; a packet that
// was overtaken changes nothing.
func TestALostPacketAsksForAnEmptyHistory(t *testing.T) {
	var far wire.MPPC
	_, r := started(mppc)
	open := func(b []byte) Fault {
		var dst [MaxPacket]byte
		_, fault := r.Open(nil, dst[:], b, false)
		return fault
	}
	p := append([]byte{0x21}, prose(500)...)
	var sent [8][]byte
	for i := range sent {
		if i == 5 {
			far.Flush() // the Reset-Request has come
		}
		sent[i] = far.Pack(p, true)
	}
	for _, step := range []struct {
		packet int
		want   Fault
	}{{0, Fine}, {1, Fine}, {0, Fine}, {1, Fine}, {2, Fine}, {1, Late}, {3, Fine}, {2, Late}, {4, Fine}} {
		if got := open(sent[step.packet]); got != step.want {
			t.Errorf("packet %d: fault %d, want %d", step.packet, got, step.want)
		}
	}
	_, r = started(mppc)
	for _, step := range []struct {
		packet int
		want   Fault
	}{{0, Fine}, {2, Lost}, {3, Lost}, {1, Lost}, {5, Fine}, {6, Fine}, {7, Fine}} {
		if got := open(sent[step.packet]); got != step.want {
			t.Errorf("with packet 1 late, packet %d: fault %d, want %d", step.packet, got, step.want)
		}
	}
}

// What comes before the agreement is complete is not opened, and asks for nothing.
func TestNothingIsOpenedBeforeItIsAgreed(t *testing.T) {
	for _, c := range []Codec{mppc, deflate(15)} {
		s, _ := started(c)
		out, _ := pack(s, new(Encoder), packets()["text"])
		var dst [MaxPacket]byte
		if _, fault := NewReceiver(c).Open(NewDecoder(), dst[:], out, false); fault != Unasked || fault.Resets() {
			t.Errorf("%v: fault %d", c, fault)
		}
		if out, ok := pack(NewSender(c), new(Encoder), packets()["text"]); ok || len(out) != 1396 {
			t.Errorf("%v: compressed before the agreement", c)
		}
	}
}

// Small packets that would become large ones are refused, before much was computed.
func TestBombsAreBounded(t *testing.T) {
	zeroes := make([]byte, 1<<20)
	e := &Encoder{}
	var big [1 << 16]byte
	n := e.deflate(big[:], zeroes)
	bomb := append([]byte{0, 0}, big[:n]...)
	bits := "0000000000100001" + "1111000001" + "111111111110" + "111111110000" // 8176 bytes of the byte before
	for name, b := range map[string]struct {
		codec  Codec
		packet []byte
	}{
		"deflate": {deflate(15), bomb},
		"mppc":    {mppc, append([]byte{0xe0, 0}, packed(bits)...)},
	} {
		_, r := started(b.codec)
		dst := make([]byte, MaxPacket)
		if n, fault := r.Open(NewDecoder(), dst, b.packet, false); fault != TooLong || n != 0 || !fault.Resets() {
			t.Errorf("%s: %d bytes of %d: fault %d", name, n, len(b.packet), fault)
		}
	}
}

func packed(bits string) []byte {
	var b []byte
	for len(bits) > 0 {
		bits += strings.Repeat("0", max(0, 8-len(bits)))
		var v byte
		fmt.Sscanf(bits[:8], "%b", &v)
		b, bits = append(b, v), bits[8:]
	}
	return b
}

// Malformed packets are refused, each for a reason of its own in MPPC.
func TestMalformedPacketsAreRefused(t *testing.T) {
	const literal = "00100001"
	for name, bits := range map[string]string{
		"a match of nothing":               "1111000001" + "0",
		"a match before the beginning":     literal + "1111000010" + "0",
		"an offset of 0":                   literal + "1111000000" + "0",
		"an offset of 8192":                literal + "110" + "1111011000000" + "0",
		"an offset of 8193":                literal + "110" + "1111011000001" + "0",
		"a length of thirteen ones":        literal + "1111000001" + "111111111111" + "0000",
		"an offset that is cut off":        literal + "11011111",
		"a length that is cut off":         literal + "1111000001" + "111111",
		"a high literal that is cut off":   literal + "10111111",
		"more than the history has to end": literal + "1111000001" + "111111111110" + "111111111111" + "0000",
	} {
		_, r := started(mppc)
		dst := make([]byte, MaxPacket)
		if n, fault := r.Open(nil, dst, append([]byte{0xe0, 0}, packed(bits)...), false); fault != Damaged && fault != TooLong || n != 0 {
			t.Errorf("%s: fault %d, %d bytes", name, fault, n)
		}
	}
	_, r := started(mppc)
	for _, b := range []string{"", "\x80", "\xf0\x00abc"} {
		if _, fault := r.Open(nil, make([]byte, MaxPacket), []byte(b), false); fault != Damaged {
			t.Errorf("%x: fault %d", b, fault)
		}
	}
	for name, b := range map[string]string{
		"empty": "", "no number": "\x00", "nothing but a number": "\x00\x00", "a reserved block": "\x00\x00\x07",
		"a block of its own end": "\x00\x00\x03\x00", "a stored block that is cut off": "\x00\x00\x00\x05\x00\xfa\xffab",
	} {
		_, r := started(deflate(15))
		if n, fault := r.Open(NewDecoder(), make([]byte, MaxPacket), []byte(b), false); fault != Damaged && n > 0 {
			t.Errorf("Deflate: %s: fault %d, %d bytes", name, fault, n)
		}
	}
}

// A packet that opens to nothing, or is longer than any that could be of use, is damage: it
// has the peer begin anew, which is limited.
func TestWhatCostsMoreThanItOpensToIsDamage(t *testing.T) {
	for _, c := range []Codec{mppc, deflate(15)} {
		for name, b := range map[string][]byte{
			"longer than any":   append([]byte{0xa0, 0}, make([]byte, longest)...),
			"a header alone":    {0x80, 0}, // flushed, not compressed
			"an empty block":    {0, 0, 0, 0, 0, 0xff, 0xff},
			"many empty blocks": append([]byte{0, 0}, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 200)...),
		} {
			if strings.Contains(name, "block") && c.Method != Deflate {
				continue
			}
			_, r := started(c)
			if n, fault := r.Open(NewDecoder(), make([]byte, MaxPacket), b, false); fault == Fine {
				t.Errorf("%v: %s opens to %d bytes", c, name, n)
			}
		}
	}
}

func TestNothingIsAllocatedForAPacket(t *testing.T) {
	e, d := new(Encoder), NewDecoder()
	p := packets()["english"]
	b := room(p)
	dst := make([]byte, MaxPacket)
	for _, c := range []Codec{mppc, deflate(15)} {
		s, r := started(c)
		if n := testing.AllocsPerRun(200, func() {
			copy(b[8:], p)
			n, ok := s.Pack(e, b, 8, len(p), 1400, ipv4)
			if _, fault := r.Open(d, dst, b[8:8+n], false); !ok || fault != Fine {
				t.Fatal(ok, fault)
			}
		}); n >= 1 && !raced { // pools of the library are emptied now and then
			t.Errorf("%v: %v allocations a packet", c, n)
		}
	}
}
