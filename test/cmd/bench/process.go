package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// process is a program in a namespace.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	log     string
	control *admin.Client // of a server
	rig     *rig
	tree    []int // the process and its descendants
}

// start runs a program in a namespace, at most until ctx ends. ip, taskset, nice
// and chrt replace themselves by the program that they start, so the process is
// that of the program.
func (r *rig) start(ctx context.Context, ns string, env []string, args ...string) (*process, error) {
	p := &process{rig: r, log: filepath.Join(r.dir, fmt.Sprintf("log%d", len(r.running)))}
	p.cmd = exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, args...)...)
	p.cmd.Env = append(environment(), env...)
	// A Ctrl-C in the terminal is for us alone, and no process outlives us.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	r.running = append(r.running, p)
	return p, nil
}

// environment is our own environment without the variables that change a server's
// configuration.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ADIT_") })
}

// kill ends the process at once. It may be called more than once.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed, so its error does not matter
}

// complaint is the error of a process that has ended, with its last output.
func (p *process) complaint() error {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return errors.New(strings.Join(lines[max(0, len(lines)-5):], "\n"))
}

// patience is how long a process may take to answer. A process that hangs is
// killed.
const patience = 5 * time.Minute

// order sends a command and reads the answer.
func (p *process) order(answer any, format string, args ...any) error {
	defer time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() }).Stop()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		return errors.Join(err, p.complaint())
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return errors.Join(err, p.complaint())
	}
	return json.Unmarshal(line, answer)
}

// line waits for a line that the process prints.
func (p *process) line(want string) error {
	got, err := p.out.ReadString('\n')
	if strings.TrimSpace(got) != want {
		return errors.Join(fmt.Errorf("it printed %q", got), err, p.complaint())
	}
	return err
}

// cpu is the processor time, user and system, in seconds, of the process and of
// all descendants that it had when cpu was first called.
func (p *process) cpu() (sum float64, err error) {
	if p.tree == nil {
		pid := p.cmd.Process.Pid
		children, err := descendants(pid)
		if err != nil {
			return 0, err
		}
		p.tree = append([]int{pid}, children...)
	}
	for _, pid := range p.tree {
		t, err := cpuClock(pid)
		if err != nil {
			return 0, errors.Join(err, p.complaint())
		}
		sum += t
	}
	return sum, nil
}

// serves waits until a server of ours answers.
func (p *process) serves(ctx context.Context) (err error) {
	for until := time.Now().Add(10 * time.Second); ; {
		if _, err = p.control.Status(ctx); err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(until) {
			return errors.Join(errors.New("the server did not start"), err, p.complaint())
		}
		lab.Pause(ctx, 50*time.Millisecond)
	}
}

// memory is how much of the process is resident, in bytes: with shared pages
// counted in full (RSS), and with shared pages divided among the processes that
// share them (PSS).
func (p *process) memory() (rss, pss float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, errors.Join(err, p.complaint())
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		n, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			return 0, 0, err
		}
		switch f[0] {
		case "Rss:":
			rss = n * 1024
		case "Pss:":
			pss = n * 1024
		}
	}
	return rss, pss, nil
}
