package app

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/pool"
)

var threeUsers = settingsOf{
	"user":              `[{ name = "alice", password = "p" }, { name = "bob", password = "p" }, { name = "carol \"x\" ü", password = "p" }]`,
	"network.delegate6": `"2001:db8:f000::/40"`,
}

// has fails the test unless a user who connects has an address.
func (h *host) has(user, address string) {
	h.t.Helper()
	if own, _ := h.connect(user); own != netip.MustParseAddr(address) {
		h.t.Errorf("%s has %v, want %s", user, own, address)
	}
}

// Users have their addresses again after a restart, in whatever order they come,
// and nobody else gets them meanwhile.
func TestUsersHaveTheirAddressesAgainAfterARestart(t *testing.T) {
	for name, end := range map[string]func(*host){
		"stopped": func(h *host) { h.stop() },
		"killed":  func(*host) { time.Sleep(2 * leasesPause) }, // it goes on in a world of its own
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				h := startHostIn(t, dir, threeUsers)
				h.has("alice", "10.83.0.2")
				h.has("bob", "10.83.0.3")
				h.has(`carol "x" ü`, "10.83.0.4")
				end(h)
				h = startHostIn(t, dir, threeUsers)
				h.has(`carol "x" ü`, "10.83.0.4")
				h.has("bob", "10.83.0.3")
				h.stop()
				h = startHostIn(t, dir, threeUsers) // who was not there the second time
				h.has("alice", "10.83.0.2")
				if info, err := os.Stat(filepath.Join(dir, leasesFile)); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("the file: %v, %v", info, err)
				}
			})
		})
	}
}

// Their IPv6 too: a /64 each, and what is delegated.
func TestPrefixesAreKeptToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h := startHostIn(t, dir, threeUsers)
		for _, p := range []*pool.Pool{h.pool6, h.delegate6} {
			for _, user := range []string{"alice", "bob"} {
				if _, err := p.Lease(user, netip.Addr{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		links, routers := h.pool6.Claims(), h.delegate6.Claims()
		h.stop()
		h = startHostIn(t, dir, threeUsers)
		if got := fmt.Sprint(h.pool6.Claims(), h.delegate6.Claims()); got != fmt.Sprint(links, routers) || len(links) != 2 || len(routers) != 2 {
			t.Errorf("kept are %s, want %v %v", got, links, routers)
		}
	})
}

// A file that cannot be read is set aside, with a warning, and the server serves.
func TestADamagedFileOfAddressesIsSetAside(t *testing.T) {
	whole := leasesHead + "\npool 10.83.0.7 \"alice\"\n" + stateEnd + "\n"
	for name, tt := range map[string]struct {
		text    string
		damaged bool
		address string // that alice gets
	}{
		"whole":                         {whole, false, "10.83.0.7"},
		"empty":                         {"", true, "10.83.0.2"},
		"cut":                           {whole[:len(whole)-10], true, "10.83.0.2"},
		"cut in a line":                 {whole[:len(leasesHead)+12], true, "10.83.0.2"},
		"zeros":                         {string(make([]byte, 4096)), true, "10.83.0.2"},
		"no text":                       {"\x7fELF\xff\xfe\n" + whole, true, "10.83.0.2"},
		"a line without end":            {strings.Repeat("x", 1<<20), true, "10.83.0.2"},
		"an address that is none":       {strings.Replace(whole, "10.83.0.7", "10.83.0.700", 1), true, "10.83.0.2"},
		"of another pool":               {strings.Replace(whole, "10.83.0.7", "10.99.0.7", 1), false, "10.83.0.2"},
		"the server's own":              {strings.Replace(whole, "10.83.0.7", "10.83.0.1", 1), false, "10.83.0.2"},
		"the broadcast address":         {strings.Replace(whole, "10.83.0.7", "10.83.0.255", 1), false, "10.83.0.2"},
		"of a pool that is not known":   {strings.Replace(whole, "pool ", "pool9 ", 1), false, "10.83.0.2"},
		"another user's later":          {strings.Replace(whole, stateEnd, "pool 10.83.0.7 \"bob\"\n"+stateEnd, 1), false, "10.83.0.2"},
		"IPv6 where IPv4 is":            {strings.Replace(whole, "10.83.0.7", "2001:db8::7", 1), false, "10.83.0.2"},
		"two of one user, the last one": {strings.Replace(whole, stateEnd, "pool 10.83.0.9 \"alice\"\n"+stateEnd, 1), false, "10.83.0.9"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, leasesFile), []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
				h := startHostIn(t, dir, nil)
				aside, err := os.ReadFile(filepath.Join(dir, leasesFile+stateDamage))
				if warned := strings.Contains(h.logged(), "cannot be read: they get others"); warned != tt.damaged || (err == nil) != tt.damaged || err == nil && string(aside) != tt.text {
					t.Errorf("a warning: %v; set aside: %v", warned, err)
				}
				h.has("alice", tt.address)
			})
		})
	}
}

// A state directory that cannot be written is said once, and tried again.
func TestAddressesThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h := startHostIn(t, dir, threeUsers)
		if err := os.Mkdir(filepath.Join(dir, leasesFile+".new"), 0o700); err != nil {
			t.Fatal(err)
		}
		h.has("alice", "10.83.0.2")
		h.has("bob", "10.83.0.3")
		time.Sleep(5 * leasesAgain)
		if n := strings.Count(h.logged(), "cannot be written: after a restart they get others"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if err := os.Remove(filepath.Join(dir, leasesFile+".new")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * leasesAgain)
		if b, err := os.ReadFile(filepath.Join(dir, leasesFile)); err != nil || !strings.Contains(string(b), `pool 10.83.0.3 "bob"`) {
			t.Errorf("after that the file has %q, %v", b, err)
		}
	})
}
