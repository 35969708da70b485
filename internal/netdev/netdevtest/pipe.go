// Package netdevtest has a netdev.Device in memory: what the data path writes
// to it a test reads, and what a test injects the data path reads.
//
// It waits in nothing but sync.Cond, so that it works inside a testing/synctest
// bubble. All of it is safe for concurrent use.
package netdevtest

import (
	"bytes"
	"net"
	"sync"

	"github.com/adit-vpn/adit/internal/netdev"
)

// Device is a device in memory.
type Device struct {
	name string
	mtu  int

	mu     sync.Mutex
	queues []*queue
	ready  *sync.Cond
	out    [][]byte // what was written, in order, by all queues
	done   bool
}

type queue struct {
	device *Device
	ready  *sync.Cond
	in     [][]byte
}

// New returns a device.
func New(name string, mtu, queues int) *Device {
	d := &Device{name: name, mtu: mtu}
	d.ready = sync.NewCond(&d.mu)
	for range queues {
		d.queues = append(d.queues, &queue{device: d, ready: sync.NewCond(&d.mu)})
	}
	return d
}

// Inject makes packets come from a queue. It copies them.
func (d *Device) Inject(queue int, packets ...[]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queues[queue]
	for _, p := range packets {
		q.in = append(q.in, bytes.Clone(p))
	}
	q.ready.Signal()
}

// Read waits for the next packet that is written. It returns nil once the
// device is closed.
func (d *Device) Read() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.out) == 0 && !d.done {
		d.ready.Wait()
	}
	return d.pop()
}

// Poll returns the next packet that was written, nil if there is none.
func (d *Device) Poll() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pop()
}

func (d *Device) pop() []byte {
	if len(d.out) == 0 {
		return nil
	}
	p := d.out[0]
	d.out = d.out[1:]
	return p
}

// Name implements netdev.Device.
func (d *Device) Name() string { return d.name }

// MTU implements netdev.Device.
func (d *Device) MTU() int { return d.mtu }

// Queues implements netdev.Device.
func (d *Device) Queues() []netdev.Queue {
	var all []netdev.Queue
	for _, q := range d.queues {
		all = append(all, q)
	}
	return all
}

// Close implements netdev.Device.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	d.ready.Broadcast()
	for _, q := range d.queues {
		q.ready.Broadcast()
	}
	return nil
}

// ReadBatch implements netdev.Queue.
func (q *queue) ReadBatch(packets []netdev.Packet) (int, error) {
	d := q.device
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(q.in) == 0 {
		if d.done {
			return 0, net.ErrClosed
		}
		q.ready.Wait()
	}
	n := min(len(packets), len(q.in))
	for i, b := range q.in[:n] {
		p := &packets[i]
		*p = netdev.Packet{Buf: p.Buf, Off: p.Off, End: p.Off + copy(p.Buf[p.Off:], b)}
	}
	q.in = q.in[n:]
	return n, nil
}

// WriteBatch implements netdev.Queue.
func (q *queue) WriteBatch(packets []netdev.Packet) (int, error) {
	d := q.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done {
		return 0, net.ErrClosed
	}
	for i := range packets {
		p := &packets[i]
		clear(p.Buf[p.Off-netdev.HeadRoom : p.Off]) // as a real device may
		d.out = append(d.out, bytes.Clone(p.Buf[p.Off:p.End]))
	}
	d.ready.Broadcast()
	return len(packets), nil
}

// Close implements netdev.Queue.
func (q *queue) Close() error { return q.device.Close() }
