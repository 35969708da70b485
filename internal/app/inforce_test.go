package app

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
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
	base   settingsOf
	peers  int
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
func startHost(t *testing.T, changes settingsOf) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{t: t, net: udptest.New(1), device: netdevtest.New("adit0", 1400, 1), file: filepath.Join(dir, "adit.toml"), base: settingsOf{
		"server.state_dir": fmt.Sprintf("%q", dir),
		"ipsec.psk":        fmt.Sprintf("%q", testPSK),
		"network.pool":     `["10.83.0.0/24"]`,
		"network.pool6":    `["2001:db8:83::/48"]`,
		"user":             `[{ name = "alice", password = "p" }]`,
	}}
	h.write(changes)
	c, err := h.read()
	if err != nil {
		t.Fatal(err)
	}
	h.instance = &instance{opts: Options{Config: c, Load: h.read}, log: newLogger(io.Discard, c.Log), since: time.Now(), meter: newMeter()}
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
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = cleanup.close()
	})
	return h
}

func (h *host) sockets(at *udptest.Host) (list []dataplane.Socket) {
	for _, port := range []uint16{ikePort, nattPort} {
		list = append(list, dataplane.Socket{Conn: at.Listen(port), Bound: netip.AddrPortFrom(netip.IPv4Unspecified(), port), Kind: dataplane.KindOf(port)})
	}
	return list
}

// connect has a client of its own address connect and send a packet each way.
// It returns what the client was given: its address, and the server's.
func (h *host) connect(user string) (own, server netip.Addr) {
	h.t.Helper()
	h.peers++
	at := h.net.Host(fmt.Sprintf("198.51.100.%d", h.peers))
	device := netdevtest.New("ppp0", 1400, 1)
	fleet, err := client.New(client.Config{Workers: [][]dataplane.Socket{h.sockets(at)}, Device: device, PSK: secret.String(testPSK), Slots: 16})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = fleet.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := fleet.Dial(ctx, client.Target{Local: at.Addr(), Server: netip.MustParseAddr("192.0.2.1"), User: user, Password: "p"})
	if err != nil {
		h.t.Fatalf("%s does not connect: %v", user, err)
	}
	time.Sleep(time.Second)
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

// others has another valid value for every key whose tag is "restart", and what
// else that needs.
var others = map[string]settingsOf{
	"server.listen":                 {"server.listen": `["192.0.2.9"]`},
	"server.state_dir":              {"server.state_dir": `"/nonexistent/state"`},
	"ipsec.nat_traversal":           {"ipsec.nat_traversal": `"auto"`},
	"ipsec.key_log":                 {"ipsec.key_log": `"/nonexistent/keys"`},
	"network.mode":                  {"network.mode": `"tap"`, "network.lan": `"192.168.1.0/24"`, "network.gateway": `"192.168.1.1"`, "network.bridge": `"br0"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.device":                {"network.device": `"adit7"`},
	"network.pool":                  {"network.pool": `["10.99.0.0/24"]`},
	"network.masquerade":            {"network.masquerade": `false`},
	"network.bridge":                {"network.bridge": `"br0"`, "network.mode": `"tap"`, "network.lan": `"192.168.1.0/24"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.lan":                   {"network.lan": `"192.168.0.0/16"`, "network.mode": `"tap"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.gateway":               {"network.gateway": `"192.168.1.2"`, "network.mode": `"tap"`, "network.lan": `"192.168.1.0/24"`, "network.pool": `["192.168.1.200-192.168.1.250"]`, "network.pool6": ""},
	"network.pool6":                 {"network.pool6": `["2001:db8:99::/64"]`},
	"network.delegate6":             {"network.delegate6": `"2001:db8:f000::/40"`},
	"network.delegate6_bits":        {"network.delegate6_bits": `60`, "network.delegate6": `"2001:db8:f000::/40"`},
	"network.masquerade6":           {"network.masquerade6": `true`},
	"network.client_to_client":      {"network.client_to_client": `false`},
	"network.multicast":             {"network.multicast": `true`},
	"auth.backend":                  {"auth.backend": `"radius"`, "radius.servers": `[{ address = "192.0.2.200:1812", secret = "s" }]`},
	"radius.servers":                {"radius.servers": `[{ address = "192.0.2.200:1812", secret = "s" }]`},
	"radius.nas_identifier":         {"radius.nas_identifier": `"other"`},
	"radius.timeout":                {"radius.timeout": `"7s"`},
	"radius.tries":                  {"radius.tries": `7`},
	"radius.coa_listen":             nil, // not built yet: there is no other
	"radius.allow_unsigned_replies": {"radius.allow_unsigned_replies": `true`},
	"limits.connections":            {"limits.connections": `1`},
	"limits.half_open":              {"limits.half_open": `1`},
	"limits.half_open_per_source":   {"limits.half_open_per_source": `1`},
	"log.format":                    {"log.format": `"json"`},
	"admin.socket":                  {"admin.socket": `"/nonexistent/adit.sock"`},
	"admin.metrics":                 {"admin.metrics": `"127.0.0.1:9701"`},
}

// restartKeys are the keys whose tag is "restart".
func restartKeys(v reflect.Type, path string) (list []string) {
	for field := range v.Fields() {
		key := path + field.Tag.Get("toml")
		switch {
		case field.Tag.Get("reload") == "restart":
			list = append(list, key)
		case field.Tag.Get("reload") == "" && field.Type.Kind() == reflect.Struct:
			list = append(list, restartKeys(field.Type, key+".")...)
		}
	}
	return list
}

// A key that waits for a restart has no effect of any kind before one: what
// connections are allowed is the same, and the next client is served as the last
// one was.
func TestKeysThatWaitForARestartHaveNoEffectBefore(t *testing.T) {
	keys := restartKeys(reflect.TypeFor[conf.Config](), "")
	if len(keys) < 25 {
		t.Fatalf("only %d keys wait for a restart: %v", len(keys), keys)
	}
	together := settingsOf{}
	for _, key := range keys {
		changes, ok := others[key]
		if !ok {
			t.Errorf("%s has no other value here: add one", key)
		}
		if len(changes) == 0 {
			continue
		}
		if len(changes) == 1 {
			maps.Copy(together, changes)
		}
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { reloadsWithoutEffect(t, changes) })
		})
	}
	t.Run("many at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { reloadsWithoutEffect(t, together) })
	})
}

func reloadsWithoutEffect(t *testing.T, changes settingsOf) {
	h := startHost(t, nil)
	before := h.policy(t.Context(), h.config.Load())
	h.connect("alice")
	h.write(changes)
	r, err := h.Reload()
	if err != nil {
		t.Fatal(err)
	}
	for key := range changes {
		if !slices.Contains(r.Restart, key) {
			t.Errorf("the report does not say that %s waits: %+v", key, r)
		}
	}
	if len(r.Live)+len(r.New) > 0 {
		t.Errorf("the report says that something applies: %+v", r)
	}
	if after := h.policy(t.Context(), h.config.Load()); !reflect.DeepEqual(before, after) {
		t.Errorf("connections are allowed something else:\n%+v\nbefore\n%+v", after, before)
	}
	own, server := h.connect("alice")
	if own != netip.MustParseAddr("10.83.0.3") || server != netip.MustParseAddr("10.83.0.1") {
		t.Errorf("the client is %v and the server %v", own, server)
	}
	c := h.config.Load()
	if !reflect.DeepEqual(plan(c, "adit0"), plan(h.opts.Config, "adit0")) || !slices.Equal(warnings(c), warnings(h.opts.Config)) {
		t.Error("what is said of the host, or warned of, is what waits")
	}
}

// The users of the state directory are those of the directory that is in use.
func TestUsersOfAnotherStateDirectoryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, nil)
		add := func(dir, name string) {
			if err := conf.EditUsers(filepath.Join(dir, conf.UsersFile), func(list []conf.User) ([]conf.User, error) {
				return append(list, conf.User{Name: name, Password: secret.String("p")}), nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		other := t.TempDir()
		add(h.config.Load().Server.StateDir, "bob")
		add(other, "mallory")
		h.write(settingsOf{"server.state_dir": fmt.Sprintf("%q", other)})
		if r, err := h.Reload(); err != nil || !slices.Equal(r.Restart, []string{"server.state_dir"}) || !slices.Equal(r.Live, []string{"user"}) {
			t.Errorf("%+v, %v", r, err)
		}
		h.connect("bob")
		var names []string
		for _, u := range h.config.Load().Users {
			names = append(names, u.Name)
		}
		if want := []string{"alice", "bob"}; !slices.Equal(names, want) {
			t.Errorf("users are %v, want %v", names, want)
		}
	})
}

// What is right only together with what waits is refused, and changes nothing.
func TestAReloadThatNeedsARestartIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		changes settingsOf
		want    string
	}{
		"an address that is the server's until then": {
			settingsOf{"network.pool": `["10.99.0.0/24"]`, "user": `[{ name = "alice", password = "p", address = "10.83.0.1" }]`}, "10.83.0.1 is the server's own",
		},
		"no users, as RADIUS has them": {
			settingsOf{"auth.backend": `"radius"`, "radius.servers": `[{ address = "192.0.2.200:1812", secret = "s" }]`, "user": ""}, "user: there is none",
		},
		"no NAT traversal where it is always": {
			settingsOf{"ipsec.nat_traversal": `"auto"`, "ipsec.vendor_ids": `["dpd"]`}, `must contain "nat-t"`,
		},
		"too small for the IPv6 that there is": {
			settingsOf{"network.pool6": "", "network.mtu": "1000"}, "at least 1280",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := startHost(t, nil)
				h.write(tt.changes)
				if _, err := h.Reload(); err == nil || !strings.Contains(err.Error(), "restart the server") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				h.connect("alice")
			})
		})
	}
}
