package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/adit-vpn/adit/test/cmd/lab"
)

// The server has a core for itself. Everything else that a measurement needs runs
// on the other cores.
const serverCore = 0

func onServerCore() []string { return pin(strconv.Itoa(serverCore)) }

func onOtherCores() []string {
	n := runtime.NumCPU()
	if n < 3 {
		return pin(strconv.Itoa(n - 1))
	}
	return pin(fmt.Sprintf("1-%d", n-1))
}

// pin is the command prefix that makes a program run on some cores, with priority
// over other programs of the machine.
func pin(cores string) []string { return []string{"nice", "-n", "-10", "taskset", "-c", cores} }

// inRealTime is the command prefix that gives a program real-time priority.
func inRealTime() []string { return []string{"chrt", "-f", "50"} }

// The addresses of every lane.
const (
	outsideServer = "203.0.113.1"
	outsideClient = "203.0.113.2"
	outsideNet    = "198.18.0.0/15" // addresses of additional clients
	outsideFirst  = "198.18.0.1"
	insideServer  = "10.83.0.1" // the server's address inside the tunnel
	insideNet     = "10.83.0.0/16"
	sinkPort      = ":5001"
)

// contestant is a system that is measured: how to start its server and its client
// in a lane.
type contestant struct {
	key, name string
	start     func(context.Context, *lane) error
}

// kind is what a lane's clients carry. Its value is the command of the program
// load that runs them.
type kind string

const (
	forTCP kind = "client" // packets of other programs: the clients have a TUN device
	forUDP kind = "stream" // packets of their own: they have none
)

// lane is a running contestant: a server and a client in namespaces of their own,
// joined by a pair of veth devices, and the two ends of TCP.
type lane struct {
	contestant
	kind       kind
	rig        *rig
	dir        string   // for files
	srv, cli   string   // namespaces
	hop        string   // namespace between them, if there is one
	tap        bool     // the server's clients are hosts of an office network
	server     *process // its processor time, and that of its children, is measured
	client     *process
	clients    []netip.Addr // inner addresses that traffic comes from
	inside     string       // address that traffic goes to
	sink, flow *process     // sink behind the server, flow at the clients
	blast      *process     // behind the server
	all        []*process
}

// lane makes the network and starts a contestant in it.
func (r *rig) lane(ctx context.Context, c contestant, k kind) (*lane, error) {
	l := &lane{contestant: c, kind: k, rig: r, dir: filepath.Join(r.dir, c.key), srv: "bench-" + c.key + "-s", cli: "bench-" + c.key + "-c", inside: insideServer}
	err := os.MkdirAll(l.dir, 0o700)
	if err == nil {
		err = l.network(ctx)
	}
	if err == nil {
		err = c.start(ctx, l)
	}
	if err == nil {
		err = l.ends(ctx)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lane) network(ctx context.Context) error {
	return lab.Commands(ctx,
		"ip netns add "+l.srv,
		"ip netns add "+l.cli,
		"ip netns exec "+l.srv+" sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
		"ip netns exec "+l.cli+" sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
		"ip -n "+l.srv+" link add out type veth peer name eth0 netns "+l.cli,
		"ip -n "+l.srv+" addr add "+outsideServer+"/24 dev out",
		"ip -n "+l.cli+" addr add "+outsideClient+"/24 dev eth0",
		"ip -n "+l.srv+" link set lo up",
		"ip -n "+l.cli+" link set lo up",
		"ip -n "+l.srv+" link set out up",
		"ip -n "+l.cli+" link set eth0 up",
		"ip -n "+l.srv+" route add "+outsideNet+" via "+outsideClient,
		"ip -n "+l.cli+" route add local "+outsideNet+" dev lo",
		// The client's datagrams arrive one by one, as from a distance, and the
		// server's device joins those that it may. In the other direction a train
		// is cut only beyond the server, as by a network card.
		"ip netns exec "+l.cli+" ethtool -K eth0 tso off tx-udp-segmentation off",
		"ip netns exec "+l.srv+" ethtool -K out gro on",
	)
}

// withoutSums puts a hop between the client and the server that removes the
// checksums of the client's datagrams. It cannot be done at the client: its kernel
// cuts no trains without checksums, and datagrams that it is given one by one
// reach the server one by one, at the client's pace, unlike those from a network.
func (l *lane) withoutSums(ctx context.Context) error {
	hop := "bench-" + l.key + "-h"
	if err := lab.Commands(ctx,
		"ip netns add "+hop,
		"ip -n "+l.cli+" link set eth0 netns "+hop+" name right",
		"ip -n "+hop+" link add left type veth peer name eth0 netns "+l.cli,
		"ip -n "+l.cli+" addr add "+outsideClient+"/24 dev eth0",
		"ip -n "+l.cli+" link set eth0 up",
		"ip -n "+hop+" link set left up",
		"ip -n "+hop+" link set right up",
		"ip netns exec "+l.cli+" ethtool -K eth0 tso off tx-udp-segmentation off",
		"ip netns exec "+hop+" ethtool -K right tso off tx-udp-segmentation off",
	); err != nil {
		return err
	}
	l.hop = hop
	rules := exec.CommandContext(ctx, "ip", "netns", "exec", hop, "nft", "-f", "-")
	rules.Stdin = strings.NewReader(`table netdev hop {
	chain left { type filter hook ingress device "left" priority 0; udp checksum set 0; fwd to "right"; }
	chain right { type filter hook ingress device "right" priority 0; fwd to "left"; }
}`)
	if out, err := rules.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// ends starts the programs between which traffic flows, in addition to the
// clients.
func (l *lane) ends(ctx context.Context) (err error) {
	if l.sink, err = l.load(ctx, l.srv, "sink", "-target", l.inside+sinkPort); err != nil {
		return err
	}
	var c counters
	if err := l.sink.order(&c, "info"); err != nil { // once it has answered, it listens
		return err
	}
	if l.kind == forUDP {
		l.blast, err = l.load(ctx, l.srv, "blast")
		return err
	}
	l.flow, err = l.load(ctx, l.cli, "flows", "-target", l.inside+sinkPort)
	return err
}

// startLanes starts contestants, and reports why some of them did not start.
func (b *bench) startLanes(ctx context.Context, all []contestant, k kind, absent func(contestant, string)) ([]*lane, error) {
	var lanes []*lane
	for _, c := range all {
		l, err := b.rig.lane(ctx, c, k)
		if err != nil {
			why, err := broken(ctx, err)
			if err != nil {
				closeLanes(lanes)
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "%s: not measured: %s\n", c.name, why)
			absent(c, why)
			continue
		}
		lanes = append(lanes, l)
	}
	return lanes, nil
}

func closeLanes(lanes []*lane) {
	for _, l := range lanes {
		l.close()
	}
}

// start runs a program in a namespace of the lane. The program ends with the lane.
func (l *lane) start(ctx context.Context, ns string, env []string, args ...string) (*process, error) {
	p, err := l.rig.start(ctx, ns, env, args...)
	if err == nil {
		l.all = append(l.all, p)
	}
	return p, err
}

// load runs the program load of this build.
func (l *lane) load(ctx context.Context, ns string, args ...string) (*process, error) {
	return l.start(ctx, ns, nil, append(append(onOtherCores(), l.rig.program("load")), args...)...)
}

// stop ends the programs, but keeps the network.
func (l *lane) stop() {
	for _, p := range l.all {
		p.kill()
	}
}

func (l *lane) close() {
	l.stop()
	for _, ns := range []string{l.srv, l.cli, l.hop} {
		_ = exec.Command("ip", "netns", "del", ns).Run() // they may not exist
	}
}

// addresses are the sources of n flows, shared out among all clients in turn, in
// the form that the program load accepts.
func (l *lane) addresses(n int) string {
	var s []string
	for i := range n {
		s = append(s, l.clients[i%len(l.clients)].String())
	}
	return strings.Join(s, ",")
}

// broken is a short form of why a lane could not be started: the last output. If
// the reason is only that the run was ended, it returns an error for the whole
// run.
func broken(ctx context.Context, err error) (string, error) {
	if ctx.Err() != nil {
		return "", errors.Join(err, ctx.Err())
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(lines[len(lines)-1]), nil
}
