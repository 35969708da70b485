// Package hostnet changes the host's network for the server and changes it
// back: addresses of its device, forwarding, and masquerading nftables tables of
// its own, for IPv4 and IPv6.
//
// Every change is written to an undo record on disk before it is made. Close
// undoes it; after a crash, Replay does at the next start.
//
// # Concurrency
//
// Claim and Release may be called from any goroutine.
package hostnet
