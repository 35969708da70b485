package eap

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/auth"
)

// Config is what a Backend works with.
type Config struct {
	Name    string        // ours, in challenges
	Methods func() []Type // most wanted first; asked at the start of each exchange
	Users   auth.Backend  // who knows the users, and decides of MS-CHAPv2; what is not EAP is for it, too
	Rand    io.Reader     // nil: crypto/rand's

	// For EAP-TLS: the server's certificate and who may show one, and who a certificate is
	// accepted as, that has been verified. TLS is asked for each exchange.
	TLS       func() *tls.Config
	Certified func(ctx context.Context, r *auth.Request, c *x509.Certificate) (auth.Response, error)

	handshakes *handshakes // that are under way
}

// Backend is an auth.Backend that has exchanges of EAP with users.
type Backend struct{ cfg Config }

// New returns a backend.
func New(cfg Config) *Backend {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	cfg.handshakes = &handshakes{}
	return &Backend{cfg}
}

// Authenticate implements auth.Backend. A request of EAP begins an exchange: it has the
// peer's name.
func (b *Backend) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	if r.Method != auth.EAP {
		return b.cfg.Users.Authenticate(ctx, r)
	}
	in, ok := parse(r.EAP)
	if !ok || in.kind != typeIdentity {
		return malformed(Type(0)), nil
	}
	x := &exchange{cfg: &b.cfg, id: in.id, has: b.cfg.Methods()}
	return x.propose(r, x.has)
}

// method is one method of EAP in one exchange.
type method interface {
	// begin makes the first Request's data.
	begin(r *auth.Request) ([]byte, error)
	// step takes the data of a Response and makes that of the next Request, or says the
	// verdict. With a Request, its Detail is why the peer is to be refused.
	step(ctx context.Context, r *auth.Request, data []byte) (next []byte, verdict auth.Response, err error)
	// leave gives up what it holds: there is no further step.
	leave()
}

// exchange is the exchange with one peer. It is the auth.Backend of its next step.
type exchange struct {
	cfg    *Config
	has    []Type // the server's methods
	id     byte   // of the last Request
	kind   Type   // the method's
	method method
	begun  bool   // the peer has taken part in the method
	why    string // why it is to be refused, if that is known
	tried  []Type // methods that were proposed
}

// propose proposes the first of some methods.
func (x *exchange) propose(r *auth.Request, list []Type) (auth.Response, error) {
	i := slices.IndexFunc(list, func(t Type) bool { return slices.Contains(x.has, t) && !slices.Contains(x.tried, t) })
	if i < 0 {
		return auth.Response{Verdict: auth.MethodImpossible, Detail: fmt.Sprintf("the client wants %s, and the server has %s", names(list), names(x.has))}, nil
	}
	x.kind = list[i]
	x.tried = append(x.tried, x.kind)
	x.method = newMethod(x.kind, x.cfg)
	data, err := x.method.begin(r)
	if err != nil {
		return auth.Response{}, err
	}
	return x.ask(data), nil
}

// newMethod is a method in its first state.
func newMethod(t Type, c *Config) method {
	if t == TLS {
		return &tlsMethod{cfg: c}
	}
	return &mschapv2{cfg: c}
}

// ask goes on with the next Request.
func (x *exchange) ask(data []byte) auth.Response {
	x.id++
	return auth.Response{Verdict: auth.Asked, EAP: request(x.id, x.kind, data), Next: x, Detail: x.why}
}

// Authenticate implements auth.Backend: it is the next step.
func (x *exchange) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	in, ok := parse(r.EAP)
	switch {
	case !ok || in.id != x.id:
		x.method.leave()
		return malformed(x.kind), nil
	case in.kind == typeNak && !x.begun: // RFC 3748, section 5.3.1
		wanted := make([]Type, len(in.data))
		for i, t := range in.data {
			wanted[i] = Type(t)
		}
		return x.propose(r, wanted)
	case in.kind != x.kind:
		x.method.leave()
		return malformed(x.kind), nil
	}
	x.begun = true
	next, verdict, err := x.method.step(ctx, r, in.data)
	if err != nil || next == nil {
		return verdict, err
	}
	x.why = verdict.Detail
	return x.ask(next), nil
}

// malformed is the verdict on a peer that breaks the rules of a method.
func malformed(t Type) auth.Response {
	what := "EAP"
	if t != 0 {
		what = t.String()
	}
	return auth.Response{Verdict: auth.BadCredentials, Detail: "a packet of " + what + " from the client is malformed, or comes out of turn"}
}

// names are methods, for people.
func names(list []Type) string {
	if len(list) == 0 {
		return "no method of EAP"
	}
	s := make([]string, min(len(list), 8))
	for i := range s {
		s[i] = list[i].String()
	}
	return strings.Join(s, ", ")
}
