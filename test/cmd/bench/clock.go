package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpuClock is the processor time, user and system, that all threads of a process
// have used, in seconds: clock_getcpuclockid(3).
func cpuClock(pid int) (float64, error) {
	const whole = 2 // CPUCLOCK_SCHED, for the whole process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|whole), &t); err != nil {
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	return float64(t.Nano()) / 1e9, nil
}

// descendants are all processes of which a process is an ancestor.
func descendants(pid int) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		if child, parent, err := parents(b); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	var all []int
	for next := children[pid]; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all, nil
}

// parents reads the ids of a process and of its parent from /proc/PID/stat:
// proc(5). The name in it may contain anything.
func parents(stat []byte) (pid, parent int, err error) {
	number, _, ok := bytes.Cut(stat, []byte(" ("))
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if !ok || len(f) < 2 {
		return 0, 0, errors.New("not the status of a process")
	}
	pid, err = strconv.Atoi(string(number))
	parent, err2 := strconv.Atoi(string(f[1]))
	return pid, parent, errors.Join(err, err2)
}

// coreBusy is how long a core has been busy, for any program, in seconds.
func coreBusy(core int) (float64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(b, core)
}

func parseBusy(stat []byte, core int) (float64, error) {
	name := "cpu" + strconv.Itoa(core)
	for line := range strings.Lines(string(stat)) {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != name {
			continue
		}
		sum := 0.0
		for i, s := range f[1:9] { // user nice system idle iowait irq softirq steal
			if i == 3 || i == 4 {
				continue
			}
			n, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return 0, err
			}
			sum += n / ticks
		}
		return sum, nil
	}
	return 0, fmt.Errorf("/proc/stat has no core %d", core)
}

// ticks is how many units /proc counts in a second (USER_HZ, which is the same on
// every machine that Go runs on).
const ticks = 100

// switches is how often the threads of a process have gone to sleep voluntarily.
func switches(pid int) (n float64, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d: no threads (%w)", pid, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				k, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					return 0, err
				}
				n += k
			}
		}
	}
	return n, nil
}
