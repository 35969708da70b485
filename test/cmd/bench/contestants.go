package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/adit-vpn/adit/internal/admin"
)

// variant is one way to run this server and its client.
type variant struct {
	tier    string // ADIT_CPU of the server
	esp     string
	build   string   // "" or "-nocrypto", of both ends
	clients int      // 0: one
	client  []string // more flags
}

func aditKey(tier, esp string) string { return tier + "-" + esp }

var tiers = []struct{ env, name string }{{"avx512", "AVX-512"}, {"aesni", "AES-NI"}, {"generic", "pure Go"}}

var suites = []struct{ flag, name string }{{"cbc-sha1", "CBC-SHA1"}, {"cbc-sha256", "CBC-SHA256"}, {"gcm", "GCM"}}

// The contestants of bulk transfers.
const (
	best       = "avx512-cbc-sha1"
	noCrypto   = "nocrypto"
	naive      = "naive"
	softEther  = "softether"
	zeroSuffix = "-zero"
)

func contestants() []contestant {
	var all []contestant
	for _, s := range suites {
		for _, t := range tiers {
			all = append(all, adit(aditKey(t.env, s.flag), fmt.Sprintf("adit, %s, %s", t.name, s.name), variant{tier: t.env, esp: s.flag}))
		}
	}
	return append(all,
		adit(noCrypto, "adit, no cryptography", variant{esp: "cbc-sha1", build: "-nocrypto"}),
		contestant{naive, "naive Go, CBC-SHA1", startNaive},
	)
}

// adit is this server, with our own client.
func adit(key, name string, v variant) contestant {
	return contestant{key, name, func(ctx context.Context, l *lane) error {
		if err := l.startAdit(ctx, v); err != nil {
			return err
		}
		return l.startClient(ctx, "load"+v.build, append([]string{
			"-server", outsideServer, "-first", outsideClient, "-n", fmt.Sprint(max(1, v.clients)), "-inside", insideNet,
			"-esp", v.esp, "-psk", psk, "-user", user, "-password", password,
		}, v.client...)...)
	}}
}

func (l *lane) startAdit(ctx context.Context, v variant) error {
	socket := filepath.Join(l.dir, "adit.sock")
	file := filepath.Join(l.dir, "adit.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, l.dir, psk, socket, user, password), 0o600); err != nil {
		return err
	}
	args := []string{l.rig.program("adit" + v.build), "serve", "-c", file}
	if l.rig.profiled && v.build == "" {
		args = []string{l.rig.program("load"), "serve", "-pprof", l.pprof(), "-c", file}
	}
	var env []string
	if v.tier != "" {
		env = []string{"ADIT_CPU=" + v.tier}
	}
	var err error
	if l.server, err = l.start(ctx, l.srv, env, append(onServerCore(), args...)...); err != nil {
		return err
	}
	l.server.control = admin.NewClient(socket)
	return l.server.serves(ctx)
}

func (l *lane) pprof() string { return filepath.Join(l.dir, "pprof.sock") }

// startClient starts our client and waits until it is connected.
func (l *lane) startClient(ctx context.Context, program string, flags ...string) error {
	client, err := l.start(ctx, l.cli, nil, append(append(onOtherCores(), l.rig.program(program), "client"), flags...)...)
	if err != nil {
		return err
	}
	return client.order(&l.clients, "addresses")
}

// startNaive starts both ends of the naive path.
func startNaive(ctx context.Context, l *lane) (err error) {
	if l.server, err = l.start(ctx, l.srv, nil, append(onServerCore(), l.rig.program("naive"), "-role", "server",
		"-local", outsideServer+":4500", "-remote", outsideClient+":4500", "-address", insideServer+"/16")...); err != nil {
		return err
	}
	client, err := l.start(ctx, l.cli, nil, append(onOtherCores(), l.rig.program("naive"), "-role", "client",
		"-local", outsideClient+":4500", "-remote", outsideServer+":4500", "-address", "10.83.0.2/16")...)
	if err != nil {
		return err
	}
	l.clients = []netip.Addr{netip.MustParseAddr("10.83.0.2")}
	return errors.Join(l.server.line("ready"), client.line("ready"))
}
