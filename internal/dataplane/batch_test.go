package dataplane

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/udp"
)

// queued is a socket that has datagrams and trains ready, and a device queue
// that counts how they come.
type queued struct {
	sinkConn
	ready  []udp.Packet
	asked  []int // how many packets each read could have brought
	writes []int // how many packets each write to the device brought
	got    [][]byte
}

func (q *queued) Read(p []udp.Packet, handle func(n int) []udp.Packet) error {
	for {
		n := q.take(p)
		if n == 0 {
			return net.ErrClosed
		}
		p = handle(n)
	}
}

func (q *queued) take(p []udp.Packet) int {
	q.asked = append(q.asked, len(p))
	n := 0
	for n < len(p) && len(q.ready) > 0 {
		from := q.ready[0]
		room := p[n].Data
		if len(from.Data) > len(room) {
			room = p[n].Long
		}
		p[n].Data = room[:copy(room, from.Data)]
		p[n].Segment, p[n].Local, p[n].Remote = from.Segment, from.Local, from.Remote
		q.ready = q.ready[1:]
		n++
	}
	return n
}

type queuedDevice struct {
	sinkDevice
	q *queued
}

func (d *queuedDevice) WriteBatch(p []netdev.Packet) (int, error) {
	d.q.writes = append(d.q.writes, len(p))
	for i := range p {
		d.q.got = append(d.q.got, bytes.Clone(p[i].Buf[p[i].Off:p[i].End]))
	}
	return len(p), nil
}

// newQueued returns walks whose inbound one reads from what is queued.
func newQueued(t testing.TB, batch, clients int) (*walks, *queued) {
	w, q := newWalks(t, testSuite, batch, clients), &queued{}
	w.in.socket.Conn = q
	w.in.queue = &queuedDevice{q: q}
	return w, q
}

// sealed are n datagrams, one of each client in turn, as they come.
func (w *walks) sealed(n int) (packets []udp.Packet, want [][]byte) {
	for i := range n {
		c := i % len(w.peer)
		p := &w.peer[c]
		p.Buf, p.Off = bytes.Clone(w.plain[c]), p.SA.Suite().HeadRoom()
		p.End = p.Off + 8 + 8 + 4 + walkLen
		w.sealer.Seal(w.peer[c : c+1]) // nobody else has the SA: no lock
		packets = append(packets, udp.Packet{Data: p.Buf[p.Off:p.End], Local: walkLocal, Remote: walkRemote})
		want = append(want, udp4(netip.AddrFrom4([4]byte{10, 83, 0, byte(1 + c)}), farAddr, 53, walkLen-28))
	}
	return packets, want
}

// What waits in the socket is opened and written at once, as much as fits.
func TestLoneDatagramsAreOneBatch(t *testing.T) {
	for _, clients := range []int{1, 5} {
		w, q := newQueued(t, clients, clients)
		packets, want := w.sealed(400)
		q.ready = packets
		if err := w.in.run(); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		for i := range want {
			if !bytes.Equal(q.got[i], want[i]) {
				t.Fatalf("packet %d came as another", i)
			}
		}
		full := 0
		for _, n := range q.writes {
			if n == readBatch {
				full++
			}
		}
		if len(q.got) != len(want) || full < 4 {
			t.Errorf("%d clients: %d packets were written in batches of %v", clients, len(q.got), q.writes)
		}
	}
}

// Of trains only some are read at once, so that they stay in the cache; of
// datagrams behind them again as many as there are.
func TestTrainsAreReadAFewAtATime(t *testing.T) {
	w, q := newQueued(t, 1, 1)
	const trains, each, lone = 30, 44, 300
	packets, want := w.sealed(trains*each + lone)
	for i := range trains {
		p := packets[i*each]
		p.Segment = len(p.Data)
		for _, next := range packets[i*each+1 : (i+1)*each] {
			p.Data = append(p.Data, next.Data...)
		}
		q.ready = append(q.ready, p)
	}
	q.ready = append(q.ready, packets[trains*each:]...)
	if err := w.in.run(); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if len(q.got) != len(want) {
		t.Fatalf("%d packets of %d", len(q.got), len(want))
	}
	for i := range want {
		if !bytes.Equal(q.got[i], want[i]) {
			t.Fatalf("packet %d came as another", i)
		}
	}
	if q.asked[2] != readTrains || q.asked[len(q.asked)-2] != readBatch {
		t.Errorf("asked for %v packets", q.asked)
	}
	c := w.in.plane.Stats().Counters
	if c.InPackets != uint64(len(want)) || c.InOctets != uint64(len(want)*walkLen) {
		t.Errorf("counted %+v", c)
	}
}

// Segments of a train may be of several SAs, and unknown ones among them cost
// no other.
func TestTrainOfSeveralSAs(t *testing.T) {
	w, q := newQueued(t, 3, 3)
	packets, want := w.sealed(30)
	p := packets[0]
	p.Segment = len(p.Data)
	for i, next := range packets[1:] {
		if i == 7 {
			next.Data[1] ^= 1
		}
		p.Data = append(p.Data, next.Data...)
	}
	q.ready = []udp.Packet{p}
	if err := w.in.run(); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	want = append(want[:8], want[9:]...)
	if len(q.got) != len(want) || w.in.plane.Drops()[DropUnknownSPI] != 1 {
		t.Fatalf("%d packets of %d", len(q.got), len(want))
	}
	for i := range want {
		if !bytes.Equal(q.got[i], want[i]) {
			t.Fatalf("packet %d came as another", i)
		}
	}
	for _, s := range w.sessions {
		if c := s.Counters(); c.InPackets < 9 || c.InPackets > 10 {
			t.Errorf("counted %+v of a session that sent 10", c)
		}
	}
}

// A panic in the middle of a batch costs the batch: nothing of it is left, and
// nothing of it is counted later.
func TestPanicInMidBatchInbound(t *testing.T) {
	w := newWalks(t, testSuite, 32, 1)
	w.receive()
	w.device.panics = true
	w.in.handle(32)
	w.device.panics = false
	if n := w.in.plane.Drops()[DropPanic]; n != 32 || w.in.plane.Stats().Panics != 1 {
		t.Errorf("%d dropped by a panic, want the batch of 32", n)
	}
	w.receive()
	w.in.handle(32)
	if w.device.packets != 32 {
		t.Errorf("%d packets reached the device after it, want 32", w.device.packets)
	}
}

// A read that brings fewer packets than it might is not a reason to wait.
func TestPlan(t *testing.T) {
	w := newWalks(t, testSuite, 1, 1)
	fill := func(n, bytes int) {
		for i := range w.in.packets[:n] {
			w.in.packets[i].Data = make([]byte, bytes)
		}
	}
	for _, v := range []struct{ n, bytes, want int }{
		{1, 100, readLeast}, {16, 1460, 32}, {32, 1460, 64}, {64, 1460, 64}, {20, 1460, 40},
		{1, 64000, 4}, {4, 64000, 4}, {16, 16000, 16}, {64, 3000, 64}, {1, 1460, readLeast},
	} {
		fill(v.n, v.bytes)
		if w.in.plan(v.n); w.in.want != v.want {
			t.Errorf("after %d packets of %d bytes %d are read, want %d", v.n, v.bytes, w.in.want, v.want)
		}
	}
}
