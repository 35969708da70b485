package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/session"
)

// CheckLogin asks whoever authenticates users about one, as a login would, and says what the
// user would be granted. Nobody is logged in, nothing is leased, and no record is sent. An
// empty method is the first of auth.methods that is one request.
func CheckLogin(ctx context.Context, c *conf.Config, name string, password secret.Bytes, method conf.Method) []Finding {
	m, err := loginMethod(c, method)
	if err != nil {
		return []Finding{{What: "login of " + name, Err: err}}
	}
	r, err := auth.Prove(m, name, password)
	if err != nil {
		return []Finding{{What: "login of " + name, Err: err}}
	}
	r.Call = ownCall()
	backend, end, dead, err := loginBackend(ctx, c)
	if err != nil {
		return []Finding{{What: "login of " + name, Err: err}}
	}
	if backend == nil {
		return dead
	}
	defer end()
	began := time.Now()
	answer, err := backend.Authenticate(ctx, r)
	took := time.Since(began)
	what := fmt.Sprintf("login of %s by %v, after %v", name, m, took.Round(time.Millisecond))
	if answer.Server != "" {
		what += ", at the RADIUS server " + answer.Server
	}
	switch {
	case errors.Is(err, radius.ErrNoAnswer):
		err = whyNoAnswer(err)
	case err == nil && answer.Verdict != auth.Accepted:
		err = errors.New(refusalText(answer))
	case err == nil && !auth.Proves(r, password, answer):
		err = errors.New("the server accepts the password, and does not prove that it knows it (MS-CHAP2-Success is wrong): clients refuse that")
	}
	list := []Finding{{What: what, Err: err}}
	for _, w := range answer.Warnings {
		list = append(list, Finding{Warning: true, What: w})
	}
	if err != nil {
		return list
	}
	if answer.Message != "" {
		list = append(list, Finding{What: "the server says to the user: " + answer.Message})
	}
	return append(list, grantFindings(ctx, c, answer.Grant)...)
}

// loginMethod is how a login is tried.
func loginMethod(c *conf.Config, method conf.Method) (auth.Method, error) {
	known := map[conf.Method]auth.Method{conf.PAP: auth.PAP, conf.CHAP: auth.CHAP, conf.MSCHAPv2: auth.MSCHAPv2}
	if method != "" {
		if m, ok := known[method]; ok {
			return m, nil
		}
		return 0, fmt.Errorf("%q cannot be tried: name pap, chap or mschapv2", method)
	}
	for _, m := range c.Auth.Methods {
		if m, ok := known[m]; ok {
			return m, nil
		}
	}
	return 0, errors.New("auth.methods has none that can be tried: EAP is a conversation with a client; -method pap, chap or mschapv2 tries another")
}

// ownCall is a call from this host to itself.
func ownCall() auth.Call {
	own := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if all := ownAddresses(); len(all) > 0 {
		own = all[0]
	}
	at := netip.AddrPortFrom(own, 0)
	return auth.Call{SessionID: "adit-check", Local: at, Remote: at, ClientName: "adit-check"}
}

// loginBackend is who says whether users may come in. It takes no accounting records. It is nil
// if no server answers a probe: a login would be waited for as long as a user is.
func loginBackend(ctx context.Context, c *conf.Config) (backend auth.Backend, end func(), dead []Finding, err error) {
	if c.Auth.Backend == conf.BackendLocal {
		return auth.NewLocal(localUsers(c)), func() {}, nil, nil
	}
	cfg, err := radiusConfig(c)
	if err != nil {
		return nil, nil, nil, err
	}
	for i := range cfg.Servers {
		cfg.Servers[i].Accounting = ""
	}
	cfg.Servers = slices.DeleteFunc(cfg.Servers, func(s radius.Server) bool { return s.Address == "" })
	found := checkRadiusServers(ctx, cfg)
	if !slices.ContainsFunc(found, func(f Finding) bool { return f.Err == nil }) {
		return nil, nil, found, nil
	}
	client, err := radius.New(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	return client, func() { _ = client.Close() }, nil, nil
}

// refusalText is why a user is refused, for the administrator.
func refusalText(answer auth.Response) string {
	text := answer.Verdict.String()
	if answer.Detail != "" {
		text += ": " + answer.Detail
	}
	if answer.Message != "" {
		text += fmt.Sprintf("; the server says %.200q", answer.Message)
	}
	return text
}

// grantFindings are what a user would get, and what keeps the user from it.
func grantFindings(ctx context.Context, c *conf.Config, g auth.Grant) (list []Finding) {
	policy := session.Policy{Groups: groups(c), Filters: filters(c)}
	g, warnings := policy.Resolve(g)
	g.Settings = g.Or(policy.Groups[g.Group].Settings)
	for _, w := range warnings {
		list = append(list, Finding{Warning: true, What: w})
	}
	for _, text := range grantTexts(&g) {
		list = append(list, Finding{What: text})
	}
	for kind, name := range map[string]string{"": g.Pools.IPv4, " with addresses6": g.Pools.IPv6, " with delegate6": g.Pools.Delegated} {
		if name != "" && !slices.ContainsFunc(c.Pools, func(p conf.Pool) bool { return p.Name == name }) {
			list = append(list, Finding{What: "the pool " + name, Err: fmt.Errorf("there is no [[pool]]%s with that name: the user is refused", kind)})
		}
	}
	plan := c.Plan()
	plan.Foreign = append(plan.Foreign, foreign(ctx, c)...)
	for _, r := range plan.Judge(pool.Wish{
		Address: g.Address, Address6: g.IPv6.Address, Prefix6: g.IPv6.Prefix, Delegated: g.IPv6.Delegated,
		Routes: g.Routes, Without6: !c.Network.HasIPv6(), Link: g.Link != nil,
	}) {
		list = append(list, Finding{What: r.What, Err: errors.New("it " + r.Why + ": the user is refused")})
	}
	return list
}

// grantTexts say what a grant is, a line each, in words.
func grantTexts(g *auth.Grant) (list []string) {
	add := func(what string, value any, set bool) {
		if set {
			list = append(list, fmt.Sprintf("granted: %s %v", what, value))
		}
	}
	add("user", g.User, g.User != "")
	add("group", g.Group, g.Group != "")
	add("address", g.Address, g.Address.IsValid())
	add("address of the pool", g.Pools.IPv4, !g.Address.IsValid() && g.Pools.IPv4 != "")
	if !g.Address.IsValid() && g.Pools.IPv4 == "" {
		list = append(list, "granted: an address of network.pool")
	}
	six := g.IPv6
	add("IPv6 address", six.Address, six.Address.IsValid())
	add("IPv6 prefix", six.Prefix, six.Prefix.IsValid())
	add("IPv6 of the pool", g.Pools.IPv6, g.Pools.IPv6 != "")
	add("delegated prefix", six.Delegated, six.Delegated.IsValid())
	add("delegated prefix of the pool", g.Pools.Delegated, g.Pools.Delegated != "")
	add("networks behind the client", joined(g.Routes), len(g.Routes) > 0)
	add("name servers", joined(g.DNS), len(g.DNS) > 0)
	add("WINS servers", joined(g.NBNS), len(g.NBNS) > 0)
	add("domain", g.Domain, g.Domain != "")
	add("split tunnelling of", joined(g.Split), len(g.Split) > 0)
	add("longest session", g.SessionTimeout, g.SessionTimeout > 0)
	add("at its end", "the user authenticates again, and the session goes on", g.SessionTimeout > 0 && g.Again != nil)
	add("end at", g.Until.Format(time.RFC3339), !g.Until.IsZero())
	add("end after silence of", g.IdleTimeout, g.IdleTimeout > 0)
	add("accounting every", g.InterimInterval, g.InterimInterval > 0)
	add("MTU", g.MTU, g.MTU > 0)
	add("device", g.Interface, g.Interface != "")
	return append(list, limitTexts(&g.Limits)...)
}

func limitTexts(l *auth.Limits) (list []string) {
	for what, r := range map[string]limit.Rate{"upload": l.Rates.In, "download": l.Rates.Out} {
		if r > 0 {
			list = append(list, fmt.Sprintf("granted: %s of at most %v", what, r))
		}
	}
	for what, o := range map[string]limit.Octets{
		"to send in this session": l.Quota.In, "to receive in this session": l.Quota.Out, "to carry in this session": l.Quota.Total,
		"to carry in a day": l.Day, "to carry in a month": l.Month,
	} {
		if o > 0 {
			list = append(list, fmt.Sprintf("granted: %v %s", o, what))
		}
	}
	slices.Sort(list)
	if l.Sessions > 0 {
		list = append(list, fmt.Sprintf("granted: %d sessions at once", l.Sessions))
	}
	if len(l.Hours) > 0 {
		list = append(list, "granted: sessions in the hours "+joined(l.Hours))
	}
	for _, r := range l.Filter {
		list = append(list, "granted: the rule "+r.String())
	}
	return list
}

func joined[T any](list []T) string {
	var texts []string
	for _, x := range list {
		texts = append(texts, fmt.Sprint(x))
	}
	return strings.Join(texts, ", ")
}
