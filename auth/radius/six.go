package radius

import (
	"errors"
	"net"
	"net/netip"

	"layeh.com/radius"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc6911"

	"github.com/adit-vpn/adit/auth"
)

// addIPv6 adds a session's IPv6 addresses and prefixes to its accounting record.
func addIPv6(p *radius.Packet, six *auth.IPv6) error {
	var errs []error
	if six.Interface != ([8]byte{}) {
		errs = append(errs, rfc3162.FramedInterfaceID_Add(p, net.HardwareAddr(six.Interface[:])))
	}
	if six.Address.IsValid() {
		errs = append(errs, rfc6911.FramedIPv6Address_Add(p, net.IP(six.Address.AsSlice())))
	}
	if six.Prefix.IsValid() {
		errs = append(errs, rfc3162.FramedIPv6Prefix_Add(p, ipNet(six.Prefix)))
	}
	if six.Delegated.IsValid() {
		errs = append(errs, rfc4818.DelegatedIPv6Prefix_Add(p, ipNet(six.Delegated)))
	}
	return errors.Join(errs...)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
