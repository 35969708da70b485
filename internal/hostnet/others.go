package hostnet

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// neighbours are the devices and chains of others that were there when the server turned
// forwarding on. They did not need it: it was off. Those that came later may need it
// without having asked: a container engine that finds forwarding on leaves it alone.
type neighbours struct {
	Devices []string `json:"devices"`
	Chains  []string `json:"chains"` // that forward or translate
}

// look finds them, without the server's own devices and table.
func look(device string) (n neighbours, err error) {
	links, err := net.Interfaces()
	if err != nil {
		return n, fmt.Errorf("listing devices: %w", err)
	}
	for _, l := range links {
		if l.Name != device && !strings.HasPrefix(l.Name, OwnDevice(device)) {
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
			n.Chains = append(n.Chains, chainName(f))
		}
	}
	return n, nil
}

// chainName is a chain as nft names it.
func chainName(c *nftables.Chain) string {
	return fmt.Sprintf("%s %s %s", familyName(c.Table.Family), c.Table.Name, c.Name)
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
