package limit

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/adit-vpn/adit/internal/packet"
)

// protocols are the names of protocols that rules may have.
var protocols = []struct {
	name   string
	number uint8
}{{"tcp", packet.TCP}, {"udp", packet.UDP}, {"icmp", packet.ICMP}, {"icmp6", packet.ICMPv6}, {"gre", 47}, {"esp", packet.ESP}, {"ah", 51}, {"sctp", 132}}

// flagNames are the options of a rule.
var flagNames = []struct {
	name string
	flag Flags
}{{"established", Established}, {"setup", Setup}, {"frag", Fragment}}

// UnmarshalText reads a rule as RFC 6733, section 4.3.1 has it, and RFC 4849 in RADIUS:
// "permit in tcp from any to 10.0.0.0/8 443,8000-8010". "allow" is "permit", and "assigned"
// is "any": a client sends from its own addresses alone, and nothing else leads to it.
func (r *Rule) UnmarshalText(text []byte) error {
	read, err := parseRule(strings.Fields(string(text)))
	if err != nil {
		return fmt.Errorf(`%.100q is not a rule such as "permit in tcp from any to 10.0.0.0/8 443": %w`, text, err)
	}
	*r = read
	return nil
}

func parseRule(words []string) (r Rule, err error) {
	if len(words) < 7 {
		return r, errors.New("it has seven words at least: permit or deny, in or out, a protocol, from, where from, to, where to")
	}
	switch words[0] {
	case "permit", "allow":
		r.Allow = true
	case "deny":
	default:
		return r, fmt.Errorf(`it begins with permit or deny, not %.20q`, words[0])
	}
	switch words[1] {
	case "in":
	case "out":
		r.Out = true
	default:
		return r, fmt.Errorf(`its direction is in, from the client, or out, to it, not %.20q`, words[1])
	}
	if r.Protocol, err = protocolNumber(words[2]); err != nil {
		return r, err
	}
	if words[3] != "from" {
		return r, fmt.Errorf(`"from" stands behind the protocol, not %.20q`, words[3])
	}
	rest := words[4:]
	if r.Src, r.SrcPorts, rest, err = r.end(rest); err != nil {
		return r, err
	}
	if len(rest) < 2 || rest[0] != "to" {
		return r, errors.New(`"to", and where to, is missing`)
	}
	if r.Dst, r.DstPorts, rest, err = r.end(rest[1:]); err != nil {
		return r, err
	}
	if r.Src.IsValid() && r.Dst.IsValid() && r.Src.Addr().Is4() != r.Dst.Addr().Is4() {
		return r, errors.New("one end is IPv4, the other IPv6")
	}
	for _, word := range rest {
		if err := r.option(word); err != nil {
			return r, err
		}
	}
	return r, r.consistent()
}

func protocolNumber(word string) (uint8, error) {
	if word == "ip" || word == "any" {
		return 0, nil
	}
	if word == "ipv6-icmp" || word == "icmpv6" {
		return packet.ICMPv6, nil
	}
	for _, p := range protocols {
		if p.name == word {
			return p.number, nil
		}
	}
	n, err := strconv.ParseUint(word, 10, 8)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%.20q is no protocol: tcp, udp, icmp, icmp6, a number, or ip for all", word)
	}
	return uint8(n), nil
}

// end reads an address and perhaps ports.
func (r *Rule) end(words []string) (p netip.Prefix, ports []Ports, rest []string, err error) {
	word := words[0]
	switch {
	case word == "any", word == "assigned":
	case strings.HasPrefix(word, "!"):
		return p, nil, nil, errors.New(`"!" is not understood: deny what it excepts in a rule before this one`)
	case strings.Contains(word, "/"):
		if p, err = netip.ParsePrefix(word); err != nil {
			return p, nil, nil, fmt.Errorf("%.50q is not a network such as 10.0.0.0/8", word)
		}
		p = p.Masked()
	default:
		a, err := netip.ParseAddr(word)
		if err != nil || a.Zone() != "" {
			return p, nil, nil, fmt.Errorf("%.50q is not an address or a network such as 10.0.0.0/8, nor any", word)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	rest = words[1:]
	if len(rest) > 0 && rest[0] != "" && rest[0][0] >= '0' && rest[0][0] <= '9' {
		if ports, err = parsePorts(rest[0]); err != nil {
			return p, nil, nil, err
		}
		rest = rest[1:]
	}
	return p, ports, rest, nil
}

// maxPorts is how many ranges of ports one end of a rule may have.
const maxPorts = 16

func parsePorts(word string) (list []Ports, err error) {
	for _, part := range strings.Split(word, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, err1 := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || b < a || len(list) == maxPorts {
			return nil, fmt.Errorf(`%.50q is not ports such as 443 or 80,8000-8010, at most %d`, word, maxPorts)
		}
		list = append(list, Ports{uint16(a), uint16(b)})
	}
	return list, nil
}

func (r *Rule) option(word string) error {
	for _, f := range flagNames {
		if f.name == word {
			r.Flags |= f.flag
			return nil
		}
	}
	return fmt.Errorf("the option %.20q is not understood: established, setup and frag are", word)
}

// consistent refuses conditions that no packet meets.
func (r *Rule) consistent() error {
	switch ports := len(r.SrcPorts) > 0 || len(r.DstPorts) > 0; {
	case ports && r.Protocol != 0 && r.Protocol != packet.TCP && r.Protocol != packet.UDP:
		return errors.New("only tcp and udp have ports")
	case r.Flags&(Established|Setup) != 0 && r.Protocol != packet.TCP && r.Protocol != 0:
		return errors.New("established and setup are for tcp")
	case r.Flags&Fragment != 0 && r.looksInside():
		return errors.New("later fragments have no ports and no flags of TCP")
	}
	return nil
}

// String is a text that the same rule is read from.
func (r Rule) String() string {
	words := []string{"deny", "in", "ip", "from"}
	if r.Allow {
		words[0] = "permit"
	}
	if r.Out {
		words[1] = "out"
	}
	if r.Protocol != 0 {
		words[2] = strconv.Itoa(int(r.Protocol))
		for _, p := range protocols {
			if p.number == r.Protocol {
				words[2] = p.name
			}
		}
	}
	words = appendEnd(words, r.Src, r.SrcPorts)
	words = appendEnd(append(words, "to"), r.Dst, r.DstPorts)
	for _, f := range flagNames {
		if r.Flags&f.flag != 0 {
			words = append(words, f.name)
		}
	}
	return strings.Join(words, " ")
}

func appendEnd(words []string, p netip.Prefix, ports []Ports) []string {
	switch {
	case !p.IsValid():
		words = append(words, "any")
	case p.IsSingleIP():
		words = append(words, p.Addr().String())
	default:
		words = append(words, p.String())
	}
	var list []string
	for _, x := range ports {
		text := strconv.Itoa(int(x.First))
		if x.Last != x.First {
			text += "-" + strconv.Itoa(int(x.Last))
		}
		list = append(list, text)
	}
	if len(list) > 0 {
		words = append(words, strings.Join(list, ","))
	}
	return words
}

// MarshalText implements encoding.TextMarshaler.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
