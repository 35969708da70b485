package app

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"

	adit "github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/secret"
)

const coaSecret = "of those who change sessions"

func coaSettings(changes settingsOf) settingsOf {
	all := allowances(settingsOf{"radius.coa_clients": `[{ address = "203.0.113.5", secret = "` + coaSecret + `" }]`, "radius.coa_listen": `"127.0.0.1:0"`})
	for k, v := range changes {
		all[k] = v
	}
	return all
}

// startWithCoA starts a server whose sessions an authority may change, without a socket of the
// host's for that.
func startWithCoA(t *testing.T) *host {
	t.Helper()
	h := startHost(t, allowances(nil))
	h.coa.Replace(adit.DynamicConfig{
		Authorities: []adit.Authority{{Network: netip.PrefixFrom(authority.Addr(), 32), Secret: secret.String(coaSecret)}}, Identity: identity(h.config.Load()),
	})
	return h
}

var authority = netip.MustParseAddrPort("203.0.113.5:40000")

// signedOrder is a request of an authority.
func signedOrder(t *testing.T, code radius.Code, build func(*radius.Packet)) []byte {
	t.Helper()
	p := radius.New(code, []byte(coaSecret))
	p.Add(rfc2869.MessageAuthenticator_Type, make([]byte, 16))
	build(p)
	p.Authenticator = [16]byte{}
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(md5.New, []byte(coaSecret))
	mac.Write(b)
	copy(b[22:38], mac.Sum(nil))
	sum := md5.Sum(append(append([]byte(nil), b...), coaSecret...))
	copy(b[4:20], sum[:])
	return b
}

// order has an authority ask for something, and returns the answer's code and Error-Cause.
func (h *host) order(code radius.Code, build func(*radius.Packet)) (radius.Code, rfc3576.ErrorCause) {
	h.t.Helper()
	b := signedOrder(h.t, code, build)
	reply := h.coa.Handle(h.t.Context(), authority, netip.MustParseAddr("192.0.2.1"), b)
	if !radius.IsAuthenticResponse(reply, b, []byte(coaSecret)) {
		h.t.Fatalf("the answer is %x: %+v", reply, h.coa.Stats())
	}
	answer, err := radius.Parse(reply, []byte(coaSecret))
	if err != nil {
		h.t.Fatal(err)
	}
	return answer.Code, rfc3576.ErrorCause_Get(answer)
}

// mikrotikRate is Mikrotik-Rate-Limit.
func mikrotikRate(p *radius.Packet, text string) {
	v := append(binary.BigEndian.AppendUint32(nil, 14988), 8, byte(len(text)+2))
	p.Add(rfc2865.VendorSpecific_Type, append(v, text...))
}

// session is the only session's id and user.
func (h *host) session() (id, user string) {
	for _, st := range h.server.List() {
		for _, s := range st.Sessions {
			return s.ID, s.User
		}
	}
	return "", ""
}

// A RADIUS server changes the rates, the filter and the group of a session under traffic. They
// hold from the answer on, no packet that may pass is lost, and the session goes on.
func TestRadiusServersChangeSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startWithCoA(t)
		d, device, err := h.dial("frank", nil)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := h.session()
		rates := func(what string, up, down limit.Rate) {
			t.Helper()
			in, out := h.carried(d, device, 53, 10)
			for _, x := range []struct {
				name string
				got  int
				rate limit.Rate
			}{{"upload", in, up}, {"download", out, down}} {
				may := 10000.0
				if x.rate > 0 {
					may = (float64(x.rate)*10/8 + float64(x.rate.Burst())) / 1000
				}
				if share := float64(x.got) / may; share < 0.97 || share > 1.03 {
					t.Errorf("%s: %s: %d packets, %.3f of what may pass", what, x.name, x.got, share)
				}
			}
		}
		change := func(build func(*radius.Packet)) {
			t.Helper()
			if code, cause := h.order(radius.CodeCoARequest, func(p *radius.Packet) {
				_ = rfc2866.AcctSessionID_AddString(p, id)
				_ = rfc2865.UserName_AddString(p, "frank")
				build(p)
			}); code != radius.CodeCoAACK {
				t.Errorf("the answer is %v with Error-Cause %v", code, cause)
			}
		}
		rates("before", 0, 0)
		change(func(p *radius.Packet) { mikrotikRate(p, "1M/4M") })
		rates("a rate", 1e6, 4e6)
		change(func(p *radius.Packet) { _ = rfc2865.FilterID_AddString(p, "mail") })
		rates("a filter", 1e6, 4e6)
		if in, _ := h.carried(d, device, 25, 1); in > 0 {
			t.Errorf("%d packets to port 25 came from the client", in)
		}
		change(func(p *radius.Packet) { mikrotikRate(p, "2M/0") })
		rates("one rate, and none", 2e6, 0)
		change(func(p *radius.Packet) { _ = rfc2865.FilterID_AddString(p, "staff") })
		rates("a group", 1e6, 4e6)
		if again, _ := h.session(); again != id {
			t.Errorf("it is another session: %q, not %q", again, id)
		}
		for _, want := range []string{`"msg":"changed by a RADIUS server"`, `"server":"203.0.113.5"`, `"user":"frank"`} {
			if !strings.Contains(h.logged(), want) {
				t.Errorf("the log has no %s", want)
			}
		}
		change(func(p *radius.Packet) { _ = rfc2865.FilterID_AddString(p, "guests") }) // of 1 MB a day
		time.Sleep(10 * time.Second)
		if again, _ := h.session(); again != "" {
			t.Error("the quota of its new group does not end it")
		}
	})
}

// What a RADIUS server may not change is refused, with the reason, and nothing of it is changed.
func TestWhatRadiusServersCannotChange(t *testing.T) {
	for name, c := range map[string]struct {
		build func(*radius.Packet)
		cause rfc3576.ErrorCause
	}{
		"a group that is not there":   {func(p *radius.Packet) { _ = rfc2865.FilterID_AddString(p, "staf") }, 407},
		"a group outside of its time": {func(p *radius.Packet) { _ = rfc2865.FilterID_AddString(p, "night") }, 501},
		"an address":                  {func(p *radius.Packet) { _ = rfc2865.FramedRoute_AddString(p, "192.0.2.0/24") }, 401},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := startWithCoA(t)
				if _, _, err := h.dial("frank", nil); err != nil {
					t.Fatal(err)
				}
				code, cause := h.order(radius.CodeCoARequest, func(p *radius.Packet) {
					_ = rfc2865.UserName_AddString(p, "frank")
					mikrotikRate(p, "1M/4M")
					c.build(p)
				})
				if code != radius.CodeCoANAK || cause != c.cause {
					t.Errorf("the answer is %v with Error-Cause %v, want %v", code, cause, c.cause)
				}
				if s := h.server.List()[0].Sessions[0]; !s.Rates.IsZero() || s.Group != "" {
					t.Errorf("the session has %+v of the group %q", s.Rates, s.Group)
				}
			})
		})
	}
}

// A RADIUS server ends the session that it names, and no other; the client hears of it, and
// the times that it sets end sessions, too.
func TestRadiusServersEndSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startWithCoA(t)
		for _, user := range []string{"frank", "carol", "bob"} {
			if _, _, err := h.dial(user, nil); err != nil {
				t.Fatal(err)
			}
		}
		left := func() (users []string) {
			for _, st := range h.server.List() {
				for _, s := range st.Sessions {
					users = append(users, s.User)
				}
			}
			return users
		}
		if code, cause := h.order(radius.CodeDisconnectRequest, func(p *radius.Packet) { _ = rfc2865.UserName_AddString(p, "Frank") }); code != radius.CodeDisconnectACK {
			t.Errorf("the answer is %v with Error-Cause %v", code, cause)
		}
		time.Sleep(10 * time.Second)
		if users := left(); len(users) != 2 || strings.Contains(strings.Join(users, " "), "frank") {
			t.Errorf("there are %v", users)
		}
		if log := h.logged(); !strings.Contains(log, `"cause":"disconnected by the administrator"`) || !strings.Contains(log, "disconnected by a RADIUS server") {
			t.Errorf("the log is\n%s", log)
		}
		if n := h.server.Counts().Connections; n != 2 {
			t.Errorf("%d connections are left", n)
		}
		h.order(radius.CodeCoARequest, func(p *radius.Packet) {
			_ = rfc2865.UserName_AddString(p, "carol")
			_ = rfc2865.SessionTimeout_Set(p, 60)
		})
		h.order(radius.CodeCoARequest, func(p *radius.Packet) {
			_ = rfc2865.UserName_AddString(p, "bob")
			_ = rfc2865.IdleTimeout_Set(p, 90)
		})
		time.Sleep(time.Minute)
		if users := left(); len(users) != 1 || users[0] != "bob" {
			t.Errorf("after a minute there are %v", users)
		}
		time.Sleep(time.Minute)
		if users := left(); len(users) != 0 {
			t.Errorf("after two minutes there are %v", users)
		}
		if code, cause := h.order(radius.CodeDisconnectRequest, func(p *radius.Packet) { _ = rfc2865.UserName_AddString(p, "frank") }); code != radius.CodeDisconnectNAK || cause != 503 {
			t.Errorf("the answer about one who has gone is %v with %v", code, cause)
		}
	})
}

// Who may ask, and where, changes by a reload.
func TestWhoMayChangeSessionsChangesByAReload(t *testing.T) {
	h := startHost(t, coaSettings(settingsOf{"radius.coa_listen": "", "radius.coa_clients": ""}))
	if h.coa.stop != nil {
		t.Error("it listens where nothing is configured")
	}
	h.write(coaSettings(nil))
	if _, err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	if h.coa.stop == nil {
		t.Fatal("it does not listen after the reload")
	}
	h.write(coaSettings(settingsOf{"radius.coa_require_timestamp": "true"}))
	if _, err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	if reply := h.coa.Handle(t.Context(), authority, netip.Addr{}, signedOrder(t, radius.CodeDisconnectRequest, func(p *radius.Packet) { _ = rfc2865.UserName_AddString(p, "nobody") })); reply != nil || h.coa.Stats().Dropped["undated"] != 1 {
		t.Errorf("one without Event-Timestamp is answered: %x, %+v", reply, h.coa.Stats())
	}
	h.write(coaSettings(nil))
	if _, err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	if code, cause := h.order(radius.CodeDisconnectRequest, func(p *radius.Packet) { _ = rfc2865.UserName_AddString(p, "nobody") }); code != radius.CodeDisconnectNAK || cause != 503 {
		t.Errorf("the answer is %v with %v", code, cause)
	}
	h.write(coaSettings(settingsOf{"radius.coa_clients": "", "radius.servers": `[{ address = "203.0.113.9:1812", secret = "s", accounting = "203.0.113.10:1813", accounting_secret = "t" }]`}))
	if _, err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	cfg := dynamicConfig(t.Context(), h.config.Load())
	if len(cfg.Authorities) != 2 || cfg.Authorities[0].Network.String() != "203.0.113.9/32" || string(cfg.Authorities[1].Secret.Reveal()) != "t" {
		t.Errorf("without coa_clients those who may are %v", cfg.Authorities)
	}
	h.write(coaSettings(settingsOf{"radius.coa_listen": "", "radius.coa_clients": ""}))
	if _, err := h.Reload(); err != nil || h.coa.stop != nil {
		t.Errorf("it still listens: %v", err)
	}
}

// However many requests meet an error in the server, there is a line a minute.
func TestErrorsInTheServerFloodNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startWithCoA(t)
		for range 61 {
			for range 100 {
				h.coaPanicked("on purpose", []byte("the stack"))
			}
			time.Sleep(time.Second)
		}
		if n := strings.Count(h.logged(), "kept a request of a RADIUS server from being done"); n != 2 {
			t.Errorf("there are %d lines", n)
		}
	})
}

// breaking is a socket on which one request comes, between two errors.
type breaking struct {
	received []error // and then nothing
	request  []byte
	sent     chan []byte
	closed   chan struct{}
}

func (b *breaking) Receive(buf []byte) (int, netip.AddrPort, netip.Addr, error) {
	if len(b.received) == 0 {
		<-b.closed
		return 0, netip.AddrPort{}, netip.Addr{}, net.ErrClosed
	}
	err := b.received[0]
	if b.received = b.received[1:]; err != nil {
		return 0, netip.AddrPort{}, netip.Addr{}, &net.OpError{Op: "read", Err: err}
	}
	return copy(buf, b.request), authority, netip.MustParseAddr("192.0.2.1"), nil
}

func (b *breaking) Send(reply []byte, _ netip.AddrPort, _ netip.Addr) error {
	b.sent <- reply
	return nil
}

func (b *breaking) Close() error {
	close(b.closed)
	return nil
}

// An error that is about a datagram costs nothing, and a socket that is broken is opened again,
// of which the log has a line.
func TestRequestsAreHeardAfterAnErrorOfTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startWithCoA(t)
		order := signedOrder(t, radius.CodeDisconnectRequest, func(p *radius.Packet) { _ = rfc2865.UserName_AddString(p, "nobody") })
		sent, opened := make(chan []byte, 8), []*breaking{}
		socket := func(received ...error) coaConn {
			opened = append(opened, &breaking{received, order, sent, make(chan struct{})})
			return opened[len(opened)-1]
		}
		tries := 0
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan struct{})
		go func() {
			defer close(served)
			h.serveCoA(ctx, socket(syscall.ECONNREFUSED, nil, syscall.EIO), func() (coaConn, error) {
				if tries++; tries < 3 {
					return nil, syscall.EADDRINUSE
				}
				return socket(syscall.EHOSTUNREACH, nil), nil
			})
		}()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(opened) != 2 || tries != 3 || len(sent) != 2 {
			t.Errorf("%d sockets in %d tries, and %d answers", len(opened), tries, len(sent))
		}
		stop()
		<-served
		for i, b := range opened {
			select {
			case <-b.closed:
			default:
				t.Errorf("socket %d is open", i)
			}
		}
		if n := strings.Count(h.logged(), "until its socket is open again"); n != 1 {
			t.Errorf("there are %d lines", n)
		}
	})
}

// The socket's answers leave from the address that was asked, of both families.
func TestAnswersAboutSessionsLeaveFromWhereTheyWereAsked(t *testing.T) {
	s, err := listenCoA(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, port, _ := strings.Cut(s.LocalAddr().String()[strings.LastIndex(s.LocalAddr().String(), "]"):], ":")
	for _, at := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		t.Run(at, func(t *testing.T) { answersFrom(t, s, netip.MustParseAddr(at), port) })
	}
}

func answersFrom(t *testing.T, s *coaSocket, at netip.Addr, port string) {
	c, err := net.Dial("udp", net.JoinHostPort(at.String(), port)) // hears that address alone
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	_, from, local, err := s.Receive(buf)
	if err != nil || local.Unmap() != at {
		t.Fatalf("it has come at %v: %v", local, err)
	}
	if err := s.Send([]byte("answer"), from, local); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "answer" {
		t.Errorf("the answer is %q: %v", buf[:n], err)
	}
}
