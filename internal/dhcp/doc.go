// Package dhcp answers the DHCP messages that clients send through the tunnel:
// DHCPINFORM (RFC 2131, section 4.4.3), by which Windows and Apple learn the routes of
// split tunnelling, the domain and name servers, and DHCPv6 (RFC 8415), by which clients
// get addresses, prefixes and the same.
//
// Its functions are pure: an IP packet in, an IP packet out.
//
// # What it is not
//
// It leases nothing: the caller passes in the addresses, which come from the pools.
//
// # Concurrency and ownership
//
// There is no state. Packets are borrowed for the call; answers are the caller's.
package dhcp
