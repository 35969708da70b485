package main

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is both ends of a new terminal.
func terminal(t *testing.T) (window, tty *os.File) {
	t.Helper()
	window, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { window.Close() })
	if err := unix.IoctlSetPointerInt(int(window.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(window.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return window, tty
}

// Closing the window ends the server in it; a reload does not.
func TestUpEndsWithItsTerminal(t *testing.T) {
	seen := make(chan os.Signal, 1) // keeps this process from the signal's default, too
	signal.Notify(seen, syscall.SIGHUP)
	defer signal.Stop(seen)
	hangup := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-seen
	}
	window, tty := terminal(t)
	ctx, stop := untilHangup(context.Background(), tty)
	defer stop()
	pipe, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	without, stop := untilHangup(context.Background(), pipe)
	defer stop()
	hangup()
	if ctx.Err() != nil {
		t.Error("a reload ended it")
	}
	if err := window.Close(); err != nil {
		t.Fatal(err)
	}
	hangup()
	<-ctx.Done()
	if without.Err() != nil {
		t.Error("what has no terminal ended with one")
	}
}
