// Naive is the program against which the benchmarks measure the server: it sends
// the same packets on the wire, with the most straightforward Go code. It reads
// one packet of a TUN device through package water, seals it with the standard
// library, and writes one datagram; and the reverse in the other direction.
// Nothing is batched, but nothing is slow on purpose: the key schedule and the
// HMAC live as long as the SA, and buffers are reused.
//
// It is not a VPN: its keys and the address of its one peer are given to it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
)

const (
	innerMTU     = 1400
	socketBuffer = 7 << 20 // as large as the server's
	queueLen     = 5000    // packets: TCP should not lose those that we read too late
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "naive:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("naive", flag.ContinueOnError)
	outSPI := f.Uint("out-spi", 0, "SPI of what is sent")
	inSPI := f.Uint("in-spi", 0, "SPI of what is received")
	outKey := f.String("out-key", "", "hexadecimal: AES-256 and HMAC-SHA1")
	inKey := f.String("in-key", "", "")
	device := f.String("device", "naive0", "TUN device to make")
	address := f.String("address", "", "its address and network")
	local := f.String("local", "", "where to receive")
	remote := f.String("remote", "", "where to send")
	if err := f.Parse(args); err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(*remote)
	if err != nil {
		return err
	}
	from, err := netip.ParseAddrPort(*local)
	if err != nil {
		return err
	}
	out, err := newOutbound(uint32(*outSPI), *outKey)
	if err != nil {
		return err
	}
	in, err := newInbound(uint32(*inSPI), *inKey)
	if err != nil {
		return err
	}
	tun, err := open(*device, *address)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(from))
	if err != nil {
		return err
	}
	_ = conn.SetReadBuffer(socketBuffer) // if the kernel's limit is smaller, that is enough
	_ = conn.SetWriteBuffer(socketBuffer)

	fmt.Println("ready")
	failed := make(chan error, 2)
	go func() { failed <- send(tun, conn, to, out) }()
	go func() { failed <- receive(conn, tun, in) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

func open(name, address string) (*water.Interface, error) {
	tun, err := water.New(water.Config{DeviceType: water.TUN, PlatformSpecificParams: water.PlatformSpecificParams{Name: name}})
	if err != nil {
		return nil, err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return nil, err
	}
	return tun, errors.Join(netlink.LinkSetMTU(link, innerMTU), netlink.LinkSetTxQLen(link, queueLen), netlink.AddrAdd(link, a), netlink.LinkSetUp(link))
}

// send carries packets of the device to the peer.
func send(tun *water.Interface, conn *net.UDPConn, to netip.AddrPort, sa *outbound) error {
	b := make([]byte, room)
	for {
		n, err := tun.Read(b[headLen : headLen+innerMTU])
		if err != nil {
			return err
		}
		sealed, err := sa.seal(b, n)
		if err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort(sealed, to); err != nil {
			return err
		}
	}
}

// receive carries the peer's packets to the device.
func receive(conn *net.UDPConn, tun *water.Interface, sa *inbound) error {
	b := make([]byte, room)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		packet, err := sa.open(b[:n])
		if err != nil {
			continue // it is not from our peer
		}
		if _, err := tun.Write(packet); err != nil {
			return err
		}
	}
}
