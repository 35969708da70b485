//go:build real

// Command lowered is adit serve on a host that can do less: what the data path
// does without some of the kernel's help is tested with it. The product has no
// such switches.
//
//	lowered [serve] -c FILE -pprof SOCKET -without no-gro,... -lifetime 1m
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/vpn"
)

// What there may be less of.
const (
	gro  = "gro"  // the kernel joins received datagrams
	sums = "sums" // UDP checksums; without them, Linux cuts no trains: EINVAL

	uso      = "uso"      // the TUN device's super-packets of UDP
	offloads = "offloads" // all of its super-packets, and partial checksums
	headers  = "headers"  // its vnet headers
)

var known = []string{gro, sums, uso, offloads, headers}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lowered:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("lowered", flag.ContinueOnError)
	config := f.String("c", "", "configuration file")
	profiles := f.String("pprof", "", "path of the socket with profiles")
	lifetime := f.Duration("lifetime", 0, "lifetime of ESP's keys, of which those of IKE have three; 0: the product's")
	without := f.String("without", "", "what is missing, by commas: "+strings.Join(known, ", "))
	if len(args) > 0 && args[0] == "serve" { // as adit's own
		args = args[1:]
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	var missing []string
	for word := range strings.FieldsFuncSeq(*without, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(known, word) {
			return fmt.Errorf("there is no %q to be without", word)
		}
		missing = append(missing, word)
	}
	load := func() (*conf.Config, error) { return conf.Load(*config, os.Environ()) }
	c, err := load()
	if err != nil {
		return err
	}
	end, err := serveProfiles(ctx, *profiles)
	if err != nil {
		return err
	}
	defer end()
	return app.Run(ctx, app.Options{
		Config: c, Load: load, Log: os.Stderr, Version: "lowered",
		Tune: func(p *vpn.Policy) {
			if *lifetime > 0 {
				p.IKE.ChildLifetime, p.IKE.Lifetime = *lifetime, 3**lifetime
			}
		},
		Socket: func(s *udp.Socket) error { return lowerSocket(s, missing) },
		Device: func(name string, mtu, queues int) (netdev.Device, error) {
			c := netdev.TUNConfig{Name: name, MTU: mtu, Queues: queues}
			for word, most := range map[string]netdev.Offloads{uso: netdev.TCPOffloads, offloads: netdev.NoOffloads, headers: netdev.NoHeaders} {
				if slices.Contains(missing, word) {
					c.Offloads = max(c.Offloads, most)
				}
			}
			return netdev.OpenTUN(c)
		},
	})
}

// serveProfiles answers what net/http/pprof does, on a socket of its own.
func serveProfiles(ctx context.Context, path string) (end func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	server := http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	return func() { _ = server.Close() }, nil
}

// lowerSocket takes options from a socket.
func lowerSocket(s *udp.Socket, missing []string) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var errs []error
	err = raw.Control(func(fd uintptr) {
		if slices.Contains(missing, gro) {
			errs = append(errs, unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 0))
		}
		if slices.Contains(missing, sums) {
			errs = append(errs, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1))
		}
	})
	return errors.Join(append(errs, err)...)
}
