// Package vpn joins the protocol machines into connections.
//
// A Conn is one remote peer: its ISAKMP SAs, its child SAs, which outlive them,
// its L2TP tunnel with the sessions and PPP links, its leases and accounting.
// One goroutine owns all of it. A Server knows the connections by their IKE
// cookies, answers first messages from a ring of fixed size without making
// anything else, and lets new phases 1 join the connection that they belong to.
//
// # What it is not
//
// It formats nothing and logs nothing: every decision is an Event to an
// Observer. It reads no configuration: a Policy says what is allowed. User
// data does not pass through it; the data path carries it and sends notes.
//
// # Concurrency and ownership
//
// Server's exported methods are safe for concurrent use. A Conn's state belongs
// to its goroutine; others reach it with Deliver, which drops when the inbox is
// full, and do, which is never lost. The locks here are the server's, over
// its maps, and the plane's own; nothing is called while the server's is held.
package vpn
