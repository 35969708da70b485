package hostnet

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleset is what a walk through nftables needs, read from the kernel once: the
// chains of forwarded packets, and all that they can jump to. What iptables-nft
// and firewalld write is in it, too.
type ruleset struct {
	bases []*chain // with the hook forward
	read  map[tableID]*table
}

type tableID struct {
	family nftables.TableFamily
	name   string
}

type table struct {
	chains map[string]*chain
	sets   map[string]*set
	err    error // why a chain cannot be read
}

type chain struct {
	table  tableID
	name   string
	policy nftables.ChainPolicy // of one with a hook
	rules  [][]expr.Any
	unread bool // its rules are not known
}

// unreadable says which chain could not be read, if any: rules that are not known
// may accept and may drop.
func (rs *ruleset) unreadable() error {
	for _, base := range rs.bases {
		if err := rs.read[base.table].err; err != nil {
			return err
		}
	}
	return nil
}

// readRuleset reads the tables that have a chain for forwarded packets, less
// the table own.
func readRuleset(own string) (*ruleset, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("opening nftables: %w", hint(err))
	}
	list, err := c.ListChains()
	if err != nil {
		return nil, fmt.Errorf("listing nftables chains: %w", hint(err))
	}
	asleep, err := dormant(c)
	if err != nil {
		return nil, err
	}
	rs := &ruleset{read: map[tableID]*table{}}
	for _, f := range list {
		id := tableID{f.Table.Family, f.Table.Name}
		if !forwards(f) || f.Table.Name == own || asleep[id] {
			continue
		}
		if rs.read[id] == nil {
			rs.read[id] = readTable(c, id, list)
		}
		rs.bases = append(rs.bases, rs.read[id].chains[f.Name])
	}
	return rs, nil
}

// dormant are the tables that are switched off.
func dormant(c *nftables.Conn) (map[tableID]bool, error) {
	list, err := c.ListTables()
	if err != nil {
		return nil, fmt.Errorf("listing nftables tables: %w", hint(err))
	}
	asleep := map[tableID]bool{}
	for _, t := range list {
		flags := binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, t.Flags)) // the library forgets their order
		asleep[tableID{t.Family, t.Name}] = flags&unix.NFT_TABLE_F_DORMANT != 0
	}
	return asleep, nil
}

// forwards reports whether forwarded IP packets go through a chain.
func forwards(c *nftables.Chain) bool {
	switch c.Table.Family {
	case nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet:
		return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward
	default:
		return false
	}
}

func readTable(c *nftables.Conn, id tableID, list []*nftables.Chain) *table {
	t := &table{chains: map[string]*chain{}, sets: map[string]*set{}}
	var at *nftables.Table
	for _, f := range list {
		if f.Table.Family != id.family || f.Table.Name != id.name {
			continue
		}
		at = f.Table
		rules, err := c.GetRules(at, f)
		own := &chain{table: id, name: f.Name, policy: nftables.ChainPolicyAccept, unread: err != nil}
		if err != nil && t.err == nil {
			t.err = fmt.Errorf("reading the chain %s of the nftables table %s: %w", f.Name, at.Name, hint(err))
		}
		if f.Policy != nil {
			own.policy = *f.Policy
		}
		for _, r := range rules {
			own.rules = append(own.rules, r.Exprs)
		}
		t.chains[f.Name] = own
	}
	sets, err := c.GetSets(at)
	if err != nil {
		return t // rules that ask for sets are in doubt
	}
	for _, s := range sets {
		t.sets[s.Name] = &set{Set: s, conn: c}
	}
	return t
}
