//go:build real

package exact

import (
	stdbytes "bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// flow is what order is kept within: a far address and a protocol, and the
// ports where every network device sees them.
type flow struct {
	far      netip.Addr
	protocol byte
	ports    uint32
}

func (f flow) String() string {
	return fmt.Sprintf("%v protocol %d ports %d, %d", f.far, f.protocol, f.ports>>16, f.ports&0xffff)
}

// patience is how long nothing may arrive while something is on its way.
const patience = 10 * time.Second

// ledger knows what is on its way in one direction of one client.
type ledger struct {
	back bool // from far to near
	room int  // how many packets may be on their way

	mu     sync.Mutex
	change *sync.Cond
	flows  map[flow][][]byte // on their way
	away   int               // how many these are
	came   int
	last   time.Time // of an arrival, or of nothing being away
	broken bool
	faults []string
}

const maxFaults = 12

func newLedger(back bool, room int) *ledger {
	l := &ledger{back: back, room: room, flows: map[flow][][]byte{}}
	l.change = sync.NewCond(&l.mu)
	return l
}

// flowOf tells a packet's flow.
func (l *ledger) flowOf(b []byte) flow {
	src, dst := addresses(b)
	f := flow{protocol: b[6]}
	var ports []byte
	switch {
	case dst.Is4():
		f.protocol = b[9]
		if b[6]&0x3f == 0 && b[7] == 0 { // no fragment
			ports = b[int(b[0]&15)*4:]
		}
	case f.protocol == protoDest:
		f.protocol, ports = b[40], b[48:] // they are of 8 bytes here
	default:
		ports = b[40:]
	}
	if f.far = dst; l.back {
		f.far = src
	}
	if (f.protocol == protoTCP || f.protocol == protoUDP) && len(ports) >= 4 {
		f.ports = binary.BigEndian.Uint32(ports)
	}
	return f
}

// expect waits until there is room, and notes what will be on its way. It
// returns false if the way is broken.
func (l *ledger) expect(want [][]byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.await(func() bool { return l.away == 0 || l.away+len(want) <= l.room })
	if l.broken {
		return false
	}
	if l.away == 0 {
		l.last = time.Now()
	}
	for _, b := range want {
		f := l.flowOf(b)
		l.flows[f] = append(l.flows[f], b)
	}
	l.away += len(want)
	return true
}

// finish waits until everything has arrived, and returns what was wrong.
func (l *ledger) finish() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.await(func() bool { return l.away == 0 })
	return l.faults
}

// await waits for ok, or for the way to be broken. Called with the lock held.
func (l *ledger) await(ok func() bool) {
	for !l.broken && !ok() {
		if rest := time.Until(l.last.Add(patience)); rest <= 0 {
			l.broken = true
			l.missing()
		} else {
			wake := time.AfterFunc(rest, l.change.Broadcast)
			l.change.Wait()
			wake.Stop()
		}
	}
}

func (l *ledger) missing() {
	for f, list := range l.flows {
		if len(list) > 0 {
			l.fault("%d packets of %v are missing, the first is %s", len(list), f, show(list[0]))
		}
	}
}

// arrive takes one packet that came. It may be called by one goroutine.
func (l *ledger) arrive(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	defer l.change.Broadcast()
	f := l.flowOf(b)
	list := l.flows[f]
	for i, want := range list {
		if !same(want, b) {
			continue
		}
		if i > 0 {
			l.fault("in %v came %d packets early: %s", f, i, show(b))
		}
		l.flows[f] = append(list[:i:i], list[i+1:]...)
		l.away--
		l.came++
		return
	}
	if len(list) == 0 {
		l.fault("in %v came a packet twice, or one that was not sent: %s", f, show(b))
		return
	}
	l.fault("in %v came a packet that was not sent: %s, want %s; they differ %s", f, show(b), show(list[0]), difference(b, list[0]))
}

func (l *ledger) fault(format string, args ...any) {
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// same compares two packets, of which the second may have another
// identification where that means nothing.
func same(want, got []byte) bool {
	if stdbytes.Equal(want, got) {
		return true
	}
	if len(want) != len(got) || got[0]>>4 != 4 || binary.BigEndian.Uint16(want[6:]) != dontFragment {
		return false
	}
	if sum(got[:int(got[0]&15)*4]) != 0xffff {
		return false
	}
	return stdbytes.Equal(want[:4], got[:4]) && stdbytes.Equal(want[6:10], got[6:10]) && stdbytes.Equal(want[12:], got[12:])
}

// difference says where two packets differ first.
func difference(a, b []byte) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("at byte %d: %02x and %02x", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("in length: %d and %d", len(a), len(b))
}

// show is the headers of a packet.
func show(b []byte) string { return fmt.Sprintf("%d bytes %x", len(b), b[:min(len(b), 72)]) }
