//go:build real

package lab

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs beside a test; what it prints is kept in a
// file.
type Process struct {
	cmd  *exec.Cmd
	file string
	done chan struct{} // closed when it has ended
	err  error         // of Wait, once done is closed
}

// Start starts c, with its output in file, and kills it when the test ends.
func Start(t testing.TB, c *exec.Cmd, file string) *Process {
	t.Helper()
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: c, file: file, done: make(chan struct{})}
	go func() {
		p.err = c.Wait()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// ID is its process id.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Output is what it has printed so far.
func (p *Process) Output() []byte {
	b, err := os.ReadFile(p.file)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

// Printed reports whether it has printed text.
func (p *Process) Printed(text string) bool { return bytes.Contains(p.Output(), []byte(text)) }

// Ended reports whether it has ended, by itself or by a signal.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Exit waits until it has ended and returns its exit status, -1 if a signal
// ended it or if patience did not last.
func (p *Process) Exit(patience time.Duration) int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		return -1
	}
}

// Signal sends it a signal; none if it has ended.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends it as kill -9 does, and waits for that.
func (p *Process) Kill() {
	if p.Signal(syscall.SIGKILL) == nil {
		<-p.done
	}
}
