// Package vpn joins the protocol machines into connections.
//
// A Conn is one remote peer: its ISAKMP SAs, its child SAs, which outlive them, and
// its L2TP tunnel with one session.Session per user. One goroutine owns all of it. A
// Server finds connections by their IKE cookies, makes a connection of each handshake
// that package halfopen hands over, and lets new phases 1 join the connection that they
// belong to.
//
// # Borders
//
// A session says by events what is to happen, and the connection does it: it sends
// frames, asks the backend, routes networks, passes accounting on, makes old sessions of
// the same user give way, and hangs up. Conn's fields are grouped into parts, each a
// struct in the file of the code that owns it: ARCHITECTURE.md has the table. For a
// connection that we place as a client, a Caller decides; only tests have one.
//
// # What it is not
//
// It formats nothing and logs nothing: every decision is an Event to an Observer. It
// reads no configuration: a Policy says what is allowed. User data does not pass through
// it; the data path carries it and sends notes. What a user may have, and what clients
// are told, belongs to package session. First messages, cookies and embryos belong to
// package halfopen; the order of computations belongs to package gate.
//
// # Concurrency and ownership
//
// Server's exported methods are safe for concurrent use. A Conn's state belongs to its
// goroutine. Others reach it with Deliver, which drops notes when the inbox is full, and
// with do, which never loses a call. The locks here are those of the server, over its
// maps, of the strangers' budget, and of the registry. While the server's lock is held,
// nothing outside is called except package crowd, which counts.
package vpn
