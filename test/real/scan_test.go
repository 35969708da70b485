//go:build real

package real

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// Numbers of RFC 2409's registry, with the names that the README gives them.
var (
	scannedCiphers = map[string]string{"1": "DES", "3": "Blowfish", "5": "3DES", "6": "CAST", "7/128": "AES128", "7/192": "AES192", "7/256": "AES256"}
	scannedHashes  = map[string]string{"1": "MD5", "2": "SHA1", "3": "TIGER", "4": "SHA256", "5": "SHA384", "6": "SHA512"}
	scannedAuths   = map[string]string{"1": "PSK", "2": "DSS", "3": "RSA", "4": "RSA encryption", "65001": "XAUTH"}
	scannedGroups  = []string{"1", "2", "5", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31"}

	shownCiphers = []string{"3DES", "AES128", "AES192", "AES256"}
	shownHashes  = []string{"SHA1", "SHA256", "SHA384", "SHA512"}
	shownGroups  = []string{"2", "5", "14", "15", "16", "19", "20", "21", "31"}
)

// scan runs ike-scan against the lab's server and returns what it printed.
func scan(t *testing.T, args ...string) string {
	t.Helper()
	return lab.Run(t, here.LAN, append(append([]string{"ike-scan", "--sport=0", "--retry=2", "--timeout=400"}, args...), lab.ServerIP)...)
}

// ike-scan, which shares no line with this server, offers every combination by
// itself: exactly those are accepted that the documentation promises.
func TestIKEScanFindsTheSuitesThatAreMeantAndNoOther(t *testing.T) {
	s := here.Serve(t, lab.Config{"limits": "half_open = 20000\nhalf_open_per_source = 20000"})
	type offer struct{ cipher, hash, auth, group string }
	var offers []offer
	for c := range scannedCiphers {
		for h := range scannedHashes {
			for _, g := range scannedGroups {
				offers = append(offers, offer{c, h, "1", g})
			}
		}
	}
	for a := range scannedAuths {
		offers = append(offers, offer{"7/256", "4", a, "14"})
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, o := range offers {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			cipher, hash := scannedCiphers[o.cipher], scannedHashes[o.hash]
			want := slices.Contains(shownCiphers, cipher) && slices.Contains(shownHashes, hash) &&
				slices.Contains(shownGroups, o.group) && o.auth == "1"
			out := scan(t, "--trans="+strings.Join([]string{o.cipher, o.hash, o.auth, o.group}, ","))
			if got := strings.Contains(out, "Main Mode Handshake returned"); got != want {
				t.Errorf("%s, %s, %s, group %s: accepted %v, want %v\n%s", cipher, hash, scannedAuths[o.auth], o.group, got, want, out)
			}
		})
	}
	wg.Wait()
	t.Logf("%d offers", len(offers))
	s.Stop(t)
}

var shownVID = regexp.MustCompile(`VID=([0-9a-f]+)`)

// Vendor IDs are answered only to who offers them, in the form offered, and
// Apple's and Microsoft's never.
func TestIKEScanFindsTheVendorIDsThatAreMeantAndNoOther(t *testing.T) {
	const (
		rfc3947  = "4a131c81070358455c5728f20e95452f"
		draft02n = "90cb80913ebb696e086381b5ec427b1f"
		dpd      = "afcad71368a1f1c96b8696fc77570100"
		fragment = "4048b7d56ebce88525e7de7f00d6c2d3"
	)
	offered := []string{
		"4df37928e9fc4fd1b3262170d515c662", // Apple's, which must never come back
		rfc3947, draft02n, dpd, fragment,
		"1e2b516905991c7d7c96fcbfb587e46100000009", "26244d38eddb61b3172a36e3d0cfb819", "fb1de3cdf341b7ea16b7e5be0855f120",
		"01528bbbc00696121849ab9a1c5b2a5100000001", "09002689dfd6b712", "12f5f28c457168a9702d9fe274cc0100",
	}
	s := here.Serve(t, nil)
	for name, x := range map[string]struct{ offer, want []string }{
		"who offers none gets none":                   {nil, nil},
		"who offers all gets three":                   {offered, []string{rfc3947, dpd, fragment}},
		"an old NAT-T is answered if it is all":       {[]string{draft02n}, []string{draft02n}},
		"fragmentation comes in the form it has here": {[]string{fragment + "80000000"}, []string{fragment + "80000000"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--trans=7/256,4,1,14"}
			for _, v := range x.offer {
				args = append(args, "--vendor="+v)
			}
			out := scan(t, args...)
			var got []string
			for _, m := range shownVID.FindAllStringSubmatch(out, -1) {
				got = append(got, m[1])
			}
			slices.Sort(got)
			slices.Sort(x.want)
			if !slices.Equal(got, x.want) {
				t.Errorf("got %v, want %v\n%s", got, x.want, out)
			}
		})
	}
	s.Stop(t)
}

// Aggressive Mode is off: not a byte comes back, whoever asks.
func TestIKEScanGetsNoAnswerInAggressiveMode(t *testing.T) {
	s := here.Serve(t, nil)
	for _, id := range []string{"", "vpn", lab.User} {
		out := scan(t, "--aggressive", "--dhgroup=14", "--id="+id, "--trans=7/256,4,1,14")
		if strings.Contains(out, "Handshake returned") || !strings.Contains(out, "0 returned handshake") {
			t.Errorf("as %q: %s", id, out)
		}
	}
	s.Stop(t)
}
