package dataplane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/packet"
)

// everywhere lets any source pass.
var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// port gives the rig's session a device of its own.
func (r *rig) port(c PortConfig) (*Port, *netdevtest.Device) {
	r.Helper()
	d := netdevtest.New("own0", 1400, 1)
	c.Device = d
	p, err := r.plane.NewPort(c)
	if err != nil {
		r.Fatal(err)
	}
	r.session.Attach(p)
	return p, d
}

// All that routers say to each other crosses a link, both ways, and no route is needed
// for it. Nothing of it is on the common device, or with the control plane.
func TestEverythingCrossesALink(t *testing.T) {
	here, there := netip.MustParseAddr("172.16.0.1"), netip.MustParseAddr("172.16.0.2")
	link, ospf6 := netip.MustParseAddr("fe80::2"), netip.MustParseAddr("ff02::5")
	for name, ip := range map[string][]byte{
		"a host behind it":     udp4(netip.MustParseAddr("192.168.7.7"), farAddr, 80, 30),
		"OSPF":                 ip4(there, netip.MustParseAddr("224.0.0.5"), 89, 44),
		"multicast":            udp4(there, netip.MustParseAddr("239.1.2.3"), 5004, 300),
		"broadcast":            udp4(there, broadcast, 520, 30),
		"DHCP for a relay":     udp4(there, here, 67, 300),
		"OSPFv3":               ip6(link, ospf6, 89, 12, make([]byte, 36)),
		"a neighbour":          udp6(link, netip.MustParseAddr("fe80::1"), 179, 30),
		"a host behind it, 6":  udp6(netip.MustParseAddr("2001:db8:7::7"), netip.MustParseAddr("2001:db8:9::9"), 80, 30),
		"a client's address":   udp4(clientAddr, farAddr, 80, 30),
		"to a client's device": udp4(there, netip.MustParseAddr("10.83.0.99"), 80, 30),
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				port, own := r.port(PortConfig{Router: true})
				r.session.SetNetwork(everywhere, 1400)
				port.Lead(r.slot, r.session)
				r.client.ip(ip)
				synctest.Wait()
				if got := own.Poll(); !bytes.Equal(got, ip) {
					t.Errorf("the link's device got %x, want %x", got, ip)
				}
				if got := r.device.Poll(); got != nil {
					t.Errorf("the common device got %x", got)
				}
				own.Inject(0, ip)
				if got := r.client.nextIP(); !bytes.Equal(got, ip) {
					t.Errorf("the peer got %x, want %x", got, ip)
				}
				r.wantDrop(0, 0, name)
				if n := r.inbox.take(NotePacket); len(n) > 0 {
					t.Errorf("the control plane got %d packets", len(n))
				}
			})
		})
	}
}

// A link's peer may send from what its session has alone, where that is not everything.
func TestALinkChecksSources(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		port, own := r.port(PortConfig{Router: true})
		r.session.SetNetwork([]netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}, 1400)
		port.Lead(r.slot, r.session)
		r.client.ip(udp4(netip.MustParseAddr("192.168.8.8"), farAddr, 80, 30))
		r.wantDrop(DropSource, 1, "a source that is not behind the link")
		r.client.ip(udp4(netip.MustParseAddr("192.168.7.8"), farAddr, 80, 30))
		synctest.Wait()
		if own.Poll() == nil {
			t.Error("a source behind the link does not pass")
		}
	})
}

// What a link has sealed does not go into the link, whichever way the host's routes lead.
func TestALinkDoesNotCarryItself(t *testing.T) {
	for name, alone := range map[string]bool{"ESP in UDP": false, "ESP alone": true} {
		t.Run(name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				var told []netip.Addr
				port, own := r.port(PortConfig{Router: true, Looped: func(a netip.Addr) { told = append(told, a) }})
				r.session.SetNetwork(everywhere, 1400)
				port.Lead(r.slot, r.session)
				from, to := r.view.Local.Addr(), r.view.Remote.Addr()
				datagram := func(src, dst netip.Addr) []byte {
					b := udp4(src, dst, r.view.Remote.Port(), 100)
					binary.BigEndian.PutUint16(b[20:], r.view.Local.Port())
					return b
				}
				if alone {
					datagram = func(src, dst netip.Addr) []byte { return ip4(src, dst, packet.ESP, 100) }
					v := *r.view
					v.Remote = netip.AddrPortFrom(to, 0)
					r.publish(&v)
				}
				own.Inject(0, datagram(from, to))
				r.wantDrop(DropLoop, 1, "the link's own")
				own.Inject(0, datagram(from, to))
				r.wantDrop(DropLoop, 2, "the link's own, again")
				if len(told) != 1 || told[0] != to {
					t.Errorf("told of %v, want one %v", told, to)
				}
				if alone {
					return // the rig's client has no raw socket
				}
				for what, ip := range map[string][]byte{
					"of a host that has a tunnel of its own": datagram(clientAddr, to), "to a host beyond": datagram(from, farAddr),
					"of another program": udp4(from, to, r.view.Remote.Port(), 100), "a ping": ip4(from, to, packet.ICMP, 100),
				} {
					own.Inject(0, ip)
					if got := r.client.nextIP(); !bytes.Equal(got, ip) {
						t.Errorf("%s: the peer got %x, want %x", what, got, ip)
					}
				}
			})
		})
	}
}

// A user's own device carries what the common one carries for the others.
func TestAUsersOwnDevice(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		port, own := r.port(PortConfig{})
		r.session.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32)}, 1400)
		port.Lead(r.slot, r.session)
		ip := udp4(clientAddr, farAddr, 80, 30)
		r.client.ip(ip)
		r.client.ip(udp4(clientAddr, broadcast, 67, 300))
		synctest.Wait()
		if got := own.Poll(); !bytes.Equal(got, ip) {
			t.Errorf("the user's device got %x, want %x", got, ip)
		}
		if n := r.inbox.take(NotePacket); len(n) != 1 {
			t.Errorf("the control plane got %d packets of DHCP, want 1", len(n))
		}
		r.client.ip(udp4(netip.MustParseAddr("10.83.0.99"), farAddr, 80, 30))
		r.wantDrop(DropSource, 1, "another client's address")
	})
}

// Clients that are kept from each other are so on devices of their own, too: by the
// destination of what they send, and by the source of what comes from their device.
func TestOwnDevicesKeepClientsApart(t *testing.T) {
	other := netip.MustParseAddr("10.83.0.99")
	inRig(t, Config{}, func(r *rig) {
		if err := r.plane.Route(netip.PrefixFrom(other, 32), r.slot, NewSession(7, 7, false)); err != nil {
			t.Fatal(err)
		}
		port, own := r.port(PortConfig{})
		r.session.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32)}, 1400)
		port.Lead(r.slot, r.session)
		r.client.ip(udp4(clientAddr, other, 80, 30))
		r.wantDrop(DropClient, 1, "to another client")
		own.Inject(0, udp4(other, clientAddr, 80, 30))
		r.wantDrop(DropClient, 2, "from another client")
	})
}

// While there is no session, packets wait as far as there is room, somebody hears of
// them, and they are the first to go.
func TestPacketsWaitForTheirLink(t *testing.T) {
	var wanted atomic.Int64
	inRig(t, Config{}, func(r *rig) {
		port, own := r.port(PortConfig{Router: true, Hold: 3, Wanted: func() { wanted.Add(1) }})
		var sent [][]byte
		for i := range 5 {
			sent = append(sent, udp4(farAddr, netip.MustParseAddr("192.168.7.7"), uint16(1000+i), 30))
			own.Inject(0, sent[i])
		}
		synctest.Wait()
		if wanted.Load() != 5 {
			t.Errorf("wanted %d times, want 5", wanted.Load())
		}
		r.wantDrop(DropNoPath, 2, "the oldest make room")
		r.session.SetNetwork(everywhere, 1400)
		port.Lead(r.slot, r.session)
		last := udp4(farAddr, netip.MustParseAddr("192.168.7.7"), 2000, 30)
		own.Inject(0, last)
		for _, want := range append(slices.Clone(sent[2:]), last) {
			if got := r.client.nextIP(); !bytes.Equal(got, want) {
				t.Errorf("the peer got %x, want %x", got, want)
			}
		}
		port.Unlead(NewSession(9, 9, false)) // another session's end
		own.Inject(0, last)
		r.client.nextIP()
		port.Unlead(r.session)
		own.Inject(0, last, last)
		synctest.Wait()
		port.Forget()
		r.wantDrop(DropNoPath, 4, "nobody dials")
	})
}

// What is said to whoever is on the device is for no network: nobody dials for it, and it
// crosses when there is a session.
func TestMulticastDialsNoLink(t *testing.T) {
	var wanted atomic.Int64
	inRig(t, Config{}, func(r *rig) {
		port, own := r.port(PortConfig{Router: true, Hold: 3, Wanted: func() { wanted.Add(1) }})
		local := [][]byte{
			udp4(farAddr, netip.MustParseAddr("224.0.0.5"), 89, 30), udp4(farAddr, broadcast, 67, 30), udp4(farAddr, netip.MustParseAddr("169.254.1.1"), 80, 30),
			udp6(netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::2"), 5353, 30), udp6(netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2"), 80, 30),
		}
		own.Inject(0, local...)
		r.wantDrop(DropNoPath, uint64(len(local)), "to whoever is on the device")
		if n := wanted.Load(); n != 0 {
			t.Errorf("it has dialled %d times", n)
		}
		r.session.SetNetwork(everywhere, 1400)
		port.Lead(r.slot, r.session)
		own.Inject(0, local[0])
		if got := r.client.nextIP(); !bytes.Equal(got, local[0]) {
			t.Errorf("the peer got %x, want %x", got, local[0])
		}
	})
}

// A port that is closed, or whose device fails, is nobody else's end; what it has counted
// stays counted.
func TestPortsComeAndGo(t *testing.T) {
	var failed atomic.Int64
	inRig(t, Config{}, func(r *rig) {
		port, own := r.port(PortConfig{Router: true, Failed: func(error) { failed.Add(1) }})
		r.session.SetNetwork(everywhere, 1400)
		port.Lead(r.slot, r.session)
		own.Inject(0, udp4(farAddr, clientAddr, 80, 30))
		r.client.nextIP()
		synctest.Wait()
		before := r.plane.Stats()
		if before.OutPackets != 1 {
			t.Errorf("%d packets are counted, want 1", before.OutPackets)
		}
		if err := port.Close(); err != nil {
			t.Error(err)
		}
		if after := r.plane.Stats(); after != before {
			t.Errorf("it has counted %+v, and %+v without the port", before, after)
		}
		if failed.Load() != 0 {
			t.Error("it was closed, and says that its device has failed")
		}
		r.session.Attach(nil)
		r.session.SetNetwork(everywhere, 1400)
		r.device.Inject(0, udp4(farAddr, clientAddr, 80, 30))
		r.client.nextIP()
		broken := &brokenDevice{sinkDevice: sinkDevice{}}
		if _, err := r.plane.NewPort(PortConfig{Device: broken, Failed: func(error) { failed.Add(1) }}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if failed.Load() != 1 {
			t.Errorf("a device that fails is told of %d times, want once", failed.Load())
		}
		time.Sleep(time.Second)
		r.device.Inject(0, udp4(farAddr, clientAddr, 80, 30))
		r.client.nextIP()
	})
}

// brokenDevice is one that somebody deletes.
type brokenDevice struct{ sinkDevice }

func (b *brokenDevice) Read(netdev.Room, []netdev.Packet, func(int) bool) error { return errBroken }
func (b *brokenDevice) Queues() []netdev.Queue                                  { return []netdev.Queue{b} }

var errBroken = errors.New("somebody deleted it")

func TestPortsDoNotAllocate(t *testing.T) {
	w := newWalks(t, testSuite, 32, 7)
	var own []*sinkDevice
	for _, s := range w.sessions {
		d := &sinkDevice{}
		own = append(own, d)
		p, err := w.in.plane.NewPort(PortConfig{Device: d, Router: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Attach(p)
		s.SetNetwork(everywhere, 1400)
	}
	w.receive()
	w.in.handle(32)
	if n := testing.AllocsPerRun(50, func() { w.receive(); w.in.handle(32) }); n != 0 {
		t.Errorf("in: %v allocations for a batch", n)
	}
	carried := 0
	for _, d := range own {
		carried += d.packets
	}
	if w.device.packets != 0 || carried != 52*32 {
		t.Errorf("%d packets on the common device and %d on their own, want 0 and %d", w.device.packets, carried, 52*32)
	}
	port, err := w.in.plane.NewPort(PortConfig{Device: &sinkDevice{}, Router: true})
	if err != nil {
		t.Fatal(err)
	}
	port.Lead(w.slot(0), w.sessions[0])
	w.out.port = port
	w.send()
	if n := testing.AllocsPerRun(50, w.send); n != 0 {
		t.Errorf("out: %v allocations for a batch", n)
	}
}

// slot is a client's.
func (w *walks) slot(i int) *Slot {
	return w.in.plane.slots[i].Load()
}

// Of two calls that come up at the same time, the device leads to the one that was admitted
// last, whichever of them leads it later.
func TestADeviceLeadsToTheCallThatStays(t *testing.T) {
	for name, order := range map[string][]int{"the one that stays first": {1, 0}, "the one that stays last": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			inRig(t, Config{}, func(r *rig) {
				port, own := r.port(PortConfig{Router: true})
				r.session.SetNetwork(everywhere, 1400)
				ends := NewSession(ourSession+1, peerSession+1, false)
				port.Admit(ends)
				port.Admit(r.session)
				for _, i := range order {
					port.Lead(r.slot, []*Session{ends, r.session}[i])
				}
				port.Unlead(ends)
				b := udp4(farAddr, clientAddr, 80, 30)
				own.Inject(0, b)
				if got := r.client.nextIP(); !bytes.Equal(got, b) {
					t.Errorf("the peer got %x, want %x", got, b)
				}
			})
		})
	}
}
