package radius

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
)

func TestRadSec(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		bubble(t, func(t *testing.T) {
			s, c := serveTLS(t, version, instantly)
			for range 3 {
				if r, _, err := login(t, c, "alice"); err != nil || r.Verdict != auth.Accepted {
					t.Fatalf("%v, %v", r.Verdict, err)
				}
			}
			c.Account(auth.Record{Status: auth.Start, User: "alice", Call: papRequest().Call, Address: papRequest().Call.Local.Addr(), Time: time.Now()})
			time.Sleep(45 * time.Second)
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.seen) != 1 {
				t.Fatalf("%d connections", len(s.seen))
			}
			var codes []radius.Code
			for _, p := range s.seen[0] {
				if !announces(p) {
					codes = append(codes, p.Code)
				}
			}
			// The last one is the watchdog's.
			if fmt.Sprint(codes) != "[Access-Request Access-Request Access-Request Accounting-Request Status-Server]" {
				t.Errorf("the server saw %v", codes)
			}
		})
	}
}

// Who shows a certificate that is not the server's gets nothing of a user.
func TestRadSecAsksForTheRightCertificate(t *testing.T) {
	a, other := newCA(t), newCA(t)
	for name, tt := range map[string]struct {
		server tls.Certificate
		client tls.Certificate
		old    bool
		name   string
		ok     bool
	}{
		"the right one":        {a.leaf(t, &x509.Certificate{DNSNames: []string{"radius.example"}}), a.leaf(t, &x509.Certificate{}), false, "", true},
		"an address":           {a.leaf(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7)}}), a.leaf(t, &x509.Certificate{}), false, "192.0.2.7", true},
		"by a configured name": {a.leaf(t, &x509.Certificate{DNSNames: []string{"aaa.example"}}), a.leaf(t, &x509.Certificate{}), false, "aaa.example", true},
		"another name":         {a.leaf(t, &x509.Certificate{DNSNames: []string{"evil.example"}}), a.leaf(t, &x509.Certificate{}), false, "", false},
		"a common name alone":  {a.leaf(t, &x509.Certificate{Subject: pkix.Name{CommonName: "radius.example"}}), a.leaf(t, &x509.Certificate{}), false, "", false},
		"another CA":           {other.leaf(t, &x509.Certificate{DNSNames: []string{"radius.example"}}), a.leaf(t, &x509.Certificate{}), false, "", false},
		"ours is not accepted": {a.leaf(t, &x509.Certificate{DNSNames: []string{"radius.example"}}), other.leaf(t, &x509.Certificate{}), false, "", false},
		"TLS 1.1":              {a.leaf(t, &x509.Certificate{DNSNames: []string{"radius.example"}}), a.leaf(t, &x509.Certificate{}), true, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := &tlsServer{answer: instantly, config: &tls.Config{Certificates: []tls.Certificate{tt.server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool()}}
				if tt.old {
					s.config.MinVersion, s.config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
				}
				c, err := New(Config{NASIdentifier: "adit", Dial: s.dial, Patience: 20 * time.Second, Servers: []Server{{
					Address: "radius.example:2083", TLS: &TLS{Roots: a.pool(), Certificate: tt.client, Name: tt.name, ID: "1"},
				}}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close(); s.hangUp() })
				_, _, err = login(t, c, "alice")
				if (err == nil) != tt.ok {
					t.Errorf("%v", err)
				}
				if err != nil {
					t.Log(err)
					// Whether the alert is read depends on whether the request was being written.
					if !strings.Contains(err.Error(), "tls:") && !strings.Contains(err.Error(), "x509:") && !strings.Contains(err.Error(), "does not accept our certificate") {
						t.Errorf("the error does not say what is wrong with the certificates: %v", err)
					}
				}
			})
		})
	}
}

// A connection has 256 identifiers. More requests take another connection, and none is
// repeated.
func TestRadSecPool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, c := serveTLS(t, tls.VersionTLS13, func(p *radius.Packet) []byte {
			if p.Code == radius.CodeStatusServer {
				return signedTLS(p, radius.CodeAccessAccept)
			}
			time.Sleep(20 * time.Second)
			return signedTLS(p, radius.CodeAccessAccept)
		})
		var all sync.WaitGroup
		for i := range 600 {
			all.Go(func() {
				if _, took, err := login(t, c, fmt.Sprint(i)); err != nil || took != 20*time.Second {
					t.Errorf("%v after %v", err, took)
				}
			})
		}
		all.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		users := map[string]int{}
		for _, conn := range s.seen {
			for _, p := range conn {
				if !probing(p) && !announces(p) {
					users[string(p.Get(1))]++
				}
			}
		}
		if len(s.seen) != 3 || len(users) != 600 {
			t.Errorf("%d connections, %d users", len(s.seen), len(users))
		}
		for user, n := range users {
			if n != 1 {
				t.Errorf("%s was sent %d times", user, n)
			}
		}
	})
}

// When a connection closes, what waited on it is sent by another: with another identifier,
// signed anew.
func TestRadSecSendsAnewWhenAConnectionCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var silent atomic.Bool
		silent.Store(true)
		s, c := serveTLS(t, tls.VersionTLS13, func(p *radius.Packet) []byte {
			if silent.Load() && p.Code == radius.CodeAccessRequest {
				return nil
			}
			return instantly(p)
		})
		time.AfterFunc(10*time.Second, func() { silent.Store(false); s.hangUp() })
		r, took, err := login(t, c, "alice")
		if err != nil || r.Verdict != auth.Accepted || took < 10*time.Second+firstPause || took > 12*time.Second {
			t.Fatalf("%v, %v after %v", r.Verdict, err, took)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		var all []*radius.Packet
		for _, conn := range s.seen {
			all = append(all, slices.DeleteFunc(slices.DeleteFunc(conn, probing), announces)...)
		}
		if len(s.seen) != 2 || len(all) != 2 || all[0].Authenticator == all[1].Authenticator {
			t.Errorf("%d connections, %d requests", len(s.seen), len(all))
		}
	})
}

// A server that is gone is dialled again and again, by and by less often, and used when it
// is back. Nothing is ever sent by UDP.
func TestRadSecReconnects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, c := serveTLS(t, tls.VersionTLS13, instantly)
		if _, _, err := login(t, c, "alice"); err != nil {
			t.Fatal(err)
		}
		s.closed.Store(true)
		s.hangUp()
		synctest.Wait()
		for range 10 {
			if _, _, err := login(t, c, "alice"); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("while it is gone: %v", err)
			}
		}
		for i := 2; i < len(s.dialled); i++ {
			if pause := s.dialled[i].Sub(s.dialled[i-1]); pause < firstPause {
				t.Errorf("dialled again after %v", pause)
			}
		}
		if n := len(s.dialled); n > 12 {
			t.Errorf("dialled %d times", n)
		}
		if c.Answers() {
			t.Error("a server that is gone answers")
		}
		s.closed.Store(false)
		time.Sleep(30 * time.Second)
		if !c.Answers() {
			t.Error("it is back, and nobody knows")
		}
		if _, took, err := login(t, c, "alice"); err != nil || took != 0 {
			t.Errorf("it is back: %v after %v", err, took)
		}
	})
}

// A connection that leads nowhere any more is found while nobody needs it.
func TestRadSecWatchdog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var dead atomic.Bool
		s, c := serveTLS(t, tls.VersionTLS13, func(p *radius.Packet) []byte {
			if dead.Load() {
				return nil
			}
			return instantly(p)
		})
		if _, _, err := login(t, c, "alice"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // it answers a Status-Server
		dead.Store(true)
		time.Sleep(time.Minute)
		s.mu.Lock()
		n := len(s.seen)
		s.mu.Unlock()
		if n < 2 {
			t.Errorf("%d connections, want another in place of the dead one", n)
		}
		dead.Store(false)
		time.Sleep(30 * time.Second)
		if _, took, err := login(t, c, "alice"); err != nil || took != 0 {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// What is no RADIUS, what is forged, and what reports an error, over TLS.
func TestRadSecRefusesWhatItCannotBelieve(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(*radius.Packet) []byte
		want   string
	}{
		"no Message-Authenticator": {func(p *radius.Packet) []byte { return unsigned(p, radius.CodeAccessAccept) }, "carries no Message-Authenticator"},
		"another secret": {func(p *radius.Packet) []byte {
			q := *p
			q.Secret = []byte(shared)
			return signed(&q, radius.CodeAccessAccept, nil)
		}, "does not verify"},
		"a Protocol-Error": {func(p *radius.Packet) []byte {
			b := append([]byte{byte(codeProtocolError), p.Identifier, 0, 20}, p.Authenticator[:]...)
			return authenticWith(b, radsec)
		}, "Protocol-Error"},
		"no RADIUS": {func(*radius.Packet) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n") }, "what it sends is not RADIUS"},
	} {
		bubble(t, func(t *testing.T) {
			_, c := serveTLS(t, tls.VersionTLS13, tt.answer)
			c.Replace(func() Config { cfg := c.set.Load().Config; cfg.Patience = 20 * time.Second; return cfg }())
			if _, _, err := login(t, c, "alice"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", name, err, tt.want)
			}
		})
	}
}
