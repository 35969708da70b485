package app

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ipsec"
)

func TestReloadSaysWhatAppliesWhen(t *testing.T) {
	old, now := conf.Default(), conf.Default()
	now.Users = []conf.User{{Name: "alice"}}
	now.IPsec.PSK = []secret.Bytes{secret.String("k")}
	now.Network.Device = "adit1"
	r := compare(old, now)
	if len(r.Live) != 1 || r.Live[0] != "user" || len(r.New) != 1 || r.New[0] != "ipsec.psk" || len(r.Restart) != 1 || r.Restart[0] != "network.device" {
		t.Errorf("got %+v", r)
	}
	if r := compare(old, conf.Default()); len(r.Live)+len(r.New)+len(r.Restart) != 0 {
		t.Errorf("equal configurations differ in %+v", r)
	}
}

// A build that does not encrypt says so at every start and in its status; one
// that does never says it.
func TestNoCryptoIsSaidLoudly(t *testing.T) {
	said := slices.ContainsFunc(warnings(conf.Default()), func(w string) bool { return strings.Contains(w, "PROTECTS NOTHING") })
	if said != ipsec.NoCrypto {
		t.Errorf("the warning is there: %v, this build has the tag: %v", said, ipsec.NoCrypto)
	}
	if kernels, err := Kernels(); err != nil || (kernels == "none") != ipsec.NoCrypto {
		t.Errorf("its kernels: %v, %v", kernels, err)
	}
}

func TestPeersStringsAreHarmlessInLogs(t *testing.T) {
	for in, want := range map[string]string{
		"plain":              "plain",
		"two\nlines\x1b[2J":  "two?lines?[2J",
		"bidi\u202eevil":     "bidi?evil",
		"bad\xff\xfeutf8":    "bad??utf8",
		"separator\u2028end": "separator?end",
	} {
		if got := field(in); got != want {
			t.Errorf("field(%q) = %q, want %q", in, got, want)
		}
	}
	if got := field(strings.Repeat("ä", 500)); len(got) > fieldLimit+len("…") {
		t.Errorf("a long string has %d bytes", len(got))
	}
}

func TestErrorsAreLoggedWithTheirAdvice(t *testing.T) {
	if got := errorField(radius.ErrUnsigned); got != radius.ErrUnsigned.Error() {
		t.Errorf("logged is %q", got)
	}
	if got := errorField(errors.New(strings.Repeat("x", 1<<20))); len(got) > errorLimit+len("…") {
		t.Errorf("a long error has %d bytes", len(got))
	}
}

func TestTheServerHasEachPoolsFirstAddress(t *testing.T) {
	c := conf.Default()
	c.Network.Pool = append(c.Network.Pool, conf.AddressRange{Prefix: netip.MustParsePrefix("10.90.0.0/24")})
	n := c.Plan().Networks
	if n[0].Server != netip.MustParseAddr("10.83.0.1") || n[1].Server != netip.MustParseAddr("10.90.0.1") {
		t.Errorf("networks = %+v", n)
	}
	leased, _, _ := pools(c, c.Plan())
	if reserved := leased.InUse(); reserved != 2 {
		t.Errorf("%d addresses are reserved, want the server's two", reserved)
	}
	p := plan(c, "adit0")
	if len(p.Addresses) != 2 || p.Addresses[0].String() != "10.83.0.1/16" || !p.Masquerade {
		t.Errorf("plan = %+v", p)
	}
}

func TestAFailedConnectionIsExplainedInOneLine(t *testing.T) {
	var out bytes.Buffer
	o := &events{log: newLogger(&out, conf.Log{Level: "info", Format: "json"}), meter: newMeter()}
	who := vpn.Who{Conn: 7, Remote: netip.MustParseAddrPort("198.51.100.7:4500"), Client: ike.ClientWindows}
	for want, e := range map[string]vpn.Event{
		"wrong pre-shared key":          vpn.PacketRefused{Who: who, Layer: vpn.LayerIKE, Why: ike.ErrUndecryptable},
		"user refused":                  vpn.AuthDone{Who: who, Method: auth.MSCHAPv2, Name: "alice", Verdict: auth.BadCredentials},
		"authentication had no verdict": vpn.AuthDone{Who: who, Method: auth.PAP, Err: errors.New("no RADIUS server answers")},
		"ESP refused":                   vpn.ChildFailed{Who: who, Why: ike.ChildFailed{Why: ike.FailureNoProposal}},
	} {
		out.Reset()
		o.Observe(e)
		if line := out.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, want) || !strings.Contains(line, "198.51.100.7:4500") {
			t.Errorf("%T is logged as %q", e, line)
		}
	}
	if o.log.GetLevel() != logrus.InfoLevel {
		t.Error("the level was not taken over")
	}
}

func TestDroppedControlPacketsAreCountedByReason(t *testing.T) {
	m := newMeter()
	m.count(vpn.PacketRefused{Layer: vpn.LayerIKE, Why: fmt.Errorf("message 5 of \x1b[2Jevil: %w", ike.ErrUndecryptable)})
	m.count(vpn.PacketRefused{Layer: vpn.LayerIKE, Why: errors.New("peer's own words")})
	for labels, want := range map[[2]string]float64{
		{"IKE", "no pre-shared key fits"}: 1,
		{"IKE", "other"}:                  1,
		{"IKE", "peer's own words"}:       0,
	} {
		if got := testutil.ToFloat64(m.refused.WithLabelValues(labels[0], labels[1])); got != want {
			t.Errorf("%v = %v, want %v", labels, got, want)
		}
	}
}

// What the configuration may name exists, and its default is the default.
func TestVendorIDsOfTheConfiguration(t *testing.T) {
	for _, name := range conf.VendorIDs {
		if ike.VendorIDsByName(string(name)) == nil {
			t.Errorf("there is no vendor ID %q", name)
		}
	}
	if got, want := vendorIDs(conf.Default()), ike.DefaultVendorIDs(); !slices.Equal(got, want) {
		t.Errorf("the default is %v, want %v", got, want)
	}
}

// A name that does not resolve is worth a warning before anybody dials it.
func TestCheckResolvesServerPublic(t *testing.T) {
	warned := func(public string) bool {
		return slices.ContainsFunc(checkPublic(read[conf.Host](t, public)[0]), func(f Finding) bool { return f.Warning && strings.HasPrefix(f.What, "server.public: ") })
	}
	for public, want := range map[string]bool{"": false, "192.0.2.1": false, "localhost": false, "vpn..example.com": true} {
		if warned(public) != want {
			t.Errorf("%q: a warning %v, want %v", public, !want, want)
		}
	}
}

// read reads texts as a configuration has them.
func read[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, texts ...string) []T {
	t.Helper()
	list := make([]T, len(texts))
	for i, text := range texts {
		if err := P(&list[i]).UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return list
}
