package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func tableName(device string) string { return "adit_" + device }

// families are those of the tables that we make.
var families = []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6}

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
		chain := c.AddChain(&nftables.Chain{
			Name: "postrouting", Table: t, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
		})
		for _, n := range networks {
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: masqueradeRule(device, n)})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("adding the masquerading rule: %w; set network.masquerade = false and network.masquerade6 = false to do without", hint(err))
	}
	return nil
}

// masqueradeRule is: ip saddr <n> oifname != <device> masquerade, or ip6.
func masqueradeRule(device string, n netip.Prefix) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, device)
	offset, size := uint32(12), uint32(4) // of the source address
	if n.Addr().Is6() {
		offset, size = 8, 16
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: net.CIDRMask(n.Bits(), int(size)*8), Xor: make([]byte, size)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: n.Masked().Addr().AsSlice()},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: name},
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
