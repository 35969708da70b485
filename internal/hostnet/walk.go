package hostnet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// sample is a packet that is followed through the forward chains: TCP to port 443, or
// what comes back.
type sample struct {
	in, out  string // devices
	src, dst netip.Addr
	reply    bool // of a connection that is established; else it is new
}

// The state bits of connection tracking, in nftables as in xt_conntrack.
const (
	stateEstablished = 1 << 1
	stateNew         = 1 << 3
)

// fate is where a packet's walk ends.
type fate uint8

const (
	fellThrough fate = iota // of a chain: its caller goes on
	accepted
	dropped
)

// walk is the way of one sample. A rule may look at what a sample does not have,
// such as a mark: whether it matches is in doubt then, and it is passed over. If
// it would have accepted, so is the walk's end.
type walk struct {
	*sample
	table *table
	mark  []byte // of the packet, nil if it is not known
	doubt bool
	why   string // what dropped it, for people
	depth int
}

// nested is deeper than the kernel lets chains jump.
const nested = 32

func newWalk(s *sample, t *table) *walk {
	return &walk{sample: s, table: t, mark: make([]byte, 4)}
}

// through takes the sample through a chain with a hook.
func (w *walk) through(base *chain) fate {
	f := w.chain(base)
	if f != fellThrough {
		return f
	}
	if base.policy == nftables.ChainPolicyDrop {
		w.why = "its policy is drop"
		return dropped
	}
	return accepted
}

func (w *walk) chain(c *chain) fate {
	if w.depth++; w.depth > nested {
		return accepted // no kernel has such a ruleset
	}
	defer func() { w.depth-- }()
	w.doubt = w.doubt || c.unread
	for _, exprs := range c.rules {
		v, doubt := w.rule(exprs)
		if v == nil {
			continue
		}
		f, ends := w.verdict(v, doubt)
		switch {
		case !doubt && ends:
			if f == dropped && w.why == "" {
				w.why = "a rule of its chain " + c.name
			}
			return f
		case doubt && f == accepted:
			w.doubt = true
		}
	}
	return fellThrough
}

// verdict follows a rule's verdict. It reports whether the chain ends there.
func (w *walk) verdict(v *expr.Verdict, doubt bool) (f fate, ends bool) {
	switch v.Kind {
	case expr.VerdictAccept, expr.VerdictQueue, expr.VerdictStolen:
		return accepted, true
	case expr.VerdictDrop:
		return dropped, true
	case expr.VerdictReturn:
		return fellThrough, true
	case expr.VerdictJump, expr.VerdictGoto:
		next := w.table.chains[v.Chain]
		if next == nil {
			return fellThrough, false
		}
		was := *w
		f = w.chain(next)
		if doubt && f != accepted {
			w.why = was.why
		}
		return f, f != fellThrough || v.Kind == expr.VerdictGoto
	default:
		return fellThrough, false
	}
}

// rule returns the verdict of a rule that matches, or may, and nil of one that
// does not, or has none.
func (w *walk) rule(exprs []expr.Any) (v *expr.Verdict, doubt bool) {
	var r registers
	for _, e := range exprs {
		matches, known := true, true
		switch e := e.(type) {
		case *expr.Verdict:
			return e, doubt
		case *expr.Reject:
			return &expr.Verdict{Kind: expr.VerdictDrop}, doubt
		case *expr.Target:
			if e.Name == "REJECT" {
				return &expr.Verdict{Kind: expr.VerdictDrop}, doubt
			}
			if strings.HasSuffix(e.Name, "MARK") {
				w.mark = nil
			}
		case *expr.Queue:
			return &expr.Verdict{Kind: expr.VerdictQueue}, doubt
		case *expr.Meta:
			switch {
			case !e.SourceRegister:
				r.load(e.Register, w.meta(e.Key))
			case e.Key == expr.MetaKeyMARK && doubt:
				w.mark = nil
			case e.Key == expr.MetaKeyMARK:
				w.mark = bytes.Clone(r.value(e.Register, 4))
			}
		case *expr.Payload:
			if e.OperationType == expr.PayloadLoad {
				r.load(e.DestRegister, w.payload(e))
			}
		case *expr.Ct:
			if !e.SourceRegister {
				r.load(e.Register, w.ct(e.Key))
			}
		case *expr.Immediate:
			r.load(e.Register, e.Data)
		case *expr.Bitwise:
			r.load(e.DestRegister, bitwise(e, r.value(e.SourceRegister, int(e.Len))))
		case *expr.Cmp:
			matches, known = compares(e.Op, r.value(e.Register, len(e.Data)), e.Data)
			if e.Op == expr.CmpOpEq {
				r.load(e.Register, nil) // what is not understood may load it anew, unseen
			}
		case *expr.Range:
			matches, known = within(e, r.value(e.Register, len(e.FromData)))
		case *expr.Lookup:
			var mapped *expr.Verdict
			if mapped, matches, known = w.lookup(e, &r); mapped != nil {
				return mapped, doubt
			}
		case *expr.Match:
			matches, known = w.match(e)
		case *expr.Fib, *expr.Exthdr, *expr.Numgen, *expr.Hash:
			r = registers{} // what they load is not known, nor where to
		case *expr.Limit, *expr.Quota, *expr.Connlimit:
			known = false
		case *expr.Objref:
			switch e.Type {
			case unix.NFT_OBJECT_QUOTA, unix.NFT_OBJECT_LIMIT, unix.NFT_OBJECT_CONNLIMIT, unix.NFT_OBJECT_UNSPEC: // by a map
				known = false
			}
		}
		if known && !matches {
			return nil, false
		}
		doubt = doubt || !known
	}
	return nil, false
}

// meta is what the packet is known to have beside its bytes.
func (w *walk) meta(key expr.MetaKey) []byte {
	switch key {
	case expr.MetaKeyIIFNAME:
		return deviceName(w.in)
	case expr.MetaKeyOIFNAME:
		return deviceName(w.out)
	case expr.MetaKeyIIF:
		return deviceIndex(w.in)
	case expr.MetaKeyOIF:
		return deviceIndex(w.out)
	case expr.MetaKeyL4PROTO:
		return []byte{unix.IPPROTO_TCP}
	case expr.MetaKeyNFPROTO:
		if w.src.Is4() {
			return []byte{unix.NFPROTO_IPV4}
		}
		return []byte{unix.NFPROTO_IPV6}
	case expr.MetaKeyPROTOCOL:
		if w.src.Is4() {
			return binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP)
		}
		return binary.BigEndian.AppendUint16(nil, unix.ETH_P_IPV6)
	case expr.MetaKeyMARK:
		return w.mark
	default:
		return nil
	}
}

// payload is what the packet is known to have at a place.
func (w *walk) payload(e *expr.Payload) []byte {
	type field struct {
		at    uint32
		value []byte
	}
	port := uint32(2) // of the destination
	if w.reply {
		port = 0
	}
	fields := []field{{port, []byte{443 >> 8, 443 & 0xff}}}
	if e.Base == expr.PayloadBaseNetworkHeader {
		fields = []field{{9, []byte{unix.IPPROTO_TCP}}, {12, w.src.AsSlice()}, {16, w.dst.AsSlice()}}
		if w.src.Is6() {
			fields = []field{{6, []byte{unix.IPPROTO_TCP}}, {8, w.src.AsSlice()}, {24, w.dst.AsSlice()}}
		}
	} else if e.Base != expr.PayloadBaseTransportHeader {
		return nil
	}
	for _, f := range fields {
		if e.Offset >= f.at && e.Offset+e.Len <= f.at+uint32(len(f.value)) {
			return f.value[e.Offset-f.at:][:e.Len]
		}
	}
	return nil
}

func (w *walk) state() uint32 {
	if w.reply {
		return stateEstablished
	}
	return stateNew
}

// ct is what connection tracking knows of the packet.
func (w *walk) ct(key expr.CtKey) []byte {
	switch key {
	case expr.CtKeySTATE:
		return binary.NativeEndian.AppendUint32(nil, w.state())
	case expr.CtKeyDIRECTION:
		if w.reply {
			return []byte{1}
		}
		return []byte{0}
	case expr.CtKeyMARK:
		return make([]byte, 4)
	default:
		return nil
	}
}

// match is a match of iptables.
func (w *walk) match(e *expr.Match) (matches, known bool) {
	switch e.Name {
	case "comment":
		return true, true
	case "conntrack", "state":
		base, mask := conntrackStates(e.Info)
		if base == nil || base.MatchFlags&^uint16(xt.ConntrackState|xt.ConntrackStateAlias) != 0 {
			return false, false
		}
		return (uint32(mask)&w.state() != 0) != (base.InvertFlags&uint16(xt.ConntrackState) != 0), true
	}
	return false, false
}

func conntrackStates(info xt.InfoAny) (*xt.ConntrackMtinfoBase, uint16) {
	switch i := info.(type) {
	case *xt.ConntrackMtinfo1:
		return &i.ConntrackMtinfoBase, uint16(i.StateMask)
	case *xt.ConntrackMtinfo2:
		return &i.ConntrackMtinfoBase, i.StateMask
	case *xt.ConntrackMtinfo3:
		return &i.ConntrackMtinfoBase, i.StateMask
	}
	return nil, 0
}

// lookup searches a set, or a map of verdicts.
func (w *walk) lookup(e *expr.Lookup, r *registers) (v *expr.Verdict, matches, known bool) {
	s := w.table.sets[e.SetName]
	if s == nil || s.Concatenation && s.Interval {
		return nil, false, false
	}
	if r.value(e.SourceRegister, 1) == nil || s.readElements() != nil {
		return nil, false, false
	}
	if len(s.elements) == 0 && s.other == nil {
		return nil, e.Invert, true
	}
	found := s.other
	if len(s.elements) > 0 {
		key := r.value(e.SourceRegister, len(s.elements[0].Key))
		if key == nil {
			return nil, false, false
		}
		found = s.find(key)
	}
	switch {
	case found == nil || !e.IsDestRegSet:
		return nil, (found != nil) != e.Invert, true
	case e.DestRegister == unix.NFT_REG_VERDICT:
		return verdictOf(found.Val), true, true
	}
	r.load(e.DestRegister, found.Val)
	return nil, true, true
}

// verdictOf reads a verdict as netlink has it: an attribute with its code, and
// one with the chain, if there is one.
func verdictOf(b []byte) *expr.Verdict {
	if len(b) < 8 {
		return nil
	}
	v := &expr.Verdict{Kind: expr.VerdictKind(int32(binary.BigEndian.Uint32(b[4:])))}
	if len(b) > 12 {
		v.Chain = string(bytes.TrimRight(b[12:], "\x00"))
	}
	return v
}
