package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/cmd/lab"
	"github.com/adit-vpn/adit/test/persona"
)

// personas are the clients that connect, in turn: with MODP 1024, MODP 2048 and
// P-384, and each with its own retransmissions.
var personas = []func() persona.Profile{
	func() persona.Profile { return persona.Windows10(persona.WindowsOptions{Length: true}) },
	func() persona.Profile { return persona.Apple(persona.AppleOptions{}) },
	func() persona.Profile { return persona.Android(persona.AndroidOptions{Deletes: true}) },
	func() persona.Profile { return persona.NetworkManager(persona.NetworkManagerOptions{}) },
	func() persona.Profile { return persona.Windows7(persona.WindowsOptions{Length: true}) },
}

// giveUp is how long a client waits for a connection at most.
const giveUp = 10 * time.Second

// newcomer is one honest client that connected, or did not.
type newcomer struct {
	who  string
	took time.Duration
	err  error
}

// newcomers connect at regular intervals, whether or not the previous ones have
// finished.
type newcomers struct {
	delay time.Duration // of the network, each way
	own   bool          // all of them have one address, from which attacks come, too
	n     int
	work  sync.WaitGroup
	mu    sync.Mutex
	done  []newcomer
}

// arrive makes newcomers arrive for a while, and waits for the last of them.
func (l *newcomers) arrive(ctx context.Context, every, d time.Duration) []newcomer {
	l.done = nil
	for until := time.Now().Add(d); time.Now().Before(until) && ctx.Err() == nil; lab.Pause(ctx, every) {
		i := l.n
		l.n++
		l.work.Go(func() {
			c := l.connect(i)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.done = append(l.done, c)
		})
	}
	l.work.Wait()
	return l.done
}

// source is the address from which a newcomer's datagrams are sent, as if by a
// NAT.
func (l *newcomers) source(i, port int) netip.AddrPort {
	if l.own {
		return netip.AddrPortFrom(netip.MustParseAddr(honestAddr), firstOwnPort+uint16(2*i+port))
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)}), uint16(20000+port))
}

// firstOwnPort is the first of the ports that newcomers with one address use.
const firstOwnPort = 40000

func (l *newcomers) connect(i int) newcomer {
	profile := personas[i%len(personas)]()
	net := udptest.New(uint64(i))
	net.SetPolicy(udptest.Policy{Delay: l.delay})
	home, far := net.Host("192.168.1.10"), net.Host(serverAddr)
	for k, port := range []uint16{500, 4500} {
		stop, err := bridge(far.Listen(port), netip.AddrPortFrom(home.Addr(), port), l.source(i, k), port)
		if err != nil {
			return newcomer{profile.Name, 0, err}
		}
		defer stop()
	}
	var rule error
	account := persona.Account{Server: far.Addr(), PSK: psk, User: user, Password: password}
	c := persona.New(profile, account, home, uint64(i), func(s string) { rule = errors.Join(rule, errors.New(s)) })
	began := time.Now()
	dialled := make(chan error, 1)
	go func() { dialled <- c.Dial() }()
	result := newcomer{who: profile.Name}
	select {
	case result.err = <-dialled:
		result.took = time.Since(began)
		if result.err == nil {
			lab.Pause(context.Background(), 100*time.Millisecond)
			_ = c.Close() // how it leaves does not matter here
		}
	case <-time.After(giveUp):
		result.took, result.err = time.Since(began), fmt.Errorf("not within %v", giveUp)
	}
	c.Vanish()
	if rule != nil && result.err == nil {
		result.err = rule
	}
	return result
}

// bridge carries datagrams between the real server and a simulated host that
// stands for it, through a socket in the honest clients' namespace.
func bridge(sim *udptest.Conn, home, from netip.AddrPort, port uint16) (stop func(), err error) {
	var real *net.UDPConn
	err = within(nsHonest, func() error {
		real, err = net.DialUDP("udp4", net.UDPAddrFromAddrPort(from), &net.UDPAddr{IP: net.ParseIP(serverAddr), Port: int(port)})
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for p := []udp.Packet{{}}; ; {
			p[0].Data = make([]byte, 4096)
			if _, err := sim.Receive(p); err != nil {
				return
			}
			_, _ = real.Write(p[0].Data) // packets may be lost, as in any network
		}
	}()
	go func() {
		for {
			b := make([]byte, 4096)
			n, err := real.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = sim.WriteBatch([]udp.Packet{{Data: b[:n], Remote: home}})
			}
		}
	}()
	return func() { _, _ = sim.Close(), real.Close() }, nil
}
