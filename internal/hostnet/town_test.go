package hostnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// town is a host with the server's device and two networks, each with a host in
// a namespace of its own: the server's segment, where a neighbour is, and an
// office behind it. The test plays the client: it holds the other end of the
// device.
type town struct {
	t      *testing.T
	host   *Host
	file   string
	tun    int // the client's end
	places map[string]int
	n      int
}

// What is where, of IPv4 and of IPv6.
var (
	clientAt    = [2]string{"10.83.0.9", "fd00:83::9"}
	insideAt    = [2]string{"10.83.0.1", "fd00:83::1"} // the server's
	serverAt    = [2]string{"192.0.2.1", "2001:db8:2::1"}
	neighbourAt = [2]string{"192.0.2.66", "2001:db8:2::66"}
	officeAt    = [2]string{"192.168.60.10", "2001:db8:60::10"}
	siteAt      = [2]string{"172.16.9.9", "fd00:9::9"} // behind a client
	strangerAt  = [2]string{"198.51.100.7", "2001:db8:99::7"}
)

func townPlan() Plan {
	return Plan{
		Device: "adit0", Addresses: []netip.Prefix{prefix("10.83.0.1/16"), prefix("fd00:83::1/64")},
		Masquerade: true, Forward6: true,
	}
}

// inTown runs f in a town whose server has a plan, and wants the host as it was
// afterwards.
func inTown(t *testing.T, p Plan, before string, f func(w *town)) {
	t.Helper()
	inTownAsItIs(t, p, before, func(w *town) {
		f(w)
		if _, err := w.host.Close(); err != nil {
			t.Error(err)
		}
		wantClean(t, w.file)
	})
}

// inTownAsItIs is inTown, without the end.
func inTownAsItIs(t *testing.T, p Plan, before string, f func(w *town)) {
	t.Helper()
	inNamespace(t, func() {
		w := &town{t: t, file: filepath.Join(t.TempDir(), "undo.json"), places: map[string]int{}}
		defer w.close()
		run(t, "ip link set lo up; sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0")
		w.place("segment", "192.0.2", "2001:db8:2:", neighbourAt)
		w.place("office", "192.168.60", "2001:db8:60:", officeAt)
		run(t, before)
		w.tun = openTUN(t)
		h, err := Apply(w.file, p)
		if err != nil {
			t.Error(err)
			return
		}
		w.host = h
		for _, n := range []string{siteAt[0] + "/32", siteAt[1] + "/128"} {
			if err := h.Claim(prefix(n), ""); err != nil {
				t.Error(err)
			}
		}
		f(w)
		_, _ = h.Close() // unless f did
	})
}

// place makes a network with a host. The server's host has its first address.
func (w *town) place(name, net4, net6 string, own [2]string) {
	w.t.Helper()
	w.places[name] = newNamespace(w.t)
	run(w.t, fmt.Sprintf("ip link add %s type veth peer name eth0 netns /proc/%d/fd/%d", name, os.Getpid(), w.places[name]))
	run(w.t, fmt.Sprintf("ip addr add %s.1/24 dev %s; ip addr add %s:1/64 dev %[2]s nodad; ip link set %[2]s up", net4, name, net6))
	w.in(name, func() {
		run(w.t, fmt.Sprintf("ip link set lo up; ip addr add %s/24 dev eth0; ip addr add %s/64 dev eth0 nodad; ip link set eth0 up", own[0], own[1]))
		run(w.t, fmt.Sprintf("ip route add default via %s.1; ip route add default via %s:1", net4, net6))
	})
}

func newNamespace(t *testing.T) (fd int) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return fd
}

// in runs f in another namespace than the host's.
func (w *town) in(place string, f func()) {
	w.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := unix.Setns(w.places[place], unix.CLONE_NEWNET)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		w.t.Error(err)
	}
}

func (w *town) close() {
	for _, fd := range w.places {
		_ = unix.Close(fd)
	}
	_ = unix.Close(w.tun)
}

func openTUN(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
	}
	ifr, err := unix.NewIfreq("adit0")
	if err != nil {
		t.Error(err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Error(err)
	}
	return fd
}

// socket opens a UDP socket on an address and a port, in the namespace of the
// calling thread.
func (w *town) socket(at string, port int) int {
	w.t.Helper()
	family, level, transparent := unix.AF_INET, unix.SOL_IP, unix.IP_TRANSPARENT
	if strings.Contains(at, ":") {
		family, level, transparent = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		w.t.Error(err)
	}
	long := unix.NsecToTimeval(int64(20 * time.Second)) // a test that fails ends
	for _, err := range []error{
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &long),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, level, transparent, 1), // it may send as somebody else
		unix.Bind(fd, sockaddr(at, port)),
	} {
		if err != nil {
			w.t.Errorf("a socket on %s: %v", at, err)
		}
	}
	return fd
}

func sockaddr(at string, port int) unix.Sockaddr {
	if a := netip.MustParseAddr(at); a.Is6() {
		return &unix.SockaddrInet6{Addr: a.As16(), Port: port}
	}
	return &unix.SockaddrInet4{Addr: netip.MustParseAddr(at).As4(), Port: port}
}

const townPort = 7777

// socketAt opens a socket at a place: "" is the host itself.
func (w *town) socketAt(place, at string, port int) (fd int) {
	w.t.Helper()
	if place == "" {
		return w.socket(at, port)
	}
	w.in(place, func() { fd = w.socket(at, port) })
	return fd
}

// text is a new payload.
func (w *town) text(what string) []byte {
	w.n++
	return fmt.Appendf(nil, "%s %d.", what, w.n)
}

// neighbourReaches reports whether what the neighbour sends from an address
// arrives at another, which is a client's, or of a host of a place. What the
// host itself sends afterwards arrives for certain, by the same way.
func (w *town) neighbourReaches(src, place, dst string) bool {
	w.t.Helper()
	probe, marker := w.text("probe"), w.text("marker")
	family := 0
	if strings.Contains(dst, ":") {
		family = 1
	}
	own := w.socket(serverAt[family], townPort)
	defer unix.Close(own)
	target := -1
	if place != "client" {
		target = w.socketAt(place, dst, townPort+1)
		defer unix.Close(target)
	}
	from := w.socketAt("segment", src, townPort+2)
	defer unix.Close(from)
	along := w.socketAt("segment", neighbourAt[family], townPort+3)
	defer unix.Close(along)
	if err := unix.Sendto(from, probe, 0, sockaddr(dst, townPort+1)); err != nil {
		w.t.Error(err)
	}
	if err := unix.Sendto(along, marker, 0, sockaddr(serverAt[family], townPort)); err != nil {
		w.t.Error(err)
	}
	w.wait(own, nil, marker)
	if err := unix.Sendto(own, marker, 0, sockaddr(dst, townPort+1)); err != nil {
		w.t.Error(err)
	}
	return w.wait(target, probe, marker)
}

// wait reads a socket, or what the client gets where there is none, up to the
// marker, and reports whether something else came before.
func (w *town) wait(fd int, probe, marker []byte) (came bool) {
	w.t.Helper()
	if fd < 0 {
		fd = w.tun
	}
	buf := make([]byte, 2048)
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) { // with a timeout the kernel does not go on by itself
			continue
		}
		if err != nil {
			w.t.Errorf("the marker does not arrive: %v", err)
			return came
		}
		quotes := fd == w.tun && buf[0]>>4 == 6 && buf[6] == unix.IPPROTO_ICMPV6 // as a redirect does
		came = came || probe != nil && !quotes && bytes.Contains(buf[:n], probe)
		if bytes.Contains(buf[:n], marker) {
			return came
		}
	}
}

// clientReaches reports whether what a client sends arrives at a port of a host
// of a place, and whether the answer comes back.
func (w *town) clientReaches(place, dst string, port uint16) (arrives, answered bool) {
	w.t.Helper()
	family := 0
	if strings.Contains(dst, ":") {
		family = 1
	}
	probe, marker := w.text("probe"), w.text("marker")
	target := w.socketAt(place, dst, int(port))
	defer unix.Close(target)
	w.clientSends(clientAt[family], dst, port, probe)
	own := w.socket(insideAt[family], townPort)
	defer unix.Close(own)
	// What the host sends itself comes behind it.
	if err := unix.Sendto(own, marker, 0, sockaddr(dst, int(port))); err != nil {
		w.t.Error(err)
	}
	buf := make([]byte, 2048)
	var back unix.Sockaddr
	for {
		n, from, err := unix.Recvfrom(target, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			w.t.Errorf("the marker does not arrive: %v", err)
			return false, false
		}
		if bytes.Equal(buf[:n], marker) {
			break
		}
		if bytes.Equal(buf[:n], probe) {
			back = from
		}
	}
	if back == nil {
		return false, false
	}
	answer := w.text("answer")
	if err := unix.Sendto(target, answer, 0, back); err != nil {
		w.t.Error(err)
	}
	if place == "segment" || place == "office" { // what the host sends next comes behind it
		w.in(place, func() { run(w.t, "ping -c 1 -W 20 "+gateway(place, family)) })
	}
	if err := unix.Sendto(own, marker, 0, sockaddr(clientAt[family], 9)); err != nil {
		w.t.Error(err)
	}
	return true, w.wait(-1, answer, marker)
}

func gateway(place string, family int) string {
	if place == "segment" {
		return serverAt[family]
	}
	return [2]string{"192.168.60.1", "2001:db8:60::1"}[family]
}

// clientReachesHost reports whether what a client sends to the host arrives.
func (w *town) clientReachesHost(dst string, port uint16) bool {
	w.t.Helper()
	arrives, _ := w.clientReaches("", dst, port)
	return arrives
}

// clientSends has the device receive a UDP datagram from a client.
func (w *town) clientSends(src, dst string, port uint16, payload []byte) {
	w.t.Helper()
	if _, err := unix.Write(w.tun, datagram(netip.MustParseAddr(src), netip.MustParseAddr(dst), port, payload)); err != nil {
		w.t.Error(err)
	}
}

// datagram is a UDP datagram in an IP packet.
func datagram(src, dst netip.Addr, port uint16, payload []byte) []byte {
	length := 8 + len(payload)
	udp := binary.BigEndian.AppendUint16(nil, 5555)
	udp = binary.BigEndian.AppendUint16(udp, port)
	udp = binary.BigEndian.AppendUint16(udp, uint16(length))
	udp = append(append(udp, 0, 0), payload...)
	pseudo := append(append(src.AsSlice(), dst.AsSlice()...), 0, unix.IPPROTO_UDP, byte(length>>8), byte(length))
	binary.BigEndian.PutUint16(udp[6:], checksum(append(pseudo, udp...)))
	var head []byte
	if src.Is4() {
		head = make([]byte, 12, 20)
		head[0], head[8], head[9] = 0x45, 64, unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(head[2:], uint16(20+length))
		head = append(append(head, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(head[10:], checksum(head))
	} else {
		head = []byte{0x60, 0, 0, 0, byte(length >> 8), byte(length), unix.IPPROTO_UDP, 64}
		head = append(append(head, src.AsSlice()...), dst.AsSlice()...)
	}
	return append(head, udp...)
}

func checksum(b []byte) uint16 {
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
