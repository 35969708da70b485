package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/client"
)

const testPSK = "a key of good length"

// settingsOf are lines of a configuration: TOML by key.
type settingsOf map[string]string

// host is a whole server of a configuration, on simulated sockets and a
// simulated device.
type host struct {
	*instance
	t      *testing.T
	net    *udptest.Net
	device *netdevtest.Device
	file   string
	out    bytes.Buffer // the log
	base   settingsOf
	peers  int
	stop   func()
}

// write replaces the configuration: what every server has, and changes.
func (h *host) write(changes settingsOf) {
	h.t.Helper()
	all := maps.Clone(h.base)
	maps.Copy(all, changes)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if all[key] != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, all[key])
		}
	}
	if err := os.WriteFile(h.file, []byte(b.String()), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) read() (*conf.Config, error) { return conf.Load(h.file, nil) }

// startHost starts a server, which ends with the test.
func startHost(t *testing.T, changes settingsOf) *host { return startHostIn(t, t.TempDir(), changes) }

// startHostIn starts one with a state directory.
func startHostIn(t *testing.T, dir string, changes settingsOf) *host {
	t.Helper()
	return startHostWith(t, dir, changes, Options{})
}

// startHostWith starts one with options, too.
func startHostWith(t *testing.T, dir string, changes settingsOf, opts Options) *host {
	t.Helper()
	h := &host{t: t, net: udptest.New(1), device: netdevtest.New("adit0", 1400, 1), file: filepath.Join(dir, "adit.toml"), base: settingsOf{
		"server.state_dir": fmt.Sprintf("%q", dir),
		"ipsec.psk":        fmt.Sprintf("%q", testPSK),
		"network.pool":     `["10.83.0.0/24"]`,
		"network.pool6":    `["2001:db8:83::/48"]`,
		"log.format":       `"json"`,
		"user":             `[{ name = "alice", password = "p" }]`,
	}}
	h.write(changes)
	c, err := h.read()
	if err != nil {
		t.Fatal(err)
	}
	opts.Config, opts.Load = c, h.read
	h.instance = &instance{opts: opts, log: newLogger(&h.out, c.Log), since: time.Now(), meter: newMeter()}
	h.config.Store(c)
	h.certs.Store(&certificates{})
	at := h.net.Host("192.0.2.1")
	s := &sockets{workers: [][]dataplane.Socket{h.sockets(at)}}
	var cleanup closers
	if err := h.build(t.Context(), c, s, h.device, nil, &cleanup); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(ctx) }()
	h.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := cleanup.close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(h.stop)
	return h
}

func (h *host) sockets(at *udptest.Host) (list []dataplane.Socket) {
	for _, port := range []uint16{ikePort, nattPort} {
		list = append(list, dataplane.Socket{Conn: at.Listen(port), Bound: netip.AddrPortFrom(netip.IPv4Unspecified(), port), Kind: dataplane.KindOf(port)})
	}
	return list
}

// dial has a client with an address of its own connect.
func (h *host) dial(user string, change func(*client.Config)) (*client.Dialled, *netdevtest.Device, error) {
	h.t.Helper()
	h.peers++
	at := h.net.Host(fmt.Sprintf("198.51.100.%d", h.peers))
	device := netdevtest.New("ppp0", 1400, 1)
	cfg := client.Config{Workers: [][]dataplane.Socket{h.sockets(at)}, Device: device, PSK: secret.String(testPSK), Slots: 16}
	if change != nil {
		change(&cfg)
	}
	fleet, err := client.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = fleet.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := fleet.Dial(ctx, client.Target{Local: at.Addr(), Server: netip.MustParseAddr("192.0.2.1"), User: user, Password: "p"})
	time.Sleep(time.Second)
	return d, device, err
}

// connect has a client connect and send a packet each way. It returns what the
// client was given: its address, and the server's.
func (h *host) connect(user string) (own, server netip.Addr) {
	h.t.Helper()
	d, device, err := h.dial(user, nil)
	if err != nil {
		h.t.Fatalf("%s does not connect: %v", user, err)
	}
	internet := netip.MustParseAddr("203.0.113.80")
	device.Inject(0, testPacket(d.Network.Peer, internet))
	time.Sleep(time.Second)
	if h.device.Poll() == nil {
		h.t.Errorf("a packet of %v does not arrive", d.Network.Peer)
	}
	h.device.Inject(0, testPacket(internet, d.Network.Peer))
	time.Sleep(time.Second)
	if device.Poll() == nil {
		h.t.Errorf("a packet for %v does not arrive", d.Network.Peer)
	}
	return d.Network.Peer, d.Network.Local
}

// logged is the log, when nobody writes to it.
func (h *host) logged() string {
	synctest.Wait()
	return h.out.String()
}

// testPacket is a small UDP packet.
func testPacket(src, dst netip.Addr) []byte {
	b := make([]byte, 32)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[24:], 12)
	return b
}
