package dhcp

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/adit-vpn/adit/internal/packet"
)

// The errors of this package wrap one of these.
var (
	// ErrMalformed says that lengths or values contradict each other.
	ErrMalformed = errors.New("dhcp: malformed")
	// ErrIgnored says that the message is not one to answer.
	ErrIgnored = errors.New("dhcp: not answered")
)

// MaxRoutes is how many bytes of routes one option carries (RFC 3442). Not all clients
// join split options (RFC 3396).
const MaxRoutes = 255

// RoutesLen is how many bytes the IPv4 networks among routes take in option 121
// or 249: a length, the significant bytes, a router (RFC 3442).
func RoutesLen(routes []netip.Prefix) int {
	n := 0
	for _, r := range routes {
		if r.Addr().Is4() {
			n += 1 + (r.Bits()+7)/8 + 4
		}
	}
	return n
}

// Settings are what a client is told.
type Settings struct {
	Server netip.Addr     // ours on the link: it answers, and is the routes' gateway
	Client netip.Addr     // leased to the client
	Bits   int            // prefix length of the network of both
	DNS    []netip.Addr   // IPv4 ones are told
	Domain string         // "": none
	Routes []netip.Prefix // IPv4 ones are told; none: everything goes through the tunnel
	MTU    int            // of the link; 0: that of every host, 576
}

const (
	serverPort, clientPort = 67, 68

	bootpLen = 236          // without options (RFC 2131, section 2)
	fixedLen = bootpLen + 4 // with the magic cookie
	minLen   = 300          // of a BOOTP message (RFC 1542, section 2.1)
	anyHost  = 576          // IP packet that everybody takes (RFC 2131, section 2)

	optStaticRoutesMicrosoft = 249 // [MS-DHCPE], section 2.2.8
)

// Inform answers the DHCPINFORM in the IP packet b. It fails with ErrIgnored if the
// packet holds none, if it is not from the client, or if there is nothing to tell beyond
// what IPCP has told: clients go on without an answer.
func Inform(b []byte, s Settings) ([]byte, error) {
	request, src, err := bootp(b)
	if err != nil {
		return nil, err
	}
	m, err := dhcpv4.FromBytes(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	ciaddr, _ := netip.AddrFromSlice(request[12:16])
	switch {
	case m.OpCode != dhcpv4.OpcodeBootRequest || m.MessageType() != dhcpv4.MessageTypeInform:
		return nil, fmt.Errorf("%w: %v", ErrIgnored, m.MessageType())
	case !m.GatewayIPAddr.IsUnspecified():
		return nil, fmt.Errorf("%w: relayed", ErrIgnored)
	case !ours(src, s.Client) || !ours(ciaddr, s.Client):
		return nil, fmt.Errorf("%w: from another address than the leased one", ErrIgnored)
	case s.Domain == "" && RoutesLen(s.Routes) == 0:
		return nil, fmt.Errorf("%w: no routes and no domain", ErrIgnored)
	}
	return reply(request, m, &s), nil
}

// ours reports whether a packet says that it is the client's: some begin
// before their address is set.
func ours(a, client netip.Addr) bool { return a.IsUnspecified() || a == client }

// bootp returns the BOOTP message in an IPv4 packet to the server's port, at
// least its fixed part.
func bootp(b []byte) (message []byte, src netip.Addr, err error) {
	message, h, err := payload(b, serverPort)
	switch {
	case err != nil:
		return nil, src, err
	case !h.Is4():
		return nil, src, fmt.Errorf("%w: not over IPv4", ErrIgnored)
	case len(message) < fixedLen:
		return nil, src, fmt.Errorf("%w: %d bytes of BOOTP", ErrMalformed, len(message))
	}
	return message, h.Src, nil
}

// reply builds the DHCPACK. RFC 2131, section 4.4.3: no yiaddr and no lease
// time, and it goes to the client's address.
func reply(request []byte, m *dhcpv4.DHCPv4, s *Settings) []byte {
	limit := anyHost
	if n, err := m.MaxMessageSize(); err == nil {
		limit = max(limit, int(n))
	}
	if s.MTU > 0 {
		limit = min(limit, max(s.MTU, anyHost))
	}
	limit -= packet.HeaderLen(s.Client) + udpHeaderLen
	b := message(request, options(m, s, true))
	if len(b) > limit {
		// Option 249 says the same as 121: a client that asks for both does without one.
		b = message(request, options(m, s, false))
	}
	return datagram(serverPort, clientPort, s.Server, s.Client, b)
}

// message puts options behind the fixed part of the request, turned into that
// of a reply: xid, flags, ciaddr and the hardware address stay as they are.
func message(request, options []byte) []byte {
	b := make([]byte, 0, max(fixedLen+len(options), minLen))
	b = append(b, request[:fixedLen]...)
	b[0], b[3] = byte(dhcpv4.OpcodeBootReply), 0
	clear(b[8:10])        // secs
	clear(b[16:28])       // yiaddr, siaddr, giaddr
	clear(b[44:bootpLen]) // sname, file
	b = append(b, options...)
	if len(b) < minLen {
		b = b[:minLen]
	}
	return b
}

// options lists what the client asked for, or everything if it did not say what
// it wants. Apple reads a reply only if its first option is the message type.
func options(m *dhcpv4.DHCPv4, s *Settings, both bool) []byte {
	list := m.Options.Get(dhcpv4.OptionParameterRequestList)
	wants := func(c uint8) bool { return len(list) == 0 || bytes.IndexByte(list, c) >= 0 }
	server := s.Server.As4()
	b := []byte{dhcpv4.OptionDHCPMessageType.Code(), 1, byte(dhcpv4.MessageTypeAck)}
	b = option(b, dhcpv4.OptionServerIdentifier.Code(), server[:])
	if wants(dhcpv4.OptionSubnetMask.Code()) {
		b = option(b, dhcpv4.OptionSubnetMask.Code(), net.CIDRMask(s.Bits, 32))
	}
	if s.Domain != "" && wants(dhcpv4.OptionDomainName.Code()) {
		b = option(b, dhcpv4.OptionDomainName.Code(), []byte(s.Domain))
	}
	if dns := addresses4(s.DNS); len(dns) > 0 && wants(dhcpv4.OptionDomainNameServer.Code()) {
		b = option(b, dhcpv4.OptionDomainNameServer.Code(), dns)
	}
	// With a list of routes a client sends nothing else through the tunnel. So without
	// routes there is no option.
	if r := routes(s.Routes, server); len(r) > 0 {
		microsoft := wants(optStaticRoutesMicrosoft)
		if microsoft {
			b = option(b, optStaticRoutesMicrosoft, r)
		}
		if wants(dhcpv4.OptionClasslessStaticRoute.Code()) && (both || !microsoft) {
			b = option(b, dhcpv4.OptionClasslessStaticRoute.Code(), r)
		}
	}
	return append(b, dhcpv4.OptionEnd.Code())
}

// option appends one option; what does not fit into it is left out.
func option(b []byte, code uint8, data []byte) []byte {
	data = data[:min(len(data), 255)]
	return append(append(b, code, byte(len(data))), data...)
}

// routes encodes IPv4 networks by way of a router (RFC 3442), as many as an
// option takes.
func routes(list []netip.Prefix, router [4]byte) []byte {
	var b []byte
	for _, r := range list {
		if !r.Addr().Is4() {
			continue
		}
		network := r.Masked().Addr().As4()
		one := append([]byte{byte(r.Bits())}, network[:(r.Bits()+7)/8]...)
		if one = append(one, router[:]...); len(b)+len(one) <= MaxRoutes {
			b = append(b, one...)
		}
	}
	return b
}

func addresses4(list []netip.Addr) []byte {
	var b bytes.Buffer
	for _, a := range list {
		if a.Is4() {
			b.Write(a.AsSlice())
		}
	}
	return b.Bytes()
}
