package netdev

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/packet"
)

// loopLen is how many packets from one client to another may wait.
const loopLen = 256

// TAPConfig is what a TAP device begins with.
type TAPConfig struct {
	Name    string
	Queues  int
	Bridge  string       // name of the bridge to join; "" for none
	LAN     netip.Prefix // the addresses that are neighbours
	Gateway netip.Addr   // where everything else goes; the zero Addr: nowhere

	Multicast bool // hand over what is for everybody, too

	Offloads Offloads // the most that is asked for: a kernel may have less
}

// TAP is a station on an Ethernet that has the addresses of all clients: they
// appear as neighbours of the machines there. As a Device it carries IPv4 only.
type TAP struct {
	device
	files []*queue

	everybody bool // packets for everybody are handed over

	mu  sync.Mutex
	arp *neighbours
}

// OpenTAP opens a TAP device, joins it to a bridge and brings it up.
func OpenTAP(c TAPConfig) (*TAP, error) {
	if !c.LAN.Addr().Is4() || c.Gateway.IsValid() && !c.LAN.Contains(c.Gateway) {
		return nil, fmt.Errorf("device %q: the LAN %v is not IPv4, or has no gateway %v", c.Name, c.LAN, c.Gateway)
	}
	var m mac
	if _, err := rand.Read(m[:]); err != nil {
		return nil, err
	}
	m[0] = m[0]&^1 | 2 // unicast, locally administered
	t := &TAP{
		device: device{name: c.Name, mtu: etherMTU, offloads: c.Offloads},
		arp:    newNeighbours(m, c.LAN, c.Gateway),

		everybody: c.Multicast,
	}
	for range max(1, c.Queues) {
		q, err := openQueue(unix.IFF_TAP, t.name, c.Queues > 1, t.offloads)
		if err != nil {
			_ = t.Close()
			return nil, explain(c.Name, err)
		}
		q.link = etherLen
		t.name, t.offloads = q.name, q.offloads
		t.files = append(t.files, q.queue)
		t.queues = append(t.queues, &tapQueue{tap: t, queue: q.queue, loop: make(chan []byte, loopLen)})
	}
	if err := t.bringUp(c); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// etherMTU is what an Ethernet carries in a frame, in bytes of IP.
const etherMTU = 1500

// bringUp gives the device the MTU of the LAN, not of what clients take: a bridge
// has the least of its ports' MTUs, and drops what is longer than a port's before
// anybody could be told, or fragment it.
func (t *TAP) bringUp(c TAPConfig) error {
	if c.Bridge == "" {
		return bringUp(t.name, t.mtu)
	}
	bridge, err := netlink.LinkByName(c.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w: make it, with the office's network card as its port, or correct network.bridge", c.Bridge, err)
	}
	if bridge.Type() != "bridge" {
		return fmt.Errorf("%s is a %s, not a bridge: name the bridge that has it as its port in network.bridge", c.Bridge, bridge.Type())
	}
	t.mtu = bridge.Attrs().MTU
	if err := bringUp(t.name, t.mtu); err != nil {
		return err
	}
	link, err := netlink.LinkByName(t.name)
	if err != nil {
		return fmt.Errorf("device %s: %w", t.name, err)
	}
	// The port's own address, which is not the station's, is chosen to be greater than any
	// other port's: a bridge uses the least address of its ports as its own. If that were
	// ours, the bridge's address would change when we leave, and its neighbours would not
	// know the new one.
	own := net.HardwareAddr{0xfe, 0xff, t.arp.mac[2], t.arp.mac[3], t.arp.mac[4], t.arp.mac[5]}
	if err := netlink.LinkSetHardwareAddr(link, own); err != nil {
		return fmt.Errorf("device %s: setting its hardware address: %w", t.name, err)
	}
	if err := netlink.LinkSetMasterByIndex(link, bridge.Attrs().Index); err != nil {
		return fmt.Errorf("device %s: joining bridge %s: %w", t.name, c.Bridge, err)
	}
	return nil
}

// Claim makes an address ours: neighbours that ask for it get an answer, and
// all are told at once (RFC 5227, section 2.3).
func (t *TAP) Claim(addr netip.Addr) {
	if !addr.Is4() {
		return
	}
	t.mu.Lock()
	t.arp.own[addr] = true
	announcement := t.arp.message(arpRequest, broadcastMAC, mac{}, addr, addr)
	t.mu.Unlock()
	t.send(t.files[0], [][]byte{announcement})
}

// Release gives an address up.
func (t *TAP) Release(addr netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.arp.own, addr)
}

// send writes frames. They are lost like any others.
func (t *TAP) send(q *queue, frames [][]byte) {
	for _, f := range frames {
		b := append(make([]byte, vnetLen, vnetLen+len(f)), f...)
		_, _ = q.WriteBatch([]Packet{{Buf: b, Off: vnetLen + etherLen, End: len(b)}})
	}
}

// tapQueue is a queue of IP packets over one of frames.
type tapQueue struct {
	tap     *TAP
	queue   *queue
	loop    chan []byte // from one client to another, which no bridge sends back
	writers sync.Pool   // of *[]Packet
}

// Read implements Queue.
func (q *tapQueue) Read(room Room, packets []Packet, handle func(n int) bool) error {
	if len(room.Buf) < room.Len() || len(packets) == 0 {
		return io.ErrShortBuffer
	}
	more := true
	filtered := func(n int) bool {
		for i := range packets[:n] {
			packets[i].Off += etherLen
		}
		if n = q.tap.filter(q.queue, packets[:n]); n > 0 {
			more = handle(n)
		}
		return more
	}
	frames := room
	frames.Head -= etherLen
	for more {
		if n := q.looped(room, packets); n > 0 {
			more = handle(n)
		} else if err := q.queue.Read(frames, packets, filtered); err == nil {
			continue
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		// The deadline was hairpin's, and what is there by now is looked for next.
		if err := q.queue.file.SetReadDeadline(time.Time{}); err != nil {
			return net.ErrClosed
		}
	}
	return nil
}

// looped takes what one client sent to another.
func (q *tapQueue) looped(room Room, packets []Packet) int {
	for i := range packets {
		if len(room.Buf) < room.Len() {
			return i
		}
		select {
		case b := <-q.loop:
			packets[i] = room.take(copy(room.Buf[room.Head:room.Head+MaxPacket], b))
		default:
			return i
		}
	}
	return len(packets)
}

// filter keeps the IPv4 packets for us, in front, and handles ARP.
func (t *TAP) filter(q *queue, packets []Packet) int {
	n := 0
	for i := range packets {
		p := &packets[i]
		if p.End < p.Off {
			continue
		}
		frame := p.Buf[p.Off-etherLen : p.End]
		switch kind := uint16(frame[12])<<8 | uint16(frame[13]); {
		case kind == etherARP:
			t.mu.Lock()
			out := t.arp.receive(frame, time.Now())
			t.mu.Unlock()
			t.send(q, out)
		case kind == etherIPv4 && t.receives(mac(frame[:6]), mac(frame[6:12])):
			packets[n], packets[i] = packets[i], packets[n]
			n++
		}
	}
	return n
}

// receives reports whether a frame is for us.
func (t *TAP) receives(to, from mac) bool {
	return to == t.arp.mac || t.everybody && to[0]&1 != 0 && from != t.arp.mac
}

// WriteBatch implements Queue.
func (q *tapQueue) WriteBatch(packets []Packet) (int, error) {
	scratch, _ := q.writers.Get().(*[]Packet)
	if scratch == nil {
		scratch = new([]Packet)
	}
	ready := (*scratch)[:0]
	sent, now := 0, time.Now()
	for i := range packets {
		p := packets[i]
		h, ok := packet.Parse(p.Buf[p.Off:p.End])
		if !ok || !h.Is4() {
			continue
		}
		switch q.route(p.Buf[p.Off-etherLen:p.End], &h, now) {
		case routeReady:
			ready = append(ready, p)
		case routeWaits:
			sent++
		case routeLost:
		}
	}
	n, err := q.queue.WriteBatch(ready)
	clear(ready)
	*scratch = ready
	q.writers.Put(scratch)
	return sent + n, err
}

type routed uint8

const (
	routeLost  routed = iota
	routeReady        // the frame can be sent
	routeWaits        // it was copied, and goes its way
)

// route finds out where an IP packet goes, and completes its frame.
func (q *tapQueue) route(frame []byte, h *packet.IP, now time.Time) routed {
	t := q.tap
	t.mu.Lock()
	if t.arp.own[h.Dst] {
		t.mu.Unlock()
		return q.hairpin(frame[etherLen:])
	}
	ready, ask := t.arp.route(frame, h.Src, h.Dst, now)
	t.mu.Unlock()
	if ask != nil {
		t.send(q.queue, [][]byte{ask})
	}
	switch {
	case ready:
		return routeReady
	case ask != nil:
		return routeWaits
	default:
		return routeLost
	}
}

// hairpin hands a packet from one client to another to the reader.
func (q *tapQueue) hairpin(ip []byte) routed {
	select {
	case q.loop <- append([]byte(nil), ip...):
	default:
		return routeLost
	}
	// The reader may wait in the poller: a deadline in the past ends that.
	if q.queue.file.SetReadDeadline(time.Unix(1, 0)) != nil {
		return routeLost
	}
	return routeWaits
}

// Close implements Queue.
func (q *tapQueue) Close() error { return q.queue.Close() }
