package app

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/test/client"
)

// longPacket is a UDP packet of so many bytes to a port.
func longPacket(src, dst netip.Addr, port uint16, n int) []byte {
	b := append(testPacket(src, dst), make([]byte, n-32)...)
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	binary.BigEndian.PutUint16(b[10:], 0)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[22:], port)
	binary.BigEndian.PutUint16(b[24:], uint16(n-20))
	return b
}

var far = netip.MustParseAddr("203.0.113.80")

// carried has both ends send packets of 1000 bytes a thousand times a second, for some seconds,
// and returns how many of each arrive.
func (h *host) carried(d *client.Dialled, device *netdevtest.Device, port uint16, seconds int) (in, out int) {
	h.t.Helper()
	own := d.Network.Peer
	count := func() {
		synctest.Wait()
		for h.device.Poll() != nil {
			in++
		}
		for device.Poll() != nil {
			out++
		}
	}
	for range seconds * 1000 {
		device.Inject(0, longPacket(own, far, port, 1000))
		h.device.Inject(0, longPacket(far, own, port, 1000))
		time.Sleep(time.Millisecond)
		count()
	}
	time.Sleep(time.Second) // for what waits
	count()
	return in, out
}

const allowed = `[{ name = "staff", upload = "1 Mbit/s", download = "4M", filter = "mail", pool = "desks", sessions = 1 }, { name = "guests", quota_day = "1 MB" }, { name = "walled", quota_month = "1 MB", quota_filter = "portal" }, { name = "night", hours = ["22:00-23:00"] }]`

func allowances(changes settingsOf) settingsOf {
	all := settingsOf{
		"group":  allowed,
		"pool":   `[{ name = "desks", addresses = ["10.84.0.0/24"] }]`,
		"filter": `[{ name = "mail", rules = ["deny in udp from any to any 25", "deny out udp from any to any 26"] }, { name = "portal", rules = ["permit in udp from any to any 80", "permit out udp from any to any 80"] }]`,
		"user": `[{ name = "alice", password = "p", group = "staff" }, { name = "bob", password = "p", group = "staff", download = "2M" }, ` +
			`{ name = "carol", password = "p", group = "guests" }, { name = "dave", password = "p", group = "walled" }, { name = "erin", password = "p", group = "night" }, { name = "frank", password = "p" }]`,
	}
	for k, v := range changes {
		all[k] = v
	}
	return all
}

// What a group says holds on the wire, and what a user says in its place.
func TestWhatGroupsSayHolds(t *testing.T) {
	for user, want := range map[string]struct {
		pool        string
		upload, out limit.Rate
	}{"alice": {"10.84.0.0/24", 1e6, 4e6}, "bob": {"10.84.0.0/24", 1e6, 2e6}, "frank": {"10.83.0.0/24", 0, 0}} {
		t.Run(user, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := startHost(t, allowances(nil))
				d, device, err := h.dial(user, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !netip.MustParsePrefix(want.pool).Contains(d.Network.Peer) {
					t.Errorf("the address is %v", d.Network.Peer)
				}
				const seconds = 10
				in, out := h.carried(d, device, 53, seconds)
				for _, x := range []struct {
					name string
					got  int
					rate limit.Rate
				}{{"upload", in, want.upload}, {"download", out, want.out}} {
					may := float64(1000 * seconds)
					if x.rate > 0 {
						may = (float64(x.rate)*seconds/8 + float64(x.rate.Burst())) / 1000
					}
					if share := float64(x.got) / may; share < 0.97 || share > 1.03 {
						t.Errorf("%s: %d packets, %.3f of what may pass", x.name, x.got, share)
					}
				}
				if user == "alice" {
					if s := h.Status().Sessions[0]; s.UserGroup != "staff" || s.Upload != 1e6 || s.Download != 4e6 {
						t.Errorf("status says %+v", s)
					}
					pools := scrapedOf(t, h, "adit_pool_")
					for _, want := range []string{`adit_pool_size{kind="ipv4",pool="desks"} 253`, `adit_pool_used{kind="ipv4",pool="desks"} 1`, `adit_pool_used{kind="ipv4",pool="network"} 0`} {
						if !strings.Contains(pools, want) {
							t.Errorf("no metric %s in\n%s", want, pools)
						}
					}
					if line := h.logged(); !strings.Contains(line, `"download":"4 Mbit/s"`) || !strings.Contains(line, `"upload":"1 Mbit/s"`) || !strings.Contains(line, `"group":"staff"`) {
						t.Errorf("the log does not say the rates:\n%s", line)
					}
					if in, _ := h.carried(d, device, 25, 1); in > 0 {
						t.Errorf("%d packets to port 25 came from the client", in)
					}
					if _, out := h.carried(d, device, 26, 1); out > 0 {
						t.Errorf("%d packets to port 26 came to the client", out)
					}
					if _, _, err := h.dial(user, nil); err == nil {
						t.Error("a second session of the user is up")
					}
				}
			})
		})
	}
}

// A quota of a day outlives sessions and restarts, and another day begins anew.
func TestQuotasSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h := startHostIn(t, dir, allowances(nil))
		d, device, err := h.dial("carol", nil)
		if err != nil {
			t.Fatal(err)
		}
		h.carried(d, device, 53, 3)
		time.Sleep(time.Minute)
		select {
		case <-d.Done():
		default:
			t.Error("the session goes on")
		}
		if !strings.Contains(h.logged(), `"cause":"traffic quota is used up"`) {
			t.Errorf("the log does not say why it ended:\n%s", h.logged())
		}
		h.stop()
		if info, err := os.Stat(filepath.Join(dir, usageFile)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info, err)
		}
		h = startHostIn(t, dir, allowances(nil))
		if _, _, err := h.dial("carol", nil); err == nil {
			t.Error("she comes in again on the same day")
		}
		if !strings.Contains(h.logged(), "the user's quota is used up: 1 MB a day") {
			t.Errorf("the log does not say why:\n%s", h.logged())
		}
		time.Sleep(24 * time.Hour)
		if _, _, err := h.dial("carol", nil); err != nil {
			t.Errorf("on the next day: %v", err)
		}
	})
}

// In the walled garden a session goes on.
func TestAQuotaThatLeadsToAWalledGarden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, allowances(nil))
		d, device, err := h.dial("dave", nil)
		if err != nil {
			t.Fatal(err)
		}
		h.carried(d, device, 53, 3)
		if in, out := h.carried(d, device, 53, 1); in+out != 0 {
			t.Errorf("%d and %d packets pass outside of the garden", in, out)
		}
		if in, out := h.carried(d, device, 80, 1); in != 1000 || out != 1000 {
			t.Errorf("%d and %d packets pass in the garden", in, out)
		}
		if !strings.Contains(h.logged(), "what passes now is what quota_filter allows") {
			t.Error("the log does not say so")
		}
	})
}

// Outside of a group's hours nobody comes in, and with their end sessions end.
func TestHoursOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, allowances(nil))
		day := time.Now().Local()
		begin := time.Date(day.Year(), day.Month(), day.Day(), 22, 0, 0, 0, time.Local)
		if begin.Before(day) {
			begin = begin.AddDate(0, 0, 1)
		}
		if _, _, err := h.dial("erin", nil); err == nil {
			t.Error("she comes in outside of the hours")
		}
		time.Sleep(time.Until(begin.Add(30 * time.Minute)))
		d, _, err := h.dial("erin", nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(begin.Add(time.Hour + time.Minute)))
		select {
		case <-d.Done():
		default:
			t.Error("the session goes on after the hours")
		}
	})
}

// A reload changes groups for the next session, and what is reserved of a pool at once.
func TestReloadChangesGroupsAndReserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, allowances(settingsOf{"network.reserve": `["10.83.0.0-10.83.0.99"]`}))
		h.has("frank", "10.83.0.100")
		h.write(allowances(settingsOf{"group": strings.Replace(allowed, `sessions = 1`, `sessions = 2`, 1), "network.reserve": `["10.83.0.0-10.83.0.199"]`,
			"user": `[{ name = "alice", password = "p", group = "staff" }, { name = "grace", password = "p" }, { name = "henry", password = "p", address = "10.83.0.7" }]`}))
		if r, err := h.Reload(); err != nil || len(r.Restart) != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		h.has("grace", "10.83.0.200")
		h.has("henry", "10.83.0.7")
		for range 2 {
			if _, _, err := h.dial("alice", nil); err != nil {
				t.Errorf("a second session, which is allowed by now: %v", err)
			}
		}
	})
}

// A damaged file of what was used is set aside, and whatever it holds, the server starts.
func TestADamagedUsageFile(t *testing.T) {
	for name, text := range map[string]string{"no end": usageHead + "\n2026-11-30 1 2 \"alice\"\n", "no numbers": "2026-11-30 x y \"alice\"\n# end\n", "no day": "today 1 2 \"alice\"\n# end\n", "bytes": "\x00\xff"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, usageFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := newUsages(filepath.Join(dir, usageFile), newLogger(io.Discard, conf.Log{Level: conf.LevelInfo, Format: conf.FormatJSON}))
		l.restore()
		if _, err := os.Stat(filepath.Join(dir, usageFile+stateDamage)); err != nil || len(l.users) != 0 {
			t.Errorf("%s: %v, %v", name, err, l.users)
		}
	}
}

// Days and months are the clock's, and what is written is read again.
func TestUsageCountsByTheClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), usageFile)
	l := newUsages(path, nil)
	at := func(s string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04", s, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, x := range []struct {
		at         string
		octets     uint64
		day, month limit.Octets
	}{
		{"2026-11-29 10:00", 0, 0, 0}, {"2026-11-29 10:00", 5, 5, 5}, {"2026-11-29 23:59", 6, 11, 11}, {"2026-11-30 00:00", 0, 0, 11}, {"2026-11-30 00:01", 7, 7, 18},
		{"2026-12-01 00:00", 0, 0, 0}, {"2026-12-01 00:00", 1, 1, 1}, {"2027-12-01 00:00", 2, 2, 2},
	} {
		if day, month := l.Spend(at(x.at), "älice \"x\"", x.octets); day != x.day || month != x.month {
			t.Errorf("%s: %d and %d, want %d and %d", x.at, day, month, x.day, x.month)
		}
	}
	if err := l.write(l.lines); err != nil {
		t.Fatal(err)
	}
	again := newUsages(path, nil)
	again.restore()
	if len(again.users) != 1 || *again.users["älice \"x\""] != *l.users["älice \"x\""] {
		t.Errorf("%v", again.users)
	}
}
