package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/pki"
)

// radiusFakes are RADIUS servers in memory, by address, each with its secret. They accept
// everybody; one without a secret is a black hole.
type radiusFakes struct {
	mu      sync.Mutex
	secrets map[string]string
	asks    string              // what they ask further; "": nothing
	users   map[string][]string // who was accepted, by address
}

func (s *radiusFakes) dial(_ context.Context, _, address string) (net.Conn, error) {
	return &radiusConn{servers: s, address: address, in: make(chan []byte, 16), shut: make(chan struct{})}, nil
}

// answer accepts the user of a request that is signed with the server's secret.
func (s *radiusFakes) answer(address string, b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := []byte(s.secrets[address])
	p, err := radius.Parse(b, secret)
	if err != nil || len(secret) == 0 || p.Code == radius.CodeAccessRequest && !signedBy(b, secret) {
		return nil
	}
	if p.Code == radius.CodeAccessRequest {
		s.users[address] = append(s.users[address], rfc2865.UserName_GetString(p))
	}
	r := p.Response(radius.CodeAccessAccept)
	if s.asks != "" {
		r.Code = radius.CodeAccessChallenge
		_ = rfc2865.ReplyMessage_AddString(r, s.asks)
		_ = rfc2865.State_AddString(r, "of the question")
	}
	_ = rfc2869.MessageAuthenticator_Set(r, make([]byte, 16))
	plain, _ := r.MarshalBinary()
	h := hmac.New(md5.New, secret)
	h.Write(plain)
	_ = rfc2869.MessageAuthenticator_Set(r, h.Sum(nil))
	b, _ = r.Encode()
	return b
}

func signedBy(b, secret []byte) bool {
	mac := bytes.Clone(b[22:38]) // it is the first attribute
	b = bytes.Clone(b)
	clear(b[22:38])
	h := hmac.New(md5.New, secret)
	h.Write(b)
	return hmac.Equal(mac, h.Sum(nil))
}

func (s *radiusFakes) accepted(address string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users[address])
}

type radiusConn struct {
	net.Conn
	servers *radiusFakes
	address string
	in      chan []byte
	shut    chan struct{}
	once    sync.Once
}

func (c *radiusConn) Write(b []byte) (int, error) {
	if reply := c.servers.answer(c.address, b); reply != nil {
		c.in <- reply
	}
	return len(b), nil
}

func (c *radiusConn) Read(b []byte) (int, error) {
	select {
	case p := <-c.in:
		return copy(b, p), nil
	case <-c.shut:
		return 0, io.EOF
	}
}

func (c *radiusConn) Close() error { c.once.Do(func() { close(c.shut) }); return nil }

func (c *radiusConn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1)} }

// byRadius has a host's users come from servers in memory.
func byRadius(t *testing.T, s *radiusFakes, servers string) *host {
	t.Helper()
	s.users = map[string][]string{}
	return startHostWith(t, t.TempDir(), settingsOf{"user": "", "auth.backend": `"radius"`, "auth.methods": `["pap"]`, "radius.servers": servers}, Options{RadiusDial: s.dial})
}

// Servers and secrets change by a reload, and sessions stay.
func TestRADIUSServersChangeByReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &radiusFakes{secrets: map[string]string{"192.0.2.201:1812": "one", "192.0.2.202:1812": "two"}}
		h := byRadius(t, s, `[{ address = "192.0.2.201:1812", secret = "one" }]`)
		h.connect("alice")
		h.write(settingsOf{"user": "", "auth.backend": `"radius"`, "auth.methods": `["pap"]`, "radius.servers": `[{ address = "192.0.2.202:1812", secret = "two" }]`})
		if r, err := h.Reload(); err != nil || !slices.Contains(r.Live, "radius.servers") || len(r.Restart) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
		h.connect("bob")
		if a, b := s.accepted("192.0.2.201:1812"), s.accepted("192.0.2.202:1812"); fmt.Sprint(a, b) != "[alice] [bob]" {
			t.Errorf("the first server accepted %v, the second %v", a, b)
		}
		if n := len(h.Status().Sessions); n != 2 {
			t.Errorf("%d sessions", n)
		}
		s.mu.Lock()
		s.secrets["192.0.2.202:1812"] = "three"
		s.mu.Unlock()
		h.write(settingsOf{"user": "", "auth.backend": `"radius"`, "auth.methods": `["pap"]`, "radius.servers": `[{ address = "192.0.2.202:1812", secret = "three" }]`})
		if _, err := h.Reload(); err != nil {
			t.Error(err)
		}
		h.connect("carol")
	})
}

// When no server answers, everything that an administrator looks at says so; and again, when
// one does.
func TestNoRADIUSServerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &radiusFakes{secrets: map[string]string{}}
		h := byRadius(t, s, `[{ address = "192.0.2.201:1812", secret = "one" }, { address = "192.0.2.202:1812", secret = "two" }]`)
		if err := h.healthy(); err != nil {
			t.Errorf("nobody has asked yet: %v", err)
		}
		if _, _, err := h.dial("alice", nil); err == nil {
			t.Error("alice is in")
		}
		if err := h.healthy(); !errors.Is(err, errNoRadius) {
			t.Errorf("healthy: %v", err)
		}
		st := h.Status()
		if len(st.Radius) != 2 || st.Radius[0].Error == "" || !slices.Contains(st.Warnings, errNoRadius.Error()) {
			t.Errorf("status: %+v, %q", st.Radius, st.Warnings)
		}
		if text := scraped(t, h); !strings.Contains(text, `adit_radius_up{server="192.0.2.201:1812",service="authentication"} 0`) ||
			!strings.Contains(text, `adit_radius_requests_total{result="no answer",server="192.0.2.201:1812",service="authentication"} 1`) {
			t.Errorf("metrics:\n%s", text)
		}
		s.mu.Lock()
		s.secrets["192.0.2.202:1812"] = "two"
		s.mu.Unlock()
		time.Sleep(30 * time.Second)
		if err := h.healthy(); err != nil {
			t.Errorf("healthy: %v", err)
		}
		h.connect("alice")
		if text := scraped(t, h); !strings.Contains(text, `adit_radius_up{server="192.0.2.202:1812",service="authentication"} 1`) ||
			!strings.Contains(text, `adit_radius_request_seconds_count{server="192.0.2.202:1812",service="authentication"} 1`) {
			t.Errorf("metrics:\n%s", text)
		}
		log := h.logged()
		for _, want := range []string{"a RADIUS server is given up until it answers a probe", "a RADIUS server answers again", "or has another secret for it"} {
			if !strings.Contains(log, want) {
				t.Errorf("the log does not say %q", want)
			}
		}
	})
}

// scraped are the metrics of RADIUS servers, as text.
func scraped(t *testing.T, h *host) string {
	t.Helper()
	return scrapedOf(t, h, "adit_radius_")
}

// scrapedOf are the metrics whose names begin so.
func scrapedOf(t *testing.T, h *host, begin string) string {
	t.Helper()
	families, err := h.meter.registry(h.instance).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), begin) {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name, value := f.GetName(), m.GetGauge().GetValue()+m.GetCounter().GetValue()
			if m.GetHistogram() != nil {
				name, value = name+"_count", float64(m.GetHistogram().GetSampleCount())
			}
			fmt.Fprintf(&b, "%s{%s} %v\n", name, strings.Join(labels, ","), value)
		}
	}
	return b.String()
}

// What TLS needs is read before anything is changed, and the error says for which server.
func TestCertificatesForRADIUSThatCannotBeRead(t *testing.T) {
	c := &conf.Config{Radius: conf.Radius{Servers: []conf.RadiusServer{{}, {TLSCA: "/nonexistent/ca", TLSCertificate: "/nonexistent/cert", TLSPrivateKey: "/nonexistent/key"}}}}
	_, err := radiusConfig(c)
	var wrong conf.Errors
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "radius.servers[1]: ") || !strings.Contains(err.Error(), "/nonexistent/cert") {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &c.Radius.Servers[1]
	s.TLSCA, s.TLSCertificate, s.TLSPrivateKey = filepath.Join(dir, "x"), filepath.Join(dir, "x"), filepath.Join(dir, "x")
	if _, err := radiusConfig(c); err == nil {
		t.Error("a file without a certificate is taken")
	}
}

// Connections to a server are made anew where the certificates are others: what was loaded says so,
// not what the files have a moment later.
func TestTheIDOfATLSServerIsThatOfWhatIsLoaded(t *testing.T) {
	c, ca := certified(t)
	s := &conf.RadiusServer{TLSCA: c.IPsec.CA[0], TLSCertificate: c.IPsec.Certificate, TLSPrivateKey: c.IPsec.PrivateKey, TLSName: "r"}
	id := func() string {
		t.Helper()
		got, err := radiusTLS(s)
		if err != nil {
			t.Fatal(err)
		}
		return got.ID
	}
	first := id()
	for _, file := range []string{s.TLSCA, s.TLSCertificate, s.TLSPrivateKey} {
		appendTo(t, file, "\n# nothing that is loaded\n")
		if id() != first {
			t.Errorf("%s has another text, and the same content", file)
		}
	}
	s.TLSName = "another"
	if id() == first {
		t.Error("it is the same with another name")
	}
	s.TLSName = "r"
	if _, err := ca.Server([]string{"vpn.example.com"}, pki.ECDSA, time.Now()); err != nil {
		t.Fatal(err)
	}
	second := id()
	if second == first {
		t.Error("it is the same with another certificate")
	}
	if s.TLSCA = s.TLSCertificate; id() == second {
		t.Error("it is the same with other CAs")
	}
}

// appendTo adds a text to a file.
func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A client that cannot be asked a further question is refused at once, and told what it was. The
// log has that, and what to do.
func TestAnAccessChallengeIsARefusalThatSaysWhy(t *testing.T) {
	for method, name := range map[string]string{"pap": "PAP", "chap": "CHAP-MD5", "mschapv2": "MS-CHAPv2"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &radiusFakes{secrets: map[string]string{"192.0.2.201:1812": "one"}, asks: "Enter your code", users: map[string][]string{}}
				h := startHostWith(t, t.TempDir(), settingsOf{
					"user": "", "auth.backend": `"radius"`, "auth.methods": fmt.Sprintf("[%q]", method),
					"radius.servers": `[{ address = "192.0.2.201:1812", secret = "one" }]`,
				}, Options{RadiusDial: s.dial})
				if _, _, err := h.dial("alice", nil); err == nil || !strings.Contains(err.Error(), s.asks) {
					t.Errorf("the client is told %v", err)
				}
				for _, want := range []string{
					"user refused", `"reply_message":"Enter your code"`, "Access-Challenge", "by " + name + ": have the server push", `"verdict":"not allowed to connect"`,
				} {
					if !strings.Contains(h.logged(), want) {
						t.Errorf("the log does not say %q:\n%s", want, h.logged())
					}
				}
				if got := scraped(t, h); !strings.Contains(got, `result="challenge",server="192.0.2.201:1812",service="authentication"} 1`) {
					t.Errorf("the metrics are\n%s", got)
				}
				if n := len(s.accepted("192.0.2.201:1812")); n != 1 {
					t.Errorf("the server was asked %d times", n)
				}
			})
		})
	}
}
