package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/udp/udptest"
)

// site is a whole server of a configuration with links, on a simulated network, with
// simulated devices.
type site struct {
	*instance
	h    *host // its configuration
	t    *testing.T
	out  diary
	stop func()
	on   *udptest.Host

	mu      sync.Mutex
	devices map[string]*netdevtest.Device
	wires   map[string]session.Route
	up      map[string]bool // whether a link's routes lead to its device
	owns    map[netip.Addr]bool
	kept    map[netip.Prefix]int // how many links keep a network from leaving otherwise
	fails   bool                 // no device can be made
}

// Prepare implements links.Host.
func (s *site) Prepare(l *links.Link) error { return s.prepare(l, 1) }

// Forget implements links.Host.
func (s *site) Forget(l *links.Link) error { return s.prepare(l, -1) }

func (s *site) prepare(l *links.Link, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range l.Routes {
		s.kept[p] += n
	}
	return nil
}

// Open implements links.Host.
func (s *site) Open(l *links.Link) (netdev.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		return nil, errors.New("the host makes no more devices")
	}
	s.devices[l.Device] = netdevtest.New(l.Device, 1400, 1)
	return s.devices[l.Device], nil
}

// Wire implements links.Host.
func (s *site) Wire(l *links.Link, to session.Route) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wires[l.Name] = to
	return nil
}

// Lead implements links.Host.
func (s *site) Lead(l *links.Link, up bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up[l.Name] = up
	return nil
}

// Owns implements links.Host.
func (s *site) Owns(a netip.Addr, _ string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owns[a]
}

// own makes an address one of the host's.
func (s *site) own(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owns[a] = true
}

// diary is a log that is read while it is written.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// newSite starts a server at an address. The lines are those of its [[link]].
func newSite(t *testing.T, on *udptest.Host, link settingsOf, more settingsOf) *site {
	t.Helper()
	dir := t.TempDir()
	inline := ""
	for key, value := range link {
		if value == "" {
			continue
		}
		if inline != "" {
			inline += ", "
		}
		inline += key + " = " + value
	}
	h := &host{t: t, file: filepath.Join(dir, "adit.toml"), base: settingsOf{
		"server.state_dir": fmt.Sprintf("%q", dir), "ipsec.psk": fmt.Sprintf("%q", testPSK),
		"log.format": `"json"`, "log.level": `"debug"`,
	}}
	if link != nil {
		h.base["link"] = "[{ " + inline + " }]"
	}
	h.write(more)
	c, err := h.read()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, h: h, devices: map[string]*netdevtest.Device{}, wires: map[string]session.Route{}, up: map[string]bool{}, owns: map[netip.Addr]bool{}, kept: map[netip.Prefix]int{}}
	s.instance = &instance{opts: Options{Config: c, Load: h.read, LinkHost: s}, log: newLogger(&s.out, c.Log), since: time.Now(), meter: newMeter()}
	s.config.Store(c)
	certs, err := loadCertificates(c)
	if err != nil {
		t.Fatal(err)
	}
	s.certs.Store(&certs)
	s.on = on
	s.outward = func(netip.Addr) (netip.Addr, error) { return on.Addr(), nil }
	var cleanup closers
	worker := h.sockets(on)
	if c.IPsec.NATTraversal == conf.NATAuto {
		worker = append(worker, dataplane.Socket{Conn: on.Listen(0), Bound: netip.AddrPortFrom(netip.IPv4Unspecified(), 0), Kind: dataplane.SocketESP})
	}
	if err := s.build(t.Context(), c, &sockets{workers: [][]dataplane.Socket{worker}}, netdevtest.New("adit0", 1400, 1), nil, &cleanup); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ended := s.links.Start(ctx)
	go func() { done <- s.server.Serve(ctx) }()
	s.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		ended()
		if err := cleanup.close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// link is the site's link as the control socket shows it.
func (s *site) link() admin.Link { return s.Links()[0] }

// sessions are how many calls are up that it has answered.
func (s *site) sessions() (n int) {
	for _, c := range s.server.List() {
		n += len(c.Sessions)
	}
	return n
}

// The two sites' addresses.
const (
	headAddr   = "192.0.2.1"
	branchAddr = "198.51.100.1"
)

// sites are two sites whose links lead to each other. The settings are added to each one's
// [[link]].
func sites(t *testing.T, seed uint64, head, branch settingsOf) (n *udptest.Net, a, b *site) {
	t.Helper()
	return sitesWith(t, seed, head, branch, nil)
}

// sitesWith are two sites with further settings, the same at both.
func sitesWith(t *testing.T, seed uint64, head, branch, both settingsOf) (n *udptest.Net, a, b *site) {
	t.Helper()
	n = udptest.New(seed)
	n.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
	with := func(base, more settingsOf) settingsOf {
		for key, value := range more {
			base[key] = value
		}
		return base
	}
	a = newSite(t, n.Host(headAddr), with(settingsOf{
		"name": `"branch"`, "remote": `["` + branchAddr + `"]`, "user": `"head"`, "password": `"one"`, "peer_user": `"branch"`, "peer_password": `"two"`, "routes": `["10.2.0.0/16"]`,
	}, head), both)
	b = newSite(t, n.Host(branchAddr), with(settingsOf{
		"name": `"head"`, "remote": `["` + headAddr + `"]`, "user": `"branch"`, "password": `"two"`, "peer_user": `"head"`, "peer_password": `"one"`, "routes": `["10.1.0.0/16"]`,
	}, branch), both)
	return n, a, b
}

var (
	hostOfHead   = netip.MustParseAddr("10.1.0.7")
	hostOfBranch = netip.MustParseAddr("10.2.0.7")
)

// numbered is an IPv4 packet of UDP with a number in it.
func numbered(src, dst netip.Addr, n uint32) []byte {
	b := make([]byte, 32)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], 32)
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[20:], 9)
	binary.BigEndian.PutUint16(b[22:], 9)
	binary.BigEndian.PutUint16(b[24:], 12)
	binary.BigEndian.PutUint32(b[28:], n)
	return b
}

func number(b []byte) uint32 {
	if len(b) < 32 {
		return 0
	}
	return binary.BigEndian.Uint32(b[28:])
}

// passes fails the test unless a packet passes each way.
func passes(t *testing.T, a, b *site, n uint32) {
	t.Helper()
	a.devices["adit-branch"].Inject(0, numbered(hostOfHead, hostOfBranch, n))
	time.Sleep(time.Second)
	if got := number(b.devices["adit-head"].Poll()); got != n {
		t.Errorf("the branch gets packet %d, want %d", got, n)
	}
	b.devices["adit-head"].Inject(0, numbered(hostOfBranch, hostOfHead, n+1))
	time.Sleep(time.Second)
	if got := number(a.devices["adit-branch"].Poll()); got != n+1 {
		t.Errorf("the head office gets packet %d, want %d", got, n+1)
	}
}

// wantOne fails the test unless both ends have the link up, by one call.
func wantOne(t *testing.T, a, b *site) {
	t.Helper()
	for _, s := range []*site{a, b} {
		if l := s.link(); l.State != "up" {
			t.Fatalf("the link is %+v\n%s", l, s.out.String())
		}
	}
	if a.link().DialledBy == b.link().DialledBy {
		t.Errorf("both ends say that it was dialled by %s", a.link().DialledBy)
	}
	if n, m := a.sessions(), b.sessions(); n+m != 1 {
		t.Errorf("%d and %d calls are answered", n, m)
	}
}

func TestALinkOfTwoSitesComesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := sites(t, 1, settingsOf{"dial": `"never"`}, nil)
		time.Sleep(3 * time.Second)
		wantOne(t, a, b)
		passes(t, a, b, 100)
		if !a.up["branch"] || !b.up["head"] {
			t.Error("the routes do not lead to the devices")
		}
	})
}
