package sim

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/client"
)

// broken is a backend that panics when it is asked.
type broken struct{}

func (broken) Authenticate(context.Context, *auth.Request) (auth.Response, error) {
	panic("a backend that is broken")
}

func (broken) Names() [][]byte { return nil }

func (broken) Verify(time.Time, [][]byte) (ike.PeerCert, error) { panic("an authority that is broken") }

// page is the log, which tests read while it is written.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// failures are ways in which peers without a user cause log lines.
var failures = map[string]struct {
	server func(*vpn.Policy)
	client func(*client.Config)
	user   string
	stay   time.Duration // 0: until it fails
	change func(*Options)
}{
	"wrong keys":         {client: func(c *client.Config) { c.PSK = secret.String("another pre-shared key") }},
	"no suite in common": {server: func(p *vpn.Policy) { p.IKE.Suites = ike.DefaultSuites()[:1] }},
	"no ESP in common":   {server: func(p *vpn.Policy) { p.IKE.ESP = ike.DefaultESP()[:1] }, client: func(c *client.Config) { c.ESP = ike.DefaultESP()[1:2] }},
	"a tunnel secret":    {server: func(p *vpn.Policy) { p.L2TP.Secret, p.L2TP.Challenge = secret.String("of the tunnel"), true }},
	"no method in common": {server: func(p *vpn.Policy) { p.PPP.Methods = []ppp.Method{ppp.MethodPAP} }, client: func(c *client.Config) {
		c.Change = func(p *vpn.Policy) { p.PPP.Methods = []ppp.Method{ppp.MethodCHAP} }
	}},
	"wrong passwords":     {},
	"names of many kinds": {user: "%d\n\x1b[31m"},
	"coming and going":    {stay: 40 * time.Millisecond},
	"going after ESP":     {stay: 65 * time.Millisecond},
	"full":                {stay: time.Minute, change: func(o *Options) { o.Slots = 8 }},
	"broken backends":     {change: func(o *Options) { o.Backend = broken{} }},
	"broken authorities": {
		server: func(p *vpn.Policy) { with(newOffice(), "server", ecKey())(p); p.IKE.Authority = broken{} },
		client: func(c *client.Config) { c.Change = with(newOffice(), "laptop", ecKey()) },
	},
}

// However many peers without a user fail, at whatever layer, from one address or many,
// the log has only a few lines about it, and says how many lines it left out.
func TestPeersWithoutAUserWriteFewLines(t *testing.T) {
	many := []int{1, 64}
	if testing.Short() {
		many = many[1:] // in the race detector's run
	}
	for name, f := range failures {
		for _, sources := range many {
			t.Run(fmt.Sprintf("%s, %d sources", name, sources), func(t *testing.T) {
				in(t, func(t *testing.T) {
					const rate, seconds = 50, 13
					var out page
					o := Options{Observer: app.Lines(&out), Policy: func(p *vpn.Policy) {
						p.IKE.Suites, p.HalfOpen, p.HalfOpenPerSource = cheap, 4096, 256
						if f.server != nil {
							f.server(p)
						}
					}}
					if f.change != nil {
						f.change(&o)
					}
					w := New(t, o)
					w.Net.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
					l, from := crowd(w, sources, "198.18.0.1", f.client)
					ctx, stop := context.WithCancel(context.Background())
					for i := range rate * seconds {
						go func() {
							until := 5 * time.Second
							if f.stay > 0 {
								until = f.stay
							}
							ctx, cancel := context.WithTimeout(ctx, until)
							defer cancel()
							user := f.user
							if strings.Contains(user, "%d") {
								user = fmt.Sprintf(user, i)
							}
							if _, err := l.Dial(ctx, client.Target{Local: from[i%len(from)], Server: netip.MustParseAddr(ServerAddr), User: user, Password: "guessed", Silent: true}); err == nil {
								t.Error("it connects")
							}
						}()
						time.Sleep(time.Second / rate)
					}
					stop()
					said := out.String()
					lines := strings.Count(said, "\n")
					if lines > 20*seconds {
						t.Errorf("%d lines in %d seconds", lines, seconds)
					}
					if lines < seconds {
						t.Error("hardly anything is said: the test proves nothing")
					}
					if !strings.Contains(said, `"not_logged"`) {
						t.Error("nothing says that lines were left out")
					}
				})
			})
		}
	}
}
