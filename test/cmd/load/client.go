package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/adit-vpn/adit/internal/netdev"
)

// innerMTU is the MTU of every device that carries the packets inside a tunnel, in
// bytes.
const innerMTU = 1400

// runClient connects clients and gives the clients' device the addresses that they
// were leased and a route to the network behind the server. It accepts
// "addresses", which is answered when all clients are up, and for a client without
// IKE "spi", which is answered with the SPI of its inbound SA.
func runClient(ctx context.Context, o options) error {
	device, err := netdev.Open("clients", innerMTU, 1)
	if err != nil {
		return err
	}
	clients, err := o.connect(ctx, device)
	if err != nil {
		return err
	}
	defer clients.close()
	if err := configure(device.Name(), clients.leased, o.inside); err != nil {
		return err
	}
	return serve(ctx, func(words []string) (any, error) {
		if len(words) != 1 {
			return nil, errors.New("no such command")
		}
		return clients.answer(words[0])
	})
}

// clients are the clients of one process.
type clients struct {
	leased []netip.Addr
	spi    uint32
	close  func()
}

func (c *clients) answer(word string) (any, error) {
	switch word {
	case "addresses":
		return c.leased, nil
	case "spi":
		return c.spi, nil
	default:
		return nil, fmt.Errorf("no command %s", word)
	}
}

// connect connects as many clients as the flags say, or one without IKE if the
// flags have its keys.
func (o options) connect(ctx context.Context, device netdev.Device) (*clients, error) {
	if o.upKey != "" {
		return o.connectStatic(device)
	}
	fleet, err := o.fleet(device)
	if err != nil {
		return nil, err
	}
	c := &clients{close: func() { _ = fleet.Close() }} // it ends with the process anyway
	for from := o.first; len(c.leased) < o.n; from = from.Next() {
		up, err := fleet.Dial(ctx, o.dial(from))
		if err != nil {
			return nil, err
		}
		c.leased = append(c.leased, up.Network.Peer)
	}
	return c, nil
}

// configure gives a device its addresses, and a route to the network behind the
// server.
func configure(device string, own []netip.Addr, inside netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	for _, a := range own {
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: network(netip.PrefixFrom(a, 32))}); err != nil {
			return err
		}
	}
	return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Src: own[0].AsSlice(), Dst: network(inside)})
}

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
