//go:build real

package real

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// blobSize is how much a guest moves each way, bytes.
const blobSize = 100_000_000

// depot is a web server behind the VPN server. It gives out a file of random
// bytes and says the SHA-256 of whatever it is sent.
type depot struct {
	size int64
	file string // the blob
	sum  string // its SHA-256, hex
}

func newDepot(t *testing.T, size int64) *depot {
	t.Helper()
	return newDepotOf(t, size, rand.NewChaCha8([32]byte{1}))
}

// newDepotOf makes a depot whose file is what source has.
func newDepotOf(t *testing.T, size int64, source io.Reader) *depot {
	t.Helper()
	d := &depot{size: size, file: filepath.Join(t.TempDir(), "blob")}
	f, err := os.Create(d.file)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, h), source, size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	d.sum = sum(h)
	server := &http.Server{Handler: d}
	go server.Serve(lab.Listen(t, here.Server, lab.AppIP+":80"))
	t.Cleanup(func() { server.Close() })
	return d
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		http.ServeFile(w, r, d.file)
		return
	}
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, sum(h))
}

// fetches has a guest load the blob and compares what arrived.
func (d *depot) fetches(t *testing.T, g *lab.Guest) {
	t.Helper()
	began := time.Now()
	got, err := g.Run("curl -sSf http://" + lab.AppIP + "/ | sha256sum")
	d.rate(t, "down", began)
	if got, _, _ = strings.Cut(got, " "); err != nil || got != d.sum {
		t.Errorf("the guest got SHA-256 %s, the server sent %s (%v)", got, d.sum, err)
	}
}

// sends has a guest, which shares the blob, send it and compares what arrived.
func (d *depot) sends(t *testing.T, g *lab.Guest) {
	t.Helper()
	began := time.Now()
	got, err := g.Run("curl -sSf -T /mnt/blob http://" + lab.AppIP + "/")
	d.rate(t, "up", began)
	if err != nil || got != d.sum {
		t.Errorf("the server got SHA-256 %q, the guest sent %s (%v)", got, d.sum, err)
	}
}

func (d *depot) rate(t *testing.T, way string, began time.Time) {
	t.Helper()
	took := time.Since(began).Seconds()
	t.Logf("%s: %.0f MB in %.1f s, %.0f Mbit/s", way, float64(d.size)/1e6, took, float64(d.size)*8/1e6/took)
}
