package radius

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
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
	g, err := grant(reply)
	if err != nil {
		return auth.Response{}, err
	}
	resp.Grant = g
	return resp, nil
}

// Framed-IP-Address values with a meaning of their own (RFC 2865, section 5.8).
var (
	userSelects = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	nasSelects  = netip.AddrFrom4([4]byte{255, 255, 255, 254})
)

func grant(reply *radius.Packet) (auth.Grant, error) {
	g := auth.Grant{
		User:            rfc2865.UserName_GetString(reply),
		Group:           rfc2865.FilterID_GetString(reply), // the first, if there are several
		SessionTimeout:  seconds(uint32(rfc2865.SessionTimeout_Get(reply))),
		IdleTimeout:     seconds(uint32(rfc2865.IdleTimeout_Get(reply))),
		InterimInterval: interim(seconds(uint32(rfc2869.AcctInterimInterval_Get(reply)))),
		MTU:             int(min(rfc2865.FramedMTU_Get(reply), 1500)),
	}
	if classes, err := rfc2865.Class_Gets(reply); err == nil {
		g.Class = classes
	}
	if a, ok := address(rfc2865.FramedIPAddress_Get(reply)); ok && a != userSelects && a != nasSelects {
		g.Address = a
	}
	for _, ip := range []net.IP{microsoft.MSPrimaryDNSServer_Get(reply), microsoft.MSSecondaryDNSServer_Get(reply)} {
		if a, ok := address(ip); ok {
			g.DNS = append(g.DNS, a)
		}
	}
	if err := grant6(reply, &g); err != nil {
		return g, err
	}
	if err := readAVPairs(reply, &g.Settings); err != nil {
		return g, err
	}
	routes, err := rfc2865.FramedRoute_GetStrings(reply)
	if err != nil {
		return g, nil
	}
	for _, text := range routes {
		p, err := framedRoute(text)
		if err != nil {
			return g, err
		}
		g.Routes = append(g.Routes, p)
	}
	return g, nil
}

// seconds reads an interval; 0 means none.
func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func address(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip.To4())
	return a, ok && !a.IsUnspecified()
}

// framedRoute reads "192.0.2.0/24 0.0.0.0 1": a network, a gateway that is the
// client whatever it says, and metrics (RFC 2865, section 5.22).
func framedRoute(text string) (netip.Prefix, error) {
	fields := strings.Fields(text)
	if len(fields) > 0 {
		if p, err := netip.ParsePrefix(fields[0]); err == nil {
			return p.Masked(), nil
		}
		if a, err := netip.ParseAddr(fields[0]); err == nil {
			return netip.PrefixFrom(a, a.BitLen()), nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("the RADIUS server sent the Framed-Route %.64q, which is no network: write it as 192.0.2.0/24", text)
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
