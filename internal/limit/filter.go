package limit

import (
	"encoding/binary"
	"net/netip"

	"github.com/adit-vpn/adit/internal/packet"
)

// Rule is one rule of a filter: packets one way that it allows, or denies. Zero values
// match every packet.
type Rule struct {
	Out      bool // to the client
	Allow    bool
	Protocol uint8 // 0: all
	Src, Dst netip.Prefix
	SrcPorts []Ports
	DstPorts []Ports
	Flags    Flags
}

// Ports are consecutive ports, both ends included.
type Ports struct{ First, Last uint16 }

// Flags are conditions of a rule beside addresses and ports.
type Flags uint8

// The conditions.
const (
	Established Flags = 1 << iota // TCP with ACK or RST
	Setup                         // TCP with SYN and without ACK
	Fragment                      // a fragment that is not the first
)

// Filter is a list of rules, of which the first that matches decides.
//
// Where none matches, RFC 6733, section 4.3.1 has the opposite of the direction's last rule:
// what comes after a list of permits is denied, and after a list of denies it passes. A
// direction without rules passes.
type Filter []Rule

// MaxRules is how many rules a filter may have: every packet is compared with them.
const MaxRules = 128

// Compiled is a Filter as the data path wants it. nil passes everything.
type Compiled struct{ in, out chain }

type chain struct {
	rules  []Rule
	ports  bool // some rule looks behind the IP header
	passes bool // what matches no rule
}

// Compile returns nil for a filter without rules.
func (f Filter) Compile() *Compiled {
	if len(f) == 0 {
		return nil
	}
	c := &Compiled{in: chain{passes: true}, out: chain{passes: true}}
	for _, r := range f {
		to := &c.in
		if r.Out {
			to = &c.out
		}
		to.rules = append(to.rules, r)
		to.ports = to.ports || r.looksInside()
		to.passes = !r.Allow
	}
	return c
}

// looksInside reports whether a rule depends on what only a first fragment has.
func (r *Rule) looksInside() bool {
	return len(r.SrcPorts) > 0 || len(r.DstPorts) > 0 || r.Flags&(Established|Setup) != 0
}

// Verdict is what a filter says of a packet.
type Verdict uint8

// The verdicts.
const (
	Passes       Verdict = iota
	Denied               // by a rule, by what follows the rules, or because it hides what a rule asks for
	SourceRouted         // it goes on from where its destination says: see route.go
)

// Judge says whether a packet b with the header h passes one way.
func (c *Compiled) Judge(out bool, b []byte, h *packet.IP) Verdict {
	if c == nil {
		return Passes
	}
	x := &c.in
	if out {
		x = &c.out
	}
	if len(x.rules) == 0 {
		return Passes
	}
	u, v := upper(b, h)
	if v == Passes && x.ports && u.hides() {
		v = Denied
	}
	if v != Passes {
		return v
	}
	for i := range x.rules {
		if r := &x.rules[i]; r.matches(h, &u) {
			return verdict(r.Allow)
		}
	}
	return verdict(x.passes)
}

func verdict(passes bool) Verdict {
	if passes {
		return Passes
	}
	return Denied
}

// upperLayer is what a filter reads behind the IP headers.
type upperLayer struct {
	protocol uint8
	later    bool   // a fragment that is not the first
	offset   int    // of the fragment
	b        []byte // the upper layer's header and what follows; nil in a later fragment
}

// hides reports whether ports or flags that a rule asks for may be in a fragment that it does
// not see: a first fragment that ends before them, and one that would overwrite them (RFC
// 1858, section 4; RFC 3128).
func (u *upperLayer) hides() bool {
	if u.later {
		return u.protocol == packet.TCP && u.offset < minTCP
	}
	switch u.protocol {
	case packet.TCP:
		return len(u.b) < minTCP
	case packet.UDP:
		return len(u.b) < minUDP
	}
	return false
}

const (
	minTCP = 20
	minUDP = 8
)

// matches reports whether a rule is about a packet. Of a later fragment it sees addresses
// and protocol alone: a permit then counts as if the ports were right, and a deny does not
// count, because without its first fragment, which is judged by all of the rule, nobody can
// put the packet together.
func (r *Rule) matches(h *packet.IP, u *upperLayer) bool {
	switch {
	case r.Protocol != 0 && r.Protocol != u.protocol,
		r.Src.IsValid() && !r.Src.Contains(h.Src),
		r.Dst.IsValid() && !r.Dst.Contains(h.Dst),
		r.Flags&Fragment != 0 && !u.later:
		return false
	case !r.looksInside():
		return true
	case u.later:
		return r.Allow
	case r.Flags&(Established|Setup) != 0 && !r.flagged(u):
		return false
	case len(r.SrcPorts) == 0 && len(r.DstPorts) == 0:
		return true
	case u.protocol != packet.TCP && u.protocol != packet.UDP || len(u.b) < 4:
		return false
	}
	return has(r.SrcPorts, binary.BigEndian.Uint16(u.b)) && has(r.DstPorts, binary.BigEndian.Uint16(u.b[2:]))
}

func has(list []Ports, port uint16) bool {
	for _, p := range list {
		if p.First <= port && port <= p.Last {
			return true
		}
	}
	return len(list) == 0
}

// flagged reports whether TCP's flags are as a rule wants them.
func (r *Rule) flagged(u *upperLayer) bool {
	if u.protocol != packet.TCP || len(u.b) < minTCP {
		return false
	}
	const syn, rst, ack = 0x02, 0x04, 0x10
	flags := u.b[13]
	if r.Flags&Established != 0 && flags&(ack|rst) == 0 {
		return false
	}
	return r.Flags&Setup == 0 || flags&(syn|ack) == syn
}

// IPv6 extension headers (RFC 8200, section 4).
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	destination = 60
	mobility    = 135

	maxExtensions = 8
)

// upper finds the upper layer of a packet b with the header h. Where it cannot, the packet is
// denied: nobody knows what a rule would say.
func upper(b []byte, h *packet.IP) (upperLayer, Verdict) {
	u := upperLayer{protocol: h.Protocol}
	if h.Is4() {
		if h.HeaderLen > minIPv4 {
			if v := judgeOptions(b[minIPv4:h.HeaderLen]); v != Passes {
				return u, v
			}
		}
		u.offset, u.later = h.Offset, h.Offset > 0
		if !u.later {
			u.b = b[h.HeaderLen:h.Len]
		}
		return u, Passes
	}
	at := h.HeaderLen
	for range maxExtensions {
		switch u.protocol {
		default:
			if !u.later {
				u.b = b[at:h.Len]
			}
			return u, Passes
		case hopByHop, routing, destination, mobility, fragment:
		}
		if u.later || at+8 > h.Len { // the first fragment has the header chain (RFC 7112)
			return u, Denied
		}
		if u.protocol == routing && isRoute(b[at:]) {
			return u, SourceRouted
		}
		next, n := b[at], 8
		if u.protocol == fragment {
			u.offset = int(binary.BigEndian.Uint16(b[at+2:]) &^ 7)
			u.later = u.offset > 0
		} else {
			n += int(b[at+1]) * 8
		}
		if at += n; at > h.Len {
			return u, Denied
		}
		u.protocol = next
	}
	return u, Denied
}
