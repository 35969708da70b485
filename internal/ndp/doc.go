// Package ndp is the router's side of IPv6 neighbour discovery (RFC 4861) on a
// link of two, PPP: it builds Router Advertisements and answers Router and
// Neighbour Solicitations.
//
// Its functions are pure: an IP packet in, an IP packet out. No message carries
// link-layer addresses, which PPP has none of: Windows drops those that do.
//
// # What it is not
//
// It keeps no neighbours and no timers, and resolves nothing.
//
// # Concurrency and ownership
//
// There is no state. Packets are borrowed for the call; answers are the caller's.
package ndp
