package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
)

// accepted reads what an Access-Accept grants, and what of it has no effect.
func accepted(r *auth.Request, reply *radius.Packet, classGroup bool) (auth.Response, []Ignored, error) {
	resp := auth.Response{Verdict: auth.Accepted, Message: message(reply)}
	if r.Method == auth.MSCHAPv2 {
		// RFC 2548, section 2.3.3: Ident, then "S=" and 40 hex digits.
		success := microsoft.MSCHAP2Success_Get(reply)
		i := strings.Index(string(success), "S=")
		if i < 0 || len(success) < i+42 {
			return auth.Response{}, nil, errors.New("the RADIUS server accepted MS-CHAPv2 without MS-CHAP2-Success, which proves it to the client: check its mschap module")
		}
		resp.Success = string(success[i : i+42])
	}
	g := grant(reply, classGroup)
	g.By = auth.ByRADIUS
	g.settleAgain(r.Method)
	resp.Grant, resp.Warnings = g.Grant, g.warnings
	if g.refused != "" {
		resp.Verdict, resp.Success, resp.Detail, resp.Grant = auth.NotAllowed, "", g.refused, auth.Grant{}
	}
	return resp, g.ignored, nil
}

// maxDNS6 is how many name servers of IPv6 a client is told, at most.
const maxDNS6 = 2

// grant reads the attributes of an Access-Accept; classGroup says whether a Class may name
// the group.
func grant(reply *radius.Packet, classGroup bool) *granted {
	g, seen := &granted{}, map[any]bool{}
	for _, avp := range reply.Attributes {
		if avp.Type == rfc2865.VendorSpecific_Type {
			g.takeVendor(seen, avp.Attribute)
		} else if avp.Type > 0 && avp.Type < 256 {
			g.takeAny(seen, key{0, byte(avp.Type)}, avp.Attribute)
		}
	}
	for _, a := range append(g.dns4[:], g.dns6[:min(len(g.dns6), maxDNS6)]...) {
		if a.IsValid() {
			g.DNS = append(g.DNS, a)
		}
	}
	for _, a := range g.nbns {
		if a.IsValid() {
			g.NBNS = append(g.NBNS, a)
		}
	}
	if classGroup {
		g.classGroup()
	}
	g.settleQuota()
	g.settleRules()
	return g
}

// terminationAction reads what follows on Session-Timeout (RFC 2865, section 5.29).
func terminationAction(g *granted, v []byte) error {
	return number(func(g *granted, n uint32) {
		if g.again = n == 1; n > 1 {
			g.ignore("Termination-Action", "%d is neither Default nor RADIUS-Request: the session ends at its Session-Timeout", n)
		}
	})(g, v)
}

// settleAgain grants that the user authenticates again, where the client can be asked to.
func (g *granted) settleAgain(m auth.Method) {
	switch {
	case !g.again:
	case m == auth.PAP:
		g.ignore("Termination-Action", "by PAP a client cannot be asked to authenticate again: the session ends at its Session-Timeout")
	default:
		g.Again = &auth.Again{State: g.state}
	}
}

// classGroup takes "OU=staff;" of a Class for the name of a group, as Cisco's VPN servers do.
func (g *granted) classGroup() {
	for _, class := range g.Class {
		if name, ok := strings.CutPrefix(string(class), "OU="); ok {
			g.Filters = append(g.Filters, strings.TrimSuffix(name, ";"))
		}
	}
}

// takeVendor reads a Vendor-Specific: a vendor's number, and a list of its
// attributes (RFC 2865, section 5.26).
func (g *granted) takeVendor(seen map[any]bool, v []byte) {
	if len(v) < 4 {
		return
	}
	vendor, list := binary.BigEndian.Uint32(v), v[4:]
	if !slices.ContainsFunc(attributes, func(a attribute) bool { return a.vendor == vendor }) {
		g.ignore(fmt.Sprintf("attributes of vendor %d", vendor), "adit does not know the vendor") // the list may have another form
		return
	}
	for len(list) > 0 {
		if len(list) < 2 || list[1] < 2 || int(list[1]) > len(list) {
			broken := attribute{name: "Vendor-Specific", many: true, read: func(*granted, []byte) error { return errors.New("a length in it is wrong") }}
			g.take(seen, nil, broken, fmt.Sprintf("26, of vendor %d", vendor), nil)
			return
		}
		g.takeAny(seen, key{vendor, list[0]}, list[2:list[1]])
		list = list[list[1]:]
	}
}

// minInterim keeps a server's mistake from becoming load; RFC 2869, section
// 5.16 wants no less than 60 s.
const minInterim = 60 * time.Second

func interim(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return max(d, minInterim)
}
