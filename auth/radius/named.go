package radius

import (
	"slices"
	"strings"

	"github.com/adit-vpn/adit/auth"
)

// named has a grant's user be one of whom the server may speak. By that name sessions are counted
// and found, and give their address up. A server with realms speaks of the users of these: a name
// without a realm is of the one that was asked about, and another realm's, whose sessions would be
// somebody else's, is not taken.
func (n *set) named(by *service, asked string, g *auth.Grant) []Ignored {
	own := n.realmsOf(by, asked)
	if g.User == "" || len(own) == 0 {
		return nil
	}
	of := realms(g.User)
	switch {
	case len(of) == 0:
		g.Name, g.User = g.User, inRealm(g.User, asked, own)
	case slices.ContainsFunc(of, func(r string) bool { return spelled(own, r) == "" }):
		g.User = ""
		return []Ignored{{"User-Name", "it is of a realm that the server is not asked for: the user keeps the name that the client sent"}}
	}
	return nil
}

// realmsOf are the realms of a server, none if it is for everybody. Of one that the configuration
// names no more it is the asked name's alone.
func (n *set) realmsOf(by *service, asked string) []string {
	for i := range n.servers {
		if n.servers[i].auth == by {
			return n.servers[i].Realms
		}
	}
	return realms(asked)
}

// inRealm is a name with the realm that another one has, of some, as the configuration spells it:
// a client could vary that.
func inRealm(name, asked string, own []string) string {
	if i := strings.LastIndexByte(asked, '@'); i >= 0 {
		if r := spelled(own, asked[i+1:]); r != "" {
			return name + "@" + r
		}
	}
	if domain, _, ok := strings.Cut(asked, `\`); ok {
		if r := spelled(own, domain); r != "" {
			return r + `\` + name
		}
	}
	return name
}

// spelled is a realm as a list has it, "" if it does not.
func spelled(list []string, realm string) string {
	if i := slices.IndexFunc(list, func(r string) bool { return strings.EqualFold(r, realm) }); i >= 0 {
		return list[i]
	}
	return ""
}
