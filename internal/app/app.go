package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ipsec"
)

// Options are what Run needs beside the host.
type Options struct {
	Config  *conf.Config
	Load    func() (*conf.Config, error) // reads the configuration again
	Log     io.Writer
	Version string

	// Tests have the server work with less than the host can do.
	Device   func(name string, mtu, queues int) (netdev.Device, error) // opens the TUN device; nil: netdev.Open
	Tune     func(*vpn.Policy)                                         // changes what connections are allowed; nil: nobody does
	LinkHost links.Host                                                // changes the host for links; nil: this one
	Socket   func(*udp.Socket) error                                   // sees every socket before it is used; may be nil

	RadiusDial func(ctx context.Context, network, address string) (net.Conn, error) // leads to RADIUS servers; nil: the host's network
}

// instance is one running server.
type instance struct {
	opts   Options
	log    *logrus.Logger
	since  time.Time
	config atomic.Pointer[conf.Config] // in force: keys that wait for a restart have their values of the start
	certs  atomic.Pointer[certificates]
	keys   vpn.KeyLog // nil: none

	server    *vpn.Server
	plane     *dataplane.Plane
	pool      *pool.Pool
	pool6     *pool.Pool // of links, and what routers are delegated:
	delegate6 *pool.Pool
	local     *auth.Local    // nil: another backend
	radius    *radius.Client // nil: neither users come from there nor is there accounting
	guard     *auth.Guard
	coa       coa
	meter     *meter
	host      *hostnet.Host // nil: in tests
	links     *links.Manager
	outward   func(to netip.Addr) (netip.Addr, error) // our address from which packets go to another
	reload    sync.Mutex
}

// undoRecord is the file in the state directory that says what to undo.
const undoRecord = "network-undo.json"

// Run serves until ctx ends. Its error says what is wrong and what to do.
func Run(ctx context.Context, o Options) (err error) {
	a := &instance{opts: o, log: newLogger(o.Log, o.Config.Log), since: time.Now(), meter: newMeter()}
	a.outward = a.from
	a.config.Store(o.Config)
	c := o.Config
	a.limitMemory()
	var cleanup closers
	defer func() { err = errors.Join(err, cleanup.close()) }()

	kernels, err := Kernels()
	if err != nil {
		return err
	}
	certs, err := loadCertificates(c)
	if err != nil {
		return err
	}
	a.certs.Store(&certs)
	unlock, err := lockState(c.Server.StateDir)
	if err != nil {
		return err
	}
	cleanup.add(unlock)
	undo := filepath.Join(c.Server.StateDir, undoRecord)
	left, err := hostnet.Replay(undo)
	if err != nil {
		return err
	}
	a.leftOn(left)
	if a.keys, err = openKeyLog(c.IPsec.KeyLog, &cleanup); err != nil {
		return err
	}
	sockets, err := listen(c, a.log, o.Socket)
	if err != nil {
		return err
	}
	cleanup.add(sockets.close)
	device, err := openDevice(c, o.Device, len(sockets.workers))
	if err != nil {
		return err
	}
	cleanup.add(func() error { return unlessClosed(device.Close()) })
	claims, err := a.changeHost(undo, device, &cleanup)
	if err != nil {
		return err
	}
	if err := a.build(ctx, c, sockets, device, claims, &cleanup); err != nil {
		return err
	}
	if err := a.openAdmin(c, &cleanup); err != nil {
		return err
	}
	if err := confine(); errors.Is(err, errCgo) {
		a.log.Warn(err)
	} else if err != nil {
		return fmt.Errorf("giving up privileges: %w", err)
	}
	a.announce(c, kernels, netdev.OffloadsOf(device))
	return a.serve(ctx)
}

// changeHost changes the host's network until cleanup. It returns what tells the host, or
// its neighbours, about the networks of sessions.
func (a *instance) changeHost(undo string, device netdev.Device, cleanup *closers) (claimer, error) {
	needs := plan(a.config.Load(), device.Name())
	host, err := hostnet.Apply(undo, needs)
	if err != nil {
		return nil, err
	}
	a.host = host
	cleanup.add(func() error {
		left, err := host.Close()
		a.leftOn(left)
		return err
	})
	return claimsOf(device, host, needs), host.RefuseClear(inClear(a.config.Load()))
}

// serve serves until ctx ends, and tells the service manager of both.
func (a *instance) serve(ctx context.Context) error {
	defer a.watchSignals(ctx)()
	defer a.refreshPublic(ctx)()
	defer a.keepGuard(ctx)()
	defer a.feelFloods(ctx)()
	defer a.links.Start(ctx)()
	notify(a.log, stateReady)
	defer a.background(ctx, func(ctx context.Context) {
		<-ctx.Done()
		notify(a.log, stateStopping)
	})()
	err := a.server.Serve(ctx)
	a.log.Info("stopped")
	return err
}

// leftOn says what of the host was not changed back, and why.
func (a *instance) leftOn(list []string) {
	for _, text := range list {
		a.log.WithField("reason", text).Info("left on, for others")
	}
}

// unlessClosed passes over what was closed already: the data path closes its
// sockets and its device when it ends.
func unlessClosed(err error) error {
	if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// closers close in the reverse order.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c *closers) close() error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i]())
	}
	return errors.Join(errs...)
}

func (a *instance) openAdmin(c *conf.Config, cleanup *closers) error {
	control, err := admin.Listen(c.Admin.Socket, a)
	if err != nil {
		return err
	}
	cleanup.add(control.Close)
	if !c.Admin.Metrics.IsValid() {
		return nil
	}
	metrics, err := admin.ListenMetrics(c.Admin.Metrics.String(), a.meter.registry(a), a.healthy)
	if err != nil {
		return err
	}
	cleanup.add(metrics.Close)
	return nil
}

// Kernels names the set of kernels that packets are encrypted with: the best
// that this CPU has, or what the environment variable ADIT_CPU says. An error is
// a conf.Errors.
func Kernels() (string, error) {
	name, err := ipsec.Kernels()
	if err != nil {
		return "", conf.Errors{{Key: "ADIT_CPU", Text: err.Error()}}
	}
	return name, nil
}

// announce logs what serves, and what an administrator should know.
func (a *instance) announce(c *conf.Config, kernels string, offloads netdev.Offloads) {
	fields := logrus.Fields{
		"version": a.opts.Version, "listen": conf.Texts(c.Server.Listen), "device": c.Network.Device,
		"pool": conf.Texts(c.Network.Pool), "backend": c.Auth.Backend, "methods": conf.Texts(c.Auth.Methods), "kernels": kernels,
		"offloads": offloads.String(),
	}
	if c.Network.Mode == conf.TUN { // in mode tap there is no guard
		fields["inbound"], fields["host_access"] = cmp.Or(strings.Join(conf.Texts(c.Network.Inbound), " "), "answers alone"), strings.Join(reach(c), " ")
	}
	a.log.WithFields(fields).Info("serving")
	for _, w := range a.warnings(c) {
		a.log.Warn(w)
	}
}

// warnings are those of the configuration, of what it names, and of the host.
func (a *instance) warnings(c *conf.Config) []string {
	list := a.ownWarnings()
	drops, err := obstacles(c)
	if err != nil {
		a.log.WithField("error", err.Error()).Debug("cannot tell for all chains whether the firewall lets clients' packets pass")
	}
	list = append(list, a.downRadius()...)
	list = append(list, a.booksWarnings(time.Now())...)
	return append(append(list, a.unguarded()...), drops...)
}

// ownWarnings are those of the configuration in force, and of what it names.
func (a *instance) ownWarnings() []string {
	c := a.config.Load()
	return append(warnings(c), a.certs.Load().warnings(time.Now(), c.Server.Public.String())...)
}

// warnings are the warnings about a configuration, for as long as it is in force.
func warnings(c *conf.Config) []string {
	var list []string
	if ipsec.NoCrypto {
		list = append(list, "THIS BUILD PROTECTS NOTHING (build tag nocrypto): packets leave in the clear, and forged ones are accepted. It is for measuring only")
	}
	if c.WeakPSK() {
		list = append(list, "the pre-shared key is weak (ipsec.allow_weak_psk): whoever answers a client's handshake in the server's place can find it")
	}
	if c.IPsec.Aggressive {
		list = append(list, "Aggressive Mode is on (ipsec.aggressive): whoever asks in a group's name gets a hash from which a weak pre-shared key can be guessed offline")
	}
	if len(c.PPP.Compression) > 0 {
		list = append(list, "compression is on (ppp.compression): the lengths of encrypted packets then tell of what is in them, and who can add text of theirs to a user's secrets can find these out (VORACLE)")
	}
	if c.IPsec.KeyLog != "" {
		list = append(list, "session keys are written to "+c.IPsec.KeyLog+" (ipsec.key_log): unset it when the capture is done")
	}
	list = append(list, c.Notes...)
	for _, file := range c.Exposed() {
		list = append(list, file+" has secrets in it, and others than its owner can read it: chmod 600 "+file)
	}
	list = append(list, suiteWarnings(c)...)
	if hashed := usersWithHash(c); hashed > 0 && c.Auth.Backend == conf.BackendLocal && c.NeedsPasswords() {
		list = append(list, fmt.Sprintf("users who have an NT hash in place of a password: %d; they connect by mschapv2 alone, and chap or pap is on (auth.methods): set their passwords again", hashed))
	}
	return append(list, radiusWarnings(c)...)
}

// Status implements admin.Controlled.
func (a *instance) Status() admin.Status {
	n := a.server.Counts()
	kernels, _ := Kernels() // nothing serves with an error
	st := admin.Status{
		Version: a.opts.Version, Since: a.since, Kernels: kernels,
		Connections: n.Connections - n.Strangers, Strangers: n.Strangers, HalfOpen: n.HalfOpen,
		Leases: a.pool.Leased(), Drops: a.drops(), Warnings: a.warnings(a.config.Load()),
		Sessions: []admin.Session{}, Radius: a.radiusStatus(), Accounting: a.accounting(),
	}
	for _, c := range a.server.List() {
		for _, s := range c.Sessions {
			st.Sessions = append(st.Sessions, admin.Session{
				Connection: c.Conn, ID: s.ID, User: s.User, Address: s.Address.String(), IPv6: texts6(s.IPv6), Remote: c.Remote.String(),
				Client: c.Client.String(), HostName: field(c.HostName), PSK: c.PSK, Cert: field(c.Cert), Group: c.Group,
				UserGroup: field(s.Group), Upload: uint64(s.Rates.In), Download: uint64(s.Rates.Out),
				IKE: c.IKE.String(), ESP: c.ESP.String(),
				Method: s.Method.String(), Since: s.Since,
				Compression: compressed(s.Compression),
				InOctets:    s.InOctets, OutOctets: s.OutOctets, InPackets: s.InPackets, OutPackets: s.OutPackets,
			})
		}
	}
	return st
}

// Disconnect implements admin.Controlled.
func (a *instance) Disconnect(sel admin.Selector) int {
	user := identity(a.config.Load()).Of(sel.User)
	n := a.server.Disconnect(func(c vpn.Status) bool {
		if sel.All {
			return true
		}
		if sel.Connection != 0 && sel.Connection != c.Conn {
			return false
		}
		if sel.User == "" && sel.Address == "" {
			return sel.Connection != 0
		}
		for _, s := range c.Sessions {
			if (sel.User == "" || sel.User == s.User || user == s.User) && (sel.Address == "" || sel.Address == s.Address.String()) {
				return true
			}
		}
		return false
	})
	said := "disconnected by the administrator"
	if n == 0 {
		said = "the administrator disconnects somebody who is not connected"
	}
	a.log.WithFields(logrus.Fields{"user": sel.User, "address": sel.Address, "connection": sel.Connection, "all": sel.All, "connections": n}).Info(said)
	return n
}

// drops names the data path's drops.
func (a *instance) drops() map[string]uint64 {
	named := map[string]uint64{}
	for i, n := range a.plane.Drops() {
		if n > 0 {
			named[dataplane.Drop(i).String()] = n
		}
	}
	return named
}
