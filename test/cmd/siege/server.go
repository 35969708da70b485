package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/test/cmd/lab"
)

// server is a running server, seen from outside.
type server struct {
	cmd                *exec.Cmd
	socket, log, pprof string
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed, so its error does not matter
}

func (s *server) proc(file string) ([]byte, error) {
	return os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file))
}

// reading is the state of the counters of the server and of its kernel.
type reading struct {
	at      time.Time
	rss     int64   // bytes
	cpu     float64 // seconds
	lines   int     // of the log, without those that name honest clients
	in, out int64   // bytes on the attacker's link
	full    int64   // datagrams dropped because the server's sockets of port 4500 were full
	full500 int64   // the same for port 500
	backlog int64   // packets that the kernel could not process in time
}

func (s *server) read(ctx context.Context) (r reading, err error) {
	r.at = time.Now()
	if r.rss, err = s.resident(); err != nil {
		return r, err
	}
	if r.cpu, err = s.cpu(); err != nil {
		return r, err
	}
	log, err := os.ReadFile(s.log)
	if err != nil {
		return r, err
	}
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte("198.19.")) {
			r.lines++
		}
	}
	if r.in, r.out, err = traffic(ctx); err != nil {
		return r, err
	}
	if r.full, err = s.full(4500); err != nil {
		return r, err
	}
	if r.full500, err = s.full(500); err != nil {
		return r, err
	}
	r.backlog, err = backlog()
	return r, err
}

func (s *server) resident() (int64, error) {
	b, err := s.proc("statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func (s *server) cpu() (float64, error) {
	b, err := s.proc("stat")
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may contain anything.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	sum := 0.0
	for _, v := range f[11:13] { // utime and stime, in ticks of 10 ms
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return 0, err
		}
		sum += n / 100
	}
	return sum, nil
}

// full counts the datagrams that did not fit into the sockets of a port.
func (s *server) full(port uint16) (n int64, err error) {
	b, err := s.proc("net/udp")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 13 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		k, err := strconv.ParseInt(f[len(f)-1], 10, 64)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

// backlog counts the packets that the processors of the whole machine could not
// process in time.
func backlog() (n int64, err error) {
	b, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		k, err := strconv.ParseInt(f[1], 16, 64)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

// traffic counts the bytes on the server's end of the attacker's link.
func traffic(ctx context.Context) (in, out int64, err error) {
	b, err := exec.CommandContext(ctx, "ip", "-n", nsServer, "-s", "-j", "link", "show", "attack").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("ip link: %w", err)
	}
	var links []struct {
		Stats struct{ Rx, Tx struct{ Bytes int64 } } `json:"stats64"`
	}
	if err := json.Unmarshal(b, &links); err != nil || len(links) != 1 {
		return 0, 0, fmt.Errorf("ip link: %w", err)
	}
	return links[0].Stats.Rx.Bytes, links[0].Stats.Tx.Bytes, nil
}

// peak records the largest resident size until its context ends.
func (s *server) peak(ctx context.Context) *atomic.Int64 {
	most := new(atomic.Int64)
	go func() {
		for ; ctx.Err() == nil; lab.Pause(ctx, 100*time.Millisecond) {
			if n, err := s.resident(); err == nil && n > most.Load() {
				most.Store(n)
			}
		}
	}()
	return most
}
