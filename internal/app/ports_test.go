package app

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/session"
)

// kernel has devices that take as long to open, to set up and to close as real ones.
type kernel struct {
	mu     sync.Mutex
	names  map[string]bool
	broken func(name string) error // when it is set up
	most   atomic.Int64            // that were being closed at once
	now    atomic.Int64
}

const closingTakes = 20 * time.Millisecond

type slowDevice struct {
	netdev.Device
	k *kernel
}

func (k *kernel) open(name string, mtu, queues int) (netdev.Device, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.names[name] {
		return nil, fmt.Errorf("device %s: busy", name)
	}
	k.names[name] = true
	return slowDevice{netdevtest.New(name, mtu, queues), k}, nil
}

func (k *kernel) wire(device string, _ hostnet.Wire) error {
	time.Sleep(time.Millisecond)
	if k.broken != nil {
		return k.broken(device)
	}
	return nil
}

func (d slowDevice) Close() error {
	n := d.k.now.Add(1)
	for most := d.k.most.Load(); n > most && !d.k.most.CompareAndSwap(most, n); most = d.k.most.Load() {
	}
	time.Sleep(closingTakes)
	d.k.now.Add(-1)
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	delete(d.k.names, d.Name())
	return d.Device.Close()
}

// owned runs a test with ports over a plane of their own.
func owned(t *testing.T, f func(t *testing.T, p *ports, k *kernel)) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{names: map[string]bool{}}
		p := portsOf("adit0-", k.open, k.wire, func(device string, err error) { t.Errorf("%s is lost: %v", device, err) })
		var err error
		p.plane, err = dataplane.New(dataplane.Config{
			Workers: [][]dataplane.Socket{{}}, Device: netdevtest.New("adit0", 1400, 1), Control: deaf{},
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, p, k)
		if len(p.names)+len(p.sessions)+len(p.users)+len(k.names) > 0 {
			t.Errorf("left: %v, %v, %v, %v", p.names, p.sessions, p.users, k.names)
		}
	})
}

// deaf answers nothing.
type deaf struct{}

func (deaf) IKE(reply []byte, _, _ netip.AddrPort, _ bool, _ []byte) []byte { return reply }

func (p *ports) up(t *testing.T, user string, s *dataplane.Session) *dataplane.Port {
	t.Helper()
	port, err := p.Up(session.Route{MTU: 1400, Wire: &session.Wire{User: user}}, s)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	return port
}

// Many devices are closed beside each other, and nobody else waits meanwhile.
func TestManyDevicesEndSoon(t *testing.T) {
	owned(t, func(t *testing.T, p *ports, k *kernel) {
		const n = 1000
		sessions, own := make([]*dataplane.Session, n), make([]*dataplane.Port, n)
		for i := range n {
			sessions[i] = new(dataplane.Session)
			own[i] = p.up(t, fmt.Sprint("u", i%500), sessions[i])
		}
		began := time.Now()
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { p.Down(own[i], sessions[i]) })
		}
		synctest.Wait()
		s := new(dataplane.Session)
		beside := p.up(t, "alice", s)
		if d := time.Since(began); d >= closingTakes {
			t.Errorf("another user waited %v", d)
		}
		all.Wait()
		if d := time.Since(began); d > time.Second {
			t.Errorf("%d devices took %v to close", n, d)
		}
		if most := k.most.Load(); most > closingAtOnce {
			t.Errorf("%d were closed at once", most)
		}
		p.Down(beside, s)
	})
}

// A session has the lowest number that is free, also if the device that had it is just
// being closed, and keeps it whatever others do.
func TestASessionHasTheLowestFreeNumber(t *testing.T) {
	owned(t, func(t *testing.T, p *ports, _ *kernel) {
		type held struct {
			s *dataplane.Session
			p *dataplane.Port
		}
		var list []held
		connect := func(user, want string) {
			t.Helper()
			s := new(dataplane.Session)
			port := p.up(t, user, s)
			if port.Name() != want {
				t.Errorf("a session of %s has %s, want %s", user, port.Name(), want)
			}
			if again := p.up(t, user, s); again != port {
				t.Errorf("it has %s, and then %s", port.Name(), again.Name())
			}
			list = append(list, held{s, port})
		}
		connect("alice", "adit0-alice")
		connect("Alice", "adit0-alice.2")
		connect("bob", "adit0-bob")
		connect("alice", "adit0-alice.3")
		p.Down(list[1].p, list[1].s)
		connect("alice", "adit0-alice.2")
		connect("ALICE", "adit0-alice.4")
		go p.Down(list[0].p, list[0].s)
		synctest.Wait() // it is being closed
		connect("alice", "adit0-alice")
		for _, h := range append(list[2:], list[0], list[1]) {
			p.Down(h.p, h.s)
		}
	})
}

// A device that cannot be set up goes, and its name is free again.
func TestADeviceThatCannotBeSetUpGoes(t *testing.T) {
	owned(t, func(t *testing.T, p *ports, k *kernel) {
		k.broken = func(string) error { return errors.New("broken") }
		s := new(dataplane.Session)
		if _, err := p.Up(session.Route{MTU: 1400, Wire: &session.Wire{User: "alice"}}, s); err == nil {
			t.Error("it came up")
		}
		k.broken = nil
		p.Down(p.up(t, "alice", s), s)
		k.names["adit0-alice"] = true // somebody else's
		if _, err := p.Up(session.Route{MTU: 1400, Wire: &session.Wire{User: "alice"}}, s); err == nil {
			t.Error("it came up")
		}
		delete(k.names, "adit0-alice")
	})
}

// Who never ends closing keeps nobody from having a device.
func TestADeviceThatDoesNotEndKeepsNobodyOut(t *testing.T) {
	owned(t, func(t *testing.T, p *ports, _ *kernel) {
		a, b := new(dataplane.Session), new(dataplane.Session)
		first := p.up(t, "alice", a)
		for range closingAtOnce {
			p.closing <- struct{}{} // the kernel hangs
		}
		var ends sync.WaitGroup
		ends.Go(func() { p.Down(first, a) })
		synctest.Wait()
		began := time.Now()
		second := p.up(t, "alice", b)
		if d := time.Since(began); d > 2*closingPatience || second.Name() != conf.OwnDevice("adit0-", "alice", 2) {
			t.Errorf("%s after %v", second.Name(), d)
		}
		for range closingAtOnce {
			<-p.closing
		}
		p.Down(second, b)
		ends.Wait()
	})
}
