package dataplane

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
)

// What comes faster than the rate leaves at the rate, in order, after 100 ms at most; what
// would wait longer is dropped. That is so both ways.
func TestPacketsWaitForTheirTime(t *testing.T) {
	// Every is between packets of 1000 bytes, of which the rate has one a millisecond.
	for name, every := range map[string]time.Duration{"slower": 1100 * time.Microsecond, "a little faster": 990 * time.Microsecond, "twice as fast": 500 * time.Microsecond} {
		t.Run(name+", to the client", func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				r.session.SetLimits(Limits{Rates: limit.Rates{Out: 8e6}})
				r.waits(every, func() *bucket { return r.session.limits.Load().out },
					func(b []byte) { r.device.Inject(0, b) }, func() []byte { return r.client.nextIP() }, farAddr, clientAddr)
			})
		})
		t.Run(name+", from the client", func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				r.session.SetLimits(Limits{Rates: limit.Rates{In: 8e6}})
				r.waits(every, func() *bucket { return r.session.limits.Load().in },
					r.client.ip, func() []byte { return r.device.Read() }, clientAddr, farAddr)
			})
		})
	}
}

// waits sends packets of 1000 bytes, one every so long, and looks at how they come.
func (r *rig) waits(every time.Duration, bucket func() *bucket, send func([]byte), next func() []byte, from, to netip.Addr) {
	r.Helper()
	numbered := func(i uint32) []byte {
		b := udp4(from, to, 53, 972)
		binary.BigEndian.PutUint32(b[28:], i)
		return b
	}
	const n, last = 4000, ^uint32(0)
	sent := make([]time.Time, n)
	done := make(chan struct{})
	begin := time.Now()
	var got []uint32
	var heard time.Time
	go func() {
		defer close(done)
		for time.Since(begin) < 10*time.Second && len(got) < n {
			i := binary.BigEndian.Uint32(next()[28:])
			if i == last {
				return
			}
			got, heard = append(got, i), time.Now()
			if wait := time.Since(sent[i]); wait > maxWait+2*leaveEarly {
				r.Errorf("packet %d came after %v", i, wait)
			}
		}
	}()
	for i := range uint32(n) {
		sent[i] = time.Now()
		send(numbered(i))
		time.Sleep(every)
	}
	offered := time.Since(begin)
	time.Sleep(time.Second)
	send(numbered(last))
	<-done
	if !slices.IsSorted(got) {
		r.Error("they came in another order")
	}
	may := min(n, int((8e6*(offered+maxWait).Seconds()/8+float64(limit.Rate(8e6).Burst()))/1000))
	if len(got) < may*99/100 || len(got) > may {
		r.Errorf("%d came of %d, of which %d may", len(got), n, may)
	}
	if heard.Sub(begin) > offered+maxWait+2*leaveEarly {
		r.Errorf("the last came %v after the last was sent", heard.Sub(begin)-offered)
	}
	if w := bucket().fifo.waiting.Load(); w != 0 {
		r.Errorf("%d wait for ever", w)
	}
	c := r.session.Counters()
	if carried := c.InPackets + c.OutPackets; carried < uint64(len(got)) || carried > uint64(len(got)+1) {
		r.Errorf("%d are counted of %d", carried, len(got))
	}
}

// What waits costs no memory once there are buffers for it, and nothing stays of a session that
// has lost its way.
func TestWaitingDoesNotAllocate(t *testing.T) {
	for name, rates := range map[string]limit.Rates{"to the client": {Out: 10e6}, "from the client": {In: 10e6}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWalks(t, testSuite, 32, 1)
				w.sessions[0].SetLimits(Limits{Rates: rates})
				f, offer := w.sessions[0].limits.Load().fifo(), w.send
				if rates.In > 0 {
					offer = func() { w.receive(); w.in.handle(32) }
				}
				round := func() {
					offer()
					time.Sleep(20 * time.Millisecond)
					synctest.Wait()
				}
				for range 50 {
					round()
				}
				if f.waiting.Load() == 0 {
					t.Fatal("nothing waits")
				}
				bytes := f.bytes
				for range 50 {
					round()
				}
				if f.bytes > bytes+maxWaitBytes/100 || len(f.room.free) > 200 {
					t.Errorf("%d bytes wait, and %d buffers", f.bytes, len(f.room.free))
				}
				if n := testing.AllocsPerRun(20, offer); n != 0 {
					t.Errorf("%v allocations for a batch of which nothing passes", n)
				}
				w.sessions[0].SetNetwork(nil, 0)
				time.Sleep(time.Second)
				synctest.Wait()
				if f.waiting.Load() != 0 || f.bytes != 0 || f.armed || f.room != nil {
					t.Errorf("%d packets and %d bytes are left", f.waiting.Load(), f.bytes)
				}
			})
		})
	}
}

// Sessions with a rate that nothing waits for cost what others do: the buffers go to those where
// something does.
func TestWhatHasWaitedCostsNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions, most = 1000, 2 << 10
		w := newWalks(t, testSuite, 32, 1)
		slot := w.in.plane.slots[0].Load()
		b := make([]byte, 1400)
		before := heap()
		fifos := make([]*fifo, sessions)
		for i := range fifos {
			f := &fifo{}
			fifos[i] = f
			now := time.Now().UnixNano()
			for range 2 * keepBuffers {
				if !f.put(now, waitingPacket{slot: slot, session: w.sessions[0], due: now}, b) {
					t.Fatal("there is no room")
				}
			}
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if n := f.waiting.Load(); n != 0 {
				t.Fatalf("%d wait", n)
			}
		}
		each := (heap() - before) / sessions
		t.Logf("a session that was at its rate keeps %d bytes", each)
		if each > most {
			t.Errorf("these are more than %d", most)
		}
		runtime.KeepAlive(fifos)
	})
}

// heap is what is in use.
func heap() int {
	var m runtime.MemStats
	for range 3 { // pools keep what they have for one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// fifo is that of the one direction that has a rate.
func (l *limits) fifo() *fifo {
	if l.in != nil {
		return l.in.fifo
	}
	return l.out.fifo
}

// A device that panics costs the packets that waited, and not the server.
func TestADeviceThatPanicsCostsWhatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWalks(t, testSuite, 32, 1)
		w.sessions[0].SetLimits(Limits{Rates: limit.Rates{In: 1e6}})
		for range 3 {
			w.receive()
			w.in.handle(32)
		}
		f := w.sessions[0].limits.Load().in.fifo
		if f.waiting.Load() == 0 {
			t.Fatal("nothing waits")
		}
		w.device.mu.Lock()
		w.device.panics = true
		w.device.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if f.waiting.Load() != 0 || w.in.plane.Stats().Panics == 0 {
			t.Errorf("%d wait, %d panics", f.waiting.Load(), w.in.plane.Stats().Panics)
		}
	})
}
