//go:build real

// Command flood is one client of our own that keeps as many echo requests on
// their way as the window says, for as long as it is told, and re-keys ESP by
// kilobytes:
//
//	flood LOCAL SERVER PSK USER PASSWORD TARGET KILOBYTES WINDOW DURATION
//
// It prints its result as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
	"github.com/adit-vpn/adit/test/real/echo"
)

// Result is what came of it.
type Result struct {
	echo.Result
	Rekeys  int64
	Dropped map[string]uint64 // by the client's own data path
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 9 {
		return fmt.Errorf("want LOCAL SERVER PSK USER PASSWORD TARGET KILOBYTES WINDOW DURATION, got %d arguments", len(args))
	}
	local, server, target := netip.MustParseAddr(args[0]), netip.MustParseAddr(args[1]), netip.MustParseAddr(args[5])
	kilobytes, err := strconv.ParseUint(args[6], 10, 64)
	if err != nil {
		return err
	}
	window, err := strconv.Atoi(args[7])
	if err != nil {
		return err
	}
	lasts, err := time.ParseDuration(args[8])
	if err != nil {
		return err
	}
	var sockets []dataplane.Socket
	for _, port := range []uint16{client.IKEPort, client.NATTPort} {
		bound := netip.AddrPortFrom(local, port)
		opened, err := udp.Listen(bound, 1)
		if err != nil {
			return err
		}
		sockets = append(sockets, dataplane.Socket{Conn: opened[0], Bound: bound, Kind: dataplane.KindOf(port)})
	}
	device := netdevtest.New("flood", 1400, 1)
	keys := &rekeys{}
	fleet, err := client.New(client.Config{
		Workers: [][]dataplane.Socket{sockets}, Device: device, PSK: secret.String(args[2]),
		ChildKilobytes: kilobytes, Observer: keys, Slots: 16,
	})
	if err != nil {
		return err
	}
	up, err := fleet.Dial(context.Background(), client.Target{Local: local, Server: server, User: args[3], Password: args[4]})
	if err != nil {
		return err
	}
	r := Result{Result: echo.Flood(device, up.Network.Peer, target, window, lasts)}
	r.Rekeys = keys.n.Load() - 1
	r.Dropped = fleet.Drops()
	up.Close()
	if err := fleet.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// rekeys counts pairs of ESP SAs.
type rekeys struct{ n atomic.Int64 }

func (r *rekeys) Observe(e vpn.Event) {
	if _, ok := e.(vpn.ChildUp); ok {
		r.n.Add(1)
	}
}
