package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
)

// accepted reads what an Access-Accept grants.
func accepted(r *auth.Request, reply *radius.Packet) (auth.Response, error) {
	resp := auth.Response{Verdict: auth.Accepted, Message: message(reply)}
	if r.Method == auth.MSCHAPv2 {
		// RFC 2548, section 2.3.3: Ident, then "S=" and 40 hex digits.
		success := microsoft.MSCHAP2Success_Get(reply)
		i := strings.Index(string(success), "S=")
		if i < 0 || len(success) < i+42 {
			return auth.Response{}, errors.New("the RADIUS server accepted MS-CHAPv2 without MS-CHAP2-Success, which proves it to the client: check its mschap module")
		}
		resp.Success = string(success[i : i+42])
	}
	g := grant(reply)
	resp.Grant, resp.Warnings = g.Grant, g.warnings
	if g.refused != "" {
		resp.Verdict, resp.Success, resp.Detail, resp.Grant = auth.NotAllowed, "", g.refused, auth.Grant{}
	}
	return resp, nil
}

// maxDNS6 is how many name servers of IPv6 a client is told, at most.
const maxDNS6 = 2

// grant reads the attributes of an Access-Accept.
func grant(reply *radius.Packet) *granted {
	g, seen := &granted{}, map[any]bool{}
	for _, avp := range reply.Attributes {
		if avp.Type == rfc2865.VendorSpecific_Type {
			g.takeVendor(seen, avp.Attribute)
		} else if a, ok := attributes[avp.Type]; ok {
			g.take(seen, avp.Type, a, fmt.Sprint(int(avp.Type)), avp.Attribute)
		}
	}
	for _, a := range append(g.dns4[:], g.dns6[:min(len(g.dns6), maxDNS6)]...) {
		if a.IsValid() {
			g.DNS = append(g.DNS, a)
		}
	}
	return g
}

// takeVendor reads a Vendor-Specific: a vendor's number, and a list of its
// attributes (RFC 2865, section 5.26). Of other vendors nothing is read.
func (g *granted) takeVendor(seen map[any]bool, v []byte) {
	if len(v) < 4 {
		return
	}
	vendor, list := binary.BigEndian.Uint32(v), v[4:]
	if vendor != vendorCisco && vendor != vendorMicrosoft {
		return
	}
	for len(list) > 0 {
		if len(list) < 2 || list[1] < 2 || int(list[1]) > len(list) {
			broken := attribute{name: "Vendor-Specific", many: true, read: func(*granted, []byte) error { return errors.New("a length in it is wrong") }}
			g.take(seen, nil, broken, fmt.Sprintf("26, of vendor %d", vendor), nil)
			return
		}
		key := vendorAttribute{vendor, list[0]}
		if a, ok := vendorAttributes[key]; ok {
			g.take(seen, key, a, fmt.Sprintf("%d of vendor %d", key.number, vendor), list[2:list[1]])
		}
		list = list[list[1]:]
	}
}

// Framed-IP-Address values with a meaning of their own (RFC 2865, section 5.8).
var (
	userSelects = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	nasSelects  = netip.AddrFrom4([4]byte{255, 255, 255, 254})
)

func framedAddress(g *granted, v []byte) error {
	return address4(func(g *granted, a netip.Addr) {
		if a != userSelects && a != nasSelects {
			g.Address = a
		}
	})(g, v)
}

// route reads "192.0.2.0/24 0.0.0.0 1": a network, a gateway that is the
// client whatever it says, and metrics (RFC 2865, section 5.22).
func route(g *granted, v []byte) error {
	fields := strings.Fields(string(v))
	if len(fields) > 0 {
		if p, err := netip.ParsePrefix(fields[0]); err == nil {
			g.Routes = append(g.Routes, p.Masked())
			return nil
		}
		if a, err := netip.ParseAddr(fields[0]); err == nil {
			g.Routes = append(g.Routes, netip.PrefixFrom(a.WithZone(""), a.BitLen()))
			return nil
		}
	}
	return fmt.Errorf("%.64q is no network: write it as 192.0.2.0/24, or 2001:db8::/48", v)
}

// avPair takes "ipsec:route-set=prefix 192.0.2.0/24" and
// "ipsec:default-domain=corp.example": the only widely known form of networks
// and a domain that a client is told, for RFC 2865's Framed-Route is for networks
// behind the client. Others are not for us.
func avPair(g *granted, v []byte) error {
	key, value, _ := strings.Cut(string(v), "=")
	value = strings.TrimSpace(value)
	switch strings.TrimSpace(key) {
	case "ipsec:route-set":
		network, ok := strings.CutPrefix(value, "prefix ")
		p, err := netip.ParsePrefix(strings.TrimSpace(network))
		if !ok || err != nil {
			return fmt.Errorf("%.64q is no network: write it as ipsec:route-set=prefix 192.0.2.0/24", v)
		}
		g.Split = append(g.Split, p.Masked())
	case "ipsec:default-domain":
		g.Domain = value
	}
	return nil
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
