package app

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-vpn/adit/conf"
)

// listening are the TCP ports at which services of this host accept connections from
// elsewhere, as far as the kernel tells.
func listening() (ports []uint16, err error) {
	var errs []error
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			continue
		}
		of, wrong := listeningIn(string(b))
		ports, errs = append(ports, of...), append(errs, err, wrong)
	}
	slices.Sort(ports)
	return slices.Compact(ports), errors.Join(errs...)
}

// listeningIn reads the kernel's table of TCP sockets: proc_pid_net(5).
func listeningIn(table string) (ports []uint16, err error) {
	var errs []error
	const listen = "0A" // TCP_LISTEN
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != listen {
			continue
		}
		address, port, _ := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(port, 16, 16)
		if err != nil {
			errs = append(errs, fmt.Errorf("the kernel's table of TCP sockets has a line that is not understood: %w", err))
			continue
		}
		if !loopback(address) {
			ports = append(ports, uint16(n))
		}
	}
	return ports, errors.Join(errs...)
}

// loopback reports whether an address in the kernel's notation, words in the order of
// bytes of a little-endian host, is one that nobody else reaches.
func loopback(text string) bool {
	b, err := hex.DecodeString(text)
	if err != nil || len(b)%4 != 0 {
		return false
	}
	for w := range slices.Chunk(b, 4) {
		slices.Reverse(w)
	}
	a, ok := netip.AddrFromSlice(b)
	return ok && a.Unmap().IsLoopback()
}

// closed are the services that listen here and that clients do not reach, in the words
// of network.host_access.
func closed(c *conf.Config, ports []uint16) (list []string) {
	for _, port := range ports {
		open := c.Network.ReachesAll() || port == 53 && len(ownNameServers(c)) > 0
		for _, s := range c.Network.HostAccess {
			open = open || s.Has(conf.TCP, port)
		}
		if !open {
			list = append(list, fmt.Sprintf("tcp/%d", port))
		}
	}
	return list
}
