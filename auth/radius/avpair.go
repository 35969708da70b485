package radius

import (
	"fmt"
	"net/netip"
	"strings"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/adit-vpn/adit/auth"
)

// Cisco's vendor number and its attribute Cisco-AVPair, the only widely known
// form of networks and a domain that a client is told: RFC 2865's Framed-Route
// is for networks behind the client.
const (
	vendorCisco = 9
	ciscoAVPair = 1
)

// avPairs returns the texts of every Cisco-AVPair, and skips what is no list of
// attributes.
func avPairs(reply *radius.Packet) []string {
	var list []string
	for _, avp := range reply.Attributes {
		if avp.Type != rfc2865.VendorSpecific_Type {
			continue
		}
		vendor, b, err := radius.VendorSpecific(avp.Attribute)
		if err != nil || vendor != vendorCisco {
			continue
		}
		for len(b) >= 2 && b[1] >= 2 && int(b[1]) <= len(b) {
			if b[0] == ciscoAVPair {
				list = append(list, string(b[2:b[1]]))
			}
			b = b[b[1]:]
		}
	}
	return list
}

// readAVPairs takes "ipsec:route-set=prefix 192.0.2.0/24", as often as there
// are networks, and "ipsec:default-domain=corp.example". Others are not for us.
func readAVPairs(reply *radius.Packet, s *auth.Settings) error {
	for _, text := range avPairs(reply) {
		key, value, _ := strings.Cut(text, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "ipsec:route-set":
			network, ok := strings.CutPrefix(value, "prefix ")
			p, err := netip.ParsePrefix(strings.TrimSpace(network))
			if !ok || err != nil {
				return fmt.Errorf("the RADIUS server sent the Cisco-AVPair %.64q, which is no network: write it as ipsec:route-set=prefix 192.0.2.0/24", text)
			}
			s.Split = append(s.Split, p.Masked())
		case "ipsec:default-domain":
			s.Domain = value
		}
	}
	return nil
}
