// Package netdevtest has a netdev.Device in memory: a test reads what the data path
// writes, and the data path reads what a test injects.
//
// It waits in nothing but sync.Cond, so that it works inside a testing/synctest
// bubble. All of it is safe for concurrent use.
package netdevtest

import (
	"bytes"
	"io"
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
	in     []netdev.Packet
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
	for _, b := range packets {
		d.InjectSuper(queue, netdev.Packet{Buf: b, End: len(b)})
	}
}

// InjectSuper makes a packet come from a queue as one of a device with offloads
// comes: a super-packet, or one with a partial checksum. It copies it.
func (d *Device) InjectSuper(queue int, p netdev.Packet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queues[queue]
	p.Buf, p.Off, p.End = bytes.Clone(p.Buf[p.Off:p.End]), 0, p.End-p.Off
	q.in = append(q.in, p)
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

// Read implements netdev.Queue.
func (q *queue) Read(room netdev.Room, packets []netdev.Packet, handle func(n int) bool) error {
	for {
		n, err := q.take(room, packets)
		if err != nil || !handle(n) {
			return err
		}
	}
}

// take waits for packets, and returns how many there are.
func (q *queue) take(room netdev.Room, packets []netdev.Packet) (int, error) {
	d := q.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(room.Buf) < room.Len() {
		return 0, io.ErrShortBuffer
	}
	for len(q.in) == 0 {
		if d.done {
			return 0, net.ErrClosed
		}
		q.ready.Wait()
	}
	n := 0
	for n < min(len(packets), len(q.in)) && len(room.Buf) >= room.Len() {
		p := q.in[n]
		end := room.Head + copy(room.Buf[room.Head:], p.Buf[p.Off:p.End])
		p.Buf, p.Off, p.End = room.Buf[:end+room.Tail:end+room.Tail], room.Head, end
		clear(p.Buf[max(0, p.Off-netdev.HeadRoom):p.Off]) // as a real device may
		room.Buf = room.Buf[end+room.Tail:]
		packets[n] = p
		n++
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
		clear(p.Buf[max(0, p.Off-netdev.HeadRoom):p.Off]) // as a real device may
		d.out = append(d.out, bytes.Clone(p.Buf[p.Off:p.End]))
	}
	d.ready.Broadcast()
	return len(packets), nil
}

// Close implements netdev.Queue.
func (q *queue) Close() error { return q.device.Close() }
