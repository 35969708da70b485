// Package gate decides who may spend processor time on key exchange, and when.
//
// A computation for a peer enters the Gate in a Lane, waits there for its turn, and
// leaves. Strangers wait in a fair queue by the processor time that their networks have
// used lately. There is one token that only peers with a user get.
//
// # What it is not
//
// It computes nothing, and knows no handshakes or connections: an address says who waits,
// and a channel says that nobody waits for the result any more.
//
// # Concurrency and ownership
//
// A Gate is safe for concurrent use, and has one lock. Whose turn it is, is decided by
// turns, which is plain state without goroutines, locks or clocks.
package gate
