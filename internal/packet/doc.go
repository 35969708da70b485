// Package packet reads and changes IP packets in place: headers, checksums, the
// TCP maximum segment size, packets that are too big, and IPv4 fragments.
//
// Its functions are pure, allocate nothing and never panic on what they are
// given. They trust no length field. Extension headers of IPv6 are not
// followed: such a packet is one of that protocol number.
package packet
