// Package dial places calls: it decides what a connection does next of which we are the
// client. A call is phase 1, a pair of ESP SAs, an L2TP tunnel, a session and IPCP, and
// then keys that are renewed in time until somebody hangs up.
//
// The connection is one of a vpn.Server, beside those of its clients, and uses the same
// sockets and the same data path; what it offers, and what it proves who it is with, are
// its own.
//
// It does not decide when to call, nor whether to call again: that is the caller's.
// Of EAP it knows EAP-MSCHAPv2 alone.
//
// # Concurrency
//
// A Call is safe for concurrent use. A Watcher's methods are called on the connection's
// goroutine and must not block.
package dial
