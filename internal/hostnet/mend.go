package hostnet

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// guard writes our tables, before forwarding is turned on. If the host's nftables cannot
// hold the guard, the server warns, and serves. If they cannot hide clients although they
// should, it does not.
func (h *Host) guard(p Plan) error {
	h.tables = ourTables{device: p.Device, name: tableName(p.Device), policy: &p.Policy}
	for i, f := range []struct {
		masquerade, forwards bool
		name                 string
	}{{p.Masquerade, p.Masquerade, forwarding}, {p.Masquerade6, p.Forward6, forwarding6}} {
		t := &h.tables.families[i]
		t.masquerade = f.masquerade
		on, err := isOn(f.name)
		t.closed = f.forwards && err == nil && !on
		if t.closed {
			list, err := forwardAlready(f.name)
			if err != nil {
				return fmt.Errorf("listing the sysctls of devices: %w", err)
			}
			for _, one := range list {
				t.forwarded = append(t.forwarded, filepath.Base(filepath.Dir(one)))
			}
		}
	}
	h.undo.Table = h.tables.name
	if err := h.undo.save(h.file); err != nil {
		return err
	}
	return h.rewrite()
}

// rewrite writes our tables anew.
func (h *Host) rewrite() error {
	for i := range h.tables.families {
		h.tables.families[i].clients = outermost(h.clients(i))
	}
	h.tables.unguard, h.tables.tracked = false, othersTrack(h.tables.name)
	if h.unguarded = h.tables.write(); h.unguarded == nil {
		h.written = true
		return nil
	}
	if h.written {
		return h.unguarded // what is there stays
	}
	h.tables.unguard = true
	if !h.plan.Masquerade && !h.plan.Masquerade6 {
		h.tables.families[0].rules, h.tables.families[1].rules = nil, nil
		return nil
	}
	if err := h.tables.write(); err != nil {
		return fmt.Errorf("adding the masquerading rule: %w; set network.masquerade = false and network.masquerade6 = false to do without", err)
	}
	return nil
}

// Unguarded says why nothing guards clients, nil if the guard is there.
func (h *Host) Unguarded() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unguarded
}

// SetPolicy exchanges the policy.
func (h *Host) SetPolicy(p Policy) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.undo.Table == "" || reflect.DeepEqual(h.plan.Policy, p) {
		return nil
	}
	h.plan.Policy = p
	h.tables.policy = &p
	return h.rewrite()
}

// tryAgain is the pause after a guard that the host's nftables refused: each try is
// itself a change, which the server notices.
const tryAgain = 20 * time.Second

// Mend restores what somebody removed from our tables, and lets packets pass that others
// have begun to forward by way of this host since the server turned forwarding on. It
// returns what it did, as sentences for the administrator.
func (h *Host) Mend() (did []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.mendClear(&did); err != nil {
		return did, err
	}
	if h.undo.Table == "" {
		return did, nil
	}
	changed := h.giveWay(&did) || othersTrack(h.tables.name) != h.tables.tracked
	was := h.unguarded
	whole, err := h.tables.complete()
	switch {
	case err != nil:
		h.unguarded = err
		return did, err
	case whole && !changed && (was == nil || time.Since(h.tried) < tryAgain):
		return did, nil
	}
	h.tried = time.Now()
	if err := h.rewrite(); err != nil {
		return did, err
	}
	switch {
	case h.unguarded != nil:
	case was != nil:
		did = append(did, "the guard of clients is there now")
	case !whole:
		did = append(did, fmt.Sprintf("the nftables table %s was removed or changed by another program, and is whole again", h.tables.name))
	}
	return did, nil
}

// giveWay looks for others that forward since the server turned forwarding on, and
// reports whether there are new ones.
func (h *Host) giveWay(did *[]string) (changed bool) {
	h.noteWritten()
	var devices []string
	for i, name := range []string{forwarding, forwarding6} {
		t := &h.tables.families[i]
		s, turnedOn := h.undo.Sysctls[name]
		if !t.closed || !turnedOn {
			continue
		}
		if why := h.undo.forwardsToo(name, s); why != "" {
			t.closed, changed = false, true
			*did = append(*did, fmt.Sprintf("%s: what the host forwards between others passes from now on (%s)", why, strings.ReplaceAll(name, "/", ".")))
			continue
		}
		if devices == nil {
			devices = newcomers(h.undo.Then.Devices, h.plan.Device)
		}
		if !slices.Equal(devices, t.others) {
			for _, d := range devices {
				if !h.ours[d] && !slices.Contains(h.tables.families[0].others, d) && !slices.Contains(h.tables.families[1].others, d) {
					*did = append(*did, fmt.Sprintf("the device %s came since: what it forwards passes", d))
				}
			}
			t.others, changed = devices, true
		}
	}
	return changed
}

// forwardsToo says who else has the host forward since the server turned it on,
// "" if nobody is known to. A chain for forwarded packets is not a sign of that: firewalls
// have one, too.
func (r *record) forwardsToo(name string, s setting) string {
	if s.Theirs || !s.untouched(name) {
		return "somebody else has set " + strings.ReplaceAll(name, "/", ".")
	}
	c, err := nftables.New()
	if err != nil {
		return ""
	}
	list, err := c.ListChains()
	if err != nil {
		return ""
	}
	for _, chain := range list {
		id := chainName(chain)
		if chain.Type != nftables.ChainTypeNAT || chain.Table.Name == r.Table || slices.Contains(r.Then.Chains, id) {
			continue
		}
		if rules, err := c.GetRules(chain.Table, chain); err == nil && len(rules) > 0 && isOf(chain.Table.Family, name) {
			return "the nftables chain " + id + " came since"
		}
	}
	return ""
}

// isOf reports whether a table is for the IP family whose forwarding a sysctl turns on.
func isOf(f nftables.TableFamily, name string) bool {
	return f == nftables.TableFamilyINet || f == families[0] && name == forwarding || f == families[1] && name == forwarding6
}

// engines make devices of these kinds, and forward for what is behind them:
// containers, virtual machines, other VPNs.
var engines = []string{"bridge", "tuntap", "wireguard", "vxlan", "geneve", "ipip", "sit", "ip6tnl", "gre", "gretap", "ip6gre", "vti", "xfrm", "macvlan", "ipvlan"}

// newcomers are the devices of engines that were not there when the server turned
// forwarding on.
func newcomers(then []string, own string) (list []string) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil
	}
	for _, l := range links {
		if name := l.Attrs().Name; name != own && !strings.HasPrefix(name, OwnDevice(own)) && !slices.Contains(then, name) && slices.Contains(engines, l.Type()) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// MayGuard reports why this process cannot guard clients, as without the
// capability NET_ADMIN, or on a kernel without nftables. It changes nothing.
func MayGuard() error {
	c, err := nftables.New()
	if err == nil {
		_, err = c.ListTables()
	}
	if err != nil {
		return fmt.Errorf("reading nftables: %w", hint(err))
	}
	return nil
}
