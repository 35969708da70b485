package radius

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
)

// volume is one of Mikrotik's limits: its low 32 bits, and what is above them.
type volume struct{ low, high uint32 }

// volumeOf reads a part of one of them.
func volumeOf(which int, high bool) func(*granted, []byte) error {
	return number(func(g *granted, n uint32) {
		if high {
			g.volumes[which].high = n
		} else {
			g.volumes[which].low = n
		}
	})
}

// settleQuota makes the quota of its parts, which come in any order.
func (g *granted) settleQuota() {
	for i, to := range []*limit.Octets{&g.Limits.Quota.In, &g.Limits.Quota.Out, &g.Limits.Quota.Total} {
		*to = limit.Octets(uint64(g.volumes[i].high)<<32 | uint64(g.volumes[i].low))
	}
}

// fullAttribute is the longest value of an attribute: what fills one goes on in the next.
const fullAttribute = 253

// filterRule gathers NAS-Filter-Rules, whose values are one text (RFC 4849, section 2): rules
// end with a zero byte. Many servers send one rule an attribute, without that: it ends where
// its attribute is not full.
func filterRule(g *granted, v []byte) error {
	g.rules = append(g.rules, v...)
	if len(v) < fullAttribute {
		g.rules = append(g.rules, 0)
	}
	return nil
}

// settleRules reads the rules that filterRule has gathered. RFC 4849, section 2 has a user
// refused whose rules cannot be applied.
func (g *granted) settleRules() {
	for _, line := range bytes.Split(g.rules, []byte{0}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r limit.Rule
		if err := r.UnmarshalText(line); err != nil {
			g.refused = fmt.Sprintf("NAS-Filter-Rule (92) cannot be applied: %v: nobody comes in without it (RFC 4849)", err)
			return
		}
		if len(g.Limits.Filter) == limit.MaxRules {
			g.refused = fmt.Sprintf("NAS-Filter-Rule (92) cannot be applied: there are more than %d rules", limit.MaxRules)
			return
		}
		g.Limits.Filter = append(g.Limits.Filter, r)
	}
}

// mikrotikRate reads Mikrotik-Rate-Limit: "rx[/tx] [rx-burst[/tx] [rx-threshold[/tx]
// [rx-time[/tx] [priority [rx-min[/tx]]]]]]", of which rx is from the client. A burst lasts as
// long as the mean of its time stays below the threshold, so what it may carry above the rate
// is what a bucket has room for.
func mikrotikRate(g *granted, v []byte) error {
	fields := strings.Fields(strings.TrimRight(string(v), "\x00"))
	if len(fields) == 0 || len(fields) > 6 {
		return errors.New("it is not a rate such as 5M/20M")
	}
	var pairs [4][2]uint64 // rate, burst, threshold, seconds
	for i, f := range fields {
		if i >= len(pairs) {
			break
		}
		var ok bool
		if pairs[i], ok = mikrotikPair(f); !ok {
			return fmt.Errorf("%.40q in it is not a number such as 5M, or two with / between", f)
		}
	}
	rates := limit.Rates{In: limit.Rate(pairs[0][0]), Out: limit.Rate(pairs[0][1])}
	for i, to := range []*limit.Octets{&rates.BurstIn, &rates.BurstOut} {
		rate, burst, threshold, seconds := pairs[0][i], pairs[1][i], pairs[2][i], pairs[3][i]
		if len(fields) < 3 {
			threshold = rate
		}
		if len(fields) < 4 {
			seconds = 1
		}
		if burst > rate && rate > 0 {
			lasts := float64(threshold) * float64(seconds) / float64(burst)
			*to = limit.Octets(min(float64(burst-rate)*lasts/8, 1<<40))
		}
	}
	if max(rates.In, rates.Out) > limit.MaxRate {
		return fmt.Errorf("%v is more than any link has", max(rates.In, rates.Out))
	}
	g.Limits.Rates = rates.Or(g.Limits.Rates)
	if len(fields) > 4 && fields[4] != "8" { // RouterOS's default
		g.ignore("the priority of Mikrotik-Rate-Limit", "sessions have no priorities")
	}
	if len(fields) > 5 {
		g.ignore("the least rate of Mikrotik-Rate-Limit", "no rate is guaranteed")
	}
	return nil
}

// mikrotikPair reads "5M/20M"; "5M" is both.
func mikrotikPair(s string) (pair [2]uint64, ok bool) {
	first, second, two := strings.Cut(s, "/")
	if !two {
		second = first
	}
	for i, part := range []string{first, second} {
		unit := uint64(1)
		for name, of := range map[string]uint64{"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9} {
			if cut, has := strings.CutSuffix(part, name); has {
				part, unit = cut, of
				break
			}
		}
		n, err := strconv.ParseUint(part, 10, 40)
		if err != nil {
			return pair, false
		}
		pair[i] = n * unit
	}
	return pair, true
}

// terminateTime reads WISPr-Session-Terminate-Time, of ISO 8601.
func terminateTime(g *granted, v []byte) error {
	s := strings.TrimRight(string(v), "\x00")
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05-07", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			g.Until = t
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a time such as 2027-01-31T18:00:00+01:00", s)
}

// ouName is the name in "OU=staff;", or the text itself.
func ouName(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(s, "OU="), ";")
}

// avPair reads a Cisco-AVPair, "ipsec:route-set=prefix 192.0.2.0/24". The protocol in front, a
// number behind the name, and the sign between name and value (= or *) differ between servers.
func avPair(g *granted, v []byte) error {
	s := strings.TrimRight(string(v), "\x00")
	i := strings.IndexAny(s, "=*")
	if i < 0 {
		g.ignore("Cisco-AVPair "+quoted(s), "it is no pair")
		return nil
	}
	name, value := strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:])
	if at := strings.IndexByte(name, '#'); at >= 0 {
		name = name[:at]
	}
	switch name {
	case "ipsec:route-set":
		network, ok := strings.CutPrefix(value, "prefix ")
		p, err := netip.ParsePrefix(strings.TrimSpace(network))
		if !ok || err != nil {
			return fmt.Errorf("%.64q is not a network: write it as ipsec:route-set=prefix 192.0.2.0/24", v)
		}
		g.Split = append(g.Split, p.Masked())
	case "ipsec:default-domain":
		g.Domain = value
	case "ip:addr-pool":
		g.Pools.IPv4 = value
	case "ip:route":
		return route(g, []byte(value))
	case "ip:dns-servers":
		return servers(value, &g.dns4)
	case "ip:wins-servers":
		return servers(value, &g.nbns)
	case "lcp:interface-config":
		return rateLimit(g, value)
	case "ip:sub-qos-policy-in", "ip:sub-qos-policy-out", "subscriber:sub-qos-policy-in", "subscriber:sub-qos-policy-out":
		return qosPolicy(g, name, value)
	default:
		g.ignore("Cisco-AVPair "+quoted(name), "adit does not know it")
	}
	return nil
}

// quoted bounds a name that a server has chosen.
func quoted(s string) string { return fmt.Sprintf("%.40q", s) }

// servers reads up to two IPv4 addresses with blanks or commas between.
func servers(value string, to *[2]netip.Addr) error {
	for i, f := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' }) {
		a, err := netip.ParseAddr(f)
		if err != nil || !a.Is4() {
			return fmt.Errorf("%.64q is not an IPv4 address", f)
		}
		if i < len(to) {
			to[i] = a
		}
	}
	return nil
}

// rateLimit reads IOS's "rate-limit input 10000000 8000 8000 conform-action transmit
// exceed-action drop": bit/s, and a burst in bytes.
func rateLimit(g *granted, value string) error {
	fields := strings.Fields(value)
	if len(fields) < 3 || fields[0] != "rate-limit" {
		g.ignore("Cisco-AVPair "+quoted("lcp:interface-config"), "only rate-limit is understood")
		return nil
	}
	bits, err := strconv.ParseUint(fields[2], 10, 40)
	if err != nil || bits == 0 {
		return fmt.Errorf("%.40q is not a rate in bit/s", fields[2])
	}
	burst := limit.Octets(0)
	if len(fields) > 3 {
		if n, err := strconv.ParseUint(fields[3], 10, 32); err == nil {
			burst = limit.Octets(n)
		}
	}
	switch fields[1] {
	case "input":
		g.Limits.Rates.In, g.Limits.Rates.BurstIn = limit.Rate(bits), burst
	case "output":
		g.Limits.Rates.Out, g.Limits.Rates.BurstOut = limit.Rate(bits), burst
	default:
		return fmt.Errorf("%.40q is neither input nor output", fields[1])
	}
	return nil
}

// qosPolicy takes the name of a policy map for a rate, if it is one: "5M".
func qosPolicy(g *granted, name, value string) error {
	var r limit.Rate
	if err := r.UnmarshalText([]byte(value)); err != nil || r == 0 {
		g.ignore("Cisco-AVPair "+quoted(name), "there are no policy maps, and the name is not a rate such as 5M")
		return nil
	}
	if strings.HasSuffix(name, "-in") {
		g.Limits.Rates.In, g.Limits.Rates.BurstIn = r, 0
	} else {
		g.Limits.Rates.Out, g.Limits.Rates.BurstOut = r, 0
	}
	return nil
}
