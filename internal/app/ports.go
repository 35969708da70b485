package app

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/vpn"
)

// ports are the devices of users that have one of their own. A device is there as long as
// its session is. What the kernel is asked for takes milliseconds, and is asked for without
// the lock, for many devices at a time.
type ports struct {
	plane   *dataplane.Plane
	prefix  string // of the devices' names
	open    func(name string, mtu, queues int) (netdev.Device, error)
	wire    func(device string, w hostnet.Wire) error
	lost    func(device string, err error) // somebody has deleted a device
	closing chan struct{}                  // has a place for each device that is being closed

	mu       sync.Mutex // guards what follows
	names    map[string]*port
	sessions map[*dataplane.Session]*port
	users    map[string]*numbers // by the name of a first session's device

	links *links.Manager // whose devices are not made here; nil: there are none
}

// port is a device, and the session that it is of. It has its name before it is opened,
// and until it has been closed.
type port struct {
	*dataplane.Port
	session *dataplane.Session
	name    string
	user    string // the key of ports.users
	n       int
	ends    bool          // it is being closed; ports.mu guards it
	gone    chan struct{} // closed when another can have the name
}

// numbers are those of a user's sessions that have a device.
type numbers struct {
	devices int
	lowest  int // all below have a device that is not being closed
}

// freed says that another session may have a number, now or soon.
func (n *numbers) freed(i int) { n.lowest = min(n.lowest, i) }

const (
	// closingAtOnce are closed at the same time: the kernel waits some 20 ms for each, most
	// of it beside the others.
	closingAtOnce = 32
	// closingPatience is how long a session waits for a device that is being closed, to have
	// its name.
	closingPatience = 2 * time.Second
)

var _ vpn.Ports = (*ports)(nil)

func (a *instance) newPorts(common netdev.Device) *ports {
	open := a.opts.Device
	if open == nil {
		open = netdev.Open
	}
	lost := func(device string, err error) {
		a.log.WithFields(logrus.Fields{"device": device, "error": err.Error()}).Warn("a user's device is gone: nothing reaches the user until the next connection")
	}
	return portsOf(hostnet.OwnDevice(common.Name()), open, hostnet.SetWire, lost)
}

func portsOf(prefix string, open func(string, int, int) (netdev.Device, error), wire func(string, hostnet.Wire) error, lost func(string, error)) *ports {
	return &ports{
		prefix: prefix, open: open, wire: wire, lost: lost, closing: make(chan struct{}, closingAtOnce),
		names: map[string]*port{}, sessions: map[*dataplane.Session]*port{}, users: map[string]*numbers{},
	}
}

// Up implements vpn.Ports.
func (p *ports) Up(to session.Route, s *dataplane.Session) (*dataplane.Port, error) {
	if p.links.Has(to.Wire.Device) {
		return p.links.Up(to, s)
	}
	if to.Wire.Device != "" {
		return nil, fmt.Errorf("there is no device %s", to.Wire.Device)
	}
	own := p.of(to.Wire.User, s)
	if own.Port == nil {
		if err := p.make(own, to.MTU); err != nil {
			p.forget(own)
			return nil, err
		}
	}
	w := hostnet.Wire{Local: to.Wire.Local, Peer: to.Wire.Peer, Local6: to.Wire.Local6, Peer6: to.Wire.Peer6, MTU: to.MTU}
	if err := p.wire(own.name, w); err != nil {
		p.remove(own)
		return nil, err
	}
	return own.Port, nil
}

// make opens a device.
func (p *ports) make(own *port, mtu int) error {
	device, err := p.open(own.name, mtu, 1)
	if err != nil {
		return err
	}
	own.Port, err = p.plane.NewPort(dataplane.PortConfig{Device: device, Failed: func(err error) { p.lost(own.name, err) }})
	if err != nil {
		return errors.Join(err, device.Close())
	}
	return nil
}

// Down implements vpn.Ports.
func (p *ports) Down(t *dataplane.Port, s *dataplane.Session) {
	if p.links.Down(t, s) {
		return
	}
	p.mu.Lock()
	own := p.sessions[s]
	p.mu.Unlock()
	if own != nil && own.Port == t {
		p.remove(own)
	}
}

// remove closes a device, and frees its name.
func (p *ports) remove(own *port) {
	p.mu.Lock()
	own.ends = true
	delete(p.sessions, own.session)
	p.users[own.user].freed(own.n)
	p.mu.Unlock()
	p.closing <- struct{}{}
	_ = own.Close() // it goes away, whatever it says
	<-p.closing
	p.forget(own)
}

// forget frees a device's name.
func (p *ports) forget(own *port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.names, own.name)
	if p.sessions[own.session] == own {
		delete(p.sessions, own.session)
	}
	of := p.users[own.user]
	of.freed(own.n)
	if of.devices--; of.devices == 0 {
		delete(p.users, own.user)
	}
	close(own.gone)
}

// of is the device of a session, or else a new one, to be opened, with the lowest number
// that is free: the user's first session has the user's name alone. A device that is just
// being closed is waited for.
func (p *ports) of(user string, s *dataplane.Session) *port {
	patience := time.NewTimer(closingPatience)
	defer patience.Stop()
	for waits := true; ; {
		own, before := p.take(user, s, waits)
		if own != nil {
			return own
		}
		select {
		case <-before.gone:
		case <-patience.C:
			waits = false
		}
	}
}

// take is of without waiting: if that has to be, take returns what for.
func (p *ports) take(user string, s *dataplane.Session, waits bool) (own, before *port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own := p.sessions[s]; own != nil {
		return own, nil
	}
	key := conf.OwnDevice(p.prefix, user, 1)
	of := p.users[key]
	if of == nil {
		of = &numbers{lowest: 1}
	}
	n := of.lowest
	for ; ; n++ {
		other := p.names[conf.OwnDevice(p.prefix, user, n)]
		if other == nil {
			break
		}
		if other.ends && waits {
			return nil, other
		}
	}
	own = &port{session: s, name: conf.OwnDevice(p.prefix, user, n), user: key, n: n, gone: make(chan struct{})}
	p.names[own.name], p.sessions[s], p.users[key] = own, own, of
	of.devices++
	if n == of.lowest {
		of.lowest++
	}
	return own, nil
}
