package hostnet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Clear is a protocol of IP that ESP protects on its way to a peer. Outside of ESP the host
// neither takes it from there nor sends it there: a tunnel of the kernel's would let
// anybody in who forges the peer's address.
type Clear struct {
	Protocol uint8
	Peer     netip.Addr // not valid: everybody
}

func clearTable(device string) string { return tableName(device) + "_clear" }

// RefuseClear has the host drop this until Close. ESP that the server opens and seals never
// looks like that to the host.
func (h *Host) RefuseClear(list []Clear) error {
	if len(list) == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clear = list
	h.undo.Clear = clearTable(h.plan.Device)
	if err := h.undo.save(h.file); err != nil {
		return err
	}
	if err := writeClear(h.undo.Clear, list); err != nil {
		return fmt.Errorf("%w; a tunnel with clear = \"allow\" does without", err)
	}
	return nil
}

// writeClear writes the table, also over what is there.
func writeClear(name string, list []Clear) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", hint(err))
	}
	for _, family := range families {
		in, out := clearRules(family, list)
		if len(in) == 0 {
			continue
		}
		t := &nftables.Table{Family: family, Name: name}
		c.AddTable(t) // or there may be none to be deleted
		c.DelTable(t)
		c.AddTable(t)
		for _, chain := range []guardChain{
			{"in", nftables.ChainHookInput, nftables.ChainPriorityRaw, in},
			{"out", nftables.ChainHookOutput, nftables.ChainPriorityRaw, out},
		} {
			policy := nftables.ChainPolicyAccept
			made := c.AddChain(&nftables.Chain{Name: chain.name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: chain.hook, Priority: chain.priority, Policy: &policy})
			for _, r := range chain.rules {
				c.AddRule(&nftables.Rule{Table: t, Chain: made, Exprs: []expr.Any(r)})
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("writing the nftables table %s, which drops what should be in ESP: %w", name, hint(err))
	}
	return nil
}

// clearRules are the rules of a family, for what comes in and for what leaves.
func clearRules(family nftables.TableFamily, list []Clear) (in, out []match) {
	for _, c := range list {
		if c.Peer.IsValid() && c.Peer.Is6() != (family == nftables.TableFamilyIPv6) {
			continue
		}
		source, destination := match(nil), match(nil)
		if c.Peer.IsValid() {
			source, destination = match{loadAddress(family, false), equal(c.Peer.AsSlice())}, destinationIs(family, c.Peer)
		}
		in = append(in, all(source, protocol(c.Protocol), drop()))
		out = append(out, all(destination, protocol(c.Protocol), drop()))
	}
	return in, out
}

// mendClear writes the table again if somebody has removed or changed it.
func (h *Host) mendClear(did *[]string) error {
	if len(h.clear) == 0 {
		return nil
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", hint(err))
	}
	list, err := c.ListChains()
	if err != nil {
		return fmt.Errorf("listing nftables chains: %w", hint(err))
	}
	have := map[nftables.TableFamily]int{}
	for _, chain := range list {
		if chain.Table.Name != h.undo.Clear || chain.Hooknum == nil {
			continue
		}
		rules, err := c.GetRules(chain.Table, chain)
		if err == nil {
			have[chain.Table.Family] += len(rules)
		}
	}
	whole := true
	for _, family := range families {
		in, out := clearRules(family, h.clear)
		whole = whole && have[family] == len(in)+len(out)
	}
	if whole {
		return nil
	}
	*did = append(*did, fmt.Sprintf("the nftables table %s, which drops what should be in ESP, was removed or changed by another program, and is whole again", h.undo.Clear))
	return writeClear(h.undo.Clear, h.clear)
}

// dropTables removes our tables, if they are there.
func (r *record) dropTables() error {
	var errs []error
	for _, name := range []string{r.Table, r.Clear} {
		if name != "" {
			errs = append(errs, dropTable(name))
		}
	}
	return errors.Join(errs...)
}
