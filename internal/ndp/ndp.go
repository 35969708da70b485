package ndp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/internal/packet"
)

// The errors of this package wrap one of these.
var (
	// ErrMalformed says that RFC 4861 wants the message silently discarded.
	ErrMalformed = errors.New("ndp: malformed")
	// ErrIgnored says that the message is not one to answer.
	ErrIgnored = errors.New("ndp: not answered")
)

// ICMPv6 types (RFC 4443, section 4; RFC 4861, section 4).
const (
	echoRequest           = 128
	echoReply             = 129
	routerSolicitation    = 133
	routerAdvertisement   = 134
	neighborSolicitation  = 135
	neighborAdvertisement = 136
)

const (
	headerLen = 40
	hops      = 255 // which nothing from beyond the link can have
)

// AllNodes is everybody on the link.
var AllNodes = netip.MustParseAddr("ff02::1")

// Answer answers what is asked of a router in the IP packet b: a Router
// Solicitation, a Neighbour Solicitation for one of its own addresses, an echo
// request to its link-local address. It fails with ErrIgnored if it is none of
// these.
func (r *Router) Answer(b []byte) ([]byte, error) {
	h, ok := packet.Parse(b)
	if !ok || h.Is4() || h.Protocol != packet.ICMPv6 {
		return nil, fmt.Errorf("%w: no ICMPv6", ErrIgnored)
	}
	icmp := b[headerLen:h.Len]
	if len(icmp) < 8 || packet.Fold(packet.Sum(packet.PseudoSum(h.Src, h.Dst, packet.ICMPv6, len(icmp)), icmp)) != 0 {
		return nil, fmt.Errorf("%w: length or checksum", ErrMalformed)
	}
	switch icmp[0] {
	case routerSolicitation, neighborSolicitation:
		// RFC 4861, sections 6.1.1 and 7.1.1.
		if b[7] != hops || icmp[1] != 0 {
			return nil, fmt.Errorf("%w: hop limit %d, code %d", ErrMalformed, b[7], icmp[1])
		}
	case echoRequest:
		if h.Dst != r.LinkLocal || !h.Src.IsLinkLocalUnicast() {
			return nil, fmt.Errorf("%w: an echo request from %v to %v", ErrIgnored, h.Src, h.Dst)
		}
		reply := append([]byte{echoReply, 0, 0, 0}, icmp[4:]...)
		return message(r.LinkLocal, h.Src, reply), nil
	default:
		return nil, fmt.Errorf("%w: ICMPv6 type %d", ErrIgnored, icmp[0])
	}
	if icmp[0] == routerSolicitation {
		if err := checkOptions(icmp[8:]); err != nil {
			return nil, err
		}
		return r.Advertise(toWhom(h.Src)), nil
	}
	return r.neighbor(&h, icmp)
}

// neighbor answers a Neighbour Solicitation (RFC 4861, section 7.2.4).
func (r *Router) neighbor(h *packet.IP, icmp []byte) ([]byte, error) {
	if len(icmp) < 24 {
		return nil, fmt.Errorf("%w: a Neighbour Solicitation of %d bytes", ErrMalformed, len(icmp))
	}
	if err := checkOptions(icmp[24:]); err != nil {
		return nil, err
	}
	target := netip.AddrFrom16([16]byte(icmp[8:]))
	if target != r.LinkLocal && target != r.Global {
		return nil, fmt.Errorf("%w: a Neighbour Solicitation for %v", ErrIgnored, target)
	}
	// Router, override; and solicited unless the sender only probes whether the address is
	// free.
	flags := byte(0xa0)
	if !h.Src.IsUnspecified() {
		flags |= 0x40
	}
	reply := append([]byte{neighborAdvertisement, 0, 0, 0, flags, 0, 0, 0}, icmp[8:24]...)
	return message(target, toWhom(h.Src), reply), nil
}

// toWhom is the destination of an answer: all nodes, if the asker has no address yet.
func toWhom(src netip.Addr) netip.Addr {
	if src.IsUnspecified() {
		return AllNodes
	}
	return src
}

// checkOptions: "All included options have a length that is greater than zero."
func checkOptions(b []byte) error {
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return fmt.Errorf("%w: option", ErrMalformed)
		}
		b = b[int(b[1])*8:]
	}
	return nil
}

// message puts an IPv6 header in front of an ICMPv6 message, and completes it.
func message(src, dst netip.Addr, icmp []byte) []byte {
	b := append(make([]byte, headerLen, headerLen+len(icmp)), icmp...)
	packet.PutSum(b[headerLen:], 2, packet.ICMPv6, src, dst)
	packet.Put(b, packet.ICMPv6, hops, src, dst)
	return b
}

func appendSeconds(b []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(b, n) }
