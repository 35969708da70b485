package radius

import (
	"strings"

	"layeh.com/radius"
	"layeh.com/radius/rfc3576"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
)

// changeable are the attributes that change a session while it is up. Each first takes away
// what the session has of that kind: the attributes of a request are all that it has then.
var changeable = map[key]func(*granted){
	{0, 11}:              func(*granted) {}, // Filter-Id: a name
	{0, 25}:              func(g *granted) { g.Class = nil },
	{0, 27}:              func(g *granted) { g.SessionTimeout = 0 },
	{0, 28}:              func(g *granted) { g.IdleTimeout = 0 },
	{0, 85}:              func(g *granted) { g.InterimInterval = 0 },
	{0, 92}:              func(g *granted) { g.Limits.Filter = nil },
	{vendorCisco, 1}:     func(*granted) {}, // of which only rates: see changesRate
	{vendorMikrotik, 1}:  func(g *granted) { g.volumes[0] = volume{} },
	{vendorMikrotik, 14}: func(g *granted) { g.volumes[0] = volume{} },
	{vendorMikrotik, 2}:  func(g *granted) { g.volumes[1] = volume{} },
	{vendorMikrotik, 15}: func(g *granted) { g.volumes[1] = volume{} },
	{vendorMikrotik, 17}: func(g *granted) { g.volumes[2] = volume{} },
	{vendorMikrotik, 18}: func(g *granted) { g.volumes[2] = volume{} },
	{vendorMikrotik, 3}:  func(*granted) {}, // Mikrotik-Group: a name
	{vendorMikrotik, 8}:  func(g *granted) { g.Limits.Rates = limit.Rates{} },
	{vendorWISPr, 7}:     func(g *granted) { g.Limits.Rates.In, g.Limits.Rates.BurstIn = 0, 0 },
	{vendorWISPr, 8}:     func(g *granted) { g.Limits.Rates.Out, g.Limits.Rates.BurstOut = 0, 0 },
	{vendorWISPr, 9}:     func(*granted) {},
	{vendorASA, 25}:      func(*granted) {}, // ASA-Group-Policy: a name
}

// changed is a change, and parts of it that have no effect.
type changed struct {
	auth.Change
	notes []string
}

// changeOf reads what a request changes. What is not understood refuses all of it.
func (cfg *DynamicConfig) changeOf(code radius.Code, list []value) (c changed, no *refused) {
	for _, v := range list {
		_, can := changeable[v.key]
		if code == radius.CodeDisconnectRequest {
			can = false
		}
		if !can || v.key == (key{vendorCisco, 1}) && !changesRate(v.bytes) {
			return c, refuse(rfc3576.ErrorCause_Value_UnsupportedAttribute, "%s cannot be changed while a session is up", nameOf(v.key))
		}
	}
	if code == radius.CodeDisconnectRequest {
		return c, nil
	}
	if len(list) == 0 {
		return c, refuse(rfc3576.ErrorCause_Value_MissingAttribute, "nothing is to be changed: it names a session, and no more")
	}
	g := cfg.apply(auth.Grant{}, list)
	if g.refused != "" {
		return c, refuse(invalidValue, "%s", strings.TrimSuffix(g.refused, ": nobody comes in without it"))
	}
	if len(g.warnings) > 0 {
		return c, refuse(invalidValue, "%s", g.warnings[0])
	}
	for _, i := range g.ignored {
		c.notes = append(c.notes, i.Name+" has no effect: "+i.Why)
	}
	c.Names = g.Filters
	c.Apply = func(to *auth.Grant) {
		names := to.Filters
		*to = cfg.apply(*to, list).Grant
		to.Filters = names
	}
	return c, nil
}

// apply returns a grant with what a request says in place of its own. Its Filters are the
// names in the request.
func (cfg *DynamicConfig) apply(was auth.Grant, list []value) *granted {
	g, seen, cleared := &granted{Grant: was}, map[any]bool{}, map[key]bool{}
	g.Filters = nil
	q := &was.Limits.Quota
	for i, n := range []limit.Octets{q.In, q.Out, q.Total} {
		g.volumes[i] = volume{uint32(n), uint32(uint64(n) >> 32)}
	}
	for _, v := range list {
		if k := v.key; !cleared[k] {
			cleared[k] = true
			changeable[k](g)
		}
	}
	class := false
	for _, v := range list {
		g.takeAny(seen, v.key, v.bytes)
		class = class || v.key == (key{0, 25})
	}
	if cfg.ClassGroup && class {
		g.classGroup()
	}
	g.settleQuota()
	g.settleRules()
	return g
}

// changesRate reports whether a Cisco-AVPair is a rate.
func changesRate(v []byte) bool {
	for _, name := range []string{"lcp:interface-config", "ip:sub-qos-policy-", "subscriber:sub-qos-policy-"} {
		if strings.HasPrefix(string(v), name) {
			return true
		}
	}
	return false
}

// nameOf is what people call an attribute.
func nameOf(k key) string {
	if a := known[k]; a != nil {
		return a.name + " (" + k.String() + ")"
	}
	return "attribute " + k.String()
}
