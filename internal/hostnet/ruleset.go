package hostnet

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
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
}

type chain struct {
	table  tableID
	name   string
	policy nftables.ChainPolicy // of one with a hook
	rules  [][]expr.Any
}

type set struct {
	*nftables.Set
	elements []nftables.SetElement
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
	rs := &ruleset{read: map[tableID]*table{}}
	for _, f := range list {
		id := tableID{f.Table.Family, f.Table.Name}
		if !forwards(f) || f.Table.Name == own {
			continue
		}
		if rs.read[id] == nil {
			if rs.read[id], err = readTable(c, id, list); err != nil {
				return nil, err
			}
		}
		rs.bases = append(rs.bases, rs.read[id].chains[f.Name])
	}
	return rs, nil
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

func readTable(c *nftables.Conn, id tableID, list []*nftables.Chain) (*table, error) {
	t := &table{chains: map[string]*chain{}, sets: map[string]*set{}}
	var at *nftables.Table
	for _, f := range list {
		if f.Table.Family != id.family || f.Table.Name != id.name {
			continue
		}
		at = f.Table
		rules, err := c.GetRules(at, f)
		if err != nil {
			return nil, fmt.Errorf("reading the chain %s of the nftables table %s: %w", f.Name, at.Name, hint(err))
		}
		own := &chain{table: id, name: f.Name, policy: nftables.ChainPolicyAccept}
		if f.Policy != nil {
			own.policy = *f.Policy
		}
		for _, r := range rules {
			own.rules = append(own.rules, r.Exprs)
		}
		t.chains[f.Name] = own
	}
	// A set that cannot be read leaves the rules that ask for it in doubt.
	sets, err := c.GetSets(at)
	if err != nil {
		return t, nil //nolint:nilerr // see above
	}
	for _, s := range sets {
		if elements, err := c.GetSetElements(s); err == nil {
			t.sets[s.Name] = &set{s, elements}
		}
	}
	return t, nil
}
