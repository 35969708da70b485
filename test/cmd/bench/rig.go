package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// The namespaces of the server, of the many clients, and of the one client that is
// observed.
const (
	nsServer = "bench-srv"
	nsCrowd  = "bench-cli"
	nsOne    = "bench-one"
)

// The addresses. Each client of the crowd has one in crowdNet.
const (
	serverAddr = "192.0.2.1"
	oneServer  = "203.0.113.1" // the server's, on the link to the one client
	oneAddr    = "203.0.113.2"
	crowdFirst = "198.18.0.1"
	crowdNet   = "198.18.0.0/15"
	insideAddr = insideServer
)

const (
	psk      = "a pre-shared key for benchmarks"
	user     = "bench"
	password = "a password for benchmarks"
)

const config = `[server]
listen = ["0.0.0.0"]
state_dir = %[1]q
[ipsec]
psk = %[2]q
[network]
device = "adit0"
pool = ["10.83.0.0/16"]
masquerade = false
inbound = ["0.0.0.0/0", "::/0"]
host_access = ["all"]
[limits]
connections = 100000
half_open = 20000
half_open_per_source = 20000
[admin]
socket = %[3]q
[[user]]
name = %[4]q
password = %[5]q
`

// rig is the environment in which everything runs.
type rig struct {
	dir      string // programs and files
	profiled bool
	running  []*process
}

// network makes the network of the many clients and of the one that is observed.
func (r *rig) network(ctx context.Context) error {
	r.removeNetwork() // the network of the previous part
	return lab.Commands(ctx,
		"ip netns add "+nsServer,
		"ip netns add "+nsCrowd,
		"ip netns add "+nsOne,
		"ip -n "+nsServer+" link add crowd type veth peer name eth0 netns "+nsCrowd,
		"ip -n "+nsServer+" link add one type veth peer name eth0 netns "+nsOne,
		"ip -n "+nsServer+" addr add "+serverAddr+"/24 dev crowd",
		"ip -n "+nsCrowd+" addr add 192.0.2.2/24 dev eth0",
		"ip -n "+nsServer+" addr add "+oneServer+"/24 dev one",
		"ip -n "+nsOne+" addr add "+oneAddr+"/24 dev eth0",
		"ip -n "+nsServer+" link set crowd up",
		"ip -n "+nsServer+" link set one up",
		"ip -n "+nsServer+" link set lo up",
		"ip -n "+nsCrowd+" link set eth0 up",
		"ip -n "+nsCrowd+" link set lo up",
		"ip -n "+nsOne+" link set eth0 up",
		"ip -n "+nsOne+" link set lo up",
		"ip -n "+nsServer+" route add "+crowdNet+" via 192.0.2.2",
		"ip -n "+nsCrowd+" route add local "+crowdNet+" dev lo",
	)
}

func (r *rig) close() {
	for _, p := range r.running {
		p.kill()
	}
	r.removeNetwork()
}

func (r *rig) removeNetwork() {
	for _, ns := range []string{nsServer, nsCrowd, nsOne} {
		_ = exec.Command("ip", "netns", "del", ns).Run() // they may not exist
	}
}

// scratch is how the names of runs' directories, and of their lock, begin.
const scratch = "adit-bench"

// sweep removes what killed runs left. There is no other run at this time.
func sweep() {
	out, _ := exec.Command("ip", "netns", "list").Output() // there may be none
	for line := range strings.Lines(string(out)) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); ours.MatchString(name) {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	}
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), scratch+"[0-9]*")) // the pattern is valid
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
}

// ours matches the namespaces of all runs.
var ours = regexp.MustCompile("^bench-(srv|cli|one|.+-[sch])$")

// server starts a fresh server and waits until it is ready. prefix may put
// programs such as taskset in front of it.
func (r *rig) server(ctx context.Context, prefix ...string) (*process, error) {
	socket := filepath.Join(r.dir, "adit.sock")
	file := filepath.Join(r.dir, "adit.toml")
	text := fmt.Sprintf(config, r.dir, psk, socket, user, password)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	args := []string{r.program("adit"), "serve", "-c", file}
	if r.profiled {
		_ = os.Remove(r.pprof())
		args = []string{r.program("load"), "serve", "-pprof", r.pprof(), "-c", file}
	}
	p, err := r.start(ctx, nsServer, nil, append(prefix, args...)...)
	if err != nil {
		return nil, err
	}
	p.control = admin.NewClient(socket)
	return p, p.serves(ctx)
}

// program is the path of a program that was built.
func (r *rig) program(name string) string { return filepath.Join(r.dir, "bin", name) }

func (r *rig) pprof() string { return filepath.Join(r.dir, "pprof.sock") }

// load starts the program load, the other end of a measurement.
func (r *rig) load(ctx context.Context, ns string, prefix []string, args ...string) (*process, error) {
	return r.start(ctx, ns, nil, append(append(prefix, r.program("load")), args...)...)
}

// crowd starts the many clients.
func (r *rig) crowd(ctx context.Context, group int, prefix ...string) (*process, error) {
	return r.load(ctx, nsCrowd, prefix, "crowd", "-server", serverAddr, "-first", crowdFirst,
		"-group", fmt.Sprint(group), "-psk", psk, "-user", user, "-password", password)
}

// one starts one client.
func (r *rig) one(ctx context.Context, prefix []string, what, target, esp string) (*process, error) {
	return r.load(ctx, nsOne, prefix, what, "-server", oneServer, "-first", oneAddr, "-target", target, "-esp", esp,
		"-psk", psk, "-user", user, "-password", password)
}

// packets is how many packets the server has exchanged with the crowd.
func (r *rig) packets(ctx context.Context) (n float64, err error) {
	for _, way := range []string{"rx", "tx"} {
		out, err := exec.CommandContext(ctx, "ip", "netns", "exec", nsServer, "cat", "/sys/class/net/crowd/statistics/"+way+"_packets").Output()
		if err != nil {
			return 0, fmt.Errorf("the server's interface: %w", err)
		}
		k, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}
