//go:build real

package real

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// pages are a web server's log, without end: text that does not repeat itself.
type pages struct {
	rand *rand.Rand
	left []byte
}

func (p *pages) Read(b []byte) (int, error) {
	for len(p.left) < len(b) {
		p.left = fmt.Appendf(p.left, "192.0.2.%d - - [30/Nov/2026:12:%02d:%02d +0000] \"GET /articles/%d HTTP/1.1\" 200 %d \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n",
			p.rand.IntN(255), p.rand.IntN(60), p.rand.IntN(60), p.rand.IntN(100000), p.rand.IntN(50000))
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

const textSize = 20_000_000

func newText(t *testing.T, size int64) *depot {
	t.Helper()
	return newDepotOf(t, size, io.LimitReader(&pages{rand: rand.New(rand.NewPCG(1, 1))}, size))
}

var compressing = lab.Config{"ppp": `compression = ["mppc", "deflate"]`}

// outside is what the guest's network card has carried, bytes.
func outside(t *testing.T, g *lab.Guest) (in, out int) {
	t.Helper()
	both := strings.Fields(g.Exec(t, "cat /sys/class/net/vec0/statistics/rx_bytes /sys/class/net/vec0/statistics/tx_bytes"))
	if len(both) != 2 {
		t.Fatal(both)
	}
	in, _ = strconv.Atoi(both[0])
	out, _ = strconv.Atoi(both[1])
	return in, out
}

// pppd and its kernel compress by Deflate each way: text takes less of the wire, and what
// arrives is what was sent.
func TestPppdCompressesByDeflate(t *testing.T) {
	s := here.Serve(t, compressing)
	d := newText(t, textSize)
	g := here.Connect(t, lab.Client{Args: []string{"--ccp", "--share", d.file}})
	if x := s.Session(t); x.Compression != "deflate" {
		t.Fatalf("compressed by %q\n%s", x.Compression, g.Log(t, "ppp.log"))
	}
	in, out := outside(t, g)
	d.fetches(t, g)
	in2, out2 := outside(t, g)
	d.sends(t, g)
	_, out3 := outside(t, g)
	down, up := float64(in2-in)/textSize, float64(out3-out2)/textSize
	t.Logf("of each byte of text %.2f took the wire to the client, and %.2f from it", down, up)
	if down > 0.7 || up > 0.7 || out2-out > textSize {
		t.Error("text was not compressed")
	}
	for reason, n := range s.Status(t).Drops {
		if strings.HasPrefix(reason, "compressed") && n > 0 {
			t.Errorf("%d packets were dropped as %s", n, reason)
		}
	}
	g.HangUp(t)
	s.Stop(t)
}

// On a line that loses and mixes up packets, what arrives is what was sent all the same.
func TestPppdCompressesOverABadLine(t *testing.T) {
	s := here.Serve(t, compressing)
	relay := newDelayed(t, 10*time.Millisecond)
	d := newText(t, textSize/20)
	g := here.Connect(t, lab.Client{Args: []string{"--ccp", "--share", d.file, "--server", lab.NATIP, "--ppp-timeout", "60", "--ping-timeout", "30"}})
	if x := s.Session(t); x.Compression != "deflate" {
		t.Fatalf("compressed by %q\n%s", x.Compression, g.Log(t, "ppp.log"))
	}
	relay.lossy.Store(3)
	d.fetches(t, g)
	d.sends(t, g)
	relay.lossy.Store(0)
	log := g.Log(t, "ppp.log")
	t.Logf("dropped: %d of a lost history", s.Status(t).Drops["compressed-history"])
	t.Logf("Reset-Requests: %d of pppd's, %d of ours", strings.Count(log, "sent [CCP ResetReq"), strings.Count(log, "rcvd [CCP ResetReq"))
	if !strings.Contains(log, "[CCP ResetReq") {
		t.Error("nothing was lost")
	}
	g.HangUp(t)
	s.Stop(t)
}
