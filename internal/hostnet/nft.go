package hostnet

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func tableName(device string) string { return "adit_" + device }

// families are those of the tables that we make.
var families = []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6}

// clientsSet is the name of the set of networks that clients have.
const clientsSet = "clients"

// ourTables are what our tables have, one a family. They are written in one step,
// also over what is there.
type ourTables struct {
	device   string
	name     string
	policy   *Policy
	unguard  bool // leave the guard out: the host's nftables refused it
	tracked  bool // as of guard
	families [2]familyTable
}

type familyTable struct {
	clients    []netip.Prefix // no table without any
	masquerade bool           // hide clients behind the host's address
	closed     bool           // as of guard, like what follows
	forwarded  []string
	others     []string
	rules      map[string]int // of each chain, when they were written
}

// inBatch is how many networks one batch adds to a set: more do not fit into a
// message.
const inBatch = 500

// write makes the tables.
func (ts *ourTables) write() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", hint(err))
	}
	for i := range ts.families {
		if len(ts.families[i].clients) == 0 {
			continue
		}
		if err := ts.add(c, i); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("writing the nftables table %s: %w", ts.name, hint(err))
	}
	for i := range ts.families { // what did not fit
		for rest := ts.families[i].clients; len(rest) > inBatch; {
			rest = rest[inBatch:]
			if err := changeClients(ts.name, nil, rest[:min(inBatch, len(rest))]); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds a family's table to a batch.
func (ts *ourTables) add(c *nftables.Conn, i int) error {
	f := &ts.families[i]
	t := &nftables.Table{Family: families[i], Name: ts.name}
	c.AddTable(t) // or there may be none to be deleted
	c.DelTable(t)
	c.AddTable(t)
	f.rules = map[string]int{}
	clients, err := addSet(c, t, clientsSet, f.clients[:min(inBatch, len(f.clients))])
	if err != nil {
		return fmt.Errorf("adding the networks of clients: %w", err)
	}
	if f.masquerade {
		chain := c.AddChain(&nftables.Chain{
			Name: "postrouting", Table: t, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
		})
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: all(sourceIn(clients), notTo(ts.policy.devices(ts.device)), match{&expr.Masq{}})})
		f.rules[chain.Name] = 1
	}
	if ts.unguard {
		return nil
	}
	g := guard{Policy: ts.policy, table: t, devices: ts.policy.devices(ts.device), closed: f.closed, forwarded: f.forwarded, others: f.others, tracked: ts.tracked}
	counts, err := g.add(c, clients)
	if err != nil {
		return fmt.Errorf("adding the chains that guard clients: %w", err)
	}
	maps.Copy(f.rules, counts)
	return nil
}

// complete reports whether the tables still have what was written.
func (ts *ourTables) complete() (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("opening nftables: %w", hint(err))
	}
	list, err := c.ListChains()
	if err != nil {
		return false, fmt.Errorf("listing nftables chains: %w", hint(err))
	}
	for i := range ts.families {
		f := &ts.families[i]
		found := 0
		for _, chain := range list {
			if chain.Table.Family != families[i] || chain.Table.Name != ts.name {
				continue
			}
			rules, err := c.GetRules(chain.Table, chain)
			if err == nil && chain.Hooknum != nil && len(rules) == f.rules[chain.Name] {
				found++
			}
		}
		if found != len(f.rules) {
			return false, nil
		}
		if len(f.rules) == 0 {
			continue
		}
		clients := setOf(&nftables.Table{Family: families[i], Name: ts.name}, clientsSet)
		if elements, err := c.GetSetElements(clients); err != nil || len(elements) == 0 {
			return false, nil //nolint:nilerr // it is gone
		}
	}
	return true, nil
}

// setOf is a set of networks of a table.
func setOf(t *nftables.Table, name string) *nftables.Set {
	s := &nftables.Set{Table: t, Name: name, KeyType: nftables.TypeIPAddr, Interval: true, AutoMerge: true}
	if t.Family == nftables.TableFamilyIPv6 {
		s.KeyType = nftables.TypeIP6Addr
	}
	return s
}

func intervals(networks []netip.Prefix) (elements []nftables.SetElement) {
	for _, n := range networks {
		elements = append(elements, interval(n)...)
	}
	return elements
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

// changeClients takes networks of one family from those that clients have, and
// adds others, in one step.
func changeClients(table string, remove, add []netip.Prefix) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", hint(err))
	}
	for _, step := range []struct {
		networks []netip.Prefix
		change   func(*nftables.Set, []nftables.SetElement) error
	}{{remove, c.SetDeleteElements}, {add, c.SetAddElements}} {
		for _, n := range step.networks {
			t := &nftables.Table{Family: families[familyOf(n)], Name: table}
			if err := step.change(setOf(t, clientsSet), interval(n)); err != nil {
				return fmt.Errorf("noting that %v is a client's: %w", n, err)
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("noting that %v is a client's instead of %v: %w", add, remove, hint(err))
	}
	return nil
}

// familyOf is the index of a network's family.
func familyOf(n netip.Prefix) int {
	if n.Addr().Is6() {
		return 1
	}
	return 0
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
