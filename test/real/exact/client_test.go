//go:build real

package exact

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/test/client"
	"github.com/adit-vpn/adit/test/real/lab"
)

// suites are the ESP suites that clients have, one each.
var suites = []ike.ESPSuite{
	{Cipher: ike.ESPAESCBC, KeyBits: 256, Auth: ike.ESPAuthSHA1_96},
	{Cipher: ike.ESPAESCBC, KeyBits: 128, Auth: ike.ESPAuthSHA256_128},
	{Cipher: ike.ESPAESCBC, KeyBits: 192, Auth: ike.ESPAuthSHA512_256},
	{Cipher: ike.ESPAESGCM16, KeyBits: 256},
	{Cipher: ike.ESP3DES, Auth: ike.ESPAuthSHA1_96},
}

// clientIP is the outer address of client i.
func clientIP(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 98, 0, byte(10 + i)}) }

// replayWindow is as small as clients have it (RFC 4303, section 3.4.3).
const replayWindow = 32

// peer says what kind of client it is.
type peer struct {
	suite    int // its number among suites, and the client's
	device   netdev.Device
	noSums   bool // send no UDP checksums, as RFC 3948, section 2.1 has it
	six      bool
	lifetime time.Duration // of its ESP SAs; 0: long
	observer vpn.Observer
}

// tunnel is a client that is connected.
type tunnel struct {
	*client.Dialled
	fleet *client.Fleet
	four  netip.Addr
	six   netip.Addr // one that it may use; none without IPv6
	mtu   int
}

// dial connects a client.
func dial(t testing.TB, s *server, p peer) *tunnel {
	t.Helper()
	local := clientIP(p.suite)
	if _, ok := p.device.(*netdevtest.Device); !ok {
		local = clientIP(len(suites)) // there is one with a real device
	}
	var sockets []dataplane.Socket
	err := lab.In(nsClient, func() error {
		for _, port := range []uint16{client.IKEPort, client.NATTPort} {
			bound := netip.AddrPortFrom(local, port)
			opened, err := udp.Listen(bound, 1)
			if err != nil {
				return err
			}
			sockets = append(sockets, dataplane.Socket{Conn: opened[0], Bound: bound, Kind: dataplane.KindOf(port)})
			if p.noSums {
				if err := noSums(opened[0]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	x := &tunnel{}
	x.fleet, err = client.New(client.Config{
		Workers: [][]dataplane.Socket{sockets}, Device: p.device, PSK: secret.String(psk), Slots: 4,
		Suites:        []ike.Suite{{Cipher: ike.CipherAES, KeyBits: 256, Hash: ike.HashSHA256, Group: ike.GroupECP256}},
		ESP:           []ike.ESPSuite{suites[p.suite]},
		ChildLifetime: p.lifetime, Observer: p.observer,
		Change: func(p *vpn.Policy) { p.ReplayWindow = replayWindow },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.fleet.Close(); err != nil {
			t.Errorf("the client: %v", err)
		}
	})
	x.Dialled, err = x.fleet.Dial(t.Context(), client.Target{
		Local: local, Server: netip.MustParseAddr(serverIP), User: user, Password: password, IPv6: p.six,
	})
	if err != nil {
		t.Fatalf("%v: %v", suites[p.suite], err)
	}
	x.four = x.Network.Peer
	x.mtu = dataplane.InnerMTU(dataplane.DefaultPathMTU, netip.MustParseAddr(serverIP), espOf(suites[p.suite]), false)
	if p.six {
		x.awaitSix(t, s, p)
	}
	return x
}

func noSums(s *udp.Socket) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
	return errors.Join(err, failed)
}

// awaitSix waits until the server has leased the client IPv6, and takes an
// address of it.
func (x *tunnel) awaitSix(t testing.TB, s *server, p peer) {
	t.Helper()
	var own netip.Prefix
	found := func() bool {
		for _, session := range s.status(t).Sessions {
			if session.Address == x.four.String() && len(session.IPv6) == 1 {
				own = netip.MustParsePrefix(session.IPv6[0])
				return true
			}
		}
		return false
	}
	if !lab.Wait(10*time.Second, found) {
		t.Fatalf("the session of %v has no IPv6", x.four)
	}
	six := own.Addr().As16()
	six[15] = 0x10
	x.six = netip.AddrFrom16(six)
	x.Own(netip.PrefixFrom(x.six, 128))
	// That is only asked for so far: it is done when something gets through.
	device, ok := p.device.(*netdevtest.Device)
	if !ok {
		return
	}
	probe := header{src: x.six, dst: netip.MustParseAddr("2001:db8:2::1"), protocol: protoTest, ttl: 1}.packet(nil)
	before := x.Session.Counters().OutPackets
	if !lab.Wait(10*time.Second, func() bool {
		device.Inject(0, probe)
		return x.Session.Counters().OutPackets > before
	}) {
		t.Fatalf("the client does not send from %v", x.six)
	}
}

// espOf is a suite as package ipsec has it.
func espOf(s ike.ESPSuite) ipsec.Suite {
	return ipsec.Suite{
		Cipher: map[ike.ESPCipher]ipsec.Cipher{ike.ESPAESCBC: ipsec.AESCBC, ike.ESP3DES: ipsec.TripleDESCBC, ike.ESPAESGCM16: ipsec.AESGCM16}[s.Cipher],
		Auth: map[ike.ESPAuth]ipsec.Auth{
			ike.ESPAuthSHA1_96: ipsec.HMACSHA1_96, ike.ESPAuthSHA256_128: ipsec.HMACSHA256_128, ike.ESPAuthSHA512_256: ipsec.HMACSHA512_256,
		}[s.Auth],
		KeyBits: s.KeyBits,
	}
}
