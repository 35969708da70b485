package hostnet

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What rules of ours are made of. Each loads into the first register and
// compares it.

type match []expr.Any

// all joins the parts of a rule.
func all(parts ...match) (rule match) {
	for _, p := range parts {
		rule = append(rule, p...)
	}
	return rule
}

func verdict(kind expr.VerdictKind) match { return match{&expr.Verdict{Kind: kind}} }

func accept() match { return verdict(expr.VerdictAccept) }
func drop() match   { return verdict(expr.VerdictDrop) }

func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

// from is: iifname <device>.
func from(device string) match {
	return match{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, equal(deviceName(device))}
}

// to is: oifname <device>.
func to(device string) match {
	return match{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, equal(deviceName(device))}
}

// notTo is: oifname != <device>, of each.
func notTo(devices []string) (rule match) {
	for _, d := range devices {
		rule = append(rule,
			&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: deviceName(d)})
	}
	return rule
}

// loadAddress loads the source or the destination of a packet of a family.
func loadAddress(family nftables.TableFamily, destination bool) expr.Any {
	offset, size := uint32(12), uint32(4)
	if family == nftables.TableFamilyIPv6 {
		offset, size = 8, 16
	}
	if destination {
		offset += size
	}
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}
}

// sourceIn is: saddr @set.
func sourceIn(s *nftables.Set) match {
	return match{loadAddress(s.Table.Family, false), &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

// destinationIn is: daddr @set.
func destinationIn(s *nftables.Set) match {
	return match{loadAddress(s.Table.Family, true), &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

// destinationIs is: daddr <address>.
func destinationIs(family nftables.TableFamily, a netip.Addr) match {
	return match{loadAddress(family, true), equal(a.AsSlice())}
}

// sourceLeadsTo is: fib saddr oifname <device>. The host would answer there.
func sourceLeadsTo(device string) match {
	return match{&expr.Fib{Register: 1, FlagSADDR: true, ResultOIFNAME: true}, equal(deviceName(device))}
}

// sourceIsLocal is: fib saddr type local. The source is an address of the host's.
func sourceIsLocal() match {
	return match{&expr.Fib{Register: 1, FlagSADDR: true, ResultADDRTYPE: true}, equal(binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL))}
}

// sourceIsElsewhere is: fib saddr . iif oif missing. The host would not answer
// by the device that the packet came by.
func sourceIsElsewhere() match {
	return match{&expr.Fib{Register: 1, FlagSADDR: true, FlagIIF: true, ResultOIF: true}, equal(make([]byte, 4))}
}

// stateRelated is beside stateEstablished.
const stateRelated = 1 << 2

// answers is: ct state established,related.
func answers() match {
	return match{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binary.NativeEndian.AppendUint32(nil, stateEstablished|stateRelated), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// protocol is: meta l4proto <number>.
func protocol(number uint8) match {
	return match{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{number})}
}

// service is: meta l4proto <protocol> th dport <first>-<last>.
func (s Service) match() match {
	first, last := binary.BigEndian.AppendUint16(nil, s.First), binary.BigEndian.AppendUint16(nil, s.Last)
	return all(protocol(s.Protocol), match{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: first},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: last},
	})
}
