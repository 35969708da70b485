package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/adit-vpn/adit/internal/netdev"
)

// The first byte of a TCP connection to the sink: who sends.
const (
	dirUp   = 'u' // the client
	dirDown = 'd' // the sink
)

const chunk = 1 << 18

// carried answers "up" and "down": the bytes that arrived, and how long they
// took.
type carried struct {
	Bytes   uint64
	Seconds float64
}

// runBulk connects one client, gives its device the leased address and a route
// to the target, and knows "up SECONDS" and "down SECONDS".
func runBulk(ctx context.Context, o options) error {
	device, err := netdev.Open("bench0", 1400, 1)
	if err != nil {
		return err
	}
	fleet, err := o.fleet(device)
	if err != nil {
		return err
	}
	up, err := fleet.Dial(ctx, o.dial(o.first))
	if err != nil {
		return err
	}
	link, err := netlink.LinkByName(device.Name())
	if err != nil {
		return err
	}
	own := &net.IPNet{IP: up.Network.Peer.AsSlice(), Mask: net.CIDRMask(16, 32)}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: own}); err != nil {
		return err
	}
	return serve(ctx, func(words []string) (any, error) {
		if len(words) != 2 {
			return nil, errors.New("no such command")
		}
		seconds, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			return nil, err
		}
		return transfer(ctx, o.target, words[0], time.Duration(seconds*float64(time.Second)))
	})
}

func transfer(ctx context.Context, target, way string, d time.Duration) (carried, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return carried{}, err
	}
	defer conn.Close()
	start := time.Now()
	var n uint64
	switch way {
	case "up":
		if err := send(conn, dirUp, start.Add(d)); err != nil {
			return carried{}, err
		}
		err = binary.Read(conn, binary.BigEndian, &n)
	case "down":
		if _, err := conn.Write([]byte{dirDown}); err != nil {
			return carried{}, err
		}
		n, err = receive(conn, start.Add(d))
	default:
		err = fmt.Errorf("no way %s", way)
	}
	return carried{n, time.Since(start).Seconds()}, err
}

// send writes until a time, and then says that it is all.
func send(conn net.Conn, first byte, until time.Time) error {
	b := make([]byte, chunk)
	b[0] = first
	for time.Now().Before(until) {
		if _, err := conn.Write(b); err != nil {
			return err
		}
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// receive reads until a time or the end, and returns how many bytes came.
func receive(conn net.Conn, until time.Time) (n uint64, err error) {
	b := make([]byte, chunk)
	for time.Now().Before(until) {
		k, err := conn.Read(b)
		n += uint64(k)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// runSink accepts what bulk opens, until its context ends.
func runSink(ctx context.Context, o options) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", o.target)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go sink(conn)
	}
}

// sink does what the first byte says. That the other side goes away is how a
// transfer down ends.
func sink(conn net.Conn) {
	defer conn.Close()
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return
	}
	far := time.Now().Add(time.Hour)
	switch first[0] {
	case dirDown:
		_ = send(conn, 0, far)
	case dirUp:
		if n, err := receive(conn, far); err == nil {
			_ = binary.Write(conn, binary.BigEndian, n+1)
		}
	}
}
