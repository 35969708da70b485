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
var changeable = map[key]func(*auth.Grant){
	{0, 11}:              func(*auth.Grant) {}, // Filter-Id: a name
	{0, 25}:              func(g *auth.Grant) { g.Class = nil },
	{0, 27}:              func(g *auth.Grant) { g.SessionTimeout = 0 },
	{0, 28}:              func(g *auth.Grant) { g.IdleTimeout = 0 },
	{0, 85}:              func(g *auth.Grant) { g.InterimInterval = 0 },
	{0, 92}:              func(g *auth.Grant) { g.Limits.Filter = nil },
	{vendorCisco, 1}:     func(*auth.Grant) {}, // of which only rates: see changesRate
	{vendorMikrotik, 1}:  func(g *auth.Grant) { g.Limits.Quota.In = 0 },
	{vendorMikrotik, 14}: func(g *auth.Grant) { g.Limits.Quota.In = 0 },
	{vendorMikrotik, 2}:  func(g *auth.Grant) { g.Limits.Quota.Out = 0 },
	{vendorMikrotik, 15}: func(g *auth.Grant) { g.Limits.Quota.Out = 0 },
	{vendorMikrotik, 17}: func(g *auth.Grant) { g.Limits.Quota.Total = 0 },
	{vendorMikrotik, 18}: func(g *auth.Grant) { g.Limits.Quota.Total = 0 },
	{vendorMikrotik, 3}:  func(*auth.Grant) {}, // Mikrotik-Group: a name
	{vendorMikrotik, 8}:  func(g *auth.Grant) { g.Limits.Rates = limit.Rates{} },
	{vendorWISPr, 7}:     func(g *auth.Grant) { g.Limits.Rates.In, g.Limits.Rates.BurstIn = 0, 0 },
	{vendorWISPr, 8}:     func(g *auth.Grant) { g.Limits.Rates.Out, g.Limits.Rates.BurstOut = 0, 0 },
	{vendorWISPr, 9}:     func(*auth.Grant) {},
	{vendorASA, 25}:      func(*auth.Grant) {}, // ASA-Group-Policy: a name
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
	if why := ineffective(list); why != nil {
		return c, why
	}
	g := cfg.read(list)
	if g.refused != "" {
		return c, refuse(invalidValue, "%s", strings.TrimSuffix(g.refused, ": nobody comes in without it"))
	}
	if len(g.warnings) > 0 {
		return c, refuse(invalidValue, "%s", g.warnings[0])
	}
	for _, i := range g.ignored {
		c.notes = append(c.notes, i.Name+" has no effect: "+i.Why)
	}
	c.Set = g.Grant
	c.Clear = func(was *auth.Grant) {
		for _, v := range list {
			changeable[v.key](was)
		}
	}
	return c, nil
}

// ineffective refuses a request with an attribute that has no effect: its sender would take an ACK for
// one. A part of another may have none, as of Mikrotik-Rate-Limit; a Cisco-AVPair is one thing.
func ineffective(list []value) *refused {
	for _, v := range list {
		var one granted
		if one.takeAny(map[any]bool{}, v.key, v.bytes); v.key == (key{vendorCisco, 1}) && len(one.ignored) > 0 {
			return refuse(invalidValue, "%s has no effect: %s", one.ignored[0].Name, one.ignored[0].Why)
		}
	}
	return nil
}

// read reads what a request says, as of an Access-Accept.
func (cfg *DynamicConfig) read(list []value) *granted {
	g, seen := &granted{}, map[any]bool{}
	for _, v := range list {
		g.takeAny(seen, v.key, v.bytes)
	}
	if cfg.ClassGroup {
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
