package hostnet

import (
	"fmt"
	"net"
	"slices"

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
