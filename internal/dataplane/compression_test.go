package dataplane

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/compress"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/test/persona/wire"
)

var (
	mppc    = compress.Codec{Method: compress.MPPC}
	deflate = compress.Codec{Method: compress.Deflate, Window: 15}
)

// ccp is a packet of CCP as a frame, without options.
func ccp(code byte) []byte { return []byte{0xff, 0x03, 0x80, 0xfd, code, 1, 0, 4} }

// compresses has CCP open on the rig's session, as the control plane does it: the peer has
// acknowledged, and so have we.
func (r *rig) compresses(send, receive compress.Codec) {
	r.Helper()
	r.session.SetCompression(Compression{Send: send, Receive: receive})
	r.client.frame(ccp(codeConfigureAck))
	synctest.Wait()
	r.inbox.take(NoteFrame)
	if err := r.slot.SendFrame(r.session, ccp(codeConfigureAck)); err != nil {
		r.Fatal(err)
	}
	r.client.nextFrame()
	r.session.SetCompression(Compression{Send: send, Receive: receive, Open: true})
}

// nextFrame waits for a data message and returns the PPP frame in it.
func (c *client) nextFrame() []byte {
	c.Helper()
	inner := c.next()
	h, err := l2tp.ParseData(inner[8:])
	if err != nil {
		c.Fatal(err)
	}
	return inner[8+h.Off : 8+h.End]
}

// text4 is an IPv4 packet with n bytes of text; noise4 with noise.
func text4(n int) []byte {
	b := udp4(farAddr, clientAddr, 40000, n)
	copy(b[28:], strings.Repeat("the quick brown fox jumps over the lazy dog, and ", n))
	return b
}

func noise4(n int) []byte {
	b := udp4(farAddr, clientAddr, 40000, n)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range b[28:] {
		b[28+i] = byte(r.Uint32())
	}
	return b
}

func back(b []byte) []byte {
	b = bytes.Clone(b)
	copy(b[12:16], clientAddr.AsSlice())
	copy(b[16:20], farAddr.AsSlice())
	return b
}

// What is sent to a client with MPPC is opened by an independent receiver, packets that do
// not become shorter, too, which go uncompressed; their headers count what is sent.
func TestPacketsToTheClientAreCompressedByMPPC(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.compresses(mppc, compress.Codec{})
		var far wire.MPPC
		for i, ip := range [][]byte{text4(1200), noise4(1200), text4(80), noise4(12), text4(1368)} {
			r.device.Inject(0, ip)
			frame := r.client.nextFrame()
			if !bytes.HasPrefix(frame, []byte{0xff, 0x03, 0x00, 0xfd}) {
				t.Fatalf("packet %d: %x", i, frame[:4])
			}
			if long := len(frame) - 4; long > len(ip)+4 || i%2 == 0 && long > len(ip)*3/4+20 {
				t.Errorf("packet %d of %d bytes became %d", i, len(ip), long)
			}
			got, err := far.Open(frame[4:])
			if err != nil || !bytes.Equal(got, append([]byte{0, 0x21}, ip...)) {
				t.Errorf("packet %d: %v", i, err)
			}
			if count := int(frame[4]&0x0f)<<8 | int(frame[5]); count != i {
				t.Errorf("packet %d has the coherency count %d", i, count)
			}
		}
		if c := r.session.Counters(); c.OutPackets != 5 || c.OutOctets != 1228+1228+108+40+1396 {
			t.Errorf("counted %+v: accounting is of what the user has", c)
		}
		r.device.Inject(0, noise4(1369)) // with 4 bytes more it would be longer than 1400
		synctest.Wait()
		for range 2 { // in fragments, since the sender allows that
			if frame := r.client.nextFrame(); len(frame) > 1404 {
				t.Errorf("a frame of %d bytes", len(frame))
			}
		}
	})
}

// Deflate: packets that do not become shorter go as they are, and are counted.
func TestPacketsToTheClientAreCompressedByDeflate(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.session.SetCompression(Compression{Send: deflate})
		r.device.Inject(0, text4(100))
		if got := r.client.nextIP(); !bytes.Equal(got, text4(100)) {
			t.Error("compressed before anything was acknowledged")
		}
		r.compresses(deflate, compress.Codec{})
		far := compress.NewReceiver(deflate)
		far.Start()
		d := compress.NewDecoder()
		dst := make([]byte, compress.MaxPacket)
		for i, ip := range [][]byte{text4(1200), noise4(1372), text4(80), noise4(12), text4(1372)} {
			r.device.Inject(0, ip)
			frame := r.client.nextFrame()
			if i%2 == 1 {
				if !bytes.Equal(frame[4:], ip) || frame[3] != 0x21 {
					t.Errorf("packet %d: noise was changed", i)
				}
				far.Skip(frame[2:], false)
				continue
			}
			if n, fault := far.Open(d, dst, frame[4:], false); fault != compress.Fine || !bytes.Equal(dst[1:n], ip) || len(frame) > len(ip)*3/4+20 {
				t.Errorf("packet %d: fault %d, %d bytes of %d", i, fault, len(frame), len(ip))
			}
			if i == 2 { // the client has lost one and asked: numbers begin anew behind the Reset-Ack
				if err := r.slot.SendFrame(r.session, ccp(codeResetAck)); err != nil {
					t.Fatal(err)
				}
				r.client.nextFrame()
				far.Start()
				for range 128 { // which the client can take meanwhile
					r.device.Inject(0, text4(50))
					far.Skip(r.client.nextFrame()[2:], false)
				}
			}
		}
	})
}

// What an independent sender compresses with all of its history reaches the device.
func TestCompressedPacketsReachTheDevice(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.compresses(compress.Codec{}, mppc)
		var far wire.MPPC
		octets := 0
		for i := range 100 { // more than a batch has room for
			ip := back(text4(300 + i))
			octets += len(ip)
			protocol := []byte{0x21} // both forms (RFC 1661, section 6.5)
			if i%2 == 0 {
				protocol = []byte{0, 0x21}
			}
			head := []byte{0xff, 0x03, 0x00, 0xfd}
			if i%3 == 0 {
				head = []byte{0xfd}
			}
			r.client.frame(append(head, far.Pack(append(protocol, ip...), true)...))
			if i%10 != 9 {
				continue
			}
			synctest.Wait()
			for j := i - 9; j <= i; j++ {
				if got := r.device.Read(); !bytes.Equal(got, back(text4(300+j))) {
					t.Fatalf("packet %d: %x", j, got)
				}
			}
		}
		if c := r.session.Counters(); c.InPackets != 100 || c.InOctets != uint64(octets) {
			t.Errorf("counted %+v, want %d octets", c, octets)
		}
		r.wantDrop(0, 0, "nothing")
	})
}

// A lost packet is told to the connection, at most so often, and what comes behind it is
// dropped until the history is empty.
func TestALostHistoryIsReported(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.compresses(compress.Codec{}, mppc)
		var far wire.MPPC
		send := func() {
			r.client.frame(append([]byte{0, 0xfd}, far.Pack(append([]byte{0x21}, back(text4(200))...), true)...))
			synctest.Wait()
		}
		send()
		r.device.Read()
		far.Pack(append([]byte{0x21}, back(text4(100))...), true) // is lost
		send()
		send()
		if n := r.inbox.take(NoteDamaged); len(n) != 1 || n[0].Session != ourSession {
			t.Errorf("told %+v, want one note", n)
		}
		r.wantDrop(DropHistory, 2, "behind a lost packet")
		time.Sleep(time.Second)
		send()
		if n := r.inbox.take(NoteDamaged); len(n) != 1 {
			t.Errorf("it goes on, and %d notes came", len(n))
		}
		far.Flush()
		send()
		if got := r.device.Read(); !bytes.Equal(got, back(text4(200))) {
			t.Errorf("behind the flush: %x", got)
		}
	})
}

// What cannot be opened is counted by why, and nothing of it reaches the device.
func TestWhatCannotBeOpenedIsCounted(t *testing.T) {
	zeroes := make([]byte, 5000)
	var far wire.MPPC
	bomb := far.Pack(append([]byte{0x21}, zeroes...), false)
	other := (&wire.MPPC{}).Pack(append([]byte{0x21}, text4(300)...), false)
	lcp := (&wire.MPPC{}).Pack(append([]byte{0xc0, 0x21, 9, 1, 0, 8}, zeroes[:40]...), false)
	nested := (&wire.MPPC{}).Pack(append([]byte{0xfd, 0xe0, 0}, zeroes[:40]...), false)
	for _, tt := range []struct {
		name   string
		packet []byte
		want   Drop
	}{
		{"a bomb", bomb, DropExpands}, {"no header", []byte{0xe0}, DropCompressed}, {"no end", []byte{0xe0, 0, 0xff}, DropCompressed},
		{"another's source", other, DropSource}, {"LCP", lcp, DropPPP}, {"a compressed packet", nested, DropPPP},
		{"encrypted", []byte{0xf0, 0, 1, 2, 3}, DropCompressed}, {"a gap", []byte{0x20, 7, 1, 2, 3}, DropHistory},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				r.compresses(compress.Codec{}, mppc)
				r.client.frame(append([]byte{0xff, 0x03, 0, 0xfd}, tt.packet...))
				r.wantDrop(tt.want, 1, tt.name)
			})
		})
	}
	inRig(t, Config{}, func(r *rig) {
		r.session.SetCompression(Compression{Receive: mppc})
		r.client.frame(append([]byte{0xff, 0x03, 0, 0xfd}, other...))
		r.wantDrop(DropUnasked, 1, "before the client has acknowledged")
		r.session.SetCompression(Compression{})
		r.client.frame(append([]byte{0xff, 0x03, 0, 0xfd}, other...))
		synctest.Wait()
		if n := r.inbox.take(NoteFrame); len(n) != 1 {
			t.Errorf("without CCP, a compressed packet is PPP's to reject: %d notes", len(n))
		}
	})
}

// Sessions that compress allocate nothing for a packet, either.
func TestCompressionDoesNotAllocate(t *testing.T) {
	for _, codec := range []compress.Codec{mppc, deflate} {
		w := newWalks(t, testSuite, 16, 1)
		s := w.sessions[0]
		s.SetCompression(Compression{Send: codec, Receive: codec, Open: true})
		s.codecs.Load().send.Start()
		w.send()
		if n := testing.AllocsPerRun(50, w.send); n >= 1 && !raced {
			t.Errorf("%v: %v allocations", codec.Method, n)
		}
		if w.out.encoder == nil || w.out.template.protocol != pppCompressed {
			t.Errorf("%v: nothing was compressed", codec.Method)
		}
	}
}

// A train of compressed packets, more than are opened before they are written, reaches the
// device whole, and nothing is allocated for it.
func TestOpeningDoesNotAllocate(t *testing.T) {
	const n = 3 * plainBatch / 2
	w := newWalks(t, testSuite, 1, 1)
	s := w.sessions[0]
	s.SetCompression(Compression{Receive: mppc, Open: true})
	s.codecs.Load().receive.Start()
	ip := udp4(netip.MustParseAddr("10.83.0.1"), farAddr, 53, 1000)
	frame := append([]byte{0xff, 0x03, 0, 0xfd}, (&wire.MPPC{}).Pack(append([]byte{0x21}, ip...), false)...)
	inner := append(l2tp.AppendDataHeader(make([]byte, 8), ourTunnel, ourSession, len(frame), nil), frame...)
	binary.BigEndian.PutUint32(inner, 1701<<16|1701)
	binary.BigEndian.PutUint16(inner[4:], uint16(len(inner)))
	sa := w.peer[0].SA
	head, length := sa.Suite().HeadRoom(), len(inner)+sa.Suite().TailRoom()
	train, outs := make([]byte, 0, 1<<16), make([]ipsec.Out, 1)
	buf := make([]byte, head+length)
	carry := func() {
		train = train[:0]
		segment := 0
		for range n {
			copy(buf[head:], inner)
			outs[0] = ipsec.Out{SA: sa, Buf: buf, Off: head, End: head + len(inner)}
			w.sealer.Seal(outs)
			train = append(train, buf[outs[0].Off:outs[0].End]...)
			segment = outs[0].End - outs[0].Off
		}
		w.in.packets[0] = udp.Packet{Data: train, Segment: segment, Local: walkLocal, Remote: walkRemote}
		w.in.handle(1)
	}
	carry()
	w.device.packets = 0
	if allocs := testing.AllocsPerRun(20, carry); allocs != 0 {
		t.Errorf("%v allocations for %d packets", allocs, n)
	}
	if w.device.packets != 21*n || s.Counters().InOctets != uint64(22*n*len(ip)) {
		t.Errorf("%d packets reached the device, want %d; %+v", w.device.packets, 21*n, s.Counters())
	}
}
