// Siege attacks the whole program, and prints what the attacks cost honest clients
// and the server: a table of attacks with the limits that must be kept. The
// server, honest clients and the attacker have network namespaces of their own on
// one machine. It needs root, and cleans up after itself. docs/siege.md says what
// is measured, and how.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege:", err)
		os.Exit(1)
	}
}

var errMissed = errors.New("a must was missed")

type options struct {
	time    time.Duration
	quick   bool
	rows    string
	rate    float64
	shared  bool
	print   bool
	list    bool
	profile string
	attack  int
	honest  bool
}

func run(ctx context.Context) error {
	var o options
	flag.DurationVar(&o.time, "time", 20*time.Second, "how long honest clients arrive during an attack")
	flag.BoolVar(&o.quick, "quick", false, "5 seconds each, for a first look")
	flag.StringVar(&o.rows, "rows", ".", "the attacks to run, a regular expression")
	flag.Float64Var(&o.rate, "rate", 0, "packets a second of an attack at most; 0: as fast as it goes")
	flag.BoolVar(&o.shared, "share", false, "all cores for everybody, instead of one for the server and one for all others")
	flag.BoolVar(&o.print, "print", false, "only print: succeed though a must is missed")
	flag.BoolVar(&o.list, "list", false, "list the attacks")
	flag.StringVar(&o.profile, "profile", "", "write a profile of the server's processor time for each attack to this directory")
	flag.IntVar(&o.attack, "attack", -1, "for itself: be the attacker of a row, until the standard input ends")
	flag.BoolVar(&o.honest, "beside", false, "for itself: the attacker stands at the honest clients' address")
	flag.Parse()
	if o.quick {
		o.time = 5 * time.Second
	}
	if o.attack >= 0 {
		return assault(ctx, o)
	}
	wanted, err := regexp.Compile(o.rows)
	if err != nil {
		return err
	}
	if o.list {
		for _, r := range rows() {
			fmt.Println(r.name)
		}
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	unlock, err := alone()
	if err != nil {
		return err
	}
	defer unlock()
	return besiege(ctx, o, wanted)
}

// alone fails if there is another run: the two would disturb each other's
// measurements.
func alone() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "adit-siege.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.New("another run has not ended")
	}
	return func() { _ = f.Close() }, nil
}

// besiege runs the rows and prints the table.
func besiege(ctx context.Context, o options, wanted *regexp.Regexp) error {
	dir, err := os.MkdirTemp("", "adit-siege")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	defer removeNetwork()
	r := &rig{dir: dir, profile: o.profile != ""}
	for _, p := range []struct{ name, from string }{{"adit", "./cmd/adit"}, {"load", "./test/cmd/load"}} {
		c := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", filepath.Join(dir, p.name), p.from)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w: %s", p.from, err, out)
		}
	}
	how := "All cores are everybody's."
	if !o.shared && runtime.NumCPU() > 1 {
		r.cores = split()
		core, err := strconv.Atoi(r.cores.others)
		if err == nil {
			err = stay(core)
		}
		if err != nil {
			return err
		}
		how = fmt.Sprintf("The server has core %s, and honest clients and the attacker, who comes last, share core %s.", r.cores.server, r.cores.others)
	}
	out := report.Report{Machine: fmt.Sprintf("%d cores, %s. %s", runtime.NumCPU(), runtime.Version(), how)}
	if o.rate > 0 {
		out.Machine += fmt.Sprintf(" Attacks are at most %.0f packets a second.", o.rate)
	}
	table := report.Table{Title: "Under siege", Text: legend, Header: header}
	missed := false
	for i, row := range rows() {
		if !wanted.MatchString(row.name) || ctx.Err() != nil {
			continue
		}
		f, err := r.measure(ctx, o, i, row)
		if err != nil {
			fmt.Fprintf(os.Stderr, "siege: %s: %v\n", row.name, err)
			table.Rows = append(table.Rows, []string{row.name, "not measured: " + err.Error()})
			missed = true
			continue
		}
		cells := f.cells()
		missed = missed || len(f.missed()) > 0
		fmt.Fprintln(os.Stderr, cells)
		table.Rows = append(table.Rows, cells)
	}
	out.Tables = append(out.Tables, table)
	out.Markdown(os.Stdout)
	if missed && !o.print {
		return errMissed
	}
	return ctx.Err()
}

// tally is what an attacker prints at its end.
type tally struct{ Packets, Bytes int64 }

// attacker starts an attacker. stop returns what it sent.
func (r *rig) attacker(ctx context.Context, o options, i int, row row) (stop func() (tally, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ns := nsAttacker
	args := []string{self, "-attack", strconv.Itoa(i), "-rate", fmt.Sprint(o.rate)}
	if row.beside {
		ns, args = nsHonest, append(args, "-beside")
	}
	c := exec.CommandContext(ctx, "ip", append(append([]string{"netns", "exec", ns}, on(r.cores.others, 19)...), args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return func() (t tally, err error) {
		_ = in.Close()
		defer time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() }).Stop()
		err = json.NewDecoder(from).Decode(&t)
		return t, errors.Join(err, c.Wait())
	}, nil
}

// assault runs as the attacker.
func assault(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	a := &arsenal{server: netip.MustParseAddr(serverAddr), server6: netip.MustParseAddr(server6), rate: o.rate, honest: o.honest}
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	if err := rows()[o.attack].attack(ctx, a); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(tally{a.Packets.Load(), a.Bytes.Load()})
}

func idle(ctx context.Context, _ *arsenal) error {
	<-ctx.Done()
	return nil
}
