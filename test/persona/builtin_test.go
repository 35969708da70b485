package persona

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// builtIns are the clients, by the names that `adit check` uses for them.
var builtIns = map[string]func() Profile{
	"Windows 8.1, 10, 11 and Windows Server":     func() Profile { return Windows10(WindowsOptions{}) },
	"Windows 7":                                  func() Profile { return Windows7(WindowsOptions{}) },
	"macOS, iOS, iPadOS":                         func() Profile { return Apple(AppleOptions{}) },
	"iOS before 14, macOS before 11":             func() Profile { return Apple(AppleOptions{OldESP: true}) },
	"Android 7.1 to 11":                          func() Profile { return Android(AndroidOptions{Deletes: true}) },
	"Android 4.3 to 7.0":                         func() Profile { return Android(AndroidOptions{Old: true, Deletes: true}) },
	"ChromeOS":                                   func() Profile { return ChromeOS(ChromeOSOptions{}) },
	"Linux: NetworkManager-l2tp with strongSwan": func() Profile { return NetworkManager(NetworkManagerOptions{}) },
	"Linux: NetworkManager-l2tp with libreswan":  func() Profile { return NetworkManager(NetworkManagerOptions{Libreswan: true}) },
	"MikroTik RouterOS":                          func() Profile { return RouterOS(RouterOSOptions{}) },
}

// words for the numbers of RFC 2409, RFC 2407 and the registry. A number that no
// configuration accepts has no word.
var (
	groupWords = map[int]string{2: "modp1024", 5: "modp1536", 14: "modp2048", 15: "modp3072", 19: "ecp256", 20: "ecp384"}
	hashWords  = map[int]string{2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512"}
	authWords  = map[uint64]string{2: "sha1", 5: "sha256", 6: "sha384", 7: "sha512"}
)

// offers returns the words for what a client offers.
func offers(t *testing.T, p Profile) (phase1, esp []string) {
	t.Helper()
	for _, x := range check(wire.ParseSA(p.IKE.SA)) {
		for _, tr := range x.Transforms {
			s := check(wire.ParseSuite(tr.Attributes))
			cipher := map[int]string{5: "3des", 7: fmt.Sprintf("aes%d", s.KeyLength)}[s.Encryption]
			if word := cipher + "-" + hashWords[s.Hash] + "-" + groupWords[s.Group]; cipher != "" && hashWords[s.Hash] != "" && !slices.Contains(phase1, word) {
				phase1 = append(phase1, word)
			}
		}
	}
	for _, x := range check(wire.ParseSA(p.ESP.SA(transport, 1))) {
		for _, tr := range x.Transforms {
			a := check(wire.Attributes(tr.Attributes))
			word := map[byte]string{3: "3des", 12: fmt.Sprintf("aes%d", a[6]), 20: fmt.Sprintf("aes%dgcm16", a[6])}[tr.ID]
			if hash := authWords[a[5]]; hash != "" && word != "" {
				word += "-" + hash
			} else if tr.ID != 20 {
				continue
			}
			if !slices.Contains(esp, word) {
				esp = append(esp, word)
			}
		}
	}
	return phase1, esp
}

// The table of built-in clients in `adit check` says what they offer here.
func TestTheTableOfBuiltInClientsIsWhatTheyOffer(t *testing.T) {
	table := app.BuiltIns()
	if len(table) != len(builtIns) {
		t.Errorf("%d clients, want %d", len(table), len(builtIns))
	}
	for _, b := range table {
		p := builtIns[b.Name]()
		phase1, esp := offers(t, p)
		if !slices.Equal(b.IKE, phase1) || !slices.Equal(b.ESP, esp) || b.PFS != groupWords[p.ESP.Group] {
			t.Errorf("%s offers\n%q and %q, PFS %q; the table has\n%q and %q, PFS %q", b.Name, phase1, esp, groupWords[p.ESP.Group], b.IKE, b.ESP, b.PFS)
		}
	}
}

// `adit check` names in advance exactly the clients that a restriction keeps out.
func TestRestrictionsKeepOutThoseThatTheCheckNames(t *testing.T) {
	for _, tt := range []struct {
		ike, esp []string
		out      int // how many clients it keeps out
	}{
		{nil, nil, 0},
		{[]string{"!3des"}, []string{"!3des"}, 0},
		{[]string{"!modp1024"}, nil, 2},
		{[]string{"!modp1024"}, []string{"!modp1024"}, 3},
		{[]string{"!modp1024", "!3des"}, []string{"!3des"}, 2},
		{[]string{"aes256-sha256-modp2048"}, nil, 6},
		{[]string{"aes-modp2048-ecp256", "aes-modp1024"}, []string{"aes256gcm16", "aes128-sha256-sha1"}, 0},
		{[]string{"!sha1"}, nil, 3},
		{nil, []string{"sha256"}, 6},
		{nil, []string{"aesgcm"}, 9},
		{nil, []string{"aes256-modp2048"}, 3},
	} {
		c := conf.Default()
		c.IPsec.IKE, c.IPsec.ESP = make([]conf.IKEElement, len(tt.ike)), make([]conf.ESPElement, len(tt.esp))
		for i, text := range tt.ike {
			if err := c.IPsec.IKE[i].UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		for i, text := range tt.esp {
			if err := c.IPsec.ESP[i].UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		out := 0
		for _, b := range app.BuiltIns() {
			why := b.Refused(c)
			if why != "" {
				out++
			}
			t.Run(fmt.Sprint(tt.ike, tt.esp, b.Name), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) { p.IKE.Suites, p.IKE.ESP, p.IKE.PFS = app.Suites(c) }})
					if why == "" {
						passes(t, w, online(t, builtIns[b.Name](), account, w.Net.Host("198.51.100.7")), 1)
						return
					}
					s, err := fails(t, w, builtIns[b.Name](), account)
					if !errors.As(err, new(*Ended)) || !slices.Equal(s.Notifies, []uint16{wire.NoProposalChosen}) {
						t.Errorf("it ended with %v, and heard %v, want NO-PROPOSAL-CHOSEN", err, s.Notifies)
					}
				})
			})
		}
		if out != tt.out {
			t.Errorf("%q and %q keep %d clients out, want %d", tt.ike, tt.esp, out, tt.out)
		}
	}
}
