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
	link, err := netlink.LinkByName(device.Name())
	if err != nil {
		return err
	}
	var leased []netip.Addr
	for from := o.first; len(leased) < o.n; from = from.Next() {
		up, err := fleet.Dial(ctx, o.dial(from))
		if err != nil {
			return err
		}
		own := up.Network.Peer
		leased = append(leased, own)
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(32, 32)}}); err != nil {
			return err
		}
	}
	route := &netlink.Route{
		LinkIndex: link.Attrs().Index, Src: leased[0].AsSlice(),
		Dst: &net.IPNet{IP: o.inside.Addr().AsSlice(), Mask: net.CIDRMask(o.inside.Bits(), 32)},
	}
	if err := netlink.RouteReplace(route); err != nil {
		return err
	}
	return serve(ctx, func(words []string) (any, error) {
		if len(words) != 1 || words[0] != "addresses" {
			return nil, errors.New("no such command")
		}
		return leased, nil
	})
}
