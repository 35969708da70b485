package radius

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/ledger"
	"github.com/adit-vpn/adit/internal/secret"
)

// quick is a pace at which a torture takes seconds.
var quick = pace{
	window: 64, probes: 8, again: 16, patience: 150 * time.Millisecond, first: 20 * time.Millisecond, last: 100 * time.Millisecond,
	retry: 30 * time.Millisecond, aside: 3, sparse: 100 * time.Millisecond, sparsest: 200 * time.Millisecond, giveUp: time.Hour,
	withoutOn: 5, drain: 5 * time.Second, off: 500 * time.Millisecond,
}

// bad is an accounting server that loses packets, refuses single records for a while, and is away at times.
type bad struct {
	t       *testing.T
	address string

	mu     sync.Mutex
	conn   net.PacketConn
	rnd    *rand.Rand
	tries  map[string]int
	taken  map[string][]*radius.Packet // by session and status, without repeats
	order  []string
	repeat int
	kind   bool // it answers everything
}

func newBad(t *testing.T) *bad {
	b := &bad{t: t, rnd: rand.New(rand.NewPCG(1, 2)), tries: map[string]int{}, taken: map[string][]*radius.Packet{}, address: "127.0.0.1:0"}
	b.start()
	t.Cleanup(b.stop)
	return b
}

// start has it answer, if it does not.
func (b *bad) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		return
	}
	conn, err := net.ListenPacket("udp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.conn, b.address = conn, conn.LocalAddr().String()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := b.answer(buf[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
}

func (b *bad) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}

// answer judges one packet; nil: it is lost, refused, or its answer is lost.
func (b *bad) answer(raw []byte) []byte {
	if !radius.IsAuthenticRequest(raw, []byte(shared)) {
		return nil
	}
	p, err := radius.Parse(append([]byte(nil), raw...), []byte(shared))
	if err != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.kind && b.rnd.IntN(10) == 0 {
		return nil
	}
	id, status := rfc2866.AcctSessionID_GetString(p), rfc2866.AcctStatusType_Get(p)
	key := id + " " + status.String()
	if b.tries[key]++; !b.kind && (strings.HasSuffix(id, "7") && b.tries[key] < 6 || strings.HasSuffix(id, "77") && b.tries[key] < 12) {
		return nil // refuses single records, some until they are set aside
	}
	again := false
	for _, other := range b.taken[key] {
		again = again || rfc2869.EventTimestamp_Get(other).Equal(rfc2869.EventTimestamp_Get(p))
	}
	if again {
		b.repeat++
	} else {
		b.taken[key] = append(b.taken[key], p)
		b.order = append(b.order, key)
	}
	if !b.kind && b.rnd.IntN(10) == 0 {
		return nil // its answer is lost
	}
	reply, _ := p.Response(radius.CodeAccountingResponse).Encode()
	return reply
}

// The test's other process: a client whose sessions come and go until it is killed. It says
// on standard output what is on disk.
func TestMain(m *testing.M) {
	if address := os.Getenv("TORTURE_SERVER"); address != "" {
		tortured(address, os.Getenv("TORTURE_LEDGER"), os.Getenv("TORTURE_RUN"), os.Getenv("TORTURE_END") != "")
		return
	}
	os.Exit(m.Run())
}

func tortured(address, file, run string, end bool) {
	c, err := New(Config{
		Servers: []Server{{Address: address, Accounting: address, Secret: secret.String(shared)}}, NASIdentifier: "adit",
		Ledger: file, pace: quick,
		Problem: func(text string) { fmt.Fprintln(os.Stderr, text) },
	})
	if err != nil {
		panic(err)
	}
	if end {
		for i := 0; i < 600; i++ { // until everything was taken
			if s, _ := c.AccountingStats(); s.Waiting == 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		fmt.Println("closed", c.Close())
		return
	}
	rnd := rand.New(rand.NewPCG(uint64(len(run)), uint64(os.Getpid())))
	rec := func(id string, status auth.Status, n uint64) auth.Record {
		r := auth.Record{Status: status, User: "alice", By: auth.ByRADIUS, Address: netip.MustParseAddr("10.83.0.2"), Time: time.Now(),
			Call:        auth.Call{SessionID: id, Remote: netip.MustParseAddrPort("198.51.100.7:4500"), Local: netip.MustParseAddrPort("192.0.2.1:4500")},
			InputOctets: n, OutputOctets: 2*n + 5<<32, Cause: auth.UserRequest}
		return r
	}
	for i := 0; ; i++ {
		var said strings.Builder
		for j := range 5 { // the batch's sessions
			id, n := fmt.Sprintf("%s-%d-%d", run, i, j), uint64(rnd.IntN(1e6))
			c.Account(rec(id, auth.Start, 0))
			fmt.Fprintf(&said, "start %s\n", id)
			if j < 4 {
				c.Account(rec(id, auth.Interim, n/2))
				if j == 3 { // some are sent before the Stop comes
					c.bookkeeping().ledger.Sync()
					time.Sleep(2 * time.Millisecond)
				}
				c.Account(rec(id, auth.Stop, n))
				fmt.Fprintf(&said, "stop %s %d\n", id, n)
			} else {
				c.Mark([]ledger.Carried{{Session: id, Time: time.Now(), InputOctets: n, OutputOctets: 2*n + 5<<32}})
				c.bookkeeping().ledger.Sync()
				c.Mark([]ledger.Carried{{Session: id, Time: time.Now(), InputOctets: n, OutputOctets: 2*n + 5<<32}})
				fmt.Fprintf(&said, "live %s %d\n", id, n)
			}
		}
		c.bookkeeping().ledger.Sync()
		fmt.Print(said.String())
		time.Sleep(time.Duration(rnd.IntN(10)) * time.Millisecond)
	}
}

// A thousand sessions and more come and go while their server is killed at random, and the
// accounting server is stopped, restarted, refuses single records and loses packets. Afterwards
// every session has one Start and one Stop, with the octets that were written last, and
// nothing twice that is not a repeat.
func TestEverySessionIsAccountedForOnceWhateverDies(t *testing.T) {
	server := newBad(t)
	file := filepath.Join(t.TempDir(), "accounting.db")
	octets := map[string]string{} // of sessions that are known to be on disk
	rnd := rand.New(rand.NewPCG(3, 4))
	process := func(run string, end bool) (*exec.Cmd, io.Reader) {
		cmd := exec.Command(os.Args[0]) //nolint:gosec // this test
		cmd.Env = append(os.Environ(), "TORTURE_SERVER="+server.address, "TORTURE_LEDGER="+file, "TORTURE_RUN="+run)
		if end {
			cmd.Env = append(cmd.Env, "TORTURE_END=1")
		}
		cmd.Stderr = nil
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	for run := 0; len(octets) < 1000; run++ {
		cmd, out := process(fmt.Sprintf("run%d", run), false)
		switch run % 4 { // it is away for two runs of four
		case 1:
			server.stop()
		case 3:
			server.start()
		}
		lines, dies := bufio.NewScanner(out), 20+rnd.IntN(200)
		for n := 0; lines.Scan(); n++ {
			f := strings.Fields(lines.Text())
			switch f[0] {
			case "start":
				octets[f[1]] = ""
			default:
				octets[f[1]] = f[2]
			}
			if n == dies {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
	}
	server.start()
	cmd, out := process("end", true)
	said, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || string(said) != "closed <nil>\n" {
		t.Fatalf("%s %v", said, err)
	}
	server.check(octets)
}

// check compares what the server has with what was written.
func (b *bad) check(octets map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	interims := 0
	for id, want := range octets {
		starts, stops := b.taken[id+" Start"], b.taken[id+" Stop"]
		if len(starts) != 1 || len(stops) != 1 {
			b.t.Errorf("%s has %d Starts and %d Stops", id, len(starts), len(stops))
			continue
		}
		if got := fmt.Sprint(uint32(rfc2866.AcctInputOctets_Get(stops[0]))); want != "" && got != want {
			b.t.Errorf("%s: the Stop has %s octets, want %s", id, got, want)
		}
		if cause := rfc2866.AcctTerminateCause_Get(stops[0]); want != "" && (cause != rfc2866.AcctTerminateCause_Value_UserRequest) != strings.HasSuffix(id, "-4") {
			b.t.Errorf("%s ended by %v", id, cause)
		}
	}
	stopped := map[string]bool{}
	for _, key := range b.order {
		id, status, _ := strings.Cut(key, " ")
		switch status {
		case "Stop":
			stopped[id] = true
		case "Interim-Update":
			if interims++; stopped[id] {
				b.t.Errorf("%s has an interim after its Stop", id)
			}
		}
		if _, known := octets[id]; !known && strings.HasPrefix(id, "run") { // killed before it was said: whole, or not at all
			if len(b.taken[id+" Start"]) != 1 || len(b.taken[id+" Stop"]) != 1 {
				b.t.Errorf("%s, which was being written, has %d Starts and %d Stops", id, len(b.taken[id+" Start"]), len(b.taken[id+" Stop"]))
			}
		}
	}
	b.t.Logf("%d sessions, %d interims, %d repeats", len(octets), interims, b.repeat)
	if b.repeat == 0 {
		b.t.Error("no record came twice: the test does not lose answers")
	}
}
