//go:build real

package exact

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
)

// wire is what was seen of ESP on its way out of the server.
type wire struct {
	next            map[uint32]uint32 // the sequence number that an SPI goes on with
	packets, trains int
	faults          []string
}

// see takes an Ethernet frame with one datagram, or with a train that the
// network card would cut.
func (w *wire) see(v vnet, b []byte) {
	const ip, udp = etherLen, etherLen + 20
	if len(b) < udp+8 || b[ip] != 0x45 || b[ip+9] != protoUDP || binary.BigEndian.Uint16(b[udp:]) != 4500 {
		return
	}
	if src, _ := addresses(b[ip:]); src.String() != serverIP {
		return
	}
	b = b[udp+8:]
	segment := len(b)
	if v.gso == gsoUDP {
		segment = int(v.size)
		w.trains++
	}
	for ; len(b) > 0; b = b[min(segment, len(b)):] {
		if len(b) < 8 || binary.BigEndian.Uint32(b) == 0 {
			continue // a keepalive, or IKE
		}
		spi, seq := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		want, known := w.next[spi]
		if !known {
			want = 1
		}
		if seq != want && len(w.faults) < maxFaults {
			w.faults = append(w.faults, fmt.Sprintf("SPI %08x: %d follows %d", spi, seq, want-1))
		}
		w.next[spi] = seq + 1
		w.packets++
	}
}

// Every worker of the server sends to one client at the same time, more of them
// than there are cores, and the sequence numbers leave in their order: none
// overtakes another one, though super-packets become trains, and control
// packets and new SAs come in between. The client, whose window has room for
// 32, finds no packet too old.
func TestSequenceNumbersLeaveInOrder(t *testing.T) {
	s := serve(t, host{env: []string{"GOMAXPROCS=4"}})
	w := &wire{next: map[uint32]uint32{}}
	outside := openTap(t, nsServer, "eth0", true)
	outside.record(w.see)
	device := netdevtest.New("order", 1400, 1)
	x := dial(t, s, peer{device: device})
	read := make(chan int)
	go func() {
		n := 0
		for b := device.Read(); b != nil; b = device.Read() {
			n++
		}
		read <- n
	}()
	// Flows without an answer: the kernel spreads them over the device's queues.
	// What a full queue does not take is as good as not sent.
	tap := openTap(t, nsServer, "adit0", false)
	until := time.Now().Add(3 * time.Second)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(5, uint64(i)))
			m := &maker{rng: rng, mtu: x.mtu, back: true, four: end{x.four, far4}, port: uint16(100 * i)}
			var list []stream
			for range 8 {
				list = append(list, m.supers(m.four, protoTCP, 1<<30), m.supers(m.four, protoUDP, 1<<30), m.tcpBulk(m.four, 1<<30))
			}
			play(rng, list, func(s shot) bool {
				_ = tap.send(s.v, s.b, nil)
				return time.Now().Before(until)
			})
		})
	}
	every := time.NewTicker(600 * time.Millisecond)
	defer every.Stop()
	for time.Now().Before(until) {
		<-every.C
		x.Rekey(ike.ChildRequest{LocalPort: 1701})
	}
	wg.Wait()
	x.Close()
	drops := x.fleet.Drops()
	_ = device.Close()
	came := <-read
	outside.close()
	if outside.err != nil {
		t.Error(outside.err)
	}
	for _, f := range w.faults {
		t.Error(f)
	}
	if n := drops["esp-replay"]; n > 0 {
		t.Errorf("the client refused %d packets, which its window of %d had passed", n, replayWindow)
	}
	if w.trains == 0 || len(w.next) < 3 || came == 0 {
		t.Errorf("%d packets arrived; the server sent %d trains by %d SAs", came, w.trains, len(w.next))
	}
	t.Logf("%d packets by %d SAs, %d trains; %d arrived; the client dropped %v", w.packets, len(w.next), w.trains, came, drops)
	s.wantNoDrops(t)
	s.stop(t)
}
