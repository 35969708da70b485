package ppp

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
)

func serverConfig(methods ...Method) *Config {
	return &Config{
		Name: "adit", MRU: 1400, Methods: methods,
		Echo: 20 * time.Second, EchoFailures: 3,
		SetupTimeout: time.Minute, AuthTimeout: 25 * time.Second,
	}
}

func clientConfig(user, password string, methods ...Method) *Config {
	return &Config{
		MRU: 1400, Methods: methods, Client: true, User: user, Password: secret.String(password),
		SetupTimeout: time.Minute,
	}
}

var testNetwork = Network{
	Local: netip.MustParseAddr("10.83.0.1"), Peer: netip.MustParseAddr("10.83.0.10"),
	DNS: []netip.Addr{netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("1.1.1.1")},
}

// judge is the backend of the tests. It knows one password, and checks it by each
// method's own computation.
func judge(r AuthRequest, password string) AuthAnswer {
	ok := AuthAnswer{OK: true, Network: testNetwork, Network6: Network6{On: strings.Contains(r.User, "6")}}
	switch r.Method {
	case MethodPAP:
		if r.Password.Equal(secret.String(password)) {
			return ok
		}
	case MethodCHAP:
		sum := md5.Sum(append(append([]byte{r.ID}, password...), r.Challenge...))
		if bytes.Equal(sum[:], r.Response) {
			return ok
		}
	case MethodMSCHAPv2:
		user := []byte(r.User[strings.LastIndexByte(r.User, '\\')+1:])
		peer, nt := r.Response[:16], r.Response[24:48]
		want, err := rfc2759.GenerateNTResponse(r.Challenge, peer, user, []byte(password))
		if err == nil && bytes.Equal(want, nt) {
			ok.Success, _ = rfc2759.GenerateAuthenticatorResponse(r.Challenge, peer, nt, user, []byte(password))
			return ok
		}
	case MethodEAP:
		return judgeEAP(r, password, ok)
	}
	return AuthAnswer{}
}

// judgeEAP is a server's EAP-MSCHAPv2, which remembers nothing: its challenge is always the
// same.
func judgeEAP(r AuthRequest, password string, ok AuthAnswer) AuthAnswer {
	const challenge = "0123456789abcdef"
	id, data := r.EAP[1], r.EAP[4:]
	ask := func(text string) AuthAnswer { return AuthAnswer{EAP: eap(eapRequest, id+1, text)} }
	op := func(op byte, text string) AuthAnswer {
		return ask(string([]byte{eapMSCHAPv2, op, 7, 0, byte(4 + len(text))}) + text)
	}
	switch {
	case data[0] == eapIdentity:
		return ask("\x0d\x20") // EAP-TLS, which the client has not
	case data[0] == eapNak:
		return op(eapmsChallenge, "\x10"+challenge+"server")
	case data[0] == eapMSCHAPv2 && data[1] == eapmsResponse:
		user := []byte(r.User[strings.LastIndexByte(r.User, '\\')+1:])
		peer, nt := data[6:22], data[30:54]
		want, err := rfc2759.GenerateNTResponse([]byte(challenge), peer, user, []byte(password))
		if err != nil || !bytes.Equal(want, nt) || string(data[55:]) != r.User {
			return op(eapmsFailure, "E=691 R=0 C=00000000000000000000000000000000 V=3 M=no")
		}
		proof, _ := rfc2759.GenerateAuthenticatorResponse([]byte(challenge), peer, nt, user, []byte(password))
		return op(eapmsSuccess, proof+" M=welcome")
	case len(data) == 2 && data[1] == eapmsSuccess:
		return ok
	}
	return AuthAnswer{}
}

// thaw, if it is set, makes every machine of the tests continue as its frozen and thawed
// copy each time its events have been drained. It is passed the frozen state.
var thaw func(state []byte)

// drain returns all pending events.
func drain(l *Link) []Event {
	events := machinetest.Drain(l)
	if thaw == nil {
		return events
	}
	state := l.Append(nil)
	thaw(state)
	copied, err := Resume(l.env, state)
	if err != nil {
		panic(err)
	}
	*l = *copied
	return events
}

// wire is a simulated line between a server (0) and a client (1).
type wire struct {
	machinetest.Line[parcel]
	ends     [2]*Link
	events   [2][]Event
	password string
	slow     time.Duration // how long the backend takes
	pad      []byte        // padding after every frame
	network  *Network      // what the client is granted; nil: testNetwork

	show         Credentials // what the server shows to the client
	peerPassword string      // that the client expects of the server
}

// parcel is what arrives at an end: a frame from the other end, or this end's own request
// to the backend.
type parcel struct {
	frame []byte
	auth  *AuthRequest
}

func newWire(t testing.TB, server, client *Config) *wire {
	return &wire{
		Line: machinetest.NewLine[parcel](t), password: "clientPass",
		ends: [2]*Link{
			New(Env{Config: server, Rand: machinetest.Rand(1)}),
			New(Env{Config: client, Rand: machinetest.Rand(2)}),
		},
	}
}

// measured tells both ends how long the line is.
func (w *wire) measured() {
	for _, l := range w.ends {
		l.env.RoundTrip = 2 * machinetest.Latency
	}
}

func (w *wire) start() {
	for i, l := range w.ends {
		l.Start(w.Now)
		w.collect(i)
	}
}

// collect drains one end, and puts its frames on the line.
func (w *wire) collect(i int) {
	for _, e := range drain(w.ends[i]) {
		w.events[i] = append(w.events[i], e)
		switch e := e.(type) {
		case Send:
			w.Post(1-i, parcel{frame: append(bytes.Clone(e.Frame), w.pad...)})
		case AuthRequest:
			w.Hand(i, parcel{auth: &e}, w.slow)
		}
	}
}

// run lets time pass until done says so, or the limit is reached.
func (w *wire) run(limit time.Duration, done func() bool) bool {
	return w.Run(limit, [2]machinetest.Timed{w.ends[0], w.ends[1]}, w.deliver, w.collect, done)
}

func (w *wire) deliver(to int, p parcel) {
	l := w.ends[to]
	if p.auth != nil {
		answer := judge(*p.auth, [2]string{w.password, w.peerPassword}[to])
		answer.Show = w.show
		if w.network != nil {
			answer.Network = *w.network
		}
		l.HandleAuth(w.Now, p.auth.Ticket, answer)
		return
	}
	_ = l.HandlePacket(w.Now, p.frame) // dropped frames are expected
}

// up tells whether both ends have a network.
func (w *wire) up() bool { return w.ends[0].s.ipcp.up && w.ends[1].s.ipcp.up }

// up6 tells whether both ends have both networks.
func (w *wire) up6() bool { return w.up() && w.ends[0].s.ipv6cp.up && w.ends[1].s.ipv6cp.up }

// down tells whether both links have ended.
func (w *wire) down() bool {
	return w.ends[0].s.phase == phaseDone && w.ends[1].s.phase == phaseDone
}

func (w *wire) describe() string {
	var b strings.Builder
	for i, l := range w.ends {
		fmt.Fprintf(&b, "end %d: phase %d lcp %v ipcp %v ipv6cp %v auth %+v\n", i, l.s.phase,
			l.s.lcp.automaton.state, l.s.ipcp.automaton.state, l.s.ipv6cp.automaton.state, l.s.auth)
	}
	return b.String()
}
