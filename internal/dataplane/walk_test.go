package dataplane

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

// sink is a socket and a device queue that swallow everything.
type sink struct{ packets, bytes int }

func (s *sink) Close() error { return nil }

type sinkConn struct {
	sink
	trains int  // packets that are several datagrams
	keep   bool // datagrams in kept
	kept   [][]byte
	panics bool
}

func (s *sinkConn) Read([]udp.Packet, func(int) []udp.Packet) error { select {} }

func (s *sinkConn) WriteBatch(p []udp.Packet) (int, error) {
	if s.panics {
		panic("on purpose")
	}
	for i := range p {
		s.packets++
		if p[i].Segment > 0 {
			s.packets += (len(p[i].Data) - 1) / p[i].Segment
			s.trains++
		}
		s.bytes += len(p[i].Data)
	}
	if s.keep {
		for _, d := range cut(p) {
			s.kept = append(s.kept, bytes.Clone(d))
		}
	}
	return len(p), nil
}

type sinkDevice struct {
	mu sync.Mutex // what waited is written by a timer
	sink
	panics bool
}

func (s *sinkDevice) Read(netdev.Room, []netdev.Packet, func(int) bool) error { select {} }

func (s *sinkDevice) WriteBatch(p []netdev.Packet) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics {
		panic("on purpose")
	}
	for i := range p {
		s.packets++
		s.bytes += p[i].End - p[i].Off
	}
	return len(p), nil
}

func (s *sinkDevice) Name() string           { return "sink" }
func (s *sinkDevice) MTU() int               { return 1400 }
func (s *sinkDevice) Queues() []netdev.Queue { return []netdev.Queue{s} }

var walkLocal, walkRemote = netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("203.0.113.5:4500")

const walkLen = 1400 // of an inner IP packet

// walks has both workers of a plane, without goroutines.
type walks struct {
	conn   sinkConn
	device sinkDevice
	in     *receiver
	out    *transmitter

	batch    int
	sealer   *ipsec.Sealer
	peer     []ipsec.Out               // what the clients seal
	peers    map[uint32]*ipsec.Inbound // what they open, by SPI
	ips      [][]byte                  // what the device has for them
	plain    [][]byte                  // what is in the buffers of peer before
	sessions []*Session
}

func newWalks(t testing.TB, s ipsec.Suite, batch, clients int) *walks {
	t.Helper()
	w := &walks{batch: batch, sealer: ipsec.NewSealer(rand.Reader), peers: map[uint32]*ipsec.Inbound{}}
	local, remote := walkLocal, walkRemote
	p, err := New(Config{
		Workers: [][]Socket{{{Conn: &w.conn, Bound: local, Kind: SocketNATT}}},
		Device:  &w.device, Control: &recorder{}, Slots: clients,
		Pools: []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16")},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.in, w.out = p.workers[0].(*receiver), p.workers[1].(*transmitter)
	addr := netip.MustParseAddr("10.83.0.0")
	var peers []*ipsec.Outbound
	for i := range clients {
		addr = addr.Next()
		slot, err := p.NewSlot(&inbox{})
		if err != nil {
			t.Fatal(err)
		}
		session := NewSession(ourSession, peerSession, false)
		w.sessions = append(w.sessions, session)
		session.SetNetwork([]netip.Prefix{netip.PrefixFrom(addr, 32)}, 0)
		if err := p.Route(netip.PrefixFrom(addr, 32), slot, session); err != nil {
			t.Fatal(err)
		}
		in, peer := pair(t, slot.NewSPI(), s)
		open, out := pair(t, 0xc0ffee01+uint32(i), s)
		w.peers[out.SPI()] = open
		slot.Publish(&View{
			In: []*ipsec.Inbound{in}, Out: out, Local: local, Remote: remote,
			PeerPort: 1701, Tunnel: ourTunnel, PeerTunnel: peerTunnel, Sessions: []*Session{session},
		})
		peers = append(peers, peer)
	}
	for i := range batch {
		client := netip.AddrFrom4([4]byte{10, 83, 0, byte(1 + i%clients)})
		w.prepareIn(peers[i%clients], i, udp4(client, farAddr, 53, walkLen-28))
		w.ips = append(w.ips, udp4(farAddr, client, 53, walkLen-28))
	}
	return w
}

// prepareIn makes the plaintext of the client's packet i.
func (w *walks) prepareIn(peer *ipsec.Outbound, i int, ip []byte) {
	message := l2tp.AppendDataHeader(nil, ourTunnel, ourSession, 4+len(ip), nil)
	message = append(append(message, 0xff, 0x03, 0, pppIPv4), ip...)
	b := w.in.datagrams[i*datagramLen : (i+1)*datagramLen]
	head := peer.Suite().HeadRoom()
	binary.BigEndian.PutUint32(b[head:], 1701<<16|1701)
	binary.BigEndian.PutUint16(b[head+4:], uint16(8+len(message)))
	copy(b[head+8:], message)
	w.peer = append(w.peer, ipsec.Out{SA: peer, Buf: b})
	w.plain = append(w.plain, bytes.Clone(b))
}

// receive seals a batch as the clients do.
func (w *walks) receive() {
	for i := range w.peer {
		p := &w.peer[i]
		p.Off = p.SA.Suite().HeadRoom()
		p.End = p.Off + 8 + 8 + 4 + walkLen
	}
	w.sealer.Seal(w.peer) // nobody else has these SAs: no lock
	for i := range w.peer {
		p := &w.in.packets[i]
		p.Data = w.peer[i].Buf[:w.peer[i].End]
		p.Local, p.Remote = walkLocal, walkRemote
	}
}

// send carries a batch from the device.
func (w *walks) send() {
	room := w.out.room.Buf
	for i, ip := range w.ips {
		end := netdev.HeadRoom + copy(room[netdev.HeadRoom:], ip)
		w.out.packets[i] = netdev.Packet{Buf: room[:end:end], Off: netdev.HeadRoom, End: end}
		room = room[end:]
	}
	w.out.handle(w.batch)
}

func TestWalksDoNotAllocate(t *testing.T) {
	for _, s := range []ipsec.Suite{testSuite, {Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA256_128}, {Cipher: ipsec.AESGCM16, KeyBits: 128}} {
		for _, clients := range []int{1, 7} {
			w := newWalks(t, s, 32, clients)
			w.receive()
			w.in.handle(32) // the first packets are told to the inbox
			w.device.packets = 0
			if n := testing.AllocsPerRun(50, func() { w.receive(); w.in.handle(32) }); n != 0 {
				t.Errorf("%v, in: %v allocations for a batch", s, n)
			}
			if n := testing.AllocsPerRun(50, w.send); n != 0 {
				t.Errorf("%v, out: %v allocations for a batch", s, n)
			}
			if w.device.packets != 51*32 || w.conn.packets != 51*32 {
				t.Errorf("%v: %d packets in, %d out; want %d", s, w.device.packets, w.conn.packets, 51*32)
			}
		}
	}
}

func benchmarkWalk(b *testing.B, f func(b *testing.B, w *walks)) {
	for _, s := range []ipsec.Suite{testSuite, {Cipher: ipsec.AESGCM16, KeyBits: 256}} {
		for _, clients := range []int{1, 32} {
			name := s.String() + "/clients1"
			if clients > 1 {
				name = s.String() + "/clients32"
			}
			b.Run(name, func(b *testing.B) {
				w := newWalks(b, s, 32, clients)
				b.SetBytes(32 * walkLen)
				b.ReportAllocs()
				f(b, w)
			})
		}
	}
}

func BenchmarkIn(b *testing.B) {
	benchmarkWalk(b, func(b *testing.B, w *walks) {
		for b.Loop() {
			b.StopTimer()
			w.receive()
			b.StartTimer()
			w.in.handle(w.batch)
		}
	})
}

func BenchmarkOut(b *testing.B) {
	benchmarkWalk(b, func(b *testing.B, w *walks) {
		for b.Loop() {
			w.send()
		}
	})
}
