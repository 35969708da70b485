//go:build real

package exact

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/adit-vpn/adit/test/real/lab"
)

// kernelDrops is where kernels of the namespaces dropped packets so far: full
// device queues, full sockets, full backlogs.
type kernelDrops map[string]uint64

func readDrops(t testing.TB) kernelDrops {
	t.Helper()
	d := kernelDrops{}
	for _, ns := range []string{nsServer, nsClient, nsFar} {
		short := ns[strings.LastIndexByte(ns, '-')+1:]
		err := lab.In(ns, func() error {
			links, err := netlink.LinkList()
			if err != nil {
				return err
			}
			for _, l := range links {
				if st := l.Attrs().Statistics; st != nil {
					d[short+" "+l.Attrs().Name+" sending"] = st.TxDropped
					d[short+" "+l.Attrs().Name+" receiving"] = st.RxDropped
				}
			}
			text, err := os.ReadFile("/proc/thread-self/net/snmp")
			d.parse(short, string(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("/proc/net/softnet_stat") // of the whole host
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, err := strconv.ParseUint(strings.Fields(line)[1], 16, 64); err == nil {
			d["host's backlogs"] += n
		}
	}
	return d
}

// parse reads the UDP part of /proc/net/snmp: a line of names, one of numbers.
func (d kernelDrops) parse(ns, text string) {
	var names []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if words[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = words
			continue
		}
		for i, name := range names {
			if strings.HasSuffix(name, "bufErrors") {
				n, _ := strconv.ParseUint(words[i], 10, 64)
				d[ns+" UDP "+name] = n
			}
		}
	}
}

// since is what was dropped since before, as text.
func (d kernelDrops) since(before kernelDrops) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if n := d[name] - before[name]; n > 0 && n < 1<<62 {
			list = append(list, fmt.Sprintf("%s: %d", name, n))
		}
	}
	return strings.Join(list, ", ")
}
