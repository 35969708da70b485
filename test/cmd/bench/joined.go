package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// joined are the contestants that join two sites, with a server of ours at each end, and
// the session of a client whose server's device is a TAP.
func joined() []contestant {
	always, auto := `nat_traversal = "always"`, `nat_traversal = "auto"`
	return []contestant{
		between("link", "adit to adit, a link's device", always, link),
		between("link-esp", "adit to adit, a link's device, ESP without UDP", auto, link),
		between("gre", "adit to adit, GRE", always, tunnel("gre")),
		between("gre-esp", "adit to adit, GRE, ESP without UDP", auto, tunnel("gre")),
		between("ipip", "adit to adit, IP in IP", always, tunnel("ipip")),
		{"tap", "adit, AVX-512, CBC-SHA1, TAP", startTAP},
	}
}

// joint is the name of the link or tunnel, and of its device, at both ends.
const joint = "joint"

// insidePeer is the client's address inside where it is a site.
const insidePeer = "10.83.0.2"

// end is one of two sites.
type end struct{ remote, address, peer string }

// link is a [[link]] that the client's site dials.
func link(e end) string {
	dial, us, them := "never", "server", "client"
	if e.address == insidePeer {
		dial, us, them = "always", them, us
	}
	return fmt.Sprintf(`[[link]]
name = %[1]q
remote = [%[2]q]
dial = %[3]q
user = %[4]q
password = %[6]q
peer_user = %[5]q
peer_password = %[6]q
address = %[7]q
peer_address = %[8]q
`, joint, e.remote, dial, us, them, password, e.address, e.peer)
}

// tunnel is a [[tunnel]] that either site begins.
func tunnel(mode string) func(end) string {
	return func(e end) string {
		return fmt.Sprintf("[[tunnel]]\nname = %q\nmode = %q\nremote = %q\naddress = %q\npeer_address = %q\nmtu = %d\n", joint, mode, e.remote, e.address, e.peer, innerMTU)
	}
}

// innerMTU is the MTU of every device that carries the packets inside a tunnel, in
// bytes.
const innerMTU = 1400

// site is the configuration of a site.
const site = `[server]
listen = ["0.0.0.0"]
state_dir = %[1]q
[ipsec]
psk = %[2]q
esp = ["aes256-sha1"]
%[3]s
[network]
pool = ["10.84.0.0/16"]
masquerade = false
[admin]
socket = %[4]q
`

// between is a link or tunnel between two servers of ours: the one that is measured, and
// one in the client's place.
func between(key, name, ipsec string, what func(end) string) contestant {
	return contestant{key, name, func(ctx context.Context, l *lane) error {
		start := func(of, ns string, prefix, env []string, e end) (*process, error) {
			dir := filepath.Join(l.dir, of)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, err
			}
			socket, file := filepath.Join(dir, "adit.sock"), filepath.Join(dir, "adit.toml")
			if err := os.WriteFile(file, []byte(fmt.Sprintf(site, dir, psk, ipsec, socket)+what(e)), 0o600); err != nil {
				return nil, err
			}
			p, err := l.start(ctx, ns, env, append(prefix, l.rig.program("adit"), "serve", "-c", file)...)
			if err != nil {
				return nil, err
			}
			p.control = admin.NewClient(socket)
			return p, p.serves(ctx)
		}
		var err error
		if l.server, err = start("server", l.srv, onServerCore(), []string{"ADIT_CPU=avx512"}, end{outsideClient, insideServer, insidePeer}); err != nil {
			return err
		}
		if l.client, err = start("client", l.cli, onOtherCores(), nil, end{outsideServer, insidePeer, insideServer}); err != nil {
			return err
		}
		l.clients = []netip.Addr{netip.MustParseAddr(insidePeer)}
		return errors.Join(l.server.joins(ctx), l.client.joins(ctx))
	}}
}

// joins waits until the process's link is up.
func (p *process) joins(ctx context.Context) error {
	for until := time.Now().Add(15 * time.Second); ; {
		links, err := p.control.Links(ctx)
		if err == nil && len(links) == 1 && links[0].State == "up" {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(until) {
			return errors.Join(fmt.Errorf("the link is not up: %+v", links), err, p.complaint())
		}
		lab.Pause(ctx, 50*time.Millisecond)
	}
}

// startTAP starts a server whose clients are hosts of an office network, which is a bridge
// of the server's.
func startTAP(ctx context.Context, l *lane) error {
	if err := lab.Commands(ctx,
		"ip -n "+l.srv+" link add office type bridge forward_delay 0",
		"ip -n "+l.srv+" addr add "+insideServer+"/16 dev office",
		"ip -n "+l.srv+" link set office up",
	); err != nil {
		return err
	}
	l.tap = true
	return adit(l.key, l.name, variant{tier: "avx512", esp: "cbc-sha1"}).start(ctx, l)
}

// inTAP is a configuration for an office network, whose hosts the server guards nothing of.
func inTAP(config string) string {
	return strings.NewReplacer(
		`device = "adit0"`, `device = "adit0"
mode = "tap"
bridge = "office"
lan = "10.83.0.0/16"
gateway = "`+insideServer+`"`,
		`"10.83.0.0/16"`, `"10.83.0.2-10.83.0.99"`,
		`inbound = ["0.0.0.0/0", "::/0"]
host_access = ["all"]
`, "").Replace(config)
}
