package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

func TestEveryFormOfDataReachesTheDevice(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		ip := udp4(clientAddr, farAddr, 53, 30)
		frame := append([]byte{0xff, 0x03, 0, pppIPv4}, ip...)
		ids := []byte{ourTunnel >> 8, ourTunnel & 255, ourSession >> 8, ourSession & 255}
		cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
		for _, v := range []struct {
			name string
			l2tp []byte
		}{
			{"plain", append(l2tp.AppendDataHeader(nil, ourTunnel, ourSession, len(frame), nil), frame...)},
			{"without L", cat([]byte{0, 2}, ids, frame)},
			{"with S", cat([]byte{0x08, 2}, ids, []byte{0, 9, 0, 0}, frame)},
			{"with O and 3 bytes of pad", cat([]byte{0x02, 2}, ids, []byte{0, 3, 1, 1, 1}, frame)},
			{"with P", cat([]byte{0x01, 2}, ids, frame)},
			{"without address and control", cat([]byte{0, 2}, ids, frame[2:])},
			{"with one byte of protocol", cat([]byte{0, 2}, ids, frame[:2], frame[3:])},
			{"with neither", cat([]byte{0, 2}, ids, frame[3:])},
			{"with bytes behind the IP packet", cat([]byte{0, 2}, ids, frame, []byte{0, 0, 0})},
		} {
			r.client.udp(1701, 1701, v.l2tp)
			synctest.Wait()
			if got := r.device.Poll(); !bytes.Equal(got, ip) {
				t.Errorf("%s: the device got %x", v.name, got)
			}
		}
		r.wantDrop(DropShort, 0, "all of it was right")
		if c := r.session.Counters(); c.InPackets != 9 || c.InOctets != uint64(9*len(ip)) || r.plane.Stats().InPackets != 9 {
			t.Errorf("counted %+v", c)
		}
		if !r.session.LastIn().Equal(time.Now()) || !r.slot.LastIn().Equal(time.Now()) {
			t.Error("when it last came is not now")
		}
	})
}

// RFC 4303, section 2.7: traffic flow confidentiality padding lies behind the
// end that the inner header gives.
func TestTFCPadding(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		ip := udp4(clientAddr, farAddr, 53, 30)
		frame := append([]byte{0, pppIPv4}, ip...)
		message := append(l2tp.AppendDataHeader(nil, ourTunnel, ourSession, len(frame), nil), frame...)
		inner := binary.BigEndian.AppendUint16([]byte{0x06, 0xa5, 0x06, 0xa5}, uint16(8+len(message)))
		inner = append(append(inner, 0, 0), message...)
		r.client.raw(seal(t, r.client.out, append(inner, make([]byte, 300)...)))
		synctest.Wait()
		if got := r.device.Poll(); !bytes.Equal(got, ip) {
			t.Errorf("the device got %x", got)
		}
	})
}

func TestSeveralSuitesReachTheDevice(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		for _, s := range []ipsec.Suite{
			{Cipher: ipsec.AESCBC, KeyBits: 128, Auth: ipsec.HMACSHA256_128},
			{Cipher: ipsec.TripleDESCBC, Auth: ipsec.HMACSHA1_96},
			{Cipher: ipsec.AESGCM16, KeyBits: 256},
		} {
			r.rekey(s)
			ip := udp4(clientAddr, farAddr, 53, 30)
			r.client.ip(ip)
			synctest.Wait()
			if got := r.device.Poll(); !bytes.Equal(got, ip) {
				t.Errorf("%v: the device got %x", s, got)
			}
		}
	})
}

// An old Android truncates HMAC-SHA2-256 to 96 bits, and expects the same.
func TestTruncatedICVIsAnswered(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.rekey(ipsec.Suite{Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA256_128})
		r.client.out.SetTruncated(true)
		r.client.ip(udp4(clientAddr, farAddr, 53, 30))
		synctest.Wait()
		if err := r.slot.SendL2TP([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if got := r.client.next(); string(got[8:]) != "answer" || !r.client.in.Truncated() {
			t.Errorf("%q, truncated %v", got, r.client.in.Truncated())
		}
	})
}

func TestWhatIsNotESP(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.client.raw([]byte("\x00\x00\x00\x00message"))
		r.client.raw([]byte{0xff})
		if _, err := r.client.conn.WriteBatch([]udp.Packet{{Data: []byte("first message"), Remote: netip.AddrPortFrom(serverAddr, 500)}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := map[string]bool{}
		for _, s := range r.control.got {
			got[s] = true
		}
		if len(got) != 2 || !got["4500 message"] || !got["500 first message"] {
			t.Errorf("control got %q", r.control.got)
		}
		if s := r.plane.Stats(); s.IKE != 2 || s.Keepalives != 1 {
			t.Errorf("counted %+v", s)
		}
		r.wantDrop(DropShort, 0, "none of it is dropped")
		r.client.raw([]byte{1, 2, 3})
		r.wantDrop(DropShort, 1, "three bytes are nothing")
	})
}

func TestUnknownSPIsAreMetWithSilence(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		other := func(spi uint32) []byte {
			b := seal(t, r.client.out, make([]byte, 100))
			binary.BigEndian.PutUint32(b, spi)
			return b
		}
		live := r.view.In[0].SPI()
		r.net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
			if d.Src.Addr() == serverAddr {
				t.Errorf("answered with %x", d.Data)
			}
			return false
		}})
		r.client.raw(other(live ^ 2<<20))      // another generation
		r.client.raw(other(live + 1))          // a free slot
		r.client.raw(other(live | 0x000fffff)) // beyond the slots
		r.wantDrop(DropUnknownSPI, 3, "nobody receives on them")
		r.slot.Free(time.Now())
		r.client.ip(udp4(clientAddr, farAddr, 53, 30))
		r.wantDrop(DropUnknownSPI, 4, "a freed slot receives nothing")
	})
}

func TestRefusedInside(t *testing.T) {
	ip := udp4(clientAddr, farAddr, 53, 30)
	data := func(tunnel, session uint16, frame []byte) []byte {
		return append(l2tp.AppendDataHeader(nil, tunnel, session, len(frame), nil), frame...)
	}
	frame := append([]byte{0xff, 0x03, 0, pppIPv4}, ip...)
	short := bytes.Clone(frame)
	short[6]++ // the IP length exceeds the frame
	spoofed := append([]byte{0, pppIPv4}, udp4(netip.MustParseAddr("10.83.0.11"), farAddr, 53, 30)...)
	six := append([]byte{0, pppIPv6}, make([]byte, 40)...)
	six[2], six[2+24] = 0x60, 0x20
	for _, v := range []struct {
		name     string
		from, to uint16
		l2tp     []byte
		want     Drop
	}{
		{"another source port", 1702, 1701, data(ourTunnel, ourSession, frame), DropInnerUDP},
		{"another destination port", 1701, 53, data(ourTunnel, ourSession, frame), DropInnerUDP},
		{"nothing in UDP", 1701, 1701, nil, DropL2TP},
		{"half an L2TP header", 1701, 1701, data(ourTunnel, ourSession, nil)[:5], DropL2TP},
		{"length beyond the packet", 1701, 1701, data(ourTunnel, ourSession, frame)[:30], DropL2TP},
		{"another tunnel", 1701, 1701, data(ourTunnel+1, ourSession, frame), DropTunnel},
		{"another session", 1701, 1701, data(ourTunnel, ourSession+1, frame), DropSession},
		{"a cut IP packet", 1701, 1701, data(ourTunnel, ourSession, short), DropIP},
		{"another source address", 1701, 1701, data(ourTunnel, ourSession, spoofed), DropSource},
		{"IPv6 that was not given", 1701, 1701, data(ourTunnel, ourSession, six), DropSource},
	} {
		t.Run(v.name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				r.client.udp(v.from, v.to, v.l2tp)
				r.wantDrop(v.want, 1, v.name)
				if got := r.device.Poll(); got != nil {
					t.Errorf("the device got %x", got)
				}
			})
		})
	}
	t.Run("before the network is up", func(t *testing.T) {
		inRig(t, Config{}, func(r *rig) {
			r.session.SetNetwork(nil, 0)
			r.client.frame(frame)
			r.wantDrop(DropSource, 1, "nothing may pass yet")
		})
	})
	t.Run("UDP longer than its packet", func(t *testing.T) {
		inRig(t, Config{}, func(r *rig) {
			r.client.raw(seal(t, r.client.out, []byte{0x06, 0xa5, 0x06, 0xa5, 0, 100, 0, 0, 1, 2}))
			r.client.raw(seal(t, r.client.out, []byte{0x06, 0xa5, 0x06, 0xa5, 0, 7, 0, 0, 1, 2}))
			r.client.raw(seal(t, r.client.out, []byte{0x06, 0xa5, 0x06}))
			r.wantDrop(DropInnerUDP, 3, "lengths are wrong")
		})
	})
}

// A client begins PPP as soon as it has sent ICCN (RFC 2661, section 5.2). Both
// may come in one batch, before the control side has read the first.
func TestFramesBehindICCNWait(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		iccn := []byte{0xc8, 2, 0, 12, ourTunnel >> 8, ourTunnel & 255, ourSession >> 8, 7, 0, 3, 0, 2}
		frame := []byte{0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 4}
		r.client.udp(1701, 1701, iccn) // nobody reads it here
		r.client.udp(1701, 1701, append(l2tp.AppendDataHeader(nil, ourTunnel, 7, len(frame), nil), frame...))
		synctest.Wait()
		if got := r.inbox.take(NoteFrame); len(got) != 1 || got[0].Session != 7 || !bytes.Equal(got[0].Data, frame) {
			t.Errorf("the frame behind it came as %+v", got)
		}
		r.wantDrop(DropSession, 0, "the connection judges it")
	})
}

func TestESPDropsAreCounted(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		b := seal(t, r.client.out, make([]byte, 100))
		b[40] ^= 1
		r.client.raw(b)
		r.wantDrop(DropESP(ipsec.DropICV), 1, "a flipped bit")
	})
}

// A client whose NAT keeps no source port is answered on the port it has.
func TestInnerPortIsLearnt(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		v := *r.view
		v.PeerPort = 0
		r.publish(&v)
		r.client.udp(40123, 1701, []byte{0xc8, 0x02})
		synctest.Wait()
		if len(r.inbox.take(NoteControl)) != 1 || r.slot.PeerPort() != 40123 {
			t.Errorf("port %d", r.slot.PeerPort())
		}
		if err := r.slot.SendL2TP([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if inner := r.client.next(); binary.BigEndian.Uint16(inner[2:]) != 40123 {
			t.Errorf("answered to port %d", binary.BigEndian.Uint16(inner[2:]))
		}
	})
}

func TestSegmentSizeIsClampedInbound(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.client.ip(syn4(clientAddr, farAddr))
		synctest.Wait()
		got := r.device.Poll()
		if mss := binary.BigEndian.Uint16(got[42:]); mss != 1360 {
			t.Errorf("MSS %d", mss)
		}
		if packet.Fold(packet.Sum(packet.PseudoSum(clientAddr, farAddr, packet.TCP, 24), got[20:])) != 0 {
			t.Error("the checksum is wrong")
		}
	})
}

// A panic costs the batch, and nothing else.
func TestPanicIsSurvived(t *testing.T) {
	var told []any
	c := Config{Panicked: func(v any, stack []byte) {
		if len(stack) > 0 {
			told = append(told, v)
		}
	}}
	inRig(t, c, func(r *rig) {
		r.control.hook = func() { panic("on purpose") }
		r.client.raw([]byte("\x00\x00\x00\x00message"))
		r.wantDrop(DropPanic, 1, "its batch is lost")
		r.control.hook = nil
		r.client.ip(udp4(clientAddr, farAddr, 53, 30))
		synctest.Wait()
		if r.device.Poll() == nil {
			t.Error("nothing passes afterwards")
		}
		if len(told) != 1 || told[0] != "on purpose" || r.plane.Stats().Panics != 1 {
			t.Errorf("told %v, counted %d", told, r.plane.Stats().Panics)
		}
	})
}
