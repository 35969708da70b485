// Package dhcp answers the DHCP messages that clients send through the tunnel:
// DHCPINFORM (RFC 2131, section 4.4.3), which carries the routes of split
// tunnelling, the domain and name servers to Windows and Apple.
//
// Its functions are pure: an IP packet in, an IP packet out.
//
// # What it is not
//
// It leases nothing: addresses are PPP's, or the pool's, and are given.
//
// # Concurrency and ownership
//
// There is no state. Packets are borrowed for the call; answers are the caller's.
package dhcp
