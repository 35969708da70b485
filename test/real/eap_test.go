//go:build real

package real

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/test/real/lab"
)

// byEAP is a client whose pppd accepts EAP alone.
func byEAP(more ...string) lab.Client {
	c := lab.Client{Args: []string{"--auth", "eap"}}
	for _, line := range more {
		c.Args = append(c.Args, "--ppp", line)
	}
	return c
}

// certified is byEAP with a certificate. pppd has no other method then.
func (a *authority) certified(name string) lab.Client {
	cert, key := a.pem(name)
	c := byEAP("ca /mnt/ca.pem", "cert /mnt/"+name+".pem", "key /mnt/"+name+".key")
	c.Args = append(c.Args, "--share", a.file("ca.pem"), "--share", cert, "--share", key)
	return c
}

// pppd comes in by each method that is built in, and is refused with a reason in the log.
func TestPPPDByEAP(t *testing.T) {
	a := newAuthority(t)
	s := here.Serve(t, lab.Config{
		"ipsec": a.config(), "auth": "methods = [\"eap\", \"mschapv2\"]\neap = [\"tls\", \"mschapv2\"]",
		"user": fmt.Sprintf("[[user]]\nname = %q\npassword = %q\ncertificate = true\n", lab.User, lab.Password),
	})
	for name, c := range map[string]lab.Client{"EAP-MSCHAPv2": byEAP(), "EAP-TLS": a.certified(lab.User)} {
		t.Run(name, func(t *testing.T) {
			g := here.Connect(t, c)
			if x := s.Session(t); x.Method != "EAP" || x.User != lab.User {
				t.Errorf("adit status says %s by %s", x.User, x.Method)
			}
			if log := g.Log(t, "ppp.log"); !strings.Contains(log, "<auth eap>") {
				t.Errorf("pppd was not asked for EAP:\n%s", log)
			}
			g.HangUp(t)
			s.Await(t, len(s.Lines("connected")), "disconnected")
		})
	}
	wrong := byEAP()
	wrong.Password = "wrong"
	for name, tt := range map[string]struct {
		client lab.Client
		want   string
	}{"a wrong password": {wrong, "wrong password"}, "another user's certificate": {a.certified("mallory"), "does not have the name"}} {
		t.Run(name, func(t *testing.T) {
			if _, code := here.Try(t, tt.client); code != lab.NoPPP {
				t.Errorf("connect ended with %d, want %d", code, lab.NoPPP)
			}
			if !contains(string(s.Log()), tt.want) {
				t.Errorf("the log does not say %q", tt.want)
			}
		})
	}
	s.Stop(t)
}

// EAP passes through to FreeRADIUS, whatever its method is.
func TestEAPPassesThroughToFreeRADIUS(t *testing.T) {
	a := newAuthority(t)
	config := lab.RadiusConfig()
	config["auth"] = "backend = \"radius\"\nmethods = [\"eap\"]"
	s := here.Serve(t, config)
	start := func(t *testing.T, method string) *lab.Radius {
		return here.StartRadiusWith(t, lab.RadiusSetup{
			Method: method, EAP: &lab.Identity{Certificate: a.file("server.pem"), Key: a.file("server.key"), CA: a.file("ca.pem")},
		})
	}
	// pppd asks for nothing that it has when it does not have what is proposed.
	for method, c := range map[string]lab.Client{"mschapv2": byEAP(), "tls": a.certified(lab.User)} {
		t.Run("pppd by "+method, func(t *testing.T) {
			defer start(t, method).Stop()
			g := here.Connect(t, c)
			if x := s.Session(t); x.Method != "EAP" || x.User != lab.User {
				t.Errorf("adit status says %s by %s", x.User, x.Method)
			}
			g.HangUp(t)
			s.Await(t, len(s.Lines("connected")), "disconnected")
		})
	}
	freeradius := start(t, "mschapv2")
	// PEAP, which pppd does not have: by the same client of RADIUS as the server's.
	client, err := radius.New(radius.Config{
		NASIdentifier: "adit", Dial: dialIn(here.Server),
		Servers: []radius.Server{{Address: "127.0.0.1:1812", Secret: secret.String(lab.RadiusSecret)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	peap := func(password string) string {
		return fmt.Sprintf("\teap=PEAP\n\tidentity=%q\n\tpassword=%q\n\tca_cert=%q\n\tphase2=\"auth=MSCHAPV2\"", lab.User, password, a.file("ca.pem"))
	}
	for password, want := range map[string]auth.Verdict{lab.Password: auth.Accepted, "wrong": auth.BadCredentials} {
		peer := lab.ServeEAP(t, client)
		ok, out := peer.Try(t, peap(password))
		if got := peer.Last(); got.Verdict != want || ok != (want == auth.Accepted) {
			t.Errorf("PEAP with the password %q: eapol_test says %v, the server %v (%s)\n%s", password, ok, got.Verdict, got.Detail, tailOf(out, 40))
		}
	}
	if !freeradius.Logged("eap_peap: ") {
		t.Error("FreeRADIUS has seen no PEAP")
	}
	s.Stop(t)
}

// dialIn dials from a network namespace. The thread lives on: with it FreeRADIUS would end, if
// that was started by it.
func dialIn(name string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = lab.In(name, func() error {
			c, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return c, err
	}
}
