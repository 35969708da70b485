package limit

// A packet with a source route has the address of its first stop for its destination, and goes
// on from there to where the route says: a rule about destinations says nothing of it. Hosts
// and routers do not need such packets any more (RFC 7126, sections 4.3 and 4.4; RFC 5095).

// Options of IPv4 (RFC 791, section 3.1).
const (
	optionEnd         = 0
	optionNothing     = 1
	optionLooseRoute  = 131 // LSRR
	optionStrictRoute = 137 // SSRR

	minIPv4 = 20
)

// judgeOptions looks for a source route among the options of an IPv4 header. What cannot be read
// is denied: another may read it otherwise.
func judgeOptions(b []byte) Verdict {
	for len(b) > 0 {
		switch b[0] {
		case optionEnd:
			return Passes
		case optionNothing:
			b = b[1:]
			continue
		case optionLooseRoute, optionStrictRoute:
			return SourceRouted
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return Denied
		}
		b = b[b[1]:]
	}
	return Passes
}

// isRoute reports whether a routing header of IPv6, of 8 bytes at least, leads elsewhere: one of
// type 0, which is deprecated (RFC 5095, section 3), or of any type with segments left (RFC 8200,
// section 4.4).
func isRoute(b []byte) bool { return b[2] == 0 || b[3] > 0 }
