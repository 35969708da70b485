package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A message of ICMP says that the path to a client is narrow. Anybody can have
// sent it, and it changes nothing of what is sent: every datagram, each by itself
// or of a train, leaves in one piece.
func TestForgedICMPFragmentsNothing(t *testing.T) {
	for name, v := range map[string]struct {
		server, client string
		esp            bool
	}{
		"UDP, IPv4": {"192.0.2.1", "192.0.2.2", false},
		"UDP, IPv6": {"2001:db8::1", "2001:db8::2", false},
		"ESP, IPv4": {"192.0.2.1", "192.0.2.2", true},
		"ESP, IPv6": {"2001:db8::1", "2001:db8::2", true},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := netip.MustParseAddr(v.server), netip.MustParseAddr(v.client)
			inTwoNamespaces(t, func(peer int) {
				s, protocol, port := serverSocket(t, server, v.esp)
				defer s.Close()
				seen := inPeer(t, peer, func() int { return packetSocket(t, server.Is6()) })
				defer unix.Close(seen)
				forge := inPeer(t, peer, func() int { return icmpSocket(t, server.Is6()) })
				defer unix.Close(forge)
				remote := netip.AddrPortFrom(client, port)
				send := func(segment int, data []byte) {
					if _, err := s.WriteBatch([]Packet{{Data: data, Remote: remote, Local: netip.AddrPortFrom(server, port), Segment: segment}}); err != nil {
						t.Error(err)
					}
				}
				send(0, datum(1, 100)) // neighbours know each other
				if sizes := read(t, seen, protocol, 100); len(sizes) != 1 {
					t.Errorf("the first datagram is of %v bytes", sizes)
				}
				for range 3 {
					if err := unix.Sendto(forge, tooBig(server, client, protocol, port), 0, sockaddrOf(server)); err != nil {
						t.Error(err)
					}
				}
				send(0, datum(2, 1400))
				if sizes := read(t, seen, protocol, 1400); len(sizes) != 1 {
					t.Errorf("a datagram of 1400 bytes left in pieces of %v", sizes)
				}
				send(1400, datum(3, 2800))
				if sizes := read(t, seen, protocol, 2800); len(sizes) > 2 {
					t.Errorf("a train of two datagrams of 1400 bytes left in pieces of %v", sizes)
				}
			})
		})
	}
}

// serverSocket opens a socket as the server does.
func serverSocket(t *testing.T, at netip.Addr, esp bool) (s *Socket, protocol uint8, port uint16) {
	t.Helper()
	if esp {
		list, err := ListenESP(at, 1)
		if err != nil {
			t.Error(err)
			return nil, 0, 0
		}
		return list[0], unix.IPPROTO_ESP, 0
	}
	list, err := Listen(netip.AddrPortFrom(at, 4500), 1)
	if err != nil {
		t.Error(err)
		return nil, 0, 0
	}
	return list[0], unix.IPPROTO_UDP, 4500
}

// datum is a payload, of a kind and a length.
func datum(kind byte, n int) []byte { return bytes.Repeat([]byte{kind}, n) }

// inTwoNamespaces runs f on a thread of a namespace of its own, which is connected
// with another.
func inTwoNamespaces(t *testing.T, f func(peer int)) {
	t.Helper()
	isolated(t, func() {
		peer := -1
		isolated(t, func() {
			var err error
			if peer, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				t.Error(err)
			}
		})
		defer unix.Close(peer)
		configure(t, "lo", "")
		shell(t, fmt.Sprintf("ip link add v0 type veth peer name v1 netns /proc/%d/fd/%d; sysctl -qw net.ipv6.conf.all.disable_ipv6=0", os.Getpid(), peer))
		configure(t, "v0", "1")
		inPeer(t, peer, func() int {
			shell(t, "sysctl -qw net.ipv6.conf.all.disable_ipv6=0")
			configure(t, "v1", "2")
			return 0
		})
		f(peer)
	})
}

// isolated runs f on a thread of a network namespace of its own.
func isolated(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Errorf("network namespaces need root: %v", err)
	}
}

func configure(t *testing.T, device, host string) {
	t.Helper()
	if host != "" {
		shell(t, fmt.Sprintf("ip addr add 192.0.2.%s/24 dev %s; ip addr add 2001:db8::%[1]s/64 dev %[2]s nodad", host, device))
	}
	shell(t, "ip link set "+device+" up")
}

func shell(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}

// inPeer returns what f does in the other namespace.
func inPeer(t *testing.T, peer int, f func() int) (n int) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := unix.Setns(peer, unix.CLONE_NEWNET)
		if err == nil {
			n = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return n
}

// packetSocket sees IP packets as they arrive.
func packetSocket(t *testing.T, six bool) int {
	t.Helper()
	kind := uint16(unix.ETH_P_IP)
	if six {
		kind = unix.ETH_P_IPV6
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(kind<<8|kind>>8))
	if err != nil {
		t.Error(err)
	}
	long := unix.NsecToTimeval(int64(20 * time.Second)) // a test that fails ends
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &long); err != nil {
		t.Error(err)
	}
	return fd
}

func icmpSocket(t *testing.T, six bool) int {
	t.Helper()
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if six {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Error(err)
	}
	return fd
}

func sockaddrOf(a netip.Addr) unix.Sockaddr {
	if a.Is6() {
		return &unix.SockaddrInet6{Addr: a.As16()}
	}
	return &unix.SockaddrInet4{Addr: a.As4()}
}

// tooBig is a message of ICMP that says that a packet of the server's to a client
// was too long: more than 600 bytes, or 1280.
func tooBig(server, client netip.Addr, protocol uint8, port uint16) []byte {
	var quoted []byte
	if server.Is4() {
		quoted = make([]byte, 12)
		quoted[0], quoted[8], quoted[9] = 0x45, 64, protocol
		binary.BigEndian.PutUint16(quoted[2:], 1428)
	} else {
		quoted = []byte{0x60, 0, 0, 0, 0x05, 0x80, protocol, 64}
	}
	quoted = append(append(quoted, server.AsSlice()...), client.AsSlice()...)
	for range 2 {
		quoted = binary.BigEndian.AppendUint16(quoted, port)
	}
	quoted = append(quoted, 0x05, 0x80, 0, 0)
	if server.Is6() {
		return append([]byte{2, 0, 0, 0, 0, 0, 0x05, 0}, quoted...) // the kernel sums
	}
	b := append([]byte{3, 4, 0, 0, 0, 0, 0x02, 0x58}, quoted...)
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// read returns how long the packets are that bring so many bytes of a payload.
func read(t *testing.T, fd int, protocol uint8, want int) (sizes []int) {
	t.Helper()
	buf := make([]byte, 1<<16)
	for got := 0; got < want; {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) { // with a timeout the kernel does not go on by itself
			continue
		}
		if err != nil {
			t.Errorf("%d of %d bytes, in packets of %v, have arrived: %v", got, want, sizes, err)
			return sizes
		}
		head, next := 20, buf[9]
		first := binary.BigEndian.Uint16(buf[6:])&0x1fff == 0
		if buf[0]>>4 == 6 {
			head, next, first = 40, buf[6], true
			if next == unix.IPPROTO_FRAGMENT {
				next, first = buf[40], binary.BigEndian.Uint16(buf[42:])>>3 == 0
				head = 48
			}
		}
		if next != protocol {
			continue
		}
		if first && protocol == unix.IPPROTO_UDP {
			head += 8
		}
		sizes = append(sizes, n)
		got += n - head
	}
	return sizes
}
