package hostnet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func tableName(device string) string { return "adit_" + device }

// families are those of the tables that we make.
var families = []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6}

// clientsSet is the name of the set of networks that are masqueraded.
const clientsSet = "clients"

// masquerade makes a table a family that hides the networks behind the address
// of whatever device their packets leave through, other than the server's own.
func masquerade(table, device string, four, six []netip.Prefix) error {
	if err := dropTable(table); err != nil {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", hint(err))
	}
	for i, networks := range [][]netip.Prefix{four, six} {
		if len(networks) == 0 {
			continue
		}
		t := c.AddTable(&nftables.Table{Family: families[i], Name: table})
		var elements []nftables.SetElement
		for _, n := range networks {
			elements = append(elements, interval(n)...)
		}
		clients := clientsOf(t)
		if err := c.AddSet(clients, elements); err != nil {
			return fmt.Errorf("adding the masqueraded networks: %w", err)
		}
		chain := c.AddChain(&nftables.Chain{
			Name: "postrouting", Table: t, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
		})
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: masqueradeRule(device, clients)})
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("adding the masquerading rule: %w; set network.masquerade = false and network.masquerade6 = false to do without", hint(err))
	}
	return nil
}

// clientsOf is the set of networks that a table of ours masquerades.
func clientsOf(t *nftables.Table) *nftables.Set {
	s := &nftables.Set{Table: t, Name: clientsSet, KeyType: nftables.TypeIPAddr, Interval: true, AutoMerge: true}
	if t.Family == nftables.TableFamilyIPv6 {
		s.KeyType = nftables.TypeIP6Addr
	}
	return s
}

// interval is a network as nftables has it: its first address, and the first
// behind it.
func interval(n netip.Prefix) []nftables.SetElement {
	elements := []nftables.SetElement{{Key: n.Masked().Addr().AsSlice()}}
	last := n.Masked().Addr().AsSlice()
	for i := n.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	if end, _ := netip.AddrFromSlice(last); end.Next().IsValid() {
		elements = append(elements, nftables.SetElement{Key: end.Next().AsSlice(), IntervalEnd: true})
	}
	return elements
}

// changeMasqueraded takes networks of one family from those that are
// masqueraded, and adds others, in one step.
func changeMasqueraded(table string, remove, add []netip.Prefix) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", hint(err))
	}
	for _, step := range []struct {
		networks []netip.Prefix
		change   func(*nftables.Set, []nftables.SetElement) error
	}{{remove, c.SetDeleteElements}, {add, c.SetAddElements}} {
		for _, n := range step.networks {
			family := families[0]
			if n.Addr().Is6() {
				family = families[1]
			}
			if err := step.change(clientsOf(&nftables.Table{Family: family, Name: table}), interval(n)); err != nil {
				return fmt.Errorf("masquerading %v: %w", n, err)
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("masquerading %v instead of %v: %w", add, remove, hint(err))
	}
	return nil
}

// masqueradeRule is: ip saddr @clients oifname != <device> masquerade, or ip6.
func masqueradeRule(device string, clients *nftables.Set) []expr.Any {
	offset, size := uint32(12), uint32(4) // of the source address
	if clients.Table.Family == nftables.TableFamilyIPv6 {
		offset, size = 8, 16
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Lookup{SourceRegister: 1, SetName: clients.Name, SetID: clients.ID},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: deviceName(device)},
		&expr.Masq{},
	}
}

// dropTable removes our tables, if they are there.
func dropTable(table string) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", hint(err))
	}
	for _, family := range families {
		tables, err := c.ListTablesOfFamily(family)
		if err != nil {
			return fmt.Errorf("listing nftables tables: %w", hint(err))
		}
		for _, t := range tables {
			if t.Name != table {
				continue
			}
			c.DelTable(t)
			if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("removing the nftables table %s: %w", table, hint(err))
			}
		}
	}
	return nil
}
