//go:build real

package exact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/test/real/lab"
)

// wiretap is a packet socket on a device: it sees packets and super-packets as
// they are there, and sends such.
type wiretap struct {
	fd, index int
	ether     int // length of what is before an IP packet on the device
	closing   atomic.Bool
	done      sync.WaitGroup

	// What was seen, once listen has ended.
	packets int
	joined  map[byte]int // those of them that came in super-packets, by kind
	err     error
}

const etherLen = 14

// openTap opens one on a device in namespace ns. Outgoing packets are not seen
// unless out is set.
func openTap(t testing.TB, ns, device string, out bool) *wiretap {
	t.Helper()
	w := &wiretap{joined: map[byte]int{}}
	err := lab.In(ns, func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		w.index = link.Attrs().Index
		if len(link.Attrs().HardwareAddr) > 0 {
			w.ether = etherLen
		}
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		ignore := 1
		if out {
			ignore = 0
		}
		return errors.Join(
			unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
			unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, ignore),
			unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 512<<20),
			unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 64<<20),
			unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
			unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: network(unix.ETH_P_ALL), Ifindex: w.index}),
		)
	})
	if err != nil {
		t.Fatalf("a packet socket on %s: %v", device, err)
	}
	t.Cleanup(w.close)
	return w
}

// network is a number in network byte order.
func network(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// listen hands every IP packet that the device receives to f, on a goroutine of
// its own, super-packets cut.
func (w *wiretap) listen(f func(b []byte)) {
	w.record(func(v vnet, b []byte) {
		if len(b) <= w.ether || w.ether > 0 && (b[w.ether-2] != 0x08 || b[w.ether-1] != 0) { // Ethernet has more than IPv4
			return
		}
		v.sumStart -= uint16(w.ether)
		all, err := cut(v, b[w.ether:])
		if err != nil {
			w.err = errors.Join(w.err, err)
			return
		}
		w.packets += len(all)
		if len(all) > 1 {
			w.joined[v.gso&^gsoWithCW] += len(all)
		}
		for _, p := range all {
			f(p)
		}
	})
}

// record hands everything to f as it is, on a goroutine of its own.
func (w *wiretap) record(f func(v vnet, b []byte)) {
	w.done.Go(func() {
		b := make([]byte, 1<<17)
		for !w.closing.Load() {
			n, _, err := unix.Recvfrom(w.fd, b, 0)
			switch {
			case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
			case err != nil:
				w.err = err
				return
			case n > vnetLen:
				f(parseVnet(b), b[vnetLen:n])
			}
		}
	})
}

// send has the device send a packet or super-packet, behind an Ethernet header
// if it has such.
func (w *wiretap) send(v vnet, b []byte, ether []byte) error {
	a := unix.SockaddrLinklayer{Protocol: network(unix.ETH_P_IP), Ifindex: w.index}
	if b[0]>>4 == 6 {
		a.Protocol = network(unix.ETH_P_IPV6)
	}
	if v.flags&needsSum != 0 {
		v.sumStart += uint16(len(ether))
	}
	if v.gso != gsoNone {
		v.length += uint16(len(ether))
	}
	return unix.Sendto(w.fd, slices.Concat(v.bytes(), ether, b), 0, &a)
}

// close ends listen.
func (w *wiretap) close() {
	if w.closing.Swap(true) {
		return
	}
	w.done.Wait()
	if st, err := unix.GetsockoptTpacketStats(w.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil && st.Drops > 0 {
		w.err = errors.Join(w.err, fmt.Errorf("the capture lost %d packets", st.Drops))
	}
	_ = unix.Close(w.fd)
}

// inside reports whether a packet goes from one of these networks to another.
func inside(b []byte, from, to []netip.Prefix) bool {
	src, dst := addresses(b)
	in := func(list []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return in(from, src) && in(to, dst)
}

// addresses are those of an IP packet, none if it is too short for them.
func addresses(b []byte) (src, dst netip.Addr) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	case len(b) >= 40 && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	}
	return netip.Addr{}, netip.Addr{}
}
