package app

import (
	"crypto/hmac"
	"crypto/md5"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/secret"
)

// findingsText is what adit check prints of findings.
func findingsText(list []Finding) string {
	var b strings.Builder
	for _, f := range list {
		mark := "ok"
		switch {
		case f.Err != nil:
			mark = "FAIL"
		case f.Warning:
			mark = "warn"
		}
		fmt.Fprintf(&b, "%s %s: %v\n", mark, f.What, f.Err)
	}
	return b.String()
}

// wants fails the test unless a text has all of these parts.
func wants(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: it does not say %q:\n%s", what, p, text)
		}
	}
}

// The login of a local user is tried by each method; what the user would be granted is said, what
// keeps the user out, and why a login fails.
func TestTheLoginOfALocalUserIsTried(t *testing.T) {
	c := loaded(t, `[auth]
methods = ["eap", "mschapv2", "pap"]
eap = ["mschapv2"]
[[group]]
name = "staff"
upload = "10 Mbit/s"
quota_day = "5 GB"
dns = ["10.0.0.53"]
[[user]]
name = "alice"
password = "her password"
group = "staff"
address = "10.83.7.7"
[[user]]
name = "bob"
nt_hash = "8846f7eaee8fb117ad06bdd830b7586c"
[[user]]
name = "carol"
password = "p"
[[link]]
name = "office"
remote = ["203.0.113.9"]
user = "x"
password = "y"
routes = ["172.28.0.0/16"]
`)
	c.Users[2].Address = c.Links[0].Routes[0].Addr().Next()
	for name, x := range map[string]struct {
		user, password string
		method         conf.Method
		want           []string
	}{
		"granted":       {"alice", "her password", "", []string{"ok login of alice by MS-CHAPv2, after ", "granted: user alice", "granted: group staff", "granted: address 10.83.7.7", "granted: upload of at most 10 Mbit/s", "granted: 5 GB to carry in a day", "granted: name servers 10.0.0.53"}},
		"pap":           {"alice", "her password", conf.PAP, []string{"ok login of alice by PAP"}},
		"chap":          {"alice", "her password", conf.CHAP, []string{"ok login of alice by CHAP-MD5"}},
		"wrong":         {"alice", "another", "", []string{"FAIL login of alice", "wrong password"}},
		"nobody":        {"dave", "another", "", []string{"FAIL login of dave", "no such user"}},
		"a hash":        {"bob", "password", "", []string{"ok login of bob", "granted: an address of network.pool"}},
		"a hash by pap": {"bob", "password", conf.PAP, []string{"FAIL login of bob by PAP", "cannot verify this method"}},
		"eap":           {"alice", "her password", conf.EAP, []string{`FAIL login of alice: "eap" cannot be tried`}},
		"a link's":      {"carol", "p", "", []string{"ok login of carol", "FAIL 172.28.0.1: it is of the network 172.28.0.0/16 of the link"}},
	} {
		wants(t, name, findingsText(CheckLogin(t.Context(), c, x.user, secret.String(x.password), x.method)), x.want...)
	}
}

// radiusOnLoopback is a RADIUS server that accepts one password and grants attributes.
func radiusOnLoopback(t *testing.T, shared string, grant func(*radius.Packet)) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for b := make([]byte, 4096); ; {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			p, err := radius.Parse(b[:n], []byte(shared))
			if err != nil || !signedBy(b[:n], []byte(shared)) {
				continue
			}
			r := p.Response(radius.CodeAccessReject)
			if rfc2865.UserPassword_GetString(p) == "her password" {
				r.Code = radius.CodeAccessAccept
				grant(r)
			}
			_ = rfc2865.ReplyMessage_AddString(r, "ask the help desk")
			_ = rfc2869.MessageAuthenticator_Set(r, make([]byte, 16))
			plain, _ := r.MarshalBinary()
			h := hmac.New(md5.New, []byte(shared))
			h.Write(plain)
			_ = rfc2869.MessageAuthenticator_Set(r, h.Sum(nil))
			if reply, err := r.Encode(); err == nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// A login is tried at the RADIUS server; what it grants is said in words, with what of it has no
// effect, and what keeps the user out. No record reaches its accounting.
func TestALoginIsTriedAtTheRADIUSServer(t *testing.T) {
	at := radiusOnLoopback(t, "a shared secret", func(r *radius.Packet) {
		_ = rfc2865.FramedIPAddress_Set(r, net.IPv4(172, 31, 9, 8))
		_ = rfc2865.FramedRoute_AddString(r, "172.29.70.0/24 0.0.0.0 1")
		_ = rfc2865.FramedRoute_AddString(r, "nonsense")
		_ = rfc2865.FramedRoute_AddString(r, "128.0.0.0/1")
		_ = rfc2865.FilterID_AddString(r, "nobody")
		_ = rfc2865.SessionTimeout_Set(r, 3600)
		_ = rfc2865.CallbackNumber_AddString(r, "555")
	})
	with := func(shared string) *conf.Config {
		return loaded(t, fmt.Sprintf(`[auth]
backend = "radius"
methods = ["pap"]
[radius]
servers = [{ address = %q, accounting = "127.0.0.1:1", secret = %q }]
`, at, shared))
	}
	login := func(shared, password string) string {
		return findingsText(CheckLogin(t.Context(), with(shared), "alice", secret.String(password), ""))
	}
	wants(t, "granted", login("a shared secret", "her password"),
		"ok login of alice by PAP, after ", "at the RADIUS server "+at, "granted: address 172.31.9.8", "granted: networks behind the client 172.29.70.0/24, 128.0.0.0/1",
		"granted: longest session 1h0m0s", "warn ", `"nonsense" is not a network`, `Filter-Id "nobody" does nothing`, "Callback-Number has no effect",
		"ok the server says to the user: ask the help desk", "FAIL the route 128.0.0.0/1: it is none that a client can have")
	wants(t, "refused", login("a shared secret", "another"), "FAIL login of alice by PAP", "at the RADIUS server "+at, "wrong user name or password: Access-Reject", `the server says "ask the help desk"`)
	wants(t, "another secret", login("another shared secret", "her password"), "FAIL RADIUS server "+at, "no RADIUS server answers", "secret")
}

// A session that may go on is said to.
func TestAGrantSaysThatTheSessionGoesOn(t *testing.T) {
	g := auth.Grant{SessionTimeout: time.Hour, Again: &auth.Again{}}
	if got := strings.Join(grantTexts(&g), "\n"); !strings.Contains(got, "longest session 1h0m0s\ngranted: at its end the user authenticates again") {
		t.Errorf("%s", got)
	}
	g.Again = nil
	if got := strings.Join(grantTexts(&g), "\n"); strings.Contains(got, "again") {
		t.Errorf("%s", got)
	}
}
