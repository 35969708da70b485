package hostnet

import (
	"net/netip"
	"os"
	"strings"
)

// resolvConf is where the host says which name servers it asks (resolv.conf(5)).
const resolvConf = "/etc/resolv.conf"

// nameServers are the name servers that a text like resolv.conf names.
func nameServers(text string) (list []netip.Addr) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				list = append(list, a.Unmap().WithZone(""))
			}
		}
	}
	return list
}

// NameServers are those that this host asks; none, if that cannot be read.
func NameServers() []netip.Addr {
	b, err := os.ReadFile(resolvConf)
	if err != nil {
		return nil
	}
	return nameServers(string(b))
}
