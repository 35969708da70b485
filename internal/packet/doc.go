// Package packet reads and changes IP packets in place: headers, checksums, the
// TCP maximum segment size, packets that are too big, IPv4 fragments, and
// super-packets that stand for several packets.
//
// Its functions are pure, allocate nothing and never panic on what they are
// given. They trust no length field. Parse does not follow extension headers of
// IPv6: such a packet is one of that protocol number.
package packet
