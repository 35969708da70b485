package hostnet

import (
	"bufio"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sysctlFiles are where settings are read from when a host starts, or when ufw
// does.
var sysctlFiles = []string{
	"/etc/sysctl.conf", "/etc/sysctl.d/*.conf", "/run/sysctl.d/*.conf", "/usr/local/lib/sysctl.d/*.conf", "/usr/lib/sysctl.d/*.conf", "/lib/sysctl.d/*.conf",
	"/etc/ufw/sysctl.conf",
}

// networkdFiles are those of systemd-networkd: it does not write a sysctl that
// has the value that it wants.
var networkdFiles = []string{
	"/etc/systemd/networkd.conf", "/etc/systemd/networkd.conf.d/*.conf", "/run/systemd/networkd.conf.d/*.conf", "/usr/lib/systemd/networkd.conf.d/*.conf",
	"/etc/systemd/network/*.network", "/etc/systemd/network/*.network.d/*.conf",
	"/run/systemd/network/*.network", "/run/systemd/network/*.network.d/*.conf",
	"/usr/local/lib/systemd/network/*.network", "/usr/local/lib/systemd/network/*.network.d/*.conf",
}

// wanted returns the file that sets a sysctl to a value whenever the host
// starts, "" if none does.
func wanted(name, value string) string {
	file := firstWith(sysctlFiles, func(key, v string) bool {
		key = strings.TrimPrefix(key, "-") // a failure to set it does not matter
		return v == value && slices.ContainsFunc(switchNames(name), func(n string) bool { return names(key, n) })
	})
	if file == "" {
		file = firstWith(networkdFiles, func(key, v string) bool { return networkdForwards(name, key, v) })
	}
	return file
}

// switchNames are the names of a switch.
func switchNames(name string) []string {
	if name == forwarding {
		return []string{forwarding, conf4 + "/all/forwarding"}
	}
	return []string{name}
}

// names reports whether a key of sysctl.conf is about a sysctl. Whichever of . and
// / comes first separates (sysctl.d(5)), and * stands for any part.
func names(key, name string) bool {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		key = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, key)
	}
	matches, err := path.Match(key, name)
	return err == nil && matches
}

// networkdForwards reports whether a setting of systemd.network(5) has the host
// forward IPv4, or IPv6.
func networkdForwards(name, key, value string) bool {
	value = strings.ToLower(value)
	yes := slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, value)
	family := "ipv4"
	if name == forwarding6 {
		family = "ipv6"
	}
	switch key {
	case "IPForward", "IPMasquerade": // to masquerade is to forward; a mere yes is of IPv4
		return value == family || value == "both" || yes && (key == "IPForward" || family == "ipv4")
	case "IPv4Forwarding":
		return yes && name == forwarding
	case "IPv6Forwarding":
		return yes && name == forwarding6
	}
	return false
}

// firstWith returns the first file with a line key=value that is looked for, ""
// if there is none.
func firstWith(patterns []string, is func(key, value string) bool) string {
	for _, pattern := range patterns {
		files, _ := filepath.Glob(pattern) // the patterns are good
		for _, file := range files {
			if hasLine(file, is) {
				return file
			}
		}
	}
	return ""
}

// hasLine reports whether a file has a line key=value that is looked for.
func hasLine(file string, is func(key, value string) bool) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), "=")
		if ok && is(strings.TrimSpace(key), strings.TrimSpace(value)) {
			return true
		}
	}
	return false
}
