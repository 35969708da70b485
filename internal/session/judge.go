package session

import (
	"net/netip"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
)

// judge returns an error, for the administrator, if a grant names an address or network
// that belongs to the server or that nobody may have; nil if it names none.
func (s *Session) judge(g *auth.Grant) error {
	has6 := s.has6(g)
	if own := g.IPv6.Prefix; has6 && own.IsValid() && own.IsSingleIP() && !g.IPv6.Address.IsValid() {
		g.IPv6.Address, g.IPv6.Prefix = own.Addr(), netip.Prefix{}
	}
	refused := s.env.Plan().Judge(pool.Wish{
		Address: g.Address, Address6: g.IPv6.Address, Prefix6: g.IPv6.Prefix, Delegated: g.IPv6.Delegated,
		Routes: g.Routes, Without6: !has6, Link: g.Link != nil,
	})
	if len(refused) > 0 {
		return refused[0]
	}
	return nil
}

// granted are the networks that a grant names.
func granted(g auth.Grant, six bool) []netip.Prefix {
	if !six {
		g.IPv6 = auth.IPv6{}
	}
	return g.Networks()
}
