package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// variant is one configuration of this server and its client.
type variant struct {
	tier    string // ADIT_CPU for the server
	esp     string
	build   string   // "" or "-nocrypto", of both ends
	clients int      // 0: one
	client  []string // additional flags
	pprof   bool     // the server can be profiled
	first   bool     // the server has real-time priority over all other programs
	cut     bool     // the server's device does not cut trains, so its kernel has to
	noSums  bool     // the client's datagrams come without checksums
}

func aditKey(tier, esp string) string { return tier + "-" + esp }

var tiers = []struct{ env, name string }{{"avx512", "AVX-512"}, {"aesni", "AES-NI"}, {"generic", "pure Go"}}

var suites = []struct{ flag, name string }{{"cbc-sha1", "CBC-SHA1"}, {"cbc-sha256", "CBC-SHA256"}}

// The contestants of bulk transfers.
const (
	best      = "avx512-cbc-sha1"
	noCrypto  = "nocrypto"
	naive     = "naive"
	softEther = "softether"
	bare      = "bare"
	noSums    = best + "-zero"
	oneByOne  = noSums + "-one"
)

// quickly are the contestants of a short run.
var quickly = []string{best, aditKey("aesni", "cbc-sha1"), aditKey("generic", "cbc-sha1"), noSums, noCrypto, naive, softEther, bare}

func contestants() []contestant {
	var all []contestant
	for _, s := range suites {
		for _, t := range tiers {
			all = append(all, adit(aditKey(t.env, s.flag), fmt.Sprintf("adit, %s, %s", t.name, s.name), variant{tier: t.env, esp: s.flag}))
		}
	}
	// Contestants that are compared to within a few percent are measured one after
	// the other.
	all = slices.Insert(all, 1, adit(noCrypto, "adit, no cryptography", variant{esp: "cbc-sha1", build: "-nocrypto"}))
	all = append(all,
		adit("gcm", "adit, GCM, in every tier", variant{esp: "gcm"}), // the implementation of the standard library
		adit(noSums, "adit, AVX-512, CBC-SHA1, client sends no UDP checksums", variant{tier: "avx512", esp: "cbc-sha1", noSums: true}),
		adit(oneByOne, "adit, AVX-512, CBC-SHA1, the same, and a system call for each datagram", variant{tier: "avx512", esp: "cbc-sha1", client: []string{"-zero"}}),
		adit(best+"-cut", "adit, AVX-512, CBC-SHA1, server's device cuts no trains", variant{tier: "avx512", esp: "cbc-sha1", cut: true}),
	)
	all = append(all, joined()...)
	return append(all,
		contestant{naive, "naive Go, CBC-SHA1", startNaive},
		contestant{softEther, "SoftEther, CBC-SHA1", startSoftEther},
		contestant{bare, "no tunnel", startBare},
	)
}

// adit is this server with our own client.
func adit(key, name string, v variant) contestant {
	return contestant{key, name, func(ctx context.Context, l *lane) error {
		if v.cut {
			if err := lab.Commands(ctx, "ip netns exec "+l.srv+" ethtool -K out tx-udp-segmentation off"); err != nil {
				return err
			}
		}
		if v.noSums {
			if err := l.withoutSums(ctx); err != nil {
				return err
			}
		}
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
	text := fmt.Sprintf(config, l.dir, psk, socket, user, password)
	if l.tap {
		text = inTAP(text)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	args := []string{l.rig.program("adit" + v.build), "serve", "-c", file}
	if (v.pprof || l.rig.profiled) && v.build == "" {
		args = []string{l.rig.program("load"), "serve", "-pprof", l.pprof(), "-c", file}
	}
	if v.first {
		args = append(inRealTime(), args...)
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
	var err error
	l.client, err = l.start(ctx, l.cli, nil, append(append(onOtherCores(), l.rig.program(program), string(l.kind)), flags...)...)
	if err != nil {
		return err
	}
	return l.client.order(&l.clients, "addresses")
}

// The keys of the naive path, and the SPI of its client's packets. No secret data
// is carried.
const (
	naiveUpSPI   = 0x4711
	naiveUpKey   = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef01234567"
	naiveDownKey = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100fedcba9876543210fedcba9876543210fedcba98"
	naiveClient  = "10.83.0.2"
)

// startNaive starts the naive path, with our own data path as its client: the
// faster the client is, the better the server's result.
func startNaive(ctx context.Context, l *lane) error {
	if err := l.startClient(ctx, "load", "-server", outsideServer, "-first", outsideClient, "-inside", insideNet,
		"-lease", naiveClient, "-up-spi", fmt.Sprint(naiveUpSPI), "-up-key", naiveUpKey, "-down-key", naiveDownKey); err != nil {
		return err
	}
	var spi uint32
	if err := l.client.order(&spi, "spi"); err != nil {
		return err
	}
	var err error
	l.server, err = l.start(ctx, l.srv, nil, append(onServerCore(), l.rig.program("naive"),
		"-local", outsideServer+":4500", "-remote", outsideClient+":4500", "-address", insideServer+"/16",
		"-in-spi", fmt.Sprint(naiveUpSPI), "-in-key", naiveUpKey, "-out-spi", fmt.Sprint(spi), "-out-key", naiveDownKey)...)
	if err != nil {
		return err
	}
	return l.server.line("ready")
}

// startBare starts nothing: it measures the same path without a tunnel.
func startBare(_ context.Context, l *lane) error {
	l.inside, l.clients = outsideServer, []netip.Addr{netip.MustParseAddr(outsideClient)}
	return nil
}
