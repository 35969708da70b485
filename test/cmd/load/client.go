package main

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/adit-vpn/adit/internal/netdev"
)

// innerMTU is that of every device that carries what is in a tunnel, bytes.
const innerMTU = 1400

// runClient connects n clients and gives their device, clients, the addresses
// that they were leased and a route to the network behind the server. It knows
// "addresses", which answers when all are up.
func runClient(ctx context.Context, o options) error {
	device, err := netdev.Open("clients", innerMTU, 1)
	if err != nil {
		return err
	}
	fleet, err := o.fleet(device)
	if err != nil {
		return err
	}
	var leased []netip.Addr
	for from := o.first; len(leased) < o.n; from = from.Next() {
		up, err := fleet.Dial(ctx, o.dial(from))
		if err != nil {
			return err
		}
		leased = append(leased, up.Network.Peer)
	}
	if err := configure(device.Name(), leased, o.inside); err != nil {
		return err
	}
	return serve(ctx, func(words []string) (any, error) {
		if len(words) != 1 || words[0] != "addresses" {
			return nil, errors.New("no such command")
		}
		return leased, nil
	})
}

// configure gives a device its addresses, and the way to what is behind the
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
