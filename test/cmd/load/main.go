// Load is the other end of the benchmarks: clients of every kind, and the far
// host behind the server. The program bench runs it, in a network namespace.
//
//	load crowd   many clients, each from an address of its own
//	load echo    one client that pings the server all the time
//	load client  clients with a TUN device, for other programs' traffic
//	load stream  the same without a device: they send by themselves, and count
//	load blast   a host behind the server that sends UDP to clients
//	load probe   one client that measures how long answers take
//	load udpecho the host behind the server that gives them
//	load flows   TCP connections, through the device or past it
//	load sink    the TCP host that flows talks to
//	load depot   a web server behind the server
//	load serve   the server, with profiles on a socket
//
// All except serve read commands, one on each line, and answer each with a line of
// JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/test/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("which: crowd, echo, client, stream, blast, probe, udpecho, flows, sink, depot or serve?")
	}
	o := options{}
	f := flag.NewFlagSet("load "+args[0], flag.ContinueOnError)
	f.Var(&address{&o.server}, "server", "the server's address")
	f.Var(&address{&o.first}, "first", "first source address of the clients")
	f.StringVar(&o.psk, "psk", "", "pre-shared key")
	f.StringVar(&o.user, "user", "", "user name")
	f.StringVar(&o.password, "password", "", "password")
	f.IntVar(&o.group, "group", int(ike.GroupECP256), "key exchange of phase 1, by its IANA number")
	f.StringVar(&o.hash, "hash", "sha256", "of phase 1: sha1 or sha256")
	f.StringVar(&o.esp, "esp", "cbc-sha1", "cbc-sha1, cbc-sha256 or gcm")
	f.IntVar(&o.n, "n", 1, "client, stream: how many")
	f.Var(&prefix{&o.inside}, "inside", "client, stream: the network behind the server")
	f.BoolVar(&o.zero, "zero", false, "send datagrams without a checksum")
	f.StringVar(&o.target, "target", "", "host behind the server, host:port for TCP")
	f.Var(&address{&o.lease}, "lease", "without IKE: the client's address inside")
	f.UintVar(&o.upSPI, "up-spi", 0, "without IKE: the SPI that the server receives on")
	f.StringVar(&o.upKey, "up-key", "", "without IKE: of ESP to the server, hexadecimal: AES-256 and HMAC-SHA1")
	f.StringVar(&o.downKey, "down-key", "", "without IKE: of ESP from the server")
	f.StringVar(&o.config, "c", "", "serve: configuration file")
	f.StringVar(&o.pprof, "pprof", "", "serve: path of the socket with profiles")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "crowd":
		o.crowd = true
		return runCrowd(ctx, o)
	case "echo":
		return runEcho(ctx, o)
	case "client":
		return runClient(ctx, o)
	case "stream":
		return runStream(ctx, o)
	case "probe":
		return runProbe(ctx, o)
	case "depot":
		return runDepot(ctx, o)
	case "udpecho":
		return runUDPEcho(ctx, o)
	case "blast":
		return runBlast(ctx, o)
	case "flows":
		return runFlows(ctx, o)
	case "sink":
		return runSink(ctx, o)
	case "serve":
		return runServe(ctx, o)
	default:
		return fmt.Errorf("there is no load %s", args[0])
	}
}

type options struct {
	server, first       netip.Addr
	psk, user, password string
	group, n            int
	hash, esp, target   string
	zero, crowd         bool
	inside              netip.Prefix
	lease               netip.Addr
	upSPI               uint
	upKey, downKey      string
	config, pprof       string
}

// address is a flag with an address.
type address struct{ a *netip.Addr }

func (a *address) String() string { return "" }

func (a *address) Set(s string) (err error) {
	*a.a, err = netip.ParseAddr(s)
	return err
}

// prefix is a flag with a prefix.
type prefix struct{ p *netip.Prefix }

func (p *prefix) String() string { return "" }

func (p *prefix) Set(s string) (err error) {
	*p.p, err = netip.ParsePrefix(s)
	return err
}

// suites are the suites that the flags may name.
var suites = map[string]ike.ESPSuite{
	"cbc-sha1":   {Cipher: ike.ESPAESCBC, KeyBits: 256, Auth: ike.ESPAuthSHA1_96},
	"cbc-sha256": {Cipher: ike.ESPAESCBC, KeyBits: 256, Auth: ike.ESPAuthSHA256_128},
	"gcm":        {Cipher: ike.ESPAESGCM16, KeyBits: 256},
}

var hashes = map[string]ike.Hash{"sha1": ike.HashSHA1, "sha256": ike.HashSHA256}

// fleet starts clients that share one device.
func (o options) fleet(device netdev.Device) (*client.Fleet, error) {
	esp, ok := suites[o.esp]
	hash, ok2 := hashes[o.hash]
	if !ok || !ok2 {
		return nil, fmt.Errorf("there is no suite %q with hash %q", o.esp, o.hash)
	}
	sockets, err := o.sockets()
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		Workers: [][]dataplane.Socket{sockets}, Device: device,
		PSK:    secret.String(o.psk),
		Suites: []ike.Suite{{Cipher: ike.CipherAES, KeyBits: 256, Hash: hash, Group: ike.Group(o.group)}},
		ESP:    []ike.ESPSuite{esp},
		Pools:  []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16")},
		Slots:  1 << 17,
	})
}

// sockets are the sockets of one worker.
func (o options) sockets() (sockets []dataplane.Socket, err error) {
	for _, port := range []uint16{client.IKEPort, client.NATTPort} {
		bound := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
		if o.n == 1 && !o.crowd {
			bound = netip.AddrPortFrom(o.first, port) // other clients may run beside us
		}
		opened, err := udp.Listen(bound, 1)
		if err != nil {
			return nil, err
		}
		conn := udp.Conn(opened[0])
		if o.zero {
			if conn, err = newPlain(opened[0]); err != nil {
				return nil, err
			}
		}
		sockets = append(sockets, dataplane.Socket{Conn: conn, Bound: bound, Kind: dataplane.KindOf(port)})
	}
	return sockets, nil
}

func (o options) dial(from netip.Addr) client.Target {
	return client.Target{Local: from, Server: o.server, User: o.user, Password: o.password}
}

// serve answers commands from the standard input until it ends.
func serve(ctx context.Context, do func(words []string) (any, error)) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(os.Stdin)
		s.Buffer(nil, 1<<20) // enough for a thousand addresses
		for s.Scan() {
			lines <- s.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			answer, err := do(strings.Fields(line))
			if err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
			if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
				return err
			}
		}
	}
}
