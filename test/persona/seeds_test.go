package persona

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/sim"
)

var rewrite = flag.Bool("rewrite", false, "write the seeds of the fuzz targets anew")

const seedFile = "testdata/seeds.txt"

// seeds are messages that clients sent, one per line: layer, client, hex. Messages of one
// client and layer that have the same length count as alike.
type seeds struct {
	seen  map[string]bool
	lines []string
}

func (s *seeds) add(l Layer, client string, b []byte) {
	key := fmt.Sprintf("%s\t%s\t%d", l, client, len(b))
	if l == LayerUDP && bytes.HasPrefix(b, []byte{0, 0, 0, 0}) {
		return // IKE after the non-ESP marker: its clear text is there
	}
	if !s.seen[key] {
		s.seen[key] = true
		s.lines = append(s.lines, fmt.Sprintf("%s\t%s\t%s", l, client, hex.EncodeToString(b)))
	}
}

// keys are the lines without the parts that differ from run to run.
func keys(lines []string) []string {
	var list []string
	for _, l := range lines {
		if f := strings.Split(l, "\t"); len(f) == 3 {
			list = append(list, fmt.Sprintf("%s\t%s\t%d", f[0], f[1], len(f[2])/2))
		}
	}
	slices.Sort(list)
	return list
}

// The fuzz targets of every layer start from what the clients send. The file of these
// messages is complete for all clients.
func TestTheSeedsOfTheFuzzTargetsAreWhatTheClientsSend(t *testing.T) {
	s := &seeds{seen: map[string]bool{}}
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		h := w.Net.NAT("198.51.100.7").Host("192.168.1.10")
		c := New(p, account, h, 1, func(rule string) { t.Error(rule) })
		t.Cleanup(c.Vanish)
		c.Tap = func(l Layer, b []byte) { s.add(l, p.Name, b) }
		if err := c.Dial(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		passes(t, w, c, 1)
		if err := c.Rekey(); err != nil {
			t.Error(err)
		}
		if err := c.Rephase(); err != nil {
			t.Error(err)
		}
		passes(t, w, c, 3)
		leaves(t, w, c)
	})
	slices.Sort(s.lines)
	text := strings.Join(s.lines, "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile(seedFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	have, want := keys(strings.Split(string(b), "\n")), keys(s.lines)
	for _, k := range want {
		if !slices.Contains(have, k) {
			t.Errorf("%s has no %q: go test ./test/persona -run Seeds -rewrite", seedFile, k)
		}
	}
}
