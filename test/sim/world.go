// Package sim runs whole servers and whole clients over a simulated network in virtual
// time. It shows what users see when packets are lost, repeated, reordered or redirected,
// and when peers vanish.
package sim

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/client"
)

// What all worlds have in common.
const (
	ServerAddr = "192.0.2.1"
	PSK        = "a pre-shared key of good length"
	User       = "alice"
	Password   = "wonderland"
)

// World is a server on a simulated network. Everything in it belongs to one synctest
// bubble.
type World struct {
	t      testing.TB
	Net    *udptest.Net
	Server *vpn.Server
	Plane  *dataplane.Plane
	Device *netdevtest.Device
	Pool   *pool.Pool
	Events *Recorder
	Policy *vpn.Policy

	stop context.CancelFunc
	done chan error
}

// Options change a world before it starts.
type Options struct {
	Seed       uint64
	Slots      int // 0: 1024
	Policy     func(*vpn.Policy)
	Backend    auth.Backend
	Accountant auth.Accountant
	Observer   vpn.Observer // used instead of Events; nil: Events
	Plane      func(*dataplane.Config)
	Addresses  string // the pool, within 10.83.0.0/16; "": the whole network

	Pool6, Delegate6 *pool.Pool

	Host  *udptest.Host // where the server runs; nil: a host of its own at ServerAddr
	Net   *udptest.Net
	Ports []uint16 // further ports on which the server listens: see ESPPort
}

// Policy is a server's policy with the default settings.
func Policy() *vpn.Policy {
	return &vpn.Policy{
		IKE: &ike.Policy{
			Suites: ike.DefaultSuites(), ESP: ike.DefaultESP(), VendorIDs: ike.DefaultVendorIDs(),
			PSKs:     []ike.PSK{{Name: "psk[0]", Key: secret.String(PSK)}},
			Lifetime: 8 * time.Hour, ChildLifetime: time.Hour, DPDTimeout: 2 * time.Minute,
		},
		L2TP: &l2tp.Config{
			HostName: "adit", Window: 16, Sessions: 1,
			Hello: time.Minute, SetupTimeout: 30 * time.Second, CallTimeout: 30 * time.Second,
		},
		PPP: &ppp.Config{
			Name: "adit", MRU: 1400, Methods: []ppp.Method{ppp.MethodMSCHAPv2},
			Echo: 30 * time.Second, EchoFailures: 4, SetupTimeout: 90 * time.Second, AuthTimeout: time.Minute,
		},
		Policy: session.Policy{
			Networks: []pool.Network{{Prefix: netip.MustParsePrefix("10.83.0.0/16"), Server: netip.MustParseAddr("10.83.0.1")}},
			Settings: auth.Settings{DNS: []netip.Addr{netip.MustParseAddr("9.9.9.9")}},
			MTU:      1400,
		},
		ReplayWindow: 1024,
		Connections:  1000, HalfOpen: 64, HalfOpenPerSource: 32,
		SetupTimeout: time.Minute, AuthTimeout: time.Minute, DrainTimeout: 5 * time.Second, Keepalive: 20 * time.Second,
	}
}

// New starts a world, which ends with the test.
func New(t testing.TB, o Options) *World {
	t.Helper()
	if o.Slots == 0 {
		o.Slots = 1024
	}
	if o.Net == nil {
		o.Net = udptest.New(o.Seed)
	}
	if o.Addresses == "" {
		o.Addresses = "10.83.0.0/16"
	}
	if o.Host == nil {
		o.Host = o.Net.Host(ServerAddr)
	}
	if o.Backend == nil {
		o.Backend = auth.NewLocal([]auth.User{{Name: User, Password: secret.String(Password)}})
	}
	w := &World{
		t: t, Net: o.Net, Events: &Recorder{t: t}, Policy: Policy(),
		Device: netdevtest.New("adit0", 1400, 1),
		Pool: pool.New([]pool.Range{pool.Prefix(netip.MustParsePrefix(o.Addresses))},
			netip.MustParseAddr("10.83.0.1")),
		done: make(chan error, 1),
	}
	if o.Policy != nil {
		o.Policy(w.Policy)
	}
	if o.Observer == nil {
		o.Observer = w.Events
	}
	w.Server = vpn.New(vpn.Config{
		Policy: w.Policy, Backend: o.Backend, Accountant: o.Accountant, Pool: w.Pool, Observer: o.Observer,
		Pool6: o.Pool6, Delegate6: o.Delegate6,
	})
	plane := dataplane.Config{
		Workers: [][]dataplane.Socket{sockets(o.Host, o.Ports...)}, Device: w.Device, Control: w.Server, Slots: o.Slots,
		Pools: []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16")}, ClientToClient: true,
	}
	if o.Plane != nil {
		o.Plane(&plane)
	}
	var err error
	if w.Plane, err = dataplane.New(plane); err != nil {
		t.Fatal(err)
	}
	w.Server.Bind(w.Plane)
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.done <- w.Server.Serve(ctx) }()
	t.Cleanup(func() {
		w.stop()
		if err := <-w.done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return w
}

// ESPPort stands for IP protocol 50, which has no ports.
const ESPPort = 0

// sockets are the sockets that every end has, and further ones on these ports.
func sockets(h *udptest.Host, more ...uint16) []dataplane.Socket {
	var list []dataplane.Socket
	for _, port := range append([]uint16{client.IKEPort, client.NATTPort}, more...) {
		list = append(list, socket(h, port))
	}
	return list
}

// socket is a socket on every address of the host's first family.
func socket(h *udptest.Host, port uint16) dataplane.Socket {
	every := netip.IPv4Unspecified()
	if h.Addr().Is6() {
		every = netip.IPv6Unspecified()
	}
	return dataplane.Socket{Conn: h.Listen(port), Bound: netip.AddrPortFrom(every, port), Kind: dataplane.KindOf(port)}
}

// Stop makes the server begin to stop, as at the end of the test.
func (w *World) Stop() { w.stop() }

// WantNothingLeft fails the test if the server still holds any resource.
func (w *World) WantNothingLeft(t testing.TB) {
	t.Helper()
	if n := w.Server.Counts(); n != (vpn.Counts{}) {
		t.Errorf("the server still holds %+v", n)
	}
	if n := w.Pool.InUse(); n != 1 {
		t.Errorf("%d addresses are leased or reserved, want the server's own", n)
	}
}

// Laptop is one host with a number of clients, by default one.
type Laptop struct {
	*client.Fleet
	Host   *udptest.Host
	Device *netdevtest.Device
}

// Laptop puts a client's host on the network.
func (w *World) Laptop(h *udptest.Host, change func(*client.Config)) *Laptop {
	w.t.Helper()
	l := &Laptop{Host: h, Device: netdevtest.New("ppp0", 1400, 1)}
	cfg := client.Config{
		Workers: [][]dataplane.Socket{sockets(h)}, Device: l.Device, PSK: secret.String(PSK), Slots: 1024,
		Observer: &Recorder{t: w.t},
	}
	if change != nil {
		change(&cfg)
	}
	f, err := client.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	l.Fleet = f
	w.t.Cleanup(func() {
		if err := f.Close(); err != nil {
			w.t.Errorf("a client's fleet ended with %v", err)
		}
	})
	return l
}

// Connect dials the server as alice.
func (l *Laptop) Connect(server string) (*client.Dialled, error) {
	return l.ConnectAs(server, User, Password)
}

// ConnectAs dials the server.
func (l *Laptop) ConnectAs(server, user, password string) (*client.Dialled, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := l.Dial(ctx, client.Target{
		Local: l.Host.Addr(), Server: netip.MustParseAddr(server), User: user, Password: password,
	})
	time.Sleep(time.Second) // until the client's last Configure-Ack reaches the server
	return d, err
}

// Recorder stores a server's events.
type Recorder struct {
	t      testing.TB
	mu     sync.Mutex
	events []vpn.Event
}

// Observe implements vpn.Observer.
func (r *Recorder) Observe(e vpn.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	if p, ok := e.(vpn.Panicked); ok {
		r.t.Errorf("panic: %v\n%s", p.Value, p.Stack)
	}
}

// Everything returns all events so far.
func (r *Recorder) Everything() []vpn.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]vpn.Event(nil), r.events...)
}

// All returns the events of one type so far.
func All[E vpn.Event](r *Recorder) []E {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []E
	for _, e := range r.events {
		if x, ok := e.(E); ok {
			list = append(list, x)
		}
	}
	return list
}

// online returns a world with one laptop, connected as alice.
func online(t testing.TB, o Options) (*World, *Laptop, *client.Dialled) {
	t.Helper()
	w := New(t, o)
	l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
	d, err := l.Connect(ServerAddr)
	if err != nil {
		t.Fatal(err)
	}
	return w, l, d
}
