package dataplane

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/l2tp"
)

// mute publishes the view of the rig as a muted one, or as one that is not.
func (r *rig) mute(muted bool) {
	v := *r.view
	v.Muted = muted
	r.publish(&v)
}

// While Out is muted no packet of a user leaves by it: all of them wait, super-packets and
// those that need fragments too, more than an inbox has room for. Then they leave, in
// order, before what comes next.
func TestPacketsWaitWhileTheirWayIsMuted(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.mute(true)
		const small = 300
		for i := range small {
			r.device.Inject(0, udp4(farAddr, clientAddr, uint16(i), 10))
		}
		large := tcp4(farAddr, clientAddr, 60000)
		r.device.InjectSuper(0, super(large, 1348))
		long := ip4(farAddr, clientAddr, 253, 1450) // no DF
		r.device.Inject(0, long)
		synctest.Wait()
		r.inbox.mu.Lock()
		if n := len(r.inbox.notes); n != 0 {
			t.Errorf("the connection is told %d notes of them, want none", n)
		}
		r.inbox.mu.Unlock()
		if n := r.session.Counters().OutPackets; n != 0 {
			t.Errorf("%d packets left, want none", n)
		}

		r.mute(false)
		r.device.Inject(0, udp4(farAddr, clientAddr, small, 10))
		for i := range small {
			if got := r.client.nextIP(); binary.BigEndian.Uint16(got[22:]) != uint16(i) {
				t.Fatalf("packet %d is %x", i, got)
			}
		}
		var segments [][]byte
		for range (60000 + 1347) / 1348 {
			segments = append(segments, bytes.Clone(r.client.nextIP()))
		}
		if got := joined(t, large, 1348, segments); !bytes.Equal(got, large[tcpHead:]) {
			t.Error("a super-packet's payload is another")
		}
		if a, b := r.client.nextIP(), r.client.nextIP(); len(a)+len(b) != len(long)+20 {
			t.Errorf("the long packet comes in fragments of %d and %d bytes", len(a), len(b))
		}
		if got := r.client.nextIP(); binary.BigEndian.Uint16(got[22:]) != small {
			t.Errorf("then comes %x", got)
		}
		r.wantDrop(DropDoubted, 0, "nothing was lost")
	})
}

// A packet that was on its way when Out was muted is not lost either: nor is what is left
// of a super-packet.
func TestAPacketWaitsWhoseWayIsMutedMeanwhile(t *testing.T) {
	r := newRig(t, Config{}, testSuite, 1, "203.0.113.5")
	x := newTransmitter(r.plane, 0, r.device.Queues()[0], r.plane.control)
	one, large := udp4(farAddr, clientAddr, 1, 10), tcp4(farAddr, clientAddr, 60000)
	for _, p := range []netdev.Packet{{Buf: one, End: len(one)}, super(large, 1348)} {
		if d, ok := x.route(&p); !ok {
			t.Fatalf("it is dropped: %v", d)
		}
	}
	r.mute(true)
	x.flush()
	if n := len(r.slot.held.packets); n != 1+(60000+1347)/1348 {
		t.Errorf("%d packets wait, want all", n)
	}
	r.mute(false)
	if got := r.client.nextIP(); !bytes.Equal(got, one) {
		t.Errorf("the first is %x", got)
	}
	for i, n := range r.plane.Drops() {
		if n != 0 {
			t.Errorf("%d packets are dropped: %v", n, Drop(i))
		}
	}
}

// What waits is bounded: what has no room is counted.
func TestWhatWaitsIsBounded(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.mute(true)
		const n, length = 2000, 1000
		for range n {
			r.device.Inject(0, ip4(farAddr, clientAddr, 253, length-20))
		}
		synctest.Wait()
		const room = maxHeld / (length + heldCost)
		r.wantDrop(DropDoubted, n-room, "there is no room")
		if held := r.plane.held.Load(); held != room*(length+heldCost) {
			t.Errorf("%d bytes are counted, want those of %d packets", held, room)
		}
		r.slot.Free(time.Now())
		if held := r.plane.held.Load(); held != 0 {
			t.Errorf("%d bytes are counted once nothing waits", held)
		}
	})
}

// kept is a socket that keeps what several workers write.
type kept struct {
	sinkConn
	mu sync.Mutex
}

func (k *kept) WriteBatch(packets []udp.Packet) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sinkConn.WriteBatch(packets)
}

// Views that are muted and not, one after the other, while two workers send: no packet is
// lost or comes before an older one of its worker.
func TestNothingIsLostOrOvertakenByWhatWaits(t *testing.T) {
	r := newRig(t, Config{}, testSuite, 2, "203.0.113.5")
	to := &kept{sinkConn: sinkConn{keep: true}}
	for _, sockets := range r.plane.cfg.Workers {
		for i := range sockets {
			sockets[i].Conn = to
		}
	}
	const n = 4000
	var senders sync.WaitGroup
	for worker := range 2 {
		senders.Go(func() {
			x := newTransmitter(r.plane, worker, r.device.Queues()[worker], r.plane.control)
			for i := range uint16(n) {
				b := udp4(farAddr, clientAddr, i, 10)
				b[28] = byte(worker)
				p := netdev.Packet{Buf: b, End: len(b)}
				if d, ok := x.route(&p); !ok {
					t.Errorf("packet %d is dropped: %v", i, d)
				}
				if i%16 == 15 {
					x.flush()
				}
			}
			x.flush()
		})
	}
	done := make(chan struct{})
	go func() {
		senders.Wait()
		close(done)
	}()
	for muted, sending := true, true; sending; muted = !muted {
		select {
		case <-done:
			sending = false
		default:
			r.mute(muted)
		}
	}
	r.mute(false)
	next := [2]uint16{}
	for _, b := range to.kept {
		got := r.client.open(b)[8+l2tp.DataHeaderLen+pppHeaderLen:]
		worker, i := got[28], binary.BigEndian.Uint16(got[22:])
		if i != next[worker] {
			t.Fatalf("worker %d: packet %d comes when %d is next", worker, i, next[worker])
		}
		next[worker]++
	}
	if next != [2]uint16{n, n} {
		t.Errorf("%v packets came, want %d each", next, n)
	}
}
