//go:build real

// Command probe is the guest's end of count.Run: probe ADDRESS:PORT COUNT INTERVAL.
// It prints its result as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/adit-vpn/adit/test/real/count"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("want ADDRESS:PORT COUNT INTERVAL, got %q", args)
	}
	peer, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	interval, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	r, err := count.Run(c, peer, n, interval)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
