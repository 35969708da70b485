package links

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/link"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// Link is how one link is made.
type Link struct {
	Of     any // what it is made of: a link of the same name and an equal Of is the same link
	Name   string
	Device string
	Rules  link.Config

	Routes   []netip.Prefix // behind the other end
	Metric   int
	WhenDown WhenDown

	SourceCheck bool // only Routes, and the other end's address, may come from it

	// Remote returns where the link is dialled, most wanted first. It may ask a name server.
	// nil: it is not dialled.
	Remote    func(context.Context) ([]Target, error)
	Remotes   []string                      // what Remote tries, for people
	Policy    func(host string) *vpn.Policy // of a call that we place
	PPP       func() *ppp.Config            // the same, as a client
	ByAddress bool                          // Rules.Ours is that our address outside is the smaller one
	Bare      *vpn.Bare                     // in place of PPP: a tunnel without L2TP, whichever end begins it; nil: L2TP

	Caller    auth.User  // who the other end is when it dials; without a name nobody
	Grant     auth.Grant // what that caller gets; with a Group it must have that group's pre-shared key
	Certified bool       // that caller must have a certificate
}

// Target is where a call is placed.
type Target struct {
	Host string // as it is configured
	Path ike.Path
}

// WhenDown is what becomes of packets for a link's routes while it is down.
type WhenDown uint8

// The values of WhenDown.
const (
	Hold      WhenDown = iota + 1 // the device takes them, and holds some
	Blackhole                     // they are dropped
	Withdraw                      // another route may take them
)

// Host is the host as links change it.
type Host interface {
	// Prepare keeps what goes to a link's routes from leaving by another way while the link
	// has no device, if its WhenDown says so. Forget undoes that; what has not been undone
	// at the end is the host's to undo.
	Prepare(l *Link) error
	Forget(l *Link) error
	// Open makes a link's device.
	Open(l *Link) (netdev.Device, error)
	// Wire gives the device the addresses and the MTU of a call.
	Wire(l *Link, to session.Route) error
	// Lead has the routes lead to the device, or be as they are while the link is down.
	Lead(l *Link, up bool) error
	// Owns reports whether an address is one of the host's, on another device.
	Owns(a netip.Addr, device string) bool
}

// Event is what a link reports, for the log.
type Event struct {
	Link  string
	State link.State
	Info  link.Info
	Peer  netip.Addr // inside, while it is up
	Fell  bool       // it was up before
	Why   string     // why it is as it is; "": nothing has to be said
	Taken bool       // the configuration has it no more, or otherwise
	Err   error      // what could not be done on the host

	Looped netip.Addr // outside: the host's routes lead there through the link itself
}

// Config is what a Manager works with.
type Config struct {
	Links  []Link
	Host   Host
	Report func(Event) // called with a link's lock held: it must not call the Manager
}

// Manager is all links of a server.
type Manager struct {
	cfg    Config
	server *vpn.Server
	plane  *dataplane.Plane

	dialled sync.Mutex             // guards which link is dialled where
	change  sync.Mutex             // held while links come and go
	links   atomic.Pointer[[]*one] // read without it
	made    uint64                 // links so far
	had     sync.Map               // the devices that are or were a link's
	ctx     context.Context        // nil: they have not started
	closed  bool
}

// New returns a Manager that waits for Open and Start.
func New(c Config) *Manager {
	m := &Manager{cfg: c}
	var list []*one
	for i := range c.Links {
		list = append(list, m.make(&c.Links[i]))
	}
	m.links.Store(&list)
	return m
}

// all are the links that there are at this moment.
func (m *Manager) all() []*one { return *m.links.Load() }

// Open makes the devices. The plane must be the server's.
func (m *Manager) Open(s *vpn.Server, p *dataplane.Plane) error {
	m.server, m.plane = s, p
	for _, l := range m.all() {
		err := l.prepare()
		if err == nil {
			err = l.open()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("link %q: %w", l.cfg.Name, err), m.Close())
		}
	}
	return nil
}

// Start begins to dial. The returned function ends that, and every call.
func (m *Manager) Start(ctx context.Context) (stop func()) {
	m.change.Lock()
	defer m.change.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	m.ctx = ctx
	for _, l := range m.all() {
		l.start(ctx)
	}
	return func() {
		cancel()
		m.change.Lock()
		defer m.change.Unlock()
		for _, l := range m.all() {
			l.stop("")
		}
	}
}

// Close closes the devices.
func (m *Manager) Close() error {
	m.change.Lock()
	defer m.change.Unlock()
	m.closed = true
	var errs []error
	for _, l := range m.all() {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// of returns the link with a device, nil if there is none.
func (m *Manager) of(device string) *one { return withDevice(m.all(), device) }

// Has reports whether a device is a link's, or was: a call may outlive its link.
func (m *Manager) Has(device string) bool {
	if m == nil {
		return false
	}
	_, had := m.had.Load(device)
	return had
}

// Up is vpn.Ports' Up, for a link's device.
func (m *Manager) Up(to session.Route, s *dataplane.Session) (*dataplane.Port, error) {
	l := m.of(to.Wire.Device)
	if l == nil {
		return nil, fmt.Errorf("there is no link with the device %s", to.Wire.Device)
	}
	return l.up(to, s)
}

// Down is vpn.Ports' Down. It reports whether the port is a link's.
func (m *Manager) Down(p *dataplane.Port, s *dataplane.Session) bool {
	if m == nil {
		return false
	}
	for _, l := range m.all() {
		if l.port == p {
			l.down(s)
			return true
		}
	}
	return false
}

// ErrUnknown says that there is no link of a name.
var ErrUnknown = errors.New("there is no link of this name")

// find returns a link.
func (m *Manager) find(name string) (*one, error) {
	if m != nil {
		if l := named(m.all(), name); l != nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: %.32q", ErrUnknown, name)
}

// Raise has a link dialled, and calls for it admitted.
func (m *Manager) Raise(name string) error {
	l, err := m.find(name)
	if err != nil {
		return err
	}
	if l.cfg.Remote == nil {
		l.change((*link.Link).Admit)
		return fmt.Errorf("the link %q has no remote: the other end has to call, and may do so now", name)
	}
	l.change((*link.Link).Raise)
	if i := l.info(); i.State == link.Closed {
		return fmt.Errorf("the link %q is outside its hours, and nobody dials it: they begin at %s", name, i.Next.Local().Format(time.DateTime))
	}
	return nil
}

// Seen says that somebody at this address has proved a key: if a link is dialled there, its
// other end is back, and is about to call, or can be called.
func (m *Manager) Seen(at netip.Addr) {
	if m == nil {
		return
	}
	for _, l := range m.all() {
		if last := l.last.Load(); last != nil && *last == at {
			l.change((*link.Link).Seen)
		}
	}
}

// Lower ends a link, and holds it down until Raise.
func (m *Manager) Lower(name string) error {
	l, err := m.find(name)
	if err != nil {
		return err
	}
	l.change((*link.Link).Lower)
	return nil
}

// List returns all links as they are.
func (m *Manager) List() []Status {
	if m == nil {
		return nil
	}
	links := m.all()
	list := make([]Status, len(links))
	for i, l := range links {
		list[i] = l.status()
	}
	return list
}
