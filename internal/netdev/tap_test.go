package netdev

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/adit-vpn/adit/internal/packet"
)

// openTestTAP joins a TAP to a bridge on which this machine is a neighbour and
// the gateway, 192.168.7.1, and has 10.1.1.1 beyond it.
func openTestTAP(t *testing.T, queues int) *TAP {
	t.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	bridge.Name = "testbr"
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(bridge); err != nil {
			t.Error(err)
		}
	})
	for _, s := range []string{"192.168.7.1/24", "10.1.1.1/32"} {
		addr, err := netlink.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.AddrAdd(bridge, addr); err != nil {
			t.Fatal(err)
		}
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		t.Fatal(err)
	}
	d, err := OpenTAP(TAPConfig{Queues: queues, Bridge: "testbr", LAN: lan, Gateway: gateway})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func listenUDP(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// turn makes the answer of a UDP packet, to a given address.
func turn(b []byte, to netip.Addr) Packet {
	p := Packet{Buf: make([]byte, 2048), Off: 64}
	p.End = p.Off + copy(p.Buf[p.Off:], b)
	b = p.Buf[p.Off:p.End]
	copy(b[12:16], b[16:20])
	copy(b[16:20], to.AsSlice())
	copy(b[10:12], []byte{0, 0})
	sum := packet.Checksum(b[:20])
	b[10], b[11] = byte(sum>>8), byte(sum)
	b[20], b[21], b[22], b[23] = b[22], b[23], b[20], b[21]
	b[26], b[27] = 0, 0
	return p
}

func TestTAPClientsAreNeighbours(t *testing.T) {
	d := openTestTAP(t, 1)
	if got := OffloadsOf(d); got > TCPOffloads {
		t.Errorf("offloads: %v", got)
	}
	q := d.Queues()[0]
	near, far := listenUDP(t, "192.168.7.1:7000"), listenUDP(t, "10.1.1.1:7000")
	d.Claim(client)
	if _, err := near.WriteToUDPAddrPort([]byte("hello"), netip.AddrPortFrom(client, 9000)); err != nil {
		t.Fatal(err)
	}
	b := nextUDP(t, q)
	if h, _ := packet.Parse(b); h.Src != gateway || h.Dst != client || string(b[28:]) != "hello" {
		t.Errorf("got %+v, %q", h, b[28:])
	}
	for _, v := range []struct {
		to   string
		conn *net.UDPConn
	}{{"192.168.7.1", near}, {"10.1.1.1", far}} {
		if n, err := q.WriteBatch([]Packet{turn(b, netip.MustParseAddr(v.to))}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		answer := make([]byte, 100)
		n, from, err := v.conn.ReadFromUDPAddrPort(answer)
		if err != nil || string(answer[:n]) != "hello" || from != netip.AddrPortFrom(client, 9000) {
			t.Errorf("to %s: %q from %v, %v", v.to, answer[:n], from, err)
		}
	}
}

// A client's first packet waits until its neighbour is known.
func TestTAPAsksForNeighbours(t *testing.T) {
	d := openTestTAP(t, 1)
	near := listenUDP(t, "192.168.7.1:7000")
	d.Claim(client)
	template := make([]byte, 33)
	template[0], template[8], template[9] = 0x45, 64, packet.UDP
	template[3] = 33
	copy(template[16:], client.AsSlice()) // turn swaps them
	copy(template[20:], []byte{7000 >> 8, 7000 & 255, 9000 >> 8, 9000 & 255, 0, 13})
	copy(template[28:], "first")
	p := turn(template, gateway)
	if n, err := d.Queues()[0].WriteBatch([]Packet{p}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	go func() { // the reader handles ARP
		_ = d.Queues()[0].Read(testRoom(), make([]Packet, 4), func(int) bool { return true })
	}()
	got := make([]byte, 100)
	if n, from, err := near.ReadFromUDPAddrPort(got); err != nil || string(got[:n]) != "first" || from.Addr() != client {
		t.Errorf("%q from %v, %v", got[:n], from, err)
	}
}

// fromClient is a UDP packet of the client's to somebody.
func fromClient(to netip.Addr) Packet {
	template := make([]byte, 33)
	template[0], template[9], template[3] = 0x45, packet.UDP, 33
	copy(template[16:], client.AsSlice()) // turn swaps them
	return turn(template, to)
}

// No bridge sends a frame back to where it came from.
func TestTAPClientToClient(t *testing.T) {
	d := openTestTAP(t, 2)
	other := netip.MustParseAddr("192.168.7.201")
	d.Claim(client)
	d.Claim(other)
	for _, q := range d.Queues() {
		for _, before := range []bool{true, false} { // the reader waits already, or not yet
			got := make(chan []byte)
			read := func() { got <- nextUDP(t, q) }
			if before {
				go read()
			}
			if n, err := q.WriteBatch([]Packet{fromClient(other)}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if !before {
				go read()
			}
			if h, _ := packet.Parse(<-got); h.Src != client || h.Dst != other {
				t.Errorf("%+v", h)
			}
		}
	}
}

// Nor does it wait until nothing comes from the LAN any more.
func TestTAPClientToClientUnderLoad(t *testing.T) {
	d := openTestTAP(t, 1)
	q, other := d.Queues()[0], netip.MustParseAddr("192.168.7.201")
	d.Claim(client)
	d.Claim(other)
	near := listenUDP(t, "192.168.7.1:7001")
	send := func() {
		if _, err := near.WriteToUDPAddrPort([]byte("more"), netip.AddrPortFrom(client, 9000)); err != nil {
			t.Fatal(err)
		}
	}
	packets, more := make([]Packet, 1), 0
	send()
	if err := q.Read(testRoom(), packets, func(int) bool {
		h, ok := packet.Parse(packets[0].Buf[packets[0].Off:packets[0].End])
		if ok && h.Src == client {
			return false
		}
		if more++; more == 10 {
			if n, err := q.WriteBatch([]Packet{fromClient(other)}); n != 1 || err != nil {
				t.Error(n, err)
			}
		}
		send() // there is always one that waits
		return more < 1000
	}); err != nil {
		t.Fatal(err)
	}
	if more > 20 {
		t.Errorf("it waited for %d packets from the LAN", more)
	}
}

// Clients that send to each other without end do not keep the device open.
func TestTAPCloseEndsReadUnderLoad(t *testing.T) {
	d := openTestTAP(t, 1)
	q, other := d.Queues()[0], netip.MustParseAddr("192.168.7.201")
	d.Claim(client)
	d.Claim(other)
	closeUnderLoad(t, d, func() { _, _ = q.WriteBatch([]Packet{fromClient(other)}) })
}

func TestTAPCloseUnblocks(t *testing.T) {
	d := openTestTAP(t, 1)
	done := make(chan error)
	go func() {
		done <- d.Queues()[0].Read(testRoom(), make([]Packet, 1), func(int) bool { return true })
	}()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v", err)
	}
}

func TestTAPErrors(t *testing.T) {
	openTestTAP(t, 1)
	for _, v := range []struct {
		c    TAPConfig
		want string
	}{
		{TAPConfig{LAN: lan, Bridge: "nobridge"}, "bridge nobridge"},
		{TAPConfig{LAN: lan, Bridge: "lo"}, "not a bridge"},
		{TAPConfig{LAN: lan, Gateway: netip.MustParseAddr("192.168.8.1")}, "has no gateway 192.168.8.1"},
		{TAPConfig{LAN: netip.MustParsePrefix("2001:db8::/64")}, "is not IPv4"},
	} {
		if d, err := OpenTAP(v.c); err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%+v: %v, %v", v.c, d, err)
		}
	}
}

func TestTAPHandsOverWhatIsForEverybodyIfItShall(t *testing.T) {
	d := openTestTAP(t, 1)
	q := d.Queues()[0]
	near := listenUDP(t, "192.168.7.1:7000")
	d.Claim(client)
	read := func() string {
		t.Helper()
		packets := make([]Packet, 1)
		for {
			n, err := once(q, testRoom(), packets)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range packets[:n] {
				if h, ok := packet.Parse(p.Buf[p.Off:p.End]); ok && h.Protocol == packet.UDP {
					return string(p.Buf[p.Off+28 : p.Off+h.Len])
				}
			}
		}
	}
	send := func(text, to string) {
		t.Helper()
		if _, err := near.WriteToUDPAddrPort([]byte(text), netip.MustParseAddrPort(to)); err != nil {
			t.Fatal(err)
		}
	}
	send("to everybody", "192.168.7.255:9000")
	send("to one", client.String()+":9000")
	if got := read(); got != "to one" {
		t.Errorf("read %q", got)
	}
	d.everybody = true
	send("to everybody", "192.168.7.255:9000")
	if got := read(); got != "to everybody" {
		t.Errorf("read %q", got)
	}
}

// The bridge of an office keeps its MTU and its address while we are its port,
// also where ours is the one that joins last and leaves first.
func TestTAPLeavesTheBridgeAsItIs(t *testing.T) {
	for _, mtu := range []int{1500, 1400, 9000} {
		bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
		bridge.Name = "testbr2"
		if err := netlink.LinkAdd(bridge); err != nil {
			t.Fatal(err)
		}
		port := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "testport2"}
		port.Name, port.MTU, port.HardwareAddr = "testport", mtu, net.HardwareAddr{0xf2, 0xff, 0xff, 0xff, 0xff, 0xff}
		if err := netlink.LinkAdd(port); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMasterByIndex(port, bridge.Attrs().Index); err != nil {
			t.Fatal(err)
		}
		state := func() (int, string) {
			l, err := netlink.LinkByName("testbr2")
			if err != nil {
				t.Fatal(err)
			}
			return l.Attrs().MTU, l.Attrs().HardwareAddr.String()
		}
		wasMTU, wasMAC := state()
		if wasMTU != mtu || wasMAC != port.HardwareAddr.String() {
			t.Fatalf("the bridge begins with %d and %s", wasMTU, wasMAC)
		}
		for range 8 { // addresses are random
			d, err := OpenTAP(TAPConfig{Queues: 1, Bridge: "testbr2", LAN: lan, Gateway: gateway})
			if err != nil {
				t.Fatal(err)
			}
			if nowMTU, nowMAC := state(); nowMTU != wasMTU || nowMAC != wasMAC || d.MTU() != mtu {
				t.Errorf("with us the bridge has MTU %d and address %s, want %d and %s; the device has %d", nowMTU, nowMAC, wasMTU, wasMAC, d.MTU())
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			if nowMTU, nowMAC := state(); nowMTU != wasMTU || nowMAC != wasMAC {
				t.Errorf("without us the bridge has MTU %d and address %s, want %d and %s", nowMTU, nowMAC, wasMTU, wasMAC)
			}
		}
		for _, l := range []netlink.Link{port, bridge} {
			if err := netlink.LinkDel(l); err != nil {
				t.Error(err)
			}
		}
	}
}
