package radius

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// set is the servers in force, and the configuration that names them.
type set struct {
	Config
	servers []server
}

// server is one server with its services; nil: it has none of that kind. Over TLS they may
// be the same.
type server struct {
	Server
	auth, acct *service
}

func (s *server) service(k kind) *service {
	if k == accounting {
		return s.acct
	}
	return s.auth
}

// newSet makes a set; services that an old one has, too, stay.
func newSet(cfg Config, old *set) *set {
	n := &set{Config: cfg}
	for _, srv := range cfg.Servers {
		made := server{Server: srv}
		of := func(k kind) *service {
			id := srv.identity(&cfg, k)
			for _, s := range append(old.services(), n.services()...) {
				if s.is(id) {
					return s
				}
			}
			return cfg.service(id, srv)
		}
		made.auth = of(authentication)
		n.servers = append(n.servers, made)
		last := &n.servers[len(n.servers)-1]
		last.acct = of(accounting)
	}
	return n
}

// services are all services of the set, each once.
func (n *set) services() (list []*service) {
	if n == nil {
		return nil
	}
	for _, srv := range n.servers {
		for _, s := range []*service{srv.auth, srv.acct} {
			if s != nil && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

func (n *set) has(s *service) bool { return slices.Contains(n.services(), s) }

// patience is the most time for one question.
func (n *set) patience(k kind) time.Duration {
	if k == accounting {
		return accountingPatience
	}
	return cmp.Or(n.Patience, DefaultPatience)
}

// radsec is the secret of RADIUS over TLS, which protects by itself (RFC 6614, section 2.3).
const radsec = "radsec"

// identity is that of a server's service of one kind; without an address there is none.
func (srv *Server) identity(cfg *Config, k kind) identity {
	id := identity{kind: k, address: srv.Address, secret: srv.Secret, unsigned: srv.AllowUnsigned || cfg.AllowUnsigned, source: cfg.Source}
	if k == accounting {
		id.address = srv.Accounting
		if srv.AccountingSecret.Len() > 0 {
			id.secret = srv.AccountingSecret
		}
	}
	if srv.TLS != nil {
		id.tls = srv.TLS.ID
		if srv.Address == srv.Accounting {
			id.kind, id.secret = both, srv.Secret
		}
		if id.secret.Len() == 0 {
			id.secret = secret.String(radsec)
		}
	}
	return id
}

// service makes a service; nil if it has no address.
func (cfg *Config) service(id identity, srv Server) *service {
	if id.address == "" {
		return nil
	}
	s := newService(id)
	s.tell, s.asked = cfg.Event, cfg.Asked
	nas := cfg.NASIdentifier
	s.nas = func() string { return nas }
	source, dial := cfg.Source, cfg.Dial
	s.open = func(ctx context.Context) (net.Conn, error) {
		switch {
		case srv.TLS != nil:
			return srv.TLS.open(ctx, dial, source, id.address)
		case dial != nil:
			return dial(ctx, "udp", id.address)
		}
		d := net.Dialer{}
		if source.IsValid() {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		}
		return d.DialContext(ctx, "udp", id.address)
	}
	return s
}

// order is which services are asked for a user, in order: those of the user's realm, or if
// no server has it, those without one. The ones that answer are before the ones that are
// down, then the priorities count, and of one priority the weights, by chance.
func (n *set) order(k kind, user string) []*service {
	type place struct {
		*service
		away     bool
		priority int
		chance   float64
	}
	var list []place
	for _, srv := range n.ofRealm(k, user) {
		s := srv.service(k)
		away, trial := s.away()
		p := place{s, away && !trial, srv.Priority, math.Inf(1)}
		if trial {
			p.priority = math.MinInt // it lives, or costs one record a few seconds
		}
		if srv.Weight > 0 {
			p.chance = rand.ExpFloat64() / float64(srv.Weight) //nolint:gosec // it keeps no secret
		}
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b place) int {
		switch {
		case a.away != b.away && b.away:
			return -1
		case a.away != b.away:
			return 1
		}
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.chance, b.chance))
	})
	services := make([]*service, len(list))
	for i, p := range list {
		services[i] = p.service
	}
	return services
}

// ofRealm are the servers of the user's realm that have a service.
func (n *set) ofRealm(k kind, user string) []*server {
	var own, others []*server
	for i := range n.servers {
		srv := &n.servers[i]
		switch {
		case srv.service(k) == nil:
		case len(srv.Realms) == 0:
			others = append(others, srv)
		case slices.ContainsFunc(realms(user), func(u string) bool { return spelled(srv.Realms, u) != "" }):
			own = append(own, srv)
		}
	}
	if len(own) > 0 {
		return own
	}
	return others
}

// realms are what a user's name may have as its realm: what is behind the last "@"
// (RFC 7542), or in front of the first backslash, as Windows has its domains.
func realms(user string) (list []string) {
	if i := strings.LastIndexByte(user, '@'); i >= 0 {
		list = append(list, user[i+1:])
	}
	if domain, _, ok := strings.Cut(user, `\`); ok {
		list = append(list, domain)
	}
	return list
}
