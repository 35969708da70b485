package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// Where test/guest/net puts the server, and the scripts of the guests.
const (
	guestNet    = "bench-g"
	guestServer = guestNet + "-srv"
	guestKit    = "test/guest/"
)

func guestKey(way, what string) string { return "guest/" + way + "/" + what }

// runGuest measures TCP with an unmodified Linux client in a kernel of its own:
// strongSwan, the kernel's ESP and L2TP, xl2tpd, pppd. It checks our own client:
// what a packet costs the server should not depend on which client sends it.
func (b *bench) runGuest(ctx context.Context) error {
	if err := b.guest(ctx); err != nil {
		why, err := broken(ctx, err)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "the Linux client: not measured: %s\n", why)
		for _, way := range ways {
			b.Add(&report.Figure{Key: guestKey(way, "cost"), Name: "Linux client, " + way, Why: why})
		}
	}
	t := report.Table{
		Title: "An unmodified Linux client",
		Text: "strongSwan, xl2tpd and pppd in a kernel of their own, which encrypts slowly: the server has little to do, " +
			"gets its packets a few at a time, and pays more for each than when it is busy.",
		Header: []string{"", "CPU s/GB", "Gbit/s", "busy"},
	}
	for _, way := range ways {
		row := []string{"TCP " + way, b.Get(guestKey(way, "cost")).String()}
		for _, what := range []string{"speed", "busy"} {
			row = append(row, b.Get(guestKey(way, what)).Bare())
		}
		t.Rows = append(t.Rows, row)
	}
	b.Tables = append(b.Tables, t)
	return nil
}

// kit runs a script of the guests. prefix may put programs in front of it. The
// signal that ends it makes it clean up.
func kit(ctx context.Context, prefix []string, script string, args ...string) *exec.Cmd {
	all := slices.Concat(prefix, []string{guestKit + script}, args)
	c := exec.CommandContext(ctx, all[0], all[1:]...)
	c.Env = append(os.Environ(), "GUEST_NET="+guestNet)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 20 * time.Second
	return c
}

func (b *bench) guest(ctx context.Context) error {
	if out, err := kit(ctx, nil, "build").CombinedOutput(); err != nil {
		return fmt.Errorf("the guest's image: %w: %s", err, lastLines(out))
	}
	if out, err := kit(ctx, nil, "net", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("the guest's network: %w: %s", err, lastLines(out))
	}
	defer func() { _ = kit(context.Background(), nil, "net", "down").Run() }() // if it fails, nothing more can be done
	l := &lane{contestant: contestant{key: "guest"}, rig: b.rig, srv: guestServer, dir: b.rig.program("guest")}
	defer l.stop()
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	if err := l.startAdit(ctx, variant{tier: "avx512"}); err != nil {
		return err
	}
	depot, err := l.load(ctx, l.srv, "depot", "-target", insideServer+":80")
	if err != nil {
		return err
	}
	var ready string
	if err := depot.order(&ready, "ready"); err != nil {
		return err
	}
	guest, cancel := context.WithCancel(ctx)
	connect := kit(guest, onOtherCores(), "connect", "--psk", psk, "--user", user, "--password", password,
		"--route", insideServer+"/32", "--ping", insideServer, "--hold")
	out, err := connect.StdoutPipe()
	if err != nil {
		cancel()
		return err
	}
	connect.Stderr = os.Stderr
	if err := connect.Start(); err != nil {
		cancel()
		return err
	}
	defer func() {
		cancel()
		_ = connect.Wait() // it was told to end, so its error does not matter
	}()
	if err := until(bufio.NewScanner(out), "holding"); err != nil {
		return err
	}
	for range min(3, b.repeat) {
		for _, way := range ways {
			if err := b.fetchBy(ctx, l, way); err != nil {
				return err
			}
		}
	}
	return nil
}

// until reads lines up to one that contains a word.
func until(s *bufio.Scanner, word string) error {
	last := "it said nothing"
	for s.Scan() {
		if last = s.Text(); strings.Contains(last, word) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("the guest did not connect: %s", last), s.Err())
}

// fetchBy makes the guest carry TCP in one direction, and measures in the middle
// of it.
func (b *bench) fetchBy(ctx context.Context, l *lane, way string) error {
	watch := 2 * b.watch
	curl := fmt.Sprintf("curl -s -m %.0f -o /dev/null http://%s/", watch.Seconds()+4, insideServer)
	if way == "up" {
		curl = "cat /dev/zero | " + curl + " -T -"
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = kit(ctx, nil, "exec", curl).Run() // it ends with a timeout, as intended
	}()
	lab.Pause(ctx, 2*time.Second)
	from, n0, cpu0, err := l.octets(ctx, way)
	if err != nil {
		return err
	}
	lab.Pause(ctx, watch)
	to, n1, cpu1, err := l.octets(ctx, way)
	if err != nil {
		return err
	}
	<-done
	if n1 == n0 {
		return errors.New("the guest carried nothing")
	}
	n, cpu, took := n1-n0, cpu1-cpu0, to.Sub(from).Seconds()
	name := "Linux client, " + way
	b.Sample(guestKey(way, "cost"), name, "CPU s/GB", cpu/n*1e9)
	b.Sample(guestKey(way, "speed"), name, "Gbit/s", 8*n/took/1e9)
	b.Sample(guestKey(way, "busy"), name, "% of the server's core", 100*cpu/took)
	fmt.Fprintf(os.Stderr, "%s: %.2f CPU s/GB, %.2f Gbit/s, core %.0f %%\n", name, cpu/n*1e9, 8*n/took/1e9, 100*cpu/took)
	return nil
}

// octets is how many bytes of IP packets our server has carried in one direction.
func (l *lane) octets(ctx context.Context, way string) (at time.Time, n, cpu float64, err error) {
	status, err := l.server.control.Status(ctx)
	if err != nil {
		return at, 0, 0, err
	}
	for _, s := range status.Sessions {
		if way == "up" {
			n += float64(s.InOctets)
		} else {
			n += float64(s.OutOctets)
		}
	}
	cpu, err = l.server.cpu()
	return time.Now(), n, cpu, err
}
