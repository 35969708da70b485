// Package client is adit's own client, for tests and load. It takes the initiator,
// LAC and authenticated peer roles of the machines from which the server is made.
//
// A Fleet places any number of connections over a few sockets, each from a source
// address of its own. Package internal/dial decides what a connection does next; this one
// has the operations that only tests need: see Dialled. It shares its codecs with the
// server, so it proves consistency; conformance is proved by vectors and foreign
// peers.
//
// # Concurrency
//
// A Fleet is safe for concurrent use.
package client

import (
	"context"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/dial"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Config is the configuration of a Fleet. Zero values mean the server's defaults.
type Config struct {
	Workers [][]dataplane.Socket
	Device  netdev.Device // for user packets, which are routed by their source
	PSK     secret.Bytes
	Suites  []ike.Suite
	ESP     []ike.ESPSuite
	NATT    ike.NATTMode

	VendorIDs []ike.VendorID    // those that are offered
	Change    func(*vpn.Policy) // called last, to change other settings; nil: not called

	Lifetime, ChildLifetime time.Duration
	ChildKilobytes          uint64
	Sequencing              bool          // ask for data messages with sequence numbers
	Echo, Hello             time.Duration // 0: none are sent

	Pools    []netip.Prefix // the server's pools, for fast routing
	Slots    int
	Observer vpn.Observer // nil: there is none
}

// Fleet is many clients in one process.
type Fleet struct {
	server *vpn.Server
	plane  *dataplane.Plane
	stop   context.CancelFunc
	done   chan struct{}
	err    error
}

// The ports that clients use at both ends.
const (
	IKEPort  = 500
	NATTPort = 4500
)

// New starts a fleet.
func New(cfg Config) (*Fleet, error) {
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	f := &Fleet{done: make(chan struct{})}
	f.server = vpn.New(vpn.Config{
		Policy: policy(cfg), Backend: auth.NewLocal(nil), Pool: pool.New(nil), Observer: cfg.Observer,
		NATTPorts: func(p ike.Path) ike.Path {
			return ike.Path{
				Local:  netip.AddrPortFrom(p.Local.Addr(), NATTPort),
				Remote: netip.AddrPortFrom(p.Remote.Addr(), NATTPort),
				Marker: true,
			}
		},
	})
	var err error
	f.plane, err = dataplane.New(dataplane.Config{
		Workers: cfg.Workers, Device: cfg.Device, Control: f.server, Slots: cfg.Slots, Pools: cfg.Pools, BySource: true, ClientToClient: true,
	})
	if err != nil {
		return nil, err
	}
	f.server.Bind(f.plane)
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	go func() {
		defer close(f.done)
		f.err = f.server.Serve(ctx)
	}()
	return f, nil
}

func policy(cfg Config) *vpn.Policy {
	if cfg.Suites == nil {
		cfg.Suites = ike.DefaultSuites()
	}
	if cfg.ESP == nil {
		cfg.ESP = ike.DefaultESP()
	}
	if cfg.VendorIDs == nil {
		cfg.VendorIDs = ike.DefaultVendorIDs()
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 8 * time.Hour
	}
	if cfg.ChildLifetime == 0 {
		cfg.ChildLifetime = time.Hour
	}
	p := &vpn.Policy{
		IKE: &ike.Policy{
			Suites: cfg.Suites, ESP: cfg.ESP, VendorIDs: cfg.VendorIDs,
			PSKs: []ike.PSK{{Name: "psk", Key: cfg.PSK}}, NATT: cfg.NATT,
			Lifetime: cfg.Lifetime, ChildLifetime: cfg.ChildLifetime, ChildKB: cfg.ChildKilobytes,
			DPDTimeout: 2 * time.Minute,
		},
		L2TP: &l2tp.Config{
			HostName: "client", Window: 8, Sessions: 1, Hello: cfg.Hello, Sequencing: cfg.Sequencing,
			SetupTimeout: 30 * time.Second, CallTimeout: 30 * time.Second,
		},
		PPP:          &ppp.Config{},
		Policy:       session.Policy{MTU: 1400},
		ReplayWindow: 64,
		Connections:  1 << 20, HalfOpen: 1 << 14, HalfOpenPerSource: 1 << 14,
		SetupTimeout: 2 * time.Minute, AuthTimeout: time.Minute, DrainTimeout: 5 * time.Second,
	}
	if cfg.Change != nil {
		cfg.Change(p)
	}
	return p
}

// Target is the server to which a client connects, and the user as which it logs
// in.
type Target struct {
	Local, Server  netip.Addr
	User, Password string
	Child          ike.ChildRequest // zero: the default
	Echo           time.Duration    // LCP Echo-Request interval, 0: none
	Silent         bool             // do not close the layers if the context ends
	IPv6           bool             // ask for IPv6, too

	// Packets, if set, receives the IP packets that the data path passes to the
	// control side: broadcast, multicast, link-local. It is called on the
	// connection's goroutine and only borrows the packet.
	Packets func([]byte)

	// Network6, if set, is called when IPV6CP is open, on the connection's
	// goroutine. The host of the client finds its own addresses, with Packets and
	// SendIP; Own allows them to send.
	Network6 func(ppp.Network6Up)
}

// Dial connects one client and returns when its network is up.
func (f *Fleet) Dial(ctx context.Context, t Target) (*Dialled, error) {
	path := ike.Path{
		Local:  netip.AddrPortFrom(t.Local, IKEPort),
		Remote: netip.AddrPortFrom(t.Server, IKEPort),
	}
	as := &ppp.Config{
		Client: true, IPv6: t.IPv6, MRU: 1400, User: t.User, Password: secret.String(t.Password),
		Methods: []ppp.Method{ppp.MethodMSCHAPv2, ppp.MethodCHAP, ppp.MethodPAP},
		Echo:    t.Echo, EchoFailures: 4, SetupTimeout: time.Minute, AuthTimeout: time.Minute,
	}
	return connect(ctx, f.server, dial.Config{Calling: vpn.Calling{Path: path, PPP: as}, Child: t.Child}, t)
}

// Close closes every client properly and ends the fleet.
func (f *Fleet) Close() error {
	f.stop()
	<-f.done
	return f.err
}

type nobody struct{}

func (nobody) Observe(vpn.Event) {}

// Drops is how many packets the fleet's data path dropped, by reason. Reasons
// without drops are left out.
func (f *Fleet) Drops() map[string]uint64 {
	drops := map[string]uint64{}
	for i, n := range f.plane.Drops() {
		if n > 0 {
			drops[dataplane.Drop(i).String()] = n
		}
	}
	return drops
}
