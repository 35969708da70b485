package hostnet

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// neighbours are what a host had of others when forwarding was turned on, which
// nobody needed then: it was off. What came since may need it, and need not have
// asked: a container engine that finds forwarding on leaves it alone.
type neighbours struct {
	Devices []string `json:"devices"`
	Chains  []string `json:"chains"` // that forward or translate
}

// look finds them, without the server's own device and table.
func look(device string) (n neighbours, err error) {
	links, err := net.Interfaces()
	if err != nil {
		return n, fmt.Errorf("listing devices: %w", err)
	}
	for _, l := range links {
		if l.Name != device {
			n.Devices = append(n.Devices, l.Name)
		}
	}
	c, err := nftables.New()
	if err != nil {
		return n, nil //nolint:nilerr // a host without nftables has no such chains
	}
	list, err := c.ListChains()
	if err != nil {
		return n, nil //nolint:nilerr // the same
	}
	for _, f := range list {
		if f.Table.Name != tableName(device) && (forwards(f) || f.Type == nftables.ChainTypeNAT) {
			n.Chains = append(n.Chains, fmt.Sprintf("%s %s %s", familyName(f.Table.Family), f.Table.Name, f.Name))
		}
	}
	return n, nil
}

// since is what is there now and was not then, "" if nothing is.
func (n neighbours) since(then neighbours) string {
	for _, d := range n.Devices {
		if !slices.Contains(then.Devices, d) {
			return "the device " + d + " came since"
		}
	}
	for _, c := range n.Chains {
		if !slices.Contains(then.Chains, c) {
			return "the nftables chain " + c + " came since"
		}
	}
	return ""
}

// sysctlFiles are where settings are read from when a host starts.
var sysctlFiles = []string{"/etc/sysctl.conf", "/etc/sysctl.d/*.conf", "/run/sysctl.d/*.conf", "/usr/local/lib/sysctl.d/*.conf", "/usr/lib/sysctl.d/*.conf", "/lib/sysctl.d/*.conf"}

// wanted returns the file that sets a sysctl to a value whenever the host
// starts, "" if none does.
func wanted(name, value string) string {
	names := []string{name}
	if name == forwarding {
		names = append(names, "net/ipv4/conf/all/forwarding")
	}
	for _, pattern := range sysctlFiles {
		files, _ := filepath.Glob(pattern) // the patterns are good
		for _, file := range files {
			if slices.ContainsFunc(names, func(n string) bool { return sets(file, n, value) }) {
				return file
			}
		}
	}
	return ""
}

// sets reports whether a file in the form of sysctl.conf gives a value to a name.
func sets(file, name, value string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, v, ok := strings.Cut(lines.Text(), "=")
		key = strings.TrimPrefix(strings.TrimSpace(key), "-") // a failure to set it does not matter
		if ok && strings.ReplaceAll(key, ".", "/") == name && strings.TrimSpace(v) == value {
			return true
		}
	}
	return false
}
