package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// The namespaces of the server, of honest clients and of the attacker.
const (
	nsServer   = "siege-srv"
	nsHonest   = "siege-hon"
	nsAttacker = "siege-att"
)

// The addresses. Everybody dials one address of the server. Honest clients and
// attackers have networks of their own, and all other addresses are routed to the
// attacker, so that answers to forged sources leave the server.
const (
	serverAddr   = "203.0.113.1"
	honestAddr   = "203.0.113.2"
	honestNet    = "198.19.0.0/16"
	attackerAddr = "198.51.100.2"
	attackerNet  = "198.18.0.0/16"
	server6      = "2001:db8:51::1"
	attacker6    = "2001:db8:51::2"
	attackerNet6 = "2001:db8:a::/48"
	insideAddr   = "10.83.0.1"
)

const (
	psk      = "a pre-shared key for a siege"
	user     = "honest"
	password = "a password for a siege"
)

const config = `[server]
listen = ["0.0.0.0", "::"]
state_dir = %[1]q
[ipsec]
psk = %[2]q
%[6]s
[network]
device = "adit0"
pool = ["10.83.0.0/16"]
masquerade = false
[admin]
socket = %[3]q
[[user]]
name = %[4]q
password = %[5]q
%[7]s
`

// rig is the environment of a row: a server of its own in a network of its own.
type rig struct {
	dir     string // programs and files
	cores   cores
	profile bool
}

// cores says which processors the server uses, and which ones all others use.
type cores struct{ server, others string }

func split() cores { return cores{"0", fmt.Sprintf("%d", runtime.NumCPU()-1)} }

// on is the command prefix that makes a program run on some cores.
func on(list string, nice int) []string {
	c := []string{"nice", "-n", fmt.Sprint(nice)}
	if list != "" {
		c = append(c, "taskset", "-c", list)
	}
	return c
}

// stay keeps all threads of this process on some cores.
func stay(core int) error {
	var set unix.CPUSet
	set.Set(core)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		var tid int
		if _, err := fmt.Sscan(t.Name(), &tid); err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

func (r *rig) network(ctx context.Context) error {
	removeNetwork()
	for _, ns := range []string{nsServer, nsHonest, nsAttacker} {
		if err := lab.Commands(ctx,
			"ip netns add "+ns,
			"ip -n "+ns+" link set lo up",
			"ip netns exec "+ns+" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
		); err != nil {
			return err
		}
	}
	return lab.Commands(ctx,
		"ip -n "+nsServer+" link add honest type veth peer name eth0 netns "+nsHonest,
		"ip -n "+nsServer+" link add attack type veth peer name eth0 netns "+nsAttacker,
		"ip -n "+nsServer+" addr add "+serverAddr+"/24 dev honest",
		"ip -n "+nsServer+" addr add 198.51.100.1/24 dev attack",
		"ip -n "+nsServer+" addr add "+server6+"/64 dev attack nodad",
		"ip -n "+nsHonest+" addr add "+honestAddr+"/24 dev eth0",
		"ip -n "+nsAttacker+" addr add "+attackerAddr+"/24 dev eth0",
		"ip -n "+nsAttacker+" addr add "+attacker6+"/64 dev eth0 nodad",
		"ip -n "+nsServer+" link set honest up",
		"ip -n "+nsServer+" link set attack up",
		"ip -n "+nsHonest+" link set eth0 up",
		"ip -n "+nsAttacker+" link set eth0 up",
		"ip -n "+nsServer+" route add "+honestNet+" via "+honestAddr,
		"ip -n "+nsServer+" route add default via "+attackerAddr,
		"ip -n "+nsServer+" -6 route add "+attackerNet6+" via "+attacker6,
		"ip -n "+nsHonest+" route add local "+honestNet+" dev lo",
		"ip -n "+nsAttacker+" route add local "+attackerNet+" dev lo",
		"ip -n "+nsAttacker+" -6 route add local "+attackerNet6+" dev lo",
		"ip netns exec "+nsAttacker+" sysctl -qw net.ipv6.ip_nonlocal_bind=1", // sources in the attacker's IPv6 network
		// Packets to forged sources are dropped here at once, as they would be
		// beyond a network card: otherwise the kernel would look for their
		// receiver on the server's core.
		"ip netns exec "+nsAttacker+" nft add table netdev siege",
		"ip netns exec "+nsAttacker+" nft add chain netdev siege in { type filter hook ingress device eth0 priority 0 ; }",
		"ip netns exec "+nsAttacker+" nft add rule netdev siege in ip daddr 11.0.0.0-110.255.255.255 drop",
		"ip -n "+nsAttacker+" route add "+serverAddr+" via 198.51.100.1",
	)
}

func removeNetwork() {
	for _, ns := range []string{nsServer, nsHonest, nsAttacker} {
		_ = exec.Command("ip", "netns", "del", ns).Run() // they may not exist
	}
}

// within calls f on a thread that is in a namespace: sockets that f opens belong
// to that namespace permanently. Afterwards the thread returns to its own
// namespace. It must not end, because the server dies with the thread that started
// it (Pdeathsig).
func within(ns string, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + ns)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // everything after it would run in the wrong namespace
	}
	return err
}

// server starts a server and waits until it is ready.
func (r *rig) server(ctx context.Context, row row) (*server, error) {
	state, err := os.MkdirTemp(r.dir, "state")
	if err != nil {
		return nil, err
	}
	s := &server{socket: filepath.Join(state, "adit.sock"), log: filepath.Join(state, "log"), pprof: filepath.Join(state, "pprof.sock")}
	file := filepath.Join(state, "adit.toml")
	text := fmt.Sprintf(config, state, psk, s.socket, user, password, row.ipsec, row.config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	args := append([]string{"netns", "exec", nsServer}, on(r.cores.server, -5)...)
	if r.profile {
		args = append(args, filepath.Join(r.dir, "load"), "serve", "-pprof", s.pprof, "-c", file)
	} else {
		args = append(args, filepath.Join(r.dir, "adit"), "serve", "-c", file)
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.CommandContext(ctx, "ip", args...)
	s.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ADIT_") })
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	control := admin.NewClient(s.socket)
	for until := time.Now().Add(10 * time.Second); ; lab.Pause(ctx, 50*time.Millisecond) {
		if _, err = control.Status(ctx); err == nil {
			return s, nil
		}
		if ctx.Err() != nil || time.Now().After(until) {
			said, _ := os.ReadFile(s.log)
			s.kill()
			return nil, fmt.Errorf("the server did not start: %w: %s", err, said)
		}
	}
}
