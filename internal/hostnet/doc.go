// Package hostnet changes the host's network for the server and changes it
// back: addresses of its device, forwarding, and nftables tables of its own, for
// IPv4 and IPv6, that masquerade clients and guard them, the networks behind the
// host, and the host.
//
// Every change is written to an undo record on disk before it is made. Close
// undoes it; after a crash, Replay does at the next start.
//
// # Concurrency
//
// Claim, Release, SetPolicy, Mend and Unguarded may be called from any goroutine.
package hostnet
