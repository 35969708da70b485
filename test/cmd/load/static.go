package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ipsec"
)

// nobody is the control plane of a client that needs none.
type nobody struct{}

func (nobody) IKE(reply []byte, _, _ netip.AddrPort, _ bool, _ []byte) []byte { return reply }
func (nobody) Deliver(dataplane.Note) bool                                    { return true }

// connectStatic makes a client that needs no IKE, L2TP or PPP, because the program
// naive has none. All packets use AES-256-CBC with HMAC-SHA1, tunnel 1, session 1.
func (o options) connectStatic(device netdev.Device) (*clients, error) {
	sockets, err := o.sockets()
	if err != nil {
		return nil, err
	}
	plane, err := dataplane.New(dataplane.Config{
		Workers: [][]dataplane.Socket{sockets}, Device: device, Control: nobody{},
		Pools: []netip.Prefix{o.inside}, Slots: 16, BySource: true, ClientToClient: true,
	})
	if err != nil {
		return nil, err
	}
	slot, err := plane.NewSlot(nobody{})
	if err != nil {
		return nil, err
	}
	c := &clients{leased: []netip.Addr{o.lease}}
	if c.spi, err = o.static(plane, slot); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := plane.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "load:", err)
		}
	}()
	c.close = func() {
		cancel()
		<-done
	}
	return c, nil
}

// static gives a slot its SAs and its session, and returns the inbound SPI.
func (o options) static(plane *dataplane.Plane, slot *dataplane.Slot) (spi uint32, err error) {
	suite := ipsec.Suite{Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA1_96}
	down, err := espKeys(o.downKey)
	if err != nil {
		return 0, err
	}
	up, err := espKeys(o.upKey)
	if err != nil {
		return 0, err
	}
	spi = slot.NewSPI()
	in, err := ipsec.NewInbound(spi, suite, down, 1024)
	if err != nil {
		return 0, err
	}
	out, err := ipsec.NewOutbound(uint32(o.upSPI), suite, up)
	if err != nil {
		return 0, err
	}
	session := dataplane.NewSession(1, 1, false)
	session.SetNetwork([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, 0)
	slot.Publish(&dataplane.View{
		In: []*ipsec.Inbound{in}, Out: out, Tunnel: 1, PeerTunnel: 1, Sessions: []*dataplane.Session{session},
		Local: netip.AddrPortFrom(o.first, 4500), Remote: netip.AddrPortFrom(o.server, 4500),
	})
	return spi, plane.Route(netip.PrefixFrom(o.lease, 32), slot, session)
}

// espKeys reads the keys of AES-256 and HMAC-SHA1.
func espKeys(s string) (k ipsec.Keys, err error) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) != 32+20 {
		err = fmt.Errorf("a key of %d bytes", len(b))
	}
	if err != nil {
		return k, err
	}
	return ipsec.Keys{Enc: secret.New(b[:32]), Auth: secret.New(b[32:])}, nil
}
