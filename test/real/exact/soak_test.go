//go:build real

package exact

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/real/echo"
)

var (
	soak    = flag.Bool("soak", os.Getenv("ADIT_TEST_SOAK") != "", "make the test at full load half an hour long")
	soakFor = flag.Duration("soakfor", 0, "make it that long")
)

// soakTimes is how long the test lasts, how long it takes the server to become
// warm, and how often IKE begins anew.
func soakTimes() (lasts, warm, rephase time.Duration) {
	lasts, warm, rephase = 20*time.Second, 6*time.Second, 7*time.Second
	if *soak {
		lasts, warm, rephase = 30*time.Minute, 3*time.Minute, time.Minute
	}
	if *soakFor > 0 {
		lasts, warm = *soakFor, min(warm, *soakFor/3)
	}
	return lasts, warm, rephase
}

// How often a client has its ESP SAs last, and how far the server's memory may
// grow once it is warm.
const (
	soakRekey  = 10 * time.Second
	soakGrowth = 12 << 20 // bytes
)

// counter counts what a client has agreed on.
type counter struct{ phases, children atomic.Int64 }

func (c *counter) Observe(e vpn.Event) {
	switch e.(type) {
	case vpn.PhaseOneUp:
		c.phases.Add(1)
	case vpn.ChildUp:
		c.children.Add(1)
	}
}

// At full load, TCP both ways and a flood of echo requests, with ESP keyed anew
// every ten seconds and IKE now and then, nothing is lost: every request is
// answered, TCP has nothing to send again, the server counts no drop. Its memory,
// goroutines and files do not grow. In the soak for half an hour.
func TestNothingIsLostAtFullLoadWhileKeysChange(t *testing.T) {
	lasts, warm, rephase := soakTimes()
	s := serve(t, host{})
	bulk, flood := &counter{}, &counter{}
	x := dialHost(t, s, peer{lifetime: soakRekey, observer: bulk})
	device := netdevtest.New("flood", 1400, 1)
	y := dial(t, s, peer{device: device, lifetime: soakRekey, observer: flood})
	before := readDrops(t)

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var m moved
	var e echo.Result
	wg.Go(func() { m = streamsBetween(t, x.four, 2, 2, lasts) })
	wg.Go(func() { e = echo.Flood(device, y.four, netip.MustParseAddr(farIP), 128, lasts) })
	var watch sync.WaitGroup
	watch.Go(func() { every(ctx, rephase, func() { x.Rephase(); y.Rephase() }) })
	log := &usageLog{}
	watch.Go(func() { every(ctx, min(10*time.Second, lasts/20), func() { log.add(t, s) }) })
	wg.Wait()
	stop()
	watch.Wait()

	t.Logf("TCP: %v; echo: %d packets each way, %.0f Mbit/s each way", m, e.Answered, float64(e.Octets)*8e-6/e.Seconds)
	t.Logf("%d and %d pairs of ESP SAs, %d and %d phases 1", bulk.children.Load(), flood.children.Load(), bulk.phases.Load(), flood.phases.Load())
	if m.err != nil || m.again > m.needless {
		t.Errorf("TCP: %v, %v", m, m.err)
	}
	if e.Sent != e.Answered {
		t.Errorf("%d of %d echo requests were lost", e.Sent-e.Answered, e.Sent)
	}
	if text := readDrops(t).since(before); text != "" {
		t.Errorf("kernels dropped packets: %s", text)
	}
	for _, c := range []*counter{bulk, flood} {
		if n := c.children.Load(); n < int64(lasts/soakRekey) {
			t.Errorf("%d pairs of ESP SAs in %v, want one every %v", n, lasts, soakRekey)
		}
		if n := c.phases.Load(); n < int64(lasts/rephase) {
			t.Errorf("%d phases 1 in %v, want one every %v", n, lasts, rephase)
		}
	}
	log.judge(t, warm)
	s.wantNoDrops(t)
	s.stop(t)
}

// every calls f in intervals until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

// usage is what the server has at a time.
type usage struct {
	at                time.Time
	memory            uint64 // resident, bytes
	goroutines, files int
}

type usageLog struct {
	list []usage
	err  error
}

func (l *usageLog) add(t testing.TB, s *server) {
	u := usage{at: time.Now()}
	var err error
	if u.goroutines, err = s.goroutines(t.Context()); err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	if u.memory, u.files, err = s.process(); err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	l.list = append(l.list, u)
}

// judge compares what the server had when it was warm with all that followed.
func (l *usageLog) judge(t *testing.T, warm time.Duration) {
	t.Helper()
	if l.err != nil || len(l.list) < 10 {
		t.Fatalf("%d samples: %v", len(l.list), l.err)
	}
	i := 0
	for i < len(l.list)-1 && l.list[i].at.Sub(l.list[0].at) < warm {
		i++
	}
	first, most := l.list[i], l.list[i]
	for _, u := range l.list[i:] {
		most.memory, most.goroutines, most.files = max(most.memory, u.memory), max(most.goroutines, u.goroutines), max(most.files, u.files)
	}
	last := l.list[len(l.list)-1]
	var course []uint64
	for i := 0; i < len(l.list); i += max(1, len(l.list)/20) {
		course = append(course, l.list[i].memory>>10)
	}
	t.Logf("the course of its memory in kB: %d", course)
	t.Logf("the server at first, when it was warm, at most and at last: %v; %v; %v; %v", l.list[0], first, most, last)
	if most.memory > first.memory+soakGrowth {
		t.Errorf("the server has grown from %d to %d kB", first.memory>>10, most.memory>>10)
	}
	// Those that come and go, while phases 1 are made and samples taken.
	const passing = 8
	if most.goroutines > first.goroutines+passing || most.files > first.files+passing {
		t.Errorf("the server went from %v to %v", first, most)
	}
}

func (u usage) String() string {
	return fmt.Sprintf("%d kB, %d goroutines, %d files", u.memory>>10, u.goroutines, u.files)
}

// process is the resident memory in bytes of the server, and how many files it
// has open.
func (s *server) process() (memory uint64, files int, err error) {
	dir := fmt.Sprintf("/proc/%d", s.run.ID())
	text, err := os.ReadFile(filepath.Join(dir, "statm"))
	if err != nil {
		return 0, 0, err
	}
	pages, err := strconv.ParseUint(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	open, err := os.ReadDir(filepath.Join(dir, "fd"))
	return pages * uint64(os.Getpagesize()), len(open), err
}

// goroutines is how many the server has.
func (s *server) goroutines(ctx context.Context) (int, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "pprof"))
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "goroutine profile: total "))
}
